"""Stamps of a stream that FFmpeg decodes: exact, strictly increasing, on a named clock.

V4L2 stamps pictures on CLOCK_MONOTONIC. A network source stamps them on the sender's clock: those are mapped by
:class:`~edge.cameras.clock_map.ClockMap`, which keeps the sender's spacing and not the network's jitter.
"""

from __future__ import annotations

import logging
from fractions import Fraction

from edge.cameras.clock_map import ClockMap
from edge.errors import InputError
from edge.frames import StampClock

__all__ = ["Stamps", "ns_from_pts"]

log = logging.getLogger(__name__)

SAME_CLOCK_NS = 10 * 10**9
"""A live stamp this near to CLOCK_MONOTONIC at its arrival is taken to be on it."""


def ns_from_pts(pts: int, time_base: Fraction) -> int:
    """A stamp in ticks of ``time_base`` seconds as ns, to the nearest one, without passing through a float."""
    return round(pts * time_base * 10**9)


class Stamps:
    """The stamp of each picture, in the order they were decoded.

    ``seq`` numbers the newest picture, with those left out counted in; ``unordered`` counts pictures left out because
    their stamp did not grow. Where stamps are missing, ``rate`` (pictures per second) stands in for a file and the
    arrival for a live source.
    """

    def __init__(self, *, live: bool, rate: Fraction | None) -> None:
        self._live, self._rate = live, rate
        self._foreign: bool | None = None  # the stamps are on a clock of the sender's
        self._map = ClockMap()
        self.clock: StampClock = "monotonic" if live else "media"
        self.seq = -1
        self.unordered = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    def next(self, pts: int | None, time_base: Fraction, arrival_ns: int) -> int | None:
        """The stamp of the next picture, None when it must be left out; ``arrival_ns`` is on CLOCK_MONOTONIC.

        InputError when a file gives neither stamps nor a rate.
        """
        self.seq += 1
        stamp_ns = self._missing_ns(arrival_ns) if pts is None else self._ours(ns_from_pts(pts, time_base), arrival_ns)
        if self.last_ns is not None and stamp_ns <= self.last_ns:
            if not self.unordered:
                log.warning("pictures whose stamp does not grow are left out; the first at %.3f s", stamp_ns / 1e9)
            self.unordered += 1
            return None
        self.first_ns = stamp_ns if self.first_ns is None else self.first_ns
        self.last_ns = stamp_ns
        return stamp_ns

    def leave_out(self) -> None:
        """Count a picture that could not be decoded."""
        self.seq += 1

    @property
    def drift_ppm(self) -> float | None:
        """How much faster CLOCK_MONOTONIC runs than the sender's clock; None where that is not known (yet)."""
        return self._map.drift_ppm

    def _ours(self, own_ns: int, arrival_ns: int) -> int:
        """A stamp as it is where it is on our clock already, else mapped; the first one decides for all."""
        if self._foreign is None:
            self._foreign = self._live and abs(own_ns - arrival_ns) > SAME_CLOCK_NS
            self.clock = "monotonic_arrival" if self._foreign else self.clock
        return self._map.monotonic_ns(own_ns, arrival_ns) if self._foreign else own_ns

    def _missing_ns(self, arrival_ns: int) -> int:
        if self._live:
            self.clock = "monotonic_arrival"
            return arrival_ns
        if not self._rate:
            raise InputError("the video has neither stamps nor a frame rate; convert it to .mp4 or .mkv")
        if not self.seq:
            log.warning("the video has no stamps; its declared rate of %.3f /s stands in", float(self._rate))
        return round(self.seq / self._rate * 10**9)
