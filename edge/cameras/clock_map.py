"""A foreign clock mapped onto CLOCK_MONOTONIC while its stamps come in: offset and drift.

A sender's stamps (RTP, a thermal core's milliseconds) run on its own crystal, some ten ppm off ours, and each arrives
after a delay that varies but is never negative. So ``arrival - own`` lies above a straight line whose slope is the
drift, and touches it where the network was quickest. The line is found as in S. Moon, P. Skelly, D. Towsley,
"Estimation and removal of clock skew from network delay measurements" (INFOCOM 1999): of the lower convex hull of the
points, the edge below their mean time. Late packets, however late, do not move it. The smallest delay itself cannot be
seen from one side and stays in the stamps.

Pure: arrivals are passed in. Memory is bounded: one point, the quickest, of each second of the last two minutes.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

__all__ = ["Backlog", "ClockMap", "Unwrapped"]

_S = 1_000_000_000
SPAN_S = 120
"""Seconds that the line is drawn through."""
DRIFT_FROM_S = 20
"""Below, the jitter of a few points would look like drift: only the offset is estimated."""
MAX_DRIFT = 500e-6
"""No quartz is worse. A steeper line is queueing that builds up, not a clock."""
FASTER, SLOWER = 0.005, 0.9
"""How fast the mapping follows a better estimate, in seconds per second. To later times slowly, for a jump would look
like jitter. To earlier times within a frame or two: the estimate was wrong, some packet was quicker than all before."""
STEP_NS = 250_000_000
"""A sender that is off the line by more, for ``STEP_AFTER_NS`` without exception, has set its clock."""
STEP_AFTER_NS = 3 * _S

IN_PACE = 3
"""Pictures in a row that come at their own pace end a backlog; one alone may be a hiccup of ours."""
MOST_WAITING = 900
"""Pictures that a backlog may hold: half a minute at 30 /s. Whoever still sends faster than that is believed."""


class ClockMap:
    """The mapping of one sender's clock. Stamps come in the order of their arrival."""

    def __init__(self) -> None:
        self.steps = 0
        """How often the sender's clock was found to have been set."""
        self.drift_ppm: float | None = None
        """How much faster CLOCK_MONOTONIC runs than the sender's clock; None before ``DRIFT_FROM_S``."""
        self._begin()

    def _begin(self) -> None:
        self._points: deque[tuple[int, int]] = deque(maxlen=SPAN_S)  # own, arrival - own: the quickest of a second
        self._line: tuple[int, float, float] | None = None  # own time, offset there, slope
        self._offset_ns: float | None = None  # what is applied
        self._last_own_ns = 0
        self._off_since_ns: int | None = None

    def monotonic_ns(self, own_ns: int, arrival_ns: int) -> int:
        """A sender's stamp on CLOCK_MONOTONIC, never after ``arrival_ns``.

        Two stamps that differ keep their order, unless the sender's clock was set.
        """
        if self._was_set(own_ns, arrival_ns):
            self.steps += 1
            self._begin()
        self._add(own_ns, arrival_ns - own_ns)
        return min(own_ns + round(self._slewed(own_ns)), arrival_ns)

    def _was_set(self, own_ns: int, arrival_ns: int) -> bool:
        """Far early is impossible and tells at once; far late may be a stall, unless it lasts."""
        if self._line is None:
            return False
        off_ns = arrival_ns - own_ns - self._expected(own_ns)
        if abs(off_ns) <= STEP_NS:
            self._off_since_ns = None
            return False
        if off_ns < 0.0:
            return True
        if self._off_since_ns is None:
            self._off_since_ns = arrival_ns
        return arrival_ns - self._off_since_ns >= STEP_AFTER_NS

    def _add(self, own_ns: int, gap_ns: int) -> None:
        """Keep the quickest point of each second of the sender's; draw the line anew when one was added or bettered."""
        points = self._points
        if points and own_ns // _S == points[-1][0] // _S:
            if gap_ns >= points[-1][1]:
                return
            points.pop()
        points.append((own_ns, gap_ns))
        self._line = self._fitted()
        self.drift_ppm = self._line[2] * 1e6 if self._span_ns() >= DRIFT_FROM_S * _S else None

    def _span_ns(self) -> int:
        return self._points[-1][0] - self._points[0][0]

    def _fitted(self) -> tuple[int, float, float]:
        """Own time, offset there and slope of the line below all points."""
        if self._span_ns() < DRIFT_FROM_S * _S:
            own_ns, gap_ns = min(self._points, key=lambda point: point[1])
            return own_ns, float(gap_ns), 0.0
        middle = sum(own for own, _ in self._points) / len(self._points)
        hull = _lower_hull(self._points)
        (x0, y0), (x1, y1) = next(edge for edge in pairwise(hull) if edge[1][0] >= middle)
        slope = (y1 - y0) / (x1 - x0)
        return x0, float(y0), max(-MAX_DRIFT, min(MAX_DRIFT, slope))

    def _expected(self, own_ns: int) -> float:
        assert self._line is not None
        at_ns, offset_ns, slope = self._line
        return offset_ns + slope * (own_ns - at_ns)

    def _slewed(self, own_ns: int) -> float:
        wanted_ns = self._expected(own_ns)
        if self._offset_ns is None:
            self._offset_ns, self._last_own_ns = wanted_ns, own_ns
        passed_ns = max(own_ns - self._last_own_ns, 0)
        self._offset_ns += max(-SLOWER * passed_ns, min(FASTER * passed_ns, wanted_ns - self._offset_ns))
        self._last_own_ns = max(own_ns, self._last_own_ns)
        return self._offset_ns


def _lower_hull(points: deque[tuple[int, int]]) -> list[tuple[int, int]]:
    """The lower convex hull of points sorted by x (A. M. Andrew, 1979)."""
    hull: list[tuple[int, int]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2], hull[-1]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append((x, y))
    return hull


class Backlog:
    """Tells pictures that had been waiting when a stream was first read from those that come as they are taken.

    A server begins with the last whole picture and all since, and more waits in buffers while the model is loaded. Such
    pictures come faster than they were taken, and nothing tells when that was.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._left = MOST_WAITING
        self._in_pace = 0

    def holds(self, own_ns: int | None, arrival_ns: int) -> bool:
        """Whether this picture may have waited: up to the third in a row that comes at its own pace."""
        if not self._left:
            return False
        last, self._last = self._last, None if own_ns is None else (own_ns, arrival_ns)
        self._left -= 1
        is_in_pace = last is not None and own_ns is not None and 2 * (arrival_ns - last[1]) >= own_ns - last[0]
        self._in_pace = self._in_pace + 1 if is_in_pace else 0
        if self._in_pace == IN_PACE:
            self._left = 0
        return self._left > 0


class Unwrapped:
    """A counter of ``bits`` bits as one that never wraps; values may also come a little out of order."""

    def __init__(self, bits: int) -> None:
        self._range = 1 << bits
        self._last: int | None = None

    def next(self, value: int) -> int:
        """The value nearest to the last one that agrees with ``value`` in its low bits."""
        if self._last is None:
            self._last = value
        step = (value - self._last) % self._range
        self._last += step - self._range if step > self._range // 2 else step
        return self._last
