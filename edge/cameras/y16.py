"""Thermal cameras that send 16-bit counts over UVC: ``y16:/dev/v4l/by-id/...?layout=tc001``.

One row of ``LAYOUTS`` a camera: which format and size to ask for, which rows of the picture hold counts, and how counts
become temperatures. A Boson gives temperatures only where it is radiometric and set to TLinear: its counts mean nothing
otherwise, so ``scale`` (kelvin per count) has to be given for it. Repetitions and the closed shutter are seen from the
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.repeats import Repeats
from edge.cameras.uvc import Mode, Shot
from edge.cameras.uvc_find import LISTED, Nodes
from edge.cameras.uvc_session import Decoder, Picture, Skip, UvcRecipe, camera_of
from edge.cameras.uvc_structs import PixelLayout
from edge.errors import InputError, UsageError
from edge.frames import FrameKind
from edge.uri import Uri, nearest, query_as

__all__ = ["LAYOUTS", "Layout", "Y16Query", "from_uri"]

KELVIN_DEGC = -273.15


@dataclass(frozen=True, slots=True)
class Layout:
    """How one camera sends its counts, uint16 little-endian.

    ``fourcc``, ``width`` and ``height`` are what it is asked for, ``top`` and ``bottom`` the rows with counts.
    ``scale_k``: kelvin per count; None where only the user can know.
    """

    fourcc: str
    width: int
    height: int
    top: int
    bottom: int
    scale_k: float | None


LAYOUTS: dict[str, Layout] = {
    "boson320": Layout("Y16", 320, 256, 0, 256, None),
    "boson640": Layout("Y16", 640, 512, 0, 512, None),
    "tc001": Layout("YUYV", 256, 384, 192, 384, 1.0 / 64.0),  # a picture for people above, counts below
}


class Y16Query(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the URI: degC = counts * ``scale`` + ``offset``."""

    layout: str
    scale: Annotated[float, Meta(gt=0.0, le=10.0)] | None = None
    offset: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = KELVIN_DEGC
    fps: Annotated[float, Meta(gt=0.0)] | None = None


class _Counts:
    """Pictures of one session."""

    drift_ppm: float | None = None

    def __init__(self, sent: PixelLayout, layout: Layout, scale: float, offset: float) -> None:
        self._layout, self._scale, self._offset = layout, scale, offset
        self._line = max(sent.bytes_per_line, 2 * layout.width)
        self._repeats = Repeats()

    def picture(self, shot: Shot, stamp_ns: int) -> Picture | Skip:
        layout = self._layout
        if len(shot.data) < self._line * layout.height:
            return Skip.DAMAGED
        lines = np.frombuffer(shot.data, np.uint8, self._line * layout.height).reshape(layout.height, self._line)
        image = np.ascontiguousarray(lines[layout.top : layout.bottom, : 2 * layout.width]).view("<u2")
        seen = self._repeats.step(image, stamp_ns)
        return Skip.REPEATED if seen == "repeat" else Picture(image, self._scale, self._offset, seen == "shutter")


def choose(layout: Layout, fps: float | None, modes: list[Mode], name: str) -> Mode:
    """The layout's own format at the wanted rate, else at the highest."""
    fitting = [m for m in modes if (m.fourcc, m.width, m.height) == (layout.fourcc, layout.width, layout.height)]
    if not fitting:
        wanted = Mode(layout.fourcc, layout.width, layout.height, None)
        offered = "; ".join(map(str, modes)) or "nothing"
        raise InputError(f"{name} wants {wanted} and the camera offers {offered}; choose the layout that fits")
    if fps is None:
        return max(fitting, key=lambda mode: mode.rate or 0)
    return min(fitting, key=lambda mode: abs(float(mode.rate or 0) - fps))


def from_uri(uri: Uri, kind: FrameKind, nodes: Nodes | None = None) -> Camera:
    """The camera of ``y16:PATH?layout=...``, not yet opened; UsageError for a wrong parameter or as RGB camera."""
    query = query_as(uri, Y16Query)
    if kind == "rgb":
        raise UsageError(f"{uri.text}: y16: cameras are thermal; give it as --thermal")
    if not uri.target:
        raise UsageError(f"y16: names no camera; want y16:/dev/v4l/by-id/...; {LISTED}")
    layout = LAYOUTS.get(query.layout)
    if layout is None:
        raise UsageError(f"y16: has no layout {query.layout!r}{nearest(query.layout, LAYOUTS)}")
    scale = query.scale or layout.scale_k
    if scale is None:
        wanted = "set TLinear in the camera and give its resolution, for example scale=0.01"
        raise UsageError(f"{uri.text}: counts of a {query.layout} are temperatures in TLinear only; {wanted}")

    def decoder(sent: PixelLayout) -> Decoder:
        return _Counts(sent, layout, scale, query.offset)

    recipe = UvcRecipe(kind, lambda modes: choose(layout, query.fps, modes, uri.text), decoder)
    return camera_of(uri.text, uri.target, recipe, nodes or Nodes())
