"""The frame rate that cameras really reach, from their stamps: what a data sheet promises, dim light takes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from edge.cameras import Camera
from edge.clips.frame_rate import RateLimits, StreamRate
from edge.errors import InputError
from edge.frames import Frame, FrameKind
from edge.intake import Intake
from edge.loop import Ended, frames
from edge.vitals import REASONS

__all__ = ["Reached", "reached"]

WATCH_S = 5.0
"""Exposure settles and is locked in the first two; the rate is that of the last two."""
PATIENCE_S = 10.0
_S = 1e9


@dataclass(frozen=True, slots=True)
class Reached:
    """What one camera gave: its size in pixels, its rate at the end, and frames lost."""

    kind: FrameKind
    width: int
    height: int
    rate: StreamRate
    dropped: int

    @property
    def fps(self) -> float:
        """Frames a second, by the median spacing of their stamps."""
        return _S / self.rate.period_ns

    def problems(self) -> tuple[str, ...]:
        """What keeps it from being enough, each with its fix; a thermal camera may be slow."""
        if self.kind == "thermal":
            return ()
        facts = {"fps": self.rate.fps, "jitter_ms": self.rate.jitter_ms, "gap_s": self.rate.max_gap_s}
        codes = RateLimits().broken_by(self.rate)
        return tuple(f"{REASONS[code].said(facts)}: {REASONS[code].fix}" for code in codes)

    def __str__(self) -> str:
        """In words."""
        size = f"{self.width} x {self.height}"
        return f"{size}, {self.fps:.2f} frames a second, jitter {self.rate.jitter_ms:.1f} ms, {self.dropped} lost"


def reached(
    cameras: Sequence[Camera], watch_s: float = WATCH_S, clock: Callable[[], float] = time.monotonic
) -> list[Reached]:
    """Open the cameras, watch them together for ``watch_s`` of stream time, close them.

    Raises
    ------
    InputError
        One cannot be opened, breaks, or gives too few frames within twice the time.
    """
    seen = {camera.kind: _Seen() for camera in cameras}
    with ExitStack() as opened:
        for camera in cameras:
            camera.open()
            opened.callback(camera.close)
        opened.pop_all()  # from here on their readers close them
        end_s = clock() + 2.0 * watch_s + PATIENCE_S
        for item in frames(cameras, realtime=False, stop=threading.Event()):
            if isinstance(item, Ended) and item.error is not None:
                raise item.error
            if isinstance(item, Frame):
                seen[item.kind].take(item)
            if all(one.seconds >= watch_s for one in seen.values()) or clock() > end_s:
                break
    return [_judged(camera, seen[camera.kind]) for camera in cameras]


class _Seen:
    """What one camera gave so far."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.first_ns: int | None = None
        self.size = (0, 0)

    def take(self, frame: Frame) -> None:
        self.intake.count(frame)
        self.intake.reach(frame.pts_ns)
        self.first_ns = frame.pts_ns if self.first_ns is None else self.first_ns
        self.size = (frame.image.shape[1], frame.image.shape[0])

    @property
    def seconds(self) -> float:
        newest_ns = self.intake.newest_ns
        return 0.0 if newest_ns is None or self.first_ns is None else (newest_ns - self.first_ns) / _S


def _judged(camera: Camera, seen: _Seen) -> Reached:
    rate = None if seen.intake.newest_ns is None else seen.intake.rate_at(seen.intake.newest_ns)
    if rate is None:
        count = seen.intake.frames
        raise InputError(f"{camera.name} gave {count} frames, too few for a rate; check its cable")
    return Reached(camera.kind, *seen.size, rate, seen.intake.dropped)
