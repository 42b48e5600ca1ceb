"""Faults on demand: another camera's frames, spoilt at known times and always in the same way.

For tests and for the fault campaign of the yardstick. What happens before a camera (people who leave or change places)
belongs to the scene; this is what happens in it and behind it.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.cameras import Camera
from edge.cameras.around import AroundCamera
from edge.errors import UsageError
from edge.frames import Frame
from edge.uri import nearest

__all__ = ["FAULTS", "Fault", "FaultyCamera"]

NS_PER_S = 1_000_000_000
SATURATED, DIM, STEP = 4.0, 0.15, 0.7
"""Gains of a picture that is clipped, is too dark, or has lost a lamp."""
DRIFT, DRIFT_HZ = 0.3, 0.08
"""Swing of a slow change of light, as a share, and its rate."""
SLOW_EVERY = 6
"""Of so many frames a slow camera sends one."""
REORDERED_OF = 4
"""Of so many frames the last two change places."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``name`` (a key of :data:`FAULTS`) from ``at_s`` on for ``for_s`` seconds of stream time.

    UsageError for an unknown name or a time that is none.
    """

    name: str
    at_s: float
    for_s: float

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise UsageError(f"there is no fault {self.name!r}{nearest(self.name, FAULTS)}")
        if not (self.at_s >= 0.0 and self.for_s > 0.0):
            raise UsageError(f"fault {self.name} from {self.at_s} s for {self.for_s} s: want a time to come")

    def holds(self, pts_ns: int) -> bool:
        """Whether it is there at a stamp."""
        return self.at_s <= pts_ns / NS_PER_S < self.at_s + self.for_s


class FaultyCamera(AroundCamera):
    """``camera`` with faults. Whatever else that one can be asked is passed on to it."""

    def __init__(self, camera: Camera, faults: Sequence[Fault]) -> None:
        super().__init__(camera)
        self._faults = tuple(faults)
        self._forget()

    def _forget(self) -> None:
        self._before: dict[Fault, Frame] = {}  # the first frame of each fault
        self._count = 0
        self._ready: deque[Frame] = deque()
        self._held: Frame | None = None  # comes after its successor

    @property
    def name(self) -> str:
        """The other's, and what is done to it."""
        return " ".join([self._camera.name, *(f"({f.name} at {f.at_s:g} s for {f.for_s:g} s)" for f in self._faults)])

    def open(self) -> None:
        """Open the other, from the start."""
        self._forget()
        self._camera.open()

    def read(self) -> Frame | None:
        """The next frame that is left, as it was spoilt."""
        while not self._ready:
            frame = self._camera.read()
            if frame is None:
                held, self._held = self._held, None
                return held
            self._take(frame)
        return self._ready.popleft()

    def _take(self, frame: Frame) -> None:
        self._count += 1
        spoilt: Frame | None = frame
        late = False
        for fault in self._faults:
            if spoilt is not None and fault.holds(frame.pts_ns):
                late |= fault.name == "reorder" and self._count % REORDERED_OF == REORDERED_OF - 1
                first = self._before.setdefault(fault, spoilt)
                spoilt = FAULTS[fault.name](spoilt, first, self._count)
        if spoilt is None:
            return
        if late and self._held is None:
            self._held = spoilt
            return
        self._ready.append(spoilt)
        if self._held is not None:
            self._ready.append(self._held)
            self._held = None


# ------------------------------------------------------------------------------------------------------- what is done

Spoil = Callable[[Frame, Frame, int], "Frame | None"]
"""A frame, the first one of the fault, and the number of the frame; gives what is left of it."""


def _with(frame: Frame, image: Any, **changes: Any) -> Frame:
    return dataclasses.replace(frame, image=np.ascontiguousarray(image), **changes)


def _brighter(frame: Frame, gain: float) -> Frame:
    table = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
    return _with(frame, table[frame.image])


def _drifting(frame: Frame, first: Frame, _: int) -> Frame:
    since_s = (frame.pts_ns - first.pts_ns) / NS_PER_S
    return _brighter(frame, 1.0 - DRIFT * float(np.sin(2.0 * np.pi * DRIFT_HZ * since_s)))


def _not_numbers(frame: Frame, *_: object) -> Frame:
    """Every fourth row is NaN, as a line of a sensor that died; thermal only."""
    degc: npt.NDArray[np.float32] = np.float32(frame.scale_degc) * frame.image + np.float32(frame.offset_degc)
    degc[::4] = np.nan
    return _with(frame, degc, scale_degc=1.0, offset_degc=0.0)


FAULTS: dict[str, Spoil] = {
    "stop": lambda *_: None,
    "slow": lambda frame, _, count: None if count % SLOW_EVERY else frame,
    "reorder": lambda frame, *_: frame,
    "freeze": lambda frame, first, _: _with(frame, first.image),
    "shutter": lambda frame, first, _: _with(frame, first.image, shutter=True),
    "black": lambda frame, *_: _with(frame, np.zeros_like(frame.image)),
    "saturate": lambda frame, *_: _brighter(frame, SATURATED),
    "dim": lambda frame, *_: _brighter(frame, DIM),
    "light_step": lambda frame, *_: _brighter(frame, STEP),
    "light_drift": _drifting,
    "resize": lambda frame, *_: _with(frame, frame.image[::2, ::2]),
    "nan": _not_numbers,
}
"""What can be done to a camera. Stamps stay true; ``seq`` goes on, so what is lost shows as a gap in it. ``saturate``,
``dim`` and the two of light are for RGB, ``nan`` and ``shutter`` for thermal."""
