"""FLIR Lepton 3.x over UVC (PureThermal): ``lepton:/dev/v4l/by-id/...?scale=0.01``.

Pictures are Y16, 160x120, or 160x122 where the camera sends telemetry in two more rows, which is asked for first.
Telemetry tells what pixels cannot: when a picture was taken, on the core's clock (the driver stamps when it has passed
the link); the frame counter, by which repeated pictures are left out (the core makes 8.7 a second, the link may carry
more); whether the shutter (FFC) is closed, or was until just now; whether pixels are temperatures at all, and in which
unit (TLinear: hundredths or tenths of a kelvin). A picture whose telemetry says that it holds none is left out; several
in a row end the run. Without telemetry ``scale`` (kelvin per count, 0.01 unless told) is believed, and repetitions and
shutter are seen from the pixels.

Places of words: FLIR, "Lepton Engineering Datasheet", telemetry rows A and C; each row is 80 words, 32-bit values have
their low word first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.clock_map import ClockMap, Unwrapped
from edge.cameras.repeats import Repeats
from edge.cameras.uvc import Mode, Shot
from edge.cameras.uvc_find import LISTED, Nodes
from edge.cameras.uvc_session import Decoder, Picture, Skip, UvcRecipe, camera_of
from edge.cameras.uvc_structs import PixelLayout
from edge.clips.shutter import SETTLING_S
from edge.errors import InputError, UsageError
from edge.frames import FrameKind
from edge.uri import Uri, query_as

__all__ = ["LeptonQuery", "Telemetry", "from_uri"]

WIDTH, HEIGHT, TELEMETRY_ROWS = 160, 120, 2
KELVIN_DEGC = -273.15
TIME_MS, STATUS, FRAME_COUNT, LAST_FFC_MS = 1, 3, 20, 30
"""Row A: words of 32-bit values, low word first."""
TLINEAR_ON, TLINEAR_FINE = 160 + 48, 160 + 49
"""Row C: pixels are temperatures; in 0.01 K, else 0.1 K."""
FFC_SHIFT, FFC_MASK, FFC_RUNNING = 4, 0b11, 2
AGC_BIT = 12
RESOLUTION_K = {0: 0.1, 1: 0.01}
COUNTS_IN_A_ROW = 9
"""So many pictures that are no temperatures, a second's, are a camera that is set so; fewer are a row that broke."""
LONGEST_STEP = 1000
"""A counter that goes on by more, or back, was begun anew: it does not tell how many pictures were lost."""


class LeptonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the URI. ``scale``: kelvin per count, for cameras without telemetry."""

    scale: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the core says of one picture.

    ``shutter``: closed, or not long open. ``scale_k``: kelvin per count; None where pixels are no temperatures.
    """

    time_ms: int
    count: int
    shutter: bool
    scale_k: float | None

    @classmethod
    def decode(cls, words: npt.NDArray[np.uint16]) -> Telemetry | None:
        """From the two rows as ``[320]``; None where the camera leaves them empty."""
        if not words.any():
            return None
        status = _long(words, STATUS)
        linear = words[TLINEAR_ON] == 1 and not status >> AGC_BIT & 1
        time_ms = _long(words, TIME_MS)
        open_ms = (time_ms - _long(words, LAST_FFC_MS)) % 2**32
        return cls(
            time_ms=time_ms,
            count=_long(words, FRAME_COUNT),
            shutter=status >> FFC_SHIFT & FFC_MASK == FFC_RUNNING or open_ms < SETTLING_S * 1000.0,
            scale_k=RESOLUTION_K.get(int(words[TLINEAR_FINE])) if linear else None,
        )


def _long(words: npt.NDArray[np.uint16], place: int) -> int:
    return int(words[place]) | int(words[place + 1]) << 16


