"""What comes in: frames, pairs of frames, and clips on the model's grid.

Every stamp is ``pts_ns``: integer nanoseconds on the clock named beside it, taken before decode or conversion.
Wall-clock time never enters here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Clip", "Frame", "FrameKind", "FramePair", "StampClock"]

FrameKind = Literal["rgb", "thermal"]
StampClock = Literal["media", "monotonic", "monotonic_arrival"]
"""``media``: stream time of a file or scene. ``monotonic``: the driver's stamp on CLOCK_MONOTONIC.
``monotonic_arrival``: CLOCK_MONOTONIC when the frame reached us, where the driver gives none."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image with the stamp its driver gave it.

    ``image`` is RGB uint8 ``[H, W, 3]`` (order R, G, B), or thermal ``[H, W]`` as float32 or uint16 with
    ``degC = image * scale_degc + offset_degc``. ``seq`` counts the frames the source produced, so a gap in it is a
    drop. ``shutter`` is True while a thermal camera's shutter (FFC) is known to be closed. ``shift_ns`` is by how much
    the stamp was moved because the clock of the recording had jumped.
    """

    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
    pts_ns: int
    clock: StampClock
    seq: int
    kind: FrameKind
    scale_degc: float = 1.0
    offset_degc: float = 0.0
    shutter: bool = False
    shift_ns: int = 0

    def __post_init__(self) -> None:
        shape, dtype = self.image.shape, self.image.dtype
        if self.kind == "rgb":
            if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
                raise ValueError(f"an RGB frame is uint8 [H, W, 3]; seen {dtype} {list(shape)}")
        elif len(shape) != 2 or dtype not in (np.dtype(np.float32), np.dtype(np.uint16)):
            raise ValueError(f"a thermal frame is float32 or uint16 [H, W]; seen {dtype} {list(shape)}")
        if min(shape[:2]) < 1:
            raise ValueError(f"a frame has at least one pixel; seen {list(shape)}")


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """One RGB frame and the thermal frame nearest to it in time, or the reason why there is none.

    ``skew_ns`` is thermal minus RGB stamp (signed), 0 without thermal. ``thermal_absent`` is ``""`` when thermal is
    present, else one of ``"none"`` (no thermal camera), ``"gate"`` (nearest too far away), ``"shutter"``
    (nearest has its shutter closed), ``"frozen"`` (the thermal stream repeats one picture), ``"ended"``.
    """

    rgb: Frame
    thermal: Frame | None
    skew_ns: int = 0
    thermal_absent: str = ""

    def __post_init__(self) -> None:
        if self.rgb.kind != "rgb" or (self.thermal is not None and self.thermal.kind != "thermal"):
            raise ValueError("a pair is one RGB frame and at most one thermal frame")
        if (self.thermal is None) != bool(self.thermal_absent):
            raise ValueError("a pair without thermal says why, and one with thermal does not")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Model frames on a uniform grid: float32 ``[C, F, H, W]``, RGB 0..255 first, thermal in degC last.

    ``fps`` is exact (a float, never rounded), ``t0_ns`` the stamp of frame 0, ``interpolated`` the share (0..1) of
    grid frames that fell into a gap of the source longer than 1.5 of its periods.
    """

    data: npt.NDArray[np.float32]
    fps: float
    t0_ns: int
    interpolated: float = 0.0

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.dtype != np.float32:
            raise ValueError(f"a clip is float32 [C, F, H, W]; seen {self.data.dtype} {list(self.data.shape)}")
        if not self.fps > 0.0:
            raise ValueError(f"fps must be positive; seen {self.fps}")
        if not 0.0 <= self.interpolated <= 1.0:
            raise ValueError(f"interpolated is a share 0..1; seen {self.interpolated}")
