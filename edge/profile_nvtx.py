"""Named ranges that NVIDIA's Nsight shows on its time line, where the package ``nvtx`` is installed."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["DOMAIN", "Range", "ranges"]

DOMAIN = "mmrphys"
Range = Callable[[str], AbstractContextManager[Any]]


def ranges() -> tuple[Range, str]:
    """What marks a range by name, and why it marks nothing (empty where it does)."""
    try:
        nvtx = importlib.import_module("nvtx")
    except ImportError:
        return lambda _name: contextlib.nullcontext(), "the package nvtx is not installed: pip install nvtx"
    return lambda name: nvtx.annotate(message=name, domain=DOMAIN), ""