class _Lepton:
    """Pictures of one session."""

    def __init__(self, layout: PixelLayout, query: LeptonQuery, name: str) -> None:
        self._rows, self._name = layout.height, name
        self._line = max(layout.bytes_per_line, 2 * WIDTH)
        self._scale = query.scale
        self._counter, self._time, self._clock, self._repeats = Unwrapped(32), Unwrapped(32), ClockMap(), Repeats()
        self._last: int | None = None
        self._last_ms: int | None = None
        self._seq = -1
        self._no_degc = 0  # pictures in a row

    @property
    def drift_ppm(self) -> float | None:
        """Of the core's clock."""
        return self._clock.drift_ppm

    def picture(self, shot: Shot, stamp_ns: int) -> Picture | Skip:
        if len(shot.data) < self._line * self._rows:
            return Skip.DAMAGED
        lines = np.frombuffer(shot.data, np.uint8, self._line * self._rows).reshape(self._rows, self._line)
        pixels = np.ascontiguousarray(lines[:, : 2 * WIDTH]).view("<u2")
        told = Telemetry.decode(pixels[HEIGHT:].ravel()) if self._rows > HEIGHT else None
        image = pixels[:HEIGHT]
        return self._by_pixels(image, stamp_ns) if told is None else self._as_told(image, told, stamp_ns)

    def _as_told(self, image: npt.NDArray[np.uint16], told: Telemetry, stamp_ns: int) -> Picture | Skip:
        self._no_degc = self._no_degc + 1 if told.scale_k is None else 0
        if told.scale_k is None:
            return self._without_degc()
        count = self._counter.next(told.count)
        step = 1 if self._last is None else count - self._last
        self._last = count
        if not step and not told.shutter:
            return Skip.REPEATED
        self._seq += step if 0 <= step <= LONGEST_STEP else 1
        pts_ns = self._taken_ns(told.time_ms, stamp_ns)
        return Picture(image, told.scale_k, KELVIN_DEGC, told.shutter, self._seq, pts_ns)

    def _without_degc(self) -> Skip:
        if self._no_degc >= COUNTS_IN_A_ROW:
            fix = "switch TLinear on and AGC off in the camera"
            raise InputError(f"{self._name} sends counts and no temperatures (its telemetry says so); {fix}")
        return Skip.DAMAGED

    def _taken_ns(self, time_ms: int, stamp_ns: int) -> int | None:
        """The core's own time of a picture, on CLOCK_MONOTONIC; None where it stands still."""
        last_ms, self._last_ms = self._last_ms, self._time.next(time_ms)
        if last_ms is not None and self._last_ms <= last_ms:
            return None
        return self._clock.monotonic_ns(self._last_ms * 1_000_000, stamp_ns)

    def _by_pixels(self, image: npt.NDArray[np.uint16], stamp_ns: int) -> Picture | Skip:
        seen = self._repeats.step(image, stamp_ns)
        scale = self._scale or RESOLUTION_K[1]
        return Skip.REPEATED if seen == "repeat" else Picture(image, scale, KELVIN_DEGC, seen == "shutter")


def choose(modes: list[Mode], name: str) -> Mode:
    """With telemetry where it is offered."""
    for rows in (HEIGHT + TELEMETRY_ROWS, HEIGHT):
        fitting = [mode for mode in modes if (mode.fourcc, mode.width, mode.height) == ("Y16", WIDTH, rows)]
        if fitting:
            return max(fitting, key=lambda mode: mode.rate or 0)
    offered = "; ".join(map(str, modes)) or "nothing"
    raise InputError(f"{name} is no Lepton 3: want Y16 160x120 or 160x122; it offers {offered}")


def from_uri(uri: Uri, kind: FrameKind, nodes: Nodes | None = None) -> Camera:
    """The camera of ``lepton:PATH``, not yet opened; UsageError for a wrong parameter or as RGB camera."""
    query = query_as(uri, LeptonQuery)
    if kind == "rgb":
        raise UsageError(f"{uri.text}: a Lepton is a thermal camera; give it as --thermal")
    if not uri.target:
        raise UsageError(f"lepton: names no camera; want lepton:/dev/v4l/by-id/...; {LISTED}")

    def decoder(layout: PixelLayout) -> Decoder:
        return _Lepton(layout, query, uri.text)

    recipe = UvcRecipe(kind, lambda modes: choose(modes, uri.text), decoder)
    return camera_of(uri.text, uri.target, recipe, nodes or Nodes())
