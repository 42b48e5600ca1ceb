"""A box over time: how far two are apart, and how one glides to its goal without shaking what the model sees."""

from __future__ import annotations

import math

import numpy as np

from edge.clips.crop import Box

__all__ = ["Glide", "distance", "prominence", "square"]

_Place = tuple[float, float, float]
"""Centre and side."""
NS_PER_S = 1_000_000_000
STILL_SHARE = 2e-4
"""A gliding box this near its goal (share of the side) is there."""


class Glide:
    """A box on its way to ``goal``: centre and side each pass two first-order low-pass stages, stepped by stamps."""

    def __init__(self, stage_s: float) -> None:
        self.goal = Box(0.0, 0.0, 1.0, 1.0)
        self._stage_ns = stage_s * NS_PER_S
        self._first = self._second = _centre_side(self.goal)
        self._at_ns = 0

    def place(self, pts_ns: int, box: Box) -> None:
        """Be at ``box`` and stay."""
        self.goal, self._at_ns = box, pts_ns
        self._first = self._second = _centre_side(box)

    def at(self, pts_ns: int) -> Box:
        """The box at a stamp, not before the last one asked for; exactly the goal once it is as good as there."""
        share = -math.expm1(-(pts_ns - self._at_ns) / self._stage_ns)
        goal = _centre_side(self.goal)
        self._at_ns = pts_ns
        self._first = _nearer(self._first, goal, share)
        self._second = _nearer(self._second, self._first, share)
        if max(abs(is_at - wanted) for is_at, wanted in zip(self._second, goal, strict=True)) < STILL_SHARE * goal[2]:
            return self.goal
        x, y, side = self._second
        return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def square(box: Box) -> Box:
    """The square about the box's centre with its longer side."""
    (x, y), side = box.centre, max(box.w, box.h)
    return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def distance(box: Box, other: Box) -> float:
    """How far ``box`` is from ``other``, in sides of ``other``: the larger of shift and change of size."""
    here, there = _centre_side(box), _centre_side(other)
    x, y, side = ((a - b) / there[2] for a, b in zip(here, there, strict=True))
    return max(math.hypot(x, y), abs(side))


def prominence(box: Box, shape: tuple[int, ...]) -> float:
    """The side of a face, where one at a corner of the picture counts half as large as one in its middle."""
    middle = np.array([shape[1], shape[0]]) / 2.0
    off_centre = np.linalg.norm((box.centre - middle) / middle) / math.sqrt(2.0)
    return max(box.w, box.h) * float(1.0 - 0.5 * off_centre)


def _centre_side(box: Box) -> _Place:
    return *box.centre, max(box.w, box.h)


def _nearer(place: _Place, goal: _Place, share: float) -> _Place:
    """``place``, a share of the way nearer to ``goal``."""
    x, y, side = (at + share * (wanted - at) for at, wanted in zip(place, goal, strict=True))
    return x, y, side
