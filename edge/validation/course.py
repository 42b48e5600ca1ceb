"""A reference rate over time, and its mean over any stretch of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Course"]

Floats = npt.NDArray[np.float64]

_REACH = 0.75
"""A row stands for the time up to this share of the usual step away: steps may vary by half before a gap opens."""
_LONGEST_REACH_S = 45.0
_MIN_KNOWN = 0.8
"""Smallest share of a stretch that must be known for it to have a mean."""


class Course:
    """``time_s`` ``[M]`` increasing, ``rate`` ``[M]`` per minute, NaN where there is none.

    Every row stands for the time that is nearer to it than to its neighbours, but never further than 0.75 of the usual
    (median) step, or 45 s: what lies beyond is a gap, and nothing is interpolated over it. ``step_s`` is that usual
    step of the rows that hold a rate, 0 for fewer than two.
    """

    def __init__(self, time_s: Floats, rate: Floats) -> None:
        known = np.isfinite(rate)
        time_s, rate = time_s[known], rate[known]
        self.time_s, self.rate = time_s, rate
        self._zero_s = float(time_s[0]) if len(time_s) else 0.0
        self.step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
        self.reach_s = min(_REACH * (self.step_s or 1.0), _LONGEST_REACH_S)
        middle = (time_s[1:] + time_s[:-1]) / 2.0
        starts = np.maximum(time_s - self.reach_s, np.concatenate([[-np.inf], middle]))[: len(time_s)]
        ends = np.minimum(time_s + self.reach_s, np.concatenate([middle, [np.inf]]))[: len(time_s)]
        self._edges = np.stack([starts, ends], axis=1).ravel() - self._zero_s
        self._known_s = _steps(ends - starts)
        self._area = _steps((ends - starts) * rate)

    def mean(self, start_s: Floats, end_s: Floats) -> Floats:
        """The mean rate over each ``[start_s, end_s]`` ``[N]``; NaN where less than 80 % of it is known."""
        if not len(self._edges):
            return np.full(len(end_s), np.nan)
        start_s, end_s = start_s - self._zero_s, end_s - self._zero_s
        known_s = self._between(self._known_s, start_s, end_s)
        enough = known_s >= np.maximum(_MIN_KNOWN * (end_s - start_s), 1e-6)
        area = self._between(self._area, start_s, end_s)
        return np.where(enough, area / np.where(enough, known_s, 1.0), np.nan)

    def _between(self, grown: Floats, start_s: Floats, end_s: Floats) -> Floats:
        return np.interp(end_s, self._edges, grown) - np.interp(start_s, self._edges, grown)


def _steps(growth: Floats) -> Floats:
    """What has grown at the start and at the end of each row's stretch ``[2M]``."""
    after = np.cumsum(growth)
    return np.stack([after - growth, after], axis=1).ravel()
