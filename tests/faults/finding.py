"""What a fault campaign found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Finding"]

Figure = float | int | str


@dataclass(frozen=True)
class Finding:
    """``failures`` has a sentence for each promise that was broken; ``skipped`` says why nothing could be tried."""

    rounds: int
    figures: Mapping[str, Figure] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    skipped: str = ""
