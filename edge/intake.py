"""What each camera has sent, and what is due when; on the clock of the stamps."""

from __future__ import annotations

import math

from edge.clips.frame_rate import RateMeter, StreamRate
from edge.frames import Frame

__all__ = ["BEHIND_S", "SILENT_S", "Intake", "Schedule"]

_S = 1_000_000_000
SILENT_S = 1.0
"""An RGB camera that sent nothing for so long is lost; ``ok`` ends within 2 s of a fault."""
_LATE_FRAMES = 64
"""A frame may come so many frames late."""
BEHIND_S = 60.0
"""What was due longer ago is not made up for."""


class Intake:
    """What one camera has sent: count and losses at once, real rate and newest stamp once its time has come."""

    def __init__(self) -> None:
        self.frames = self.dropped = 0
        self.newest_ns: int | None = None
        self._meter = RateMeter()
        self._seq: int | None = None

    def count(self, frame: Frame) -> None:
        """A frame came in; a gap in its sequence is frames lost, and one that comes too late fills none."""
        step = 1 if self._seq is None else frame.seq - self._seq
        self.dropped += max(0, step - 1)
        if not -_LATE_FRAMES < step <= 0:  # farther back the camera counts anew
            self._seq = frame.seq
        self.frames += 1

    def reach(self, pts_ns: int) -> None:
        """Stream time has come to a frame's stamp."""
        if self.newest_ns is None or pts_ns > self.newest_ns:
            self.newest_ns = pts_ns
            self._meter.add(pts_ns)

    def silent_s(self, now_ns: int) -> float:
        """Seconds since the newest frame; infinite before the first."""
        return math.inf if self.newest_ns is None else (now_ns - self.newest_ns) / _S

    def rate_at(self, now_ns: int) -> StreamRate | None:
        """The real frame rate; None while the camera is silent or too new."""
        return None if self.silent_s(now_ns) > SILENT_S else self._meter.rate


class Schedule:
    """Times ``start + n * period``, each due once."""

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * _S)
        self._start_ns: int | None = None
        self._done = 0

    def pace(self, period_s: float) -> None:
        """Go on with another period, from the last time that was due."""
        if self._start_ns is not None:
            self._start_ns += self._done * self._period_ns
        self._done = 0
        self._period_ns = round(period_s * _S)

    def start(self, t_ns: int) -> None:
        """Begin at ``t_ns``, unless begun already."""
        if self._start_ns is None:
            self._start_ns = t_ns

    @property
    def next_ns(self) -> int | None:
        """The next time that is due; None before the start."""
        return None if self._start_ns is None else self._start_ns + (self._done + 1) * self._period_ns

    def pass_over(self, now_ns: int) -> None:
        """Leave out what is more than ``BEHIND_S`` behind ``now_ns``: after a long stop nobody wants every second."""
        if self._start_ns is not None:
            behind_ns = now_ns - round(BEHIND_S * _S) - self._start_ns
            self._done = max(self._done, behind_ns // self._period_ns)

    def pop(self) -> None:
        """The next time was served."""
        self._done += 1
