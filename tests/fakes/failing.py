"""A bug that shows once: for the edges of threads, which tell of it and go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["failing_once"]


def failing_once(make: Callable[..., Any]) -> Callable[..., Any]:
    """``make``, whose first call raises KeyError."""
    faults = iter([KeyError("a bug")])

    def faulty(*arguments: Any) -> Any:
        for fault in faults:
            raise fault
        return make(*arguments)

    return faulty
