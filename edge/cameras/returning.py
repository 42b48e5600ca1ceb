"""Live cameras that may go away and come back: unplugged, cut off, hung. One run goes on through it.

A driver gives a *session*, which is one uninterrupted connection. :class:`ReturningCamera` opens one, hands its frames
on, and when it breaks tries again until the camera is back. In between it is silent (SilentError), which the states
show as ``camera_lost`` or ``thermal_lost``. ``seq`` goes on where it stood and stamps go on growing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from edge.errors import GoneError, InputError, SilentError
from edge.frames import Frame, FrameKind

__all__ = ["Connect", "ReturningCamera", "Session"]

_log = logging.getLogger(__name__)

TURN_S = 0.5
"""One turn of waiting; a stopped run ends within it."""
HUNG_S = 5.0
"""A camera that sends nothing for so long is opened anew."""
PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Between two attempts to find it again: the first pause, doubled up to the longest."""
DRIFT_TOLD_NS = 60_000_000_000
"""When the drift of a source's own clock is known well enough to be told."""


class Session(Protocol):
    """One connection to a live camera, from opening it to losing it."""

    @property
    def drift_ppm(self) -> float | None:
        """How much faster CLOCK_MONOTONIC runs than the source's own clock; None where that is not known (yet)."""

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame; None when none came in time. GoneError when it is over; InputError when it is hopeless."""

    def close(self) -> None:
        """Release everything."""


Connect = Callable[[], Session]


class ReturningCamera:
    """Frames of a live source that ``connect`` opens, for as long as the run lasts.

    Whatever fails at first ends the run, since a kit that starts needs its camera; whatever fails later is tried again.
    """

    live = True

    def __init__(
        self,
        name: str,
        kind: FrameKind,
        connect: Connect,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.kind: FrameKind = kind
        self._connect, self._clock, self._sleep = connect, clock, sleep
        self.session: Session | None = None
        self.returns = 0
        self._heard_s: float | None = None  # None before the first read of a session
        self._away_since_s: float | None = None
        self._next_try_s, self._pause_s = 0.0, PAUSE_S
        self._first_seq = 0  # of this session
        self._tell_drift_ns: int | None = None
        self._seq = -1
        self._last_ns: int | None = None

    def open(self) -> None:
        """Open the camera; InputError when it cannot be used."""
        self._begin()

    def read(self) -> Frame | None:
        """The next frame. SilentError when there is none at the moment; InputError when there never will be."""
        if self.session is None:
            self._come_back()
        assert self.session is not None
        self._heard_s = self._clock() if self._heard_s is None else self._heard_s
        try:
            frame = self.session.next(TURN_S)
            if frame is None:
                self._check_heard()
                raise SilentError(f"{self.name} sent nothing for {TURN_S} s; it is waited for")
        except GoneError as error:
            self._lose(error)
            raise SilentError(str(error)) from error
        self._hear(frame.pts_ns)
        return self._continued(frame)

    @property
    def drift_ppm(self) -> float | None:
        """See :class:`Session`; may be asked from another thread."""
        session = self.session
        return None if session is None else session.drift_ppm

    def close(self) -> None:
        """Release the camera."""
        if self.session is not None:
            self.session.close()
        self.session = None

    def _continued(self, frame: Frame) -> Frame:
        """The frame numbered from the start of the run; a stamp that does not grow is one that nothing can use."""
        seq = self._first_seq + frame.seq
        self._seq = seq
        if self._last_ns is not None and frame.pts_ns <= self._last_ns:
            raise SilentError(f"{self.name}: a stamp went back by {(self._last_ns - frame.pts_ns) / 1e6:.1f} ms")
        self._last_ns = frame.pts_ns
        return replace(frame, seq=seq) if self._first_seq else frame

    def _hear(self, pts_ns: int) -> None:
        """A frame came: the camera is there, and so it is back where it was away."""
        self._heard_s = self._clock()
        if self._away_since_s is not None:
            _log.warning("%s is back after %.1f s", self.name, self._heard_s - self._away_since_s)
            self._away_since_s = None
            self.returns += 1
        if self._tell_drift_ns is None:
            self._tell_drift_ns = pts_ns + DRIFT_TOLD_NS
        if pts_ns >= self._tell_drift_ns and (drift_ppm := self.drift_ppm) is not None:
            self._tell_drift_ns = 2**63  # once a session
            _log.info("%s: our clock runs %+.0f ppm against its own; stamps follow", self.name, drift_ppm)

    def _begin(self) -> None:
        self.session = self._connect()
        self._first_seq = self._seq + 1
        self._heard_s = self._tell_drift_ns = None

    def _check_heard(self) -> None:
        silent_s = self._clock() - (self._heard_s or 0.0)
        if silent_s >= HUNG_S:
            raise GoneError(f"{self.name} has sent nothing for {silent_s:.0f} s")

    def _lose(self, error: GoneError) -> None:
        """Close, and try again: at once when it had been there, later when it broke before its first frame."""
        self.close()
        if self._away_since_s is not None:
            self._try_later(error)
            return
        self._away_since_s = self._next_try_s = self._clock()
        self._pause_s = PAUSE_S
        _log.warning("%s; the run goes on and waits for it", error)

    def _try_later(self, error: InputError) -> None:
        self._next_try_s = self._clock() + self._pause_s
        self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)
        _log.debug("%s is still away: %s", self.name, error)

    def _come_back(self) -> None:
        """One turn of waiting for the camera, or one attempt to open it; SilentError unless there is a session."""
        wait_s = self._next_try_s - self._clock()
        if wait_s > 0.0:
            self._sleep(min(wait_s, TURN_S))
            raise SilentError(f"{self.name} is away")
        try:
            self._begin()
        except InputError as error:
            self._try_later(error)
            raise SilentError(f"{self.name} is away") from error
