"""One uninterrupted stream of a V4L2 camera as frames, whatever its pictures are made of.

A driver (``v4l2``, ``lepton``, ``y16``) is a :class:`Decoder` and a choice among the modes; finding the camera,
negotiating, stamps, numbering, and locking its exposure once it has settled are here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any, Protocol

import numpy.typing as npt

from edge.cameras.returning import ReturningCamera
from edge.cameras.uvc import Mode, Shot, UvcStream
from edge.cameras.uvc_find import CameraId, Nodes, explained
from edge.cameras.uvc_lock import Locked, hold_rate, lock
from edge.cameras.uvc_structs import PixelLayout, text_from_fourcc
from edge.errors import InputError
from edge.frames import Frame, FrameKind, StampClock

__all__ = ["Decoder", "Picture", "Skip", "UvcSession", "UvcSource", "camera_of"]

_log = logging.getLogger(__name__)
SETTLE_NS = 2_000_000_000
"""Automatic exposure gets so long before it is locked."""
RATE_TOLERANCE = 0.01


class Skip(Enum):
    """A picture that gives no frame: ``DAMAGED`` ones are missing in ``seq``, ``REPEATED`` ones never counted."""

    DAMAGED = "damaged"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a decoder made of a shot; see Frame.

    ``seq`` and ``pts_ns`` are the camera's own count and time (on CLOCK_MONOTONIC), where it has them; else those of
    the driver are taken.
    """

    image: npt.NDArray[Any]
    scale_degc: float = 1.0
    offset_degc: float = 0.0
    shutter: bool = False
    seq: int | None = None
    pts_ns: int | None = None


class Decoder(Protocol):
    """Makes pictures of shots, in order, for one session."""

    @property
    def drift_ppm(self) -> float | None:
        """See :class:`~edge.cameras.returning.Session`."""

    def picture(self, shot: Shot, stamp_ns: int) -> Picture | Skip:
        """One picture, stamped at ``stamp_ns`` by the driver, or at its arrival.

        InputError when what the camera sends can never be used.
        """


@dataclass(frozen=True, slots=True)
class UvcRecipe:
    """What distinguishes one driver from another.

    ``choose`` picks a mode from those on offer (InputError when none fits), ``decoder`` makes a fresh decoder for what
    was negotiated. ``locks``: whether exposure, white balance and gain are locked, at the values in ``fixed`` where
    given.
    """

    kind: FrameKind
    choose: Callable[[list[Mode]], Mode]
    decoder: Callable[[PixelLayout], Decoder]
    locks: bool = False
    fixed: Mapping[str, int] | None = None


class UvcSource:
    """Opens sessions of one camera, which it finds again wherever it is plugged in."""

    def __init__(self, name: str, path: str, recipe: UvcRecipe, nodes: Nodes) -> None:
        self._name, self._path, self._recipe, self._nodes = name, path, recipe, nodes
        self._known: CameraId | None = None
        self.locked: Locked | None = None
        """What was locked, by name, once it was; a camera that comes back gets the same at once."""

    def __call__(self) -> UvcSession:
        """A session that streams; InputError when there is none to be had."""
        with ExitStack() as undo:
            stream = self._opened()
            undo.callback(stream.close)
            try:
                layout, rate = self._negotiated(stream)
                if self._recipe.locks:
                    hold_rate(stream)
                    fixed = self.locked or self._recipe.fixed or {}
                    lock(stream, fixed, fixed)
                stream.start()
            except OSError as error:
                problem, fix = explained(error)
                raise InputError(f"{self._name} does not start: {problem}; {fix}") from error
            undo.pop_all()
        mode = Mode(text_from_fourcc(layout.fourcc), layout.width, layout.height, rate)
        return UvcSession(self, self._name, stream, mode, self._recipe, self._recipe.decoder(layout))

    def _opened(self) -> UvcStream:
        if self._known is None:
            stream, self._known = self._nodes.open(self._path, self._name)
            return stream
        return self._nodes.again(self._known, self._path, self._name)

    def _negotiated(self, stream: UvcStream) -> tuple[PixelLayout, Fraction | None]:
        wanted = self._recipe.choose(stream.modes())
        layout, rate = stream.negotiate(wanted.fourcc, (wanted.width, wanted.height), wanted.rate)
        got = Mode(text_from_fourcc(layout.fourcc), layout.width, layout.height, rate)
        if (got.fourcc, got.width, got.height) != (wanted.fourcc, wanted.width, wanted.height):
            raise InputError(f"{self._name} was asked for {wanted} and gives {got}; ask for what it offers")
        if wanted.rate and rate and abs(rate / wanted.rate - 1) > RATE_TOLERANCE:
            _log.warning("%s was asked for %s and gives %s", self._name, wanted, got)
        return layout, rate


