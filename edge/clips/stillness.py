"""Does a camera that sends frames still see? A picture that is sent again and again has no pixel that differs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box

__all__ = ["Stillness"]

_EVERY = 4
"""Of the picture's rows and columns every so-manieth is compared: noise changes any of them."""


class Stillness:
    """How long the picture has been the very same where a face is.

    Pixels are compared where they were before, whatever the face's box does: over a picture that stands still a box
    still glides into its place, and what is averaged in it differs from frame to frame.
    """

    def __init__(self) -> None:
        self._seen: tuple[int, int, npt.NDArray[Any]] | None = None  # first row, first column, and pixels
        self._changed_ns = self._newest_ns = 0

    @property
    def still_s(self) -> float:
        """Seconds from the newest frame that differed from the one before to the newest frame."""
        return (self._newest_ns - self._changed_ns) * 1e-9

    def reset(self) -> None:
        """The next frame counts as one that differs."""
        self._seen = None

    def step(self, t_ns: int, image: npt.NDArray[Any], region: Box) -> None:
        """The next frame, ``[H, W, 3]``, and where the face is in it, inside the picture."""
        top, bottom = _lattice(region.y, region.h)
        left, right = _lattice(region.x, region.w)
        seen = top, left, image[top * _EVERY : bottom * _EVERY : _EVERY, left * _EVERY : right * _EVERY : _EVERY].copy()
        if self._seen is None or not _alike(self._seen, seen):
            self._changed_ns = t_ns
        self._seen, self._newest_ns = seen, t_ns


def _lattice(start: float, length: float) -> tuple[int, int]:
    """Those multiples of ``_EVERY`` inside of an interval: the first, and the one behind the last."""
    return math.ceil(start / _EVERY), max(math.floor((start + length - 1.0) / _EVERY), 0) + 1


def _alike(one: tuple[int, int, npt.NDArray[Any]], other: tuple[int, int, npt.NDArray[Any]]) -> bool:
    """Whether the pixels that both hold are the same; not where they share none."""
    top, left = max(one[0], other[0]), max(one[1], other[1])
    bottom = min(one[0] + len(one[2]), other[0] + len(other[2]))
    right = min(one[1] + one[2].shape[1], other[1] + other[2].shape[1])
    if bottom <= top or right <= left:
        return False
    first, second = (
        pixels[top - row : bottom - row, left - column : right - column] for row, column, pixels in (one, other)
    )
    return bool(np.array_equal(first, second))
