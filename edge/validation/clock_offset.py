"""How far the reference's clock is from the kit's, found from the heart rate that both saw.

``offset`` is the reference's clock less the kit's: the kit's moment t is the moment t + offset of the reference.

An offset is judged by how well the reference, moved by it, explains how the kit's values vary. Its *error* is the mean
distance of the differences from their own median, each counted up to 15 per minute. The mean and not the median of the
distances, because a rate that is steady but for one step in ten minutes is told in time by that step alone; counted
up to a bound, so that doubled and halved rates cannot steer it; from the median of the differences, so that a constant
bias neither moves the offset nor is hidden by it.

Its *evidence* is the log likelihood ratio against a kit that varies for reasons of its own, for errors of the Laplace
kind: n ln(spread of the kit's values / error), with n the paired seconds in windows, because looks less than a window
apart share their signal. It lets offsets with overlaps of different length be compared, and is 0 or less where the
reference explains nothing: two flat rates fit at any offset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.validation.course import Course

__all__ = ["MIN_PAIRS", "Found", "Windows", "search"]

Floats = npt.NDArray[np.float64]

MIN_PAIRS = 60
"""An offset at which fewer looks have a reference is no candidate."""
_BOUND_PER_MIN = 15.0
_RESOLUTION_PER_MIN = 0.1
"""No error or spread counts as smaller than this: what records are rounded to."""
_DROP = 3.0
"""Offsets with evidence less than this below the best are about as good (a likelihood interval of some 98 %)."""
_LEAST = 3.0
"""The best must stand this far above what the best of so many tries would reach by chance."""
_SHARP_S = 5.0
"""An offset is identified when it is known to within this, either way."""
_FINE_S = 0.1
_NEAR_S = 8.0
_FEW, _MANY = 1200, 6000
"""Looks used, evenly chosen, for the coarse and for the fine search."""
_TRIES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """What the kit said ``[N]``: the mean rate over ``[start_s, end_s]`` was ``value`` per minute (finite)."""

    start_s: Floats
    end_s: Floats
    value: Floats

    def thinned(self, count: int) -> Windows:
        """At most ``count`` of them, evenly chosen."""
        step = math.ceil(len(self.value) / count) if len(self.value) else 1
        return Windows(self.start_s[::step], self.end_s[::step], self.value[::step])


@dataclass(frozen=True, slots=True)
class Found:
    """The best offset, in s, and how sure it is.

    ``low_s`` to ``high_s`` are the outermost offsets that fit about as well. ``identified``: they are within 5 s of the
    best, which stands out and does not lie at an edge of what was searched (``at_edge``).
    """

    offset_s: float
    low_s: float
    high_s: float
    identified: bool
    at_edge: bool


def search(kit: Windows, course: Course, low_s: float, high_s: float) -> Found | None:
    """The best offset within ``[low_s, high_s]``, to 0.1 s; None when no offset pairs enough looks."""
    if low_s > high_s or len(kit.value) < MIN_PAIRS:
        return None
    step_s = float(np.clip((high_s - low_s) / _TRIES, 1.0, 4.0))
    coarse_s = np.unique(np.append(np.arange(low_s, high_s, step_s), high_s))
    coarse = _evidence(kit, _FEW, course, coarse_s)
    if not np.isfinite(coarse).any():
        return None
    middle_s = float(coarse_s[coarse.argmax()])
    near = np.arange(-_NEAR_S, _NEAR_S + _FINE_S / 2.0, _FINE_S)
    fine_s = np.unique(np.clip(np.round(middle_s + near, 1), low_s, high_s))
    fine = _evidence(kit, _MANY, course, fine_s)
    best_s, best = _centre(fine_s, fine), float(fine.max())
    alike = np.concatenate([fine_s[fine >= best - _DROP], coarse_s[coarse >= coarse.max() - _DROP]])
    low, high = float(alike.min()), float(alike.max())
    at_edge = min(best_s - low_s, high_s - best_s) < 1.0
    chance = math.log(max(1.0, (high_s - low_s) / float(np.median(kit.end_s - kit.start_s))))
    stands_out = best >= chance + _LEAST
    sharp = max(best_s - low, high - best_s) <= _SHARP_S
    return Found(round(best_s, 1), low, high, stands_out and sharp and not at_edge, at_edge)


def _centre(offsets_s: Floats, evidence: Floats) -> float:
    """The middle of the best offsets, which are several where the reference has coarse steps."""
    best = offsets_s[evidence >= evidence.max() - 1e-9]
    return float((best[0] + best[-1]) / 2.0)


def _evidence(kit: Windows, count: int, course: Course, offsets_s: Floats) -> Floats:
    """The evidence for each offset ``[K]``, -inf where too few looks are paired."""
    some = kit.thinned(count)
    window_s = max(1.0, float(np.median(kit.end_s - kit.start_s)))
    weight = len(kit.value) / len(some.value) / window_s
    return np.array([_evidence_at(some, course, float(offset_s), weight) for offset_s in offsets_s])


def _evidence_at(kit: Windows, course: Course, offset_s: float, weight: float) -> float:
    pairs, spread, error = _spreads(kit, course, offset_s)
    return pairs * weight * math.log(spread / error) if pairs >= min(MIN_PAIRS, len(kit.value)) else -math.inf


def _spreads(kit: Windows, course: Course, offset_s: float) -> tuple[int, float, float]:
    """How many looks are paired at an offset, the spread of their values and that of their differences."""
    truth = course.mean(kit.start_s + offset_s, kit.end_s + offset_s)
    paired = np.isfinite(truth)
    value = kit.value[paired]
    return len(value), _spread(value), _spread(value - truth[paired])


def _spread(values: Floats) -> float:
    if not len(values):
        return _RESOLUTION_PER_MIN
    distance = np.minimum(np.abs(values - np.median(values)), _BOUND_PER_MIN)
    return max(_RESOLUTION_PER_MIN, float(distance.mean()))
