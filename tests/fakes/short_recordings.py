"""Recordings of the synthetic scene that are short enough to be played in a test."""

from __future__ import annotations

from training.yardstick.distribution import Recording
from training.yardstick.sources import Source

__all__ = ["SMALL", "SOURCES"]

SMALL = "synthetic:?seconds=13&width=320&height=240&amplitude=0.015&codec=raw"
SOURCES = (
    Source("moderate", Recording("test/moderate-0", "moderate", 1.5, f"{SMALL}&hr=75&seed=0&tone=1.5")),
    Source("moderate", Recording("test/moderate-1", "moderate", 5.5, f"{SMALL}&hr=100&seed=1&tone=5.5")),
)