class UvcSession:
    """Frames of one stream; see :class:`~edge.cameras.returning.Session`."""

    def __init__(
        self, source: UvcSource, name: str, stream: UvcStream, mode: Mode, recipe: UvcRecipe, decoder: Decoder
    ) -> None:
        self.mode = mode
        """The format and rate that were negotiated, as read back."""
        self.stamps: str | None = None
        """What the stamps are, once there is one."""
        self.damaged = self.repeated = 0
        self._source, self._name, self._stream = source, name, stream
        self._recipe, self._decoder = recipe, decoder
        self._first: tuple[int, int] | None = None  # sequence and stamp of the first shot
        self._unlocked = recipe.locks and source.locked is None

    @property
    def drift_ppm(self) -> float | None:
        """Of the camera's own clock, where its pictures carry one."""
        return self._decoder.drift_ppm

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame; None when none came in time, or what came gives none."""
        shot = self._stream.next(timeout_s)
        if shot is None:
            return None
        stamp_ns, clock = _stamped(shot, time.monotonic_ns())
        if self._first is None:
            self._begin(shot, stamp_ns, clock)
        assert self._first is not None
        picture = Skip.DAMAGED if shot.damaged else self._decoder.picture(shot, stamp_ns)
        self._lock_when_settled(stamp_ns)
        if isinstance(picture, Skip):
            self.damaged += picture is Skip.DAMAGED
            self.repeated += picture is Skip.REPEATED
            return None
        seq = shot.sequence - self._first[0] - self.repeated if picture.seq is None else picture.seq
        scale = (picture.scale_degc, picture.offset_degc)
        pts_ns = stamp_ns if picture.pts_ns is None else picture.pts_ns
        return Frame(picture.image, pts_ns, clock, seq, self._recipe.kind, *scale, picture.shutter)

    def _begin(self, shot: Shot, stamp_ns: int, clock: StampClock) -> None:
        self._first = shot.sequence, stamp_ns
        moment = "at the start of exposure" if shot.at_exposure else "when a picture is complete"
        self.stamps = f"CLOCK_MONOTONIC {moment}" if clock == "monotonic" else "CLOCK_MONOTONIC at arrival"
        _log.info("%s sends %s; stamps: %s", self._name, self.mode, self.stamps)

    def _lock_when_settled(self, stamp_ns: int) -> None:
        if not self._unlocked or self._first is None:
            return
        if stamp_ns - self._first[1] >= SETTLE_NS:
            self._unlocked = False
            self._source.locked = lock(self._stream, self._recipe.fixed or {})
            found = ", ".join(f"{name} {value}" for name, value in self._source.locked.items())
            _log.info("%s locked: %s", self._name, found or "nothing, for it has no such controls")

    def close(self) -> None:
        """Stop the stream and give the camera back."""
        self._stream.close()


def _stamped(shot: Shot, now_ns: int) -> tuple[int, StampClock]:
    """The stamp of a shot that arrived just now: the driver's where that can be true, else the arrival.

    A stamp that lies ahead is on another clock, whatever its flag says: ``uvcvideo clock=CLOCK_REALTIME`` flags wall
    time as monotonic. Believed once, it would make all true ones after it look old.
    """
    believed = shot.monotonic and shot.stamp_ns <= now_ns
    return (shot.stamp_ns, "monotonic") if believed else (now_ns, "monotonic_arrival")


def camera_of(name: str, path: str, recipe: UvcRecipe, nodes: Nodes) -> ReturningCamera:
    """The camera at ``path``, not yet opened."""
    return ReturningCamera(name, recipe.kind, UvcSource(name, path, recipe, nodes))
