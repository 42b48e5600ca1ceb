"""Thermal recordings of the Cacophony Project: ``cptv:FILE`` (Lepton, 16-bit, a stamp and the shutter for each frame).

Stamps are the camera's own uptime, counted from the first frame (or from ``start_s`` of stream time).
degC = value * ``scale`` + ``offset``; the default is centikelvin.

The shutter (FFC): such files leave out the frames while it is closed, so that the pause is a gap. The frames within
``SETTLING_S`` after it still show the shutter's own warmth moving out of the picture and are marked closed.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from cptv import CPTVReader
from msgspec import Meta

from edge.cameras import Camera
from edge.clips.shutter import SETTLING_S
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.uri import Uri, query_as

__all__ = ["CptvCamera", "CptvQuery", "from_uri"]

MAX_SIDE = 2048
_MAX_BYTES_PER_PIXEL = 4
_BROKEN = (OSError, EOFError, ValueError, IndexError, KeyError, struct.error, zlib.error, OverflowError)
"""What the decoder raises for damaged files."""

T = TypeVar("T")

logging.getLogger("cptv").setLevel(logging.ERROR)  # it warns of every field that it does not know, frame by frame


class CptvQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the URI."""

    start_s: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    scale: Annotated[float, Meta(gt=0.0)] = 0.01
    offset: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = -273.15


class CptvCamera:
    """The frames of one file. A file that was cut short ends with an InputError after its last whole frame."""

    kind: FrameKind = "thermal"
    live = False

    def __init__(self, target: str, query: CptvQuery | None = None) -> None:
        self._target, self._query = target, query or CptvQuery()
        self.name = f"cptv:{target}"
        self._file: Any = None
        self._pictures: Iterator[Any] = iter(())
        self._seq = -1
        self._first_ms = self._last_ffc_ms = 0

    def open(self) -> None:
        """Open and read the head; InputError when it is no such file, or has frames of an impossible size."""
        self.close()
        try:
            self._file = Path(self._target).open("rb")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise InputError(f"{self.name} cannot be opened: {error.strerror}; check the path") from error
        reader = self._guarded(lambda: CPTVReader(self._file), "is no CPTV file")
        height, width = reader.frame_dim
        if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
            self.close()
            raise InputError(f"{self.name} has frames of {width}x{height}; want at most {MAX_SIDE} a side")
        reader.s = _Bounded(reader.s, height * width * _MAX_BYTES_PER_PIXEL + 16)
        self._pictures, self._seq = iter(reader), -1

    def read(self) -> Frame | None:
        """The next frame; None at the end. InputError where the file is damaged or cut short."""
        picture = self._guarded(self._next_picture, "is damaged")
        if picture is None:
            return None
        if picture.time_on is None:
            raise InputError(f"{self.name} is CPTV version 1, which has no stamps; want version 2")
        time_ms, ffc_ms = _ms(picture.time_on), _ms(picture.last_ffc_time)
        if self._seq < 0:
            self._first_ms, self._last_ffc_ms = time_ms, ffc_ms
        self._seq += 1
        shut = ffc_ms != self._last_ffc_ms or 0 <= time_ms - ffc_ms < SETTLING_S * 1000.0
        self._last_ffc_ms = ffc_ms
        pts_ns = (time_ms - self._first_ms) * 1_000_000 + round(self._query.start_s * 1e9)
        query = self._query
        return Frame(picture.pix, pts_ns, "media", self._seq, "thermal", query.scale, query.offset, shut)

    def close(self) -> None:
        """Release the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._pictures = None, iter(())

    def _next_picture(self) -> Any:
        """The next picture that is no background, which belongs to no time."""
        return next((picture for picture in self._pictures if not picture.background_frame), None)

    def _guarded(self, step: Callable[[], T], what: str) -> T:
        try:
            return step()
        except _BROKEN as error:
            seq = self._seq
            self.close()
            after = f" after {seq + 1} frames" if seq >= 0 else ""
            kept = "; what came before is kept, copy the file again" if seq >= 0 else "; check the file"
            raise InputError(f"{self.name} {what}{after} ({type(error).__name__}: {error}){kept}") from error


class _Bounded:
    """The unpacked bytes of a file: a read gives all that it asks for, which is no more than a frame needs, or nothing.

    A short read in the middle of something, and a packed stream without an end, are errors: ValueError.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._most = stream, most

    def read(self, size: int) -> bytes:
        if size > self._most:
            raise ValueError(f"a frame of {size} bytes")
        try:
            data = self._stream.read(size)
        except EOFError as error:  # the decoder would take it for the regular end
            raise ValueError("it is cut short") from error
        if 0 < len(data) < size:
            raise ValueError("it ends inside a frame")
        return bytes(data)

    def seek(self, offset: int) -> None:
        self._stream.seek(offset)


def _ms(duration: Any) -> int:
    """Whole milliseconds of a timedelta, as they stand in the file."""
    milliseconds: int = round(duration.total_seconds() * 1000.0)
    return milliseconds


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The camera for ``cptv:FILE``; UsageError as RGB camera, without a file, or for a wrong parameter."""
    query = query_as(uri, CptvQuery)
    if kind != "thermal":
        raise UsageError(f"{uri.text} is thermal; give it as --thermal, beside an RGB camera")
    if not uri.target:
        raise UsageError("cptv: names no file; write cptv:FILE.cptv")
    return CptvCamera(uri.target, query)
