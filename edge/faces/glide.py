"""A box over time: how far two are apart, and how one glides to its goal without shaking what the model sees."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box

__all__ = ["Glide", "distance", "prominence", "square"]

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
        self._first = self._first + share * (goal - self._first)
        self._second = self._second + share * (self._first - self._second)
        if np.abs(self._second - goal).max() < STILL_SHARE * goal[2]:
            return self.goal
        x, y, side = (float(value) for value in self._second)
        return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def square(box: Box) -> Box:
    """The square about the box's centre with its longer side."""
    (x, y), side = box.centre, max(box.w, box.h)
    return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def distance(box: Box, other: Box) -> float:
    """How far ``box`` is from ``other``, in sides of ``other``: the larger of shift and change of size."""
    x, y, side = (_centre_side(box) - _centre_side(other)) / max(other.w, other.h)
    return float(max(math.hypot(x, y), abs(side)))


def prominence(box: Box, shape: tuple[int, ...]) -> float:
    """The side of a face, where one at a corner of the picture counts half as large as one in its middle."""
    middle = np.array([shape[1], shape[0]]) / 2.0
    off_centre = np.linalg.norm((box.centre - middle) / middle) / math.sqrt(2.0)
    return max(box.w, box.h) * float(1.0 - 0.5 * off_centre)


def _centre_side(box: Box) -> npt.NDArray[np.float64]:
    return np.array([*box.centre, max(box.w, box.h)])
