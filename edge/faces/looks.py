"""Runs of a detector: when one begins, and at which frame its answer applies.

Both follow from stamps and from the count of frames, never from how long the detector takes. With a lag of 0 frames it
runs in the caller's time and its answer applies to the very frame it was made on. With a lag the frames go on meanwhile
and the answer applies exactly so many frames later: who is slower than that is waited for. Where nothing would go on
meanwhile, since nobody is followed, a look can be asked for at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge.faces import Detection, Detector
from edge.frames import Frame

__all__ = ["Lag", "Look", "Looks"]

NS_PER_S = 1_000_000_000
Answer: TypeAlias = Callable[[], list[Detection]]


def _at_once(detect: Answer) -> Answer:
    found = detect()
    return lambda: found


@dataclass(frozen=True, slots=True)
class Lag:
    """``frames``: how many frames after its own a look applies. ``start`` begins it, and gives what waits for it."""

    frames: int = 0
    start: Callable[[Answer], Answer] = _at_once


@dataclass(frozen=True, slots=True)
class Look:
    """What the detector found in the frame with stamp ``pts_ns``."""

    pts_ns: int
    found: list[Detection]


class Looks:
    """The looks of one tracker, at most one at a time."""

    def __init__(self, detector: Detector, lag: Lag | None = None) -> None:
        self._detector, self._lag = detector, lag or Lag()
        self._waiting: tuple[int, Answer] | None = None  # frames to go, and who answers
        self.begun_ns: int | None = None
        """Stamp of the newest look that began."""
        self.count = 0
        """Looks begun since the start."""
        self.shape: tuple[int, ...] = ()
        """Of the pictures."""

    def resized(self, frame: Frame) -> bool:
        """Whether the picture has another size than before: no box holds in it, and a look is due."""
        if frame.image.shape == self.shape:
            return False
        self.shape = frame.image.shape
        self._waiting = self.begun_ns = None
        return True

    def step(self, frame: Frame, every_s: float, *, at_once: bool = False) -> Look | None:
        """Take the next frame, with the time that is to pass between looks; gives the look that applies at it.

        A look that begins ``at_once`` applies to its own frame, whatever the lag.
        """
        if self._waiting is None and self._is_due(frame.pts_ns, every_s):
            self.begun_ns = frame.pts_ns
            self.count += 1
            lag = 0 if at_once else self._lag.frames
            self._waiting = lag, self._lag.start(partial(self._detector.detect, _picture(frame)))
        if self._waiting is None:
            return None
        frames, answer = self._waiting
        self._waiting = (frames - 1, answer) if frames else None
        assert self.begun_ns is not None
        return None if frames else Look(self.begun_ns, answer())

    def _is_due(self, pts_ns: int, every_s: float) -> bool:
        return self.begun_ns is None or pts_ns - self.begun_ns >= round(every_s * NS_PER_S)


def _picture(frame: Frame) -> npt.NDArray[Any]:
    """RGB as it is; thermal in degC."""
    if frame.kind == "rgb":
        return frame.image.astype(np.uint8, copy=False)
    degc: npt.NDArray[np.float32] = np.float32(frame.scale_degc) * frame.image + np.float32(frame.offset_degc)
    return degc
