"""UVC and other V4L2 RGB cameras: ``v4l2:/dev/v4l/by-id/...?width=1280&height=720&fps=30&format=mjpeg&lock=1``.

Stamps are the driver's own, taken before anything is decoded. Of the modes that a camera offers, the query picks; what
it leaves open is chosen for a pulse: 24 pictures a second or more, then the largest up to 1280x720, then uncompressed
before MJPEG. What the camera made of it is read back and told.

Exposure, white balance and gain are locked at their present value two seconds after the start (``lock=0`` leaves them
alone), or at once at ``exposure`` (0.1 ms), ``white_balance`` (kelvin) and ``gain``. A camera that is unplugged is
found again by its id and goes on in the same run.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

import av
import cv2
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.uvc import Mode, Shot
from edge.cameras.uvc_find import LISTED, Nodes
from edge.cameras.uvc_lock import LOCKS
from edge.cameras.uvc_session import Decoder, Picture, Skip, UvcRecipe, camera_of
from edge.cameras.uvc_structs import PixelLayout, text_from_fourcc
from edge.errors import InputError, UsageError
from edge.frames import FrameKind
from edge.uri import Uri, query_as

__all__ = ["FORMATS", "V4l2Query", "choose", "decoder_for", "from_uri"]

FORMATS: dict[str, tuple[str, ...]] = {"yuyv": ("YUYV",), "nv12": ("NV12",), "mjpeg": ("MJPG", "JPEG")}
"""Formats that are decoded here, by their name in URIs, the best for a pulse first."""
ENOUGH_PER_S, LARGEST = 24, (1280, 720)
SAME_RATE = 0.02

Positive = Annotated[int, Meta(gt=0)]


class V4l2Query(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the URI; None leaves the choice to :func:`choose`."""

    width: Positive | None = None
    height: Positive | None = None
    fps: Annotated[float, Meta(gt=0.0)] | None = None
    format: Literal["yuyv", "nv12", "mjpeg"] | None = None
    lock: bool = True
    exposure: Positive | None = None
    white_balance: Positive | None = None
    gain: Annotated[int, Meta(ge=0)] | None = None


def choose(query: V4l2Query, modes: list[Mode], name: str) -> Mode:
    """The best of ``modes`` that the query allows; InputError, with what is offered, when none does."""
    codes = [code for codes in FORMATS.values() for code in codes]
    known = [mode for mode in modes if mode.fourcc in codes]
    fitting = [mode for mode in known if _fits(mode, query)]
    if not fitting:
        offered = "; ".join(sorted({str(mode) for mode in modes})) or "nothing"
        raise InputError(f"{name} cannot send what was asked for; it offers {offered}")
    return max(fitting, key=lambda mode: _worth(mode, codes.index(mode.fourcc)))


def _fits(mode: Mode, query: V4l2Query) -> bool:
    return (
        query.width in (None, mode.width)
        and query.height in (None, mode.height)
        and (query.format is None or mode.fourcc in FORMATS[query.format])
        and (query.fps is None or mode.rate is None or abs(float(mode.rate) / query.fps - 1.0) <= SAME_RATE)
    )


def _worth(mode: Mode, place: int) -> tuple[bool, bool, int, int, Fraction]:
    """Larger is better. Beyond 30 pictures a second there is nothing to gain for a pulse."""
    rate = mode.rate or Fraction(0)
    fits = mode.width <= LARGEST[0] and mode.height <= LARGEST[1]
    area = mode.width * mode.height
    return rate >= ENOUGH_PER_S, fits, area if fits else -area, -place, -abs(rate - 30)


class _Mjpeg:
    """JPEG pictures. Damage leaves the picture out: half a face is worse than none.

    JPEG has no checksum. A missing USB packet (a kilobyte) shows; bytes that merely changed may pass.
    """

    drift_ppm: float | None = None

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("mjpeg", "r")
        self._codec.thread_count = 1
        self._codec.options = {"err_detect": "explode"}

    def picture(self, shot: Shot, stamp_ns: int) -> Picture | Skip:  # noqa: ARG002 - the driver's stamp is good
        if not _is_whole_jpeg(shot.data):
            return Skip.DAMAGED
        try:
            (decoded,) = self._codec.decode(av.Packet(shot.data))
        except (av.FFmpegError, ValueError):
            return Skip.DAMAGED
        return Skip.DAMAGED if decoded.is_corrupt else Picture(decoded.to_ndarray(format="rgb24", threads=1))


def _is_whole_jpeg(data: bytes) -> bool:
    """It begins as a JPEG does, and has its end mark; cameras fill up with zeros behind it."""
    return data.startswith(b"\xff\xd8") and data[-4096:].rstrip(b"\0").endswith(b"\xff\xd9")


class _Packed:
    """YUYV or NV12: rows of ``bytes_per_line`` bytes, of which the picture is the first part."""

    drift_ppm: float | None = None

    def __init__(self, layout: PixelLayout) -> None:
        code = text_from_fourcc(layout.fourcc)
        self._is_nv12 = code == "NV12"
        self._row = layout.width if self._is_nv12 else 2 * layout.width
        self._line = max(layout.bytes_per_line, self._row)
        self._rows = layout.height * 3 // 2 if self._is_nv12 else layout.height

    def picture(self, shot: Shot, stamp_ns: int) -> Picture | Skip:  # noqa: ARG002 - the driver's stamp is good
        if len(shot.data) < self._line * self._rows:
            return Skip.DAMAGED
        lines = np.frombuffer(shot.data, np.uint8, self._line * self._rows).reshape(self._rows, self._line)
        rows = np.ascontiguousarray(lines[:, : self._row])
        return Picture(_rgb(rows, is_nv12=self._is_nv12))


def _rgb(rows: npt.NDArray[np.uint8], *, is_nv12: bool) -> npt.NDArray[np.uint8]:
    if is_nv12:
        return np.asarray(cv2.cvtColor(rows, cv2.COLOR_YUV2RGB_NV12), np.uint8)
    pairs = rows.reshape(rows.shape[0], -1, 2)
    return np.asarray(cv2.cvtColor(pairs, cv2.COLOR_YUV2RGB_YUYV), np.uint8)


def decoder_for(layout: PixelLayout) -> Decoder:
    """A fresh decoder of one of ``FORMATS``."""
    return _Mjpeg() if text_from_fourcc(layout.fourcc) in FORMATS["mjpeg"] else _Packed(layout)


def from_uri(uri: Uri, kind: FrameKind, nodes: Nodes | None = None) -> Camera:
    """The camera of ``v4l2:PATH``, not yet opened; UsageError for a wrong parameter, or a thermal camera."""
    query = query_as(uri, V4l2Query)
    if kind == "thermal":
        raise UsageError(f"{uri.text}: v4l2: is for RGB cameras; thermal ones are lepton: and y16:")
    if not uri.target:
        raise UsageError(f"v4l2: names no camera; want v4l2:/dev/v4l/by-id/... or v4l2:/dev/video0; {LISTED}")
    if (query.width is None) != (query.height is None):
        raise UsageError(f"{uri.text}: width and height belong together; give both or neither")
    fixed = {name: value for name in LOCKS if (value := getattr(query, name)) is not None}
    if fixed and not query.lock:
        raise UsageError(f"{uri.text}: {', '.join(fixed)} and lock=0 exclude each other; leave one out")
    recipe = UvcRecipe(kind, lambda modes: choose(query, modes, uri.text), decoder_for, query.lock, fixed)
    return camera_of(uri.text, uri.target, recipe, nodes or Nodes())
