"""What one message of a recording holds: a small JSON head and, where there are any, packed pixels behind it.

    /rgb /thermal   a frame as it was given to the pipeline: its head; pixels of thermal, and of RGB in full-frame files
    /faces          what was decided about one RGB frame: the faces, and the parts of the picture that were read
    /calls          the run's other inputs, in order: the time of an idle moment, a notice, the end of a camera, the end
    /records        records, as every sink sends them (JSON)

The order of the messages in the file is the order of the calls. ``Session`` is what the run was, kept as metadata.
"""

from __future__ import annotations

import math
import struct
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.errors import InputError
from edge.faces.track import FaceTrack
from edge.frames import Frame, FrameKind, StampClock
from edge.recording.pixels import bytes_from_pixels, pixels_from_bytes
from edge.sinks.records import EventCode, Severity

__all__ = [
    "CALLS",
    "FACES",
    "FORMAT",
    "MAX_PIXELS",
    "MESSAGE_ENCODING",
    "METADATA",
    "RECORDS",
    "RGB",
    "RIG",
    "THERMAL",
    "TOPICS",
    "Call",
    "Crop",
    "FrameHead",
    "Session",
    "Sighting",
    "bytes_from_message",
    "canvas",
    "crop_of",
    "frame_from_message",
    "head_of",
    "message_from_bytes",
    "paste",
]

FORMAT = 1
METADATA = "mmrphys"
"""Name of the MCAP metadata record that holds the session."""
RIG = "rig.json"
"""Name of the attachment that holds the camera geometry."""
MESSAGE_ENCODING = "mmrphys.1"
"""Little-endian uint32 length of the head, the head as JSON, then pixels (``edge/recording/pixels.py``)."""
RGB, THERMAL, FACES, CALLS, RECORDS = TOPICS = ("/rgb", "/thermal", "/faces", "/calls", "/records")
MAX_PIXELS = 1 << 25
"""More than an 8K picture has."""
_MAX_HEAD = 1 << 20

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Stamp = Annotated[int, Meta(ge=-(1 << 62), le=(1 << 62))]
Linear = Annotated[float, Meta(ge=-1e6, le=1e6)]
Seconds = Annotated[float, Meta(gt=0.0, le=60.0)]
Side = Annotated[int, Meta(ge=1, le=1 << 15)]
Head = TypeVar("Head", bound=msgspec.Struct)
Pixels = npt.NDArray[Any]
_PixelType = Literal["uint8", "uint16", "float32"]


class FrameHead(msgspec.Struct, frozen=True, kw_only=True):
    """A frame but for its pixels; ``pixels`` says whether they follow."""

    pts_ns: Stamp
    clock: StampClock
    seq: Count
    kind: FrameKind
    shape: tuple[Side, ...]
    dtype: _PixelType
    scale_degc: Linear = 1.0
    offset_degc: Linear = 0.0
    shutter: bool = False
    pixels: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) != (3 if self.kind == "rgb" else 2) or self.shape[2:] not in ((), (3,)):
            raise ValueError(f"{self.kind} frames are no {list(self.shape)}")
        if math.prod(self.shape[:2]) > MAX_PIXELS or (self.kind == "rgb") != (self.dtype == "uint8"):
            raise ValueError(f"{self.kind} frames are no {list(self.shape)} of {self.dtype}")


class Crop(msgspec.Struct, frozen=True, array_like=True):
    """A part of a picture, in its pixels."""

    x: Count
    y: Count
    w: Side
    h: Side


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """The faces in the RGB frame stamped ``pts_ns``, the runs of the detector so far, and the parts that follow."""

    pts_ns: Stamp
    detections: Count
    tracks: tuple[FaceTrack, ...]
    crops: Annotated[tuple[Crop, ...], Meta(max_length=64)] = ()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Something else that the pipeline was told, or a notice of the device that no frame gives.

    ``error`` is how a camera broke, ``reason`` why the run ended, why its pace changed, or the text of a notice.
    """

    call: Literal["idle", "pace", "notice", "end", "finish"]
    now_ns: Stamp | None = None
    kind: FrameKind | None = None
    error: str | None = None
    reason: str | None = None
    hop_s: Seconds | None = None
    face_every_s: Seconds | None = None
    code: EventCode | None = None
    severity: Severity | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the run was: how to make it again, who and what it was made with, and the note on consent."""

    format: int = FORMAT
    software: str
    device: str
    kit: str
    """The run's ``kit.toml``, without secrets."""
    cameras: dict[FrameKind, str]
    bundle: str
    signature: str
    runtime: str
    mode: str
    live: bool
    full_frames: bool
    consent: str
    rig: str = ""
    """Hash of the rig, which is attached; empty for the identity rig."""


def bytes_from_message(head: msgspec.Struct, parts: tuple[Pixels, ...] = ()) -> bytes:
    """One message: the head and the pixels of ``parts``, in order."""
    text = msgspec.json.encode(head)
    return b"".join([struct.pack("<I", len(text)), text, *map(bytes_from_pixels, parts)])


def message_from_bytes(data: bytes, kind: type[Head]) -> tuple[Head, bytes]:
    """The head and what follows it; InputError when it is no such message."""
    (length,) = struct.unpack_from("<I", data) if len(data) >= 4 else (len(data),)
    if length > min(_MAX_HEAD, len(data) - 4):
        raise InputError(f"a {kind.__name__} message is cut short")
    try:
        return msgspec.json.decode(data[4 : 4 + length], type=kind), data[4 + length :]
    except msgspec.MsgspecError as error:
        raise InputError(f"a {kind.__name__} message is damaged: {error}") from error


def head_of(frame: Frame, *, pixels: bool) -> FrameHead:
    """The head of a frame."""
    return FrameHead(
        pts_ns=frame.pts_ns,
        clock=frame.clock,
        seq=frame.seq,
        kind=frame.kind,
        shape=frame.image.shape,
        dtype=cast("_PixelType", str(frame.image.dtype)),
        scale_degc=frame.scale_degc,
        offset_degc=frame.offset_degc,
        shutter=frame.shutter,
        pixels=pixels,
    )


def frame_from_message(head: FrameHead, data: bytes, image: Pixels | None = None) -> Frame:
    """The frame again, with its pixels, or with ``image`` where none were kept; InputError for wrong sizes."""
    if image is None:
        try:
            image = pixels_from_bytes(data, head.shape, head.dtype)
        except ValueError as error:
            raise InputError(f"a frame is damaged: {error}") from error
    return Frame(
        image, head.pts_ns, head.clock, head.seq, head.kind, head.scale_degc, head.offset_degc, head.shutter
    )  # fmt: skip


def canvas(head: FrameHead) -> Pixels:
    """A picture whose pixels are still to come."""
    return np.zeros(head.shape, head.dtype)


def crop_of(image: Pixels, crop: Crop) -> Pixels:
    """A copy of one part, so that the picture can go."""
    return np.ascontiguousarray(image[crop.y : crop.y + crop.h, crop.x : crop.x + crop.w])


def paste(image: Pixels, sighting: Sighting, data: bytes) -> None:
    """Put the parts of a sighting where they were; InputError when anything lies outside or has not its size."""
    _check_tracks(sighting, image.shape)
    start = 0
    for crop in sighting.crops:
        size = crop.w * crop.h * 3
        if crop.y + crop.h > image.shape[0] or crop.x + crop.w > image.shape[1]:
            raise InputError(f"a face at {list(msgspec.to_builtins(crop))} lies outside of its picture")
        try:
            pixels = pixels_from_bytes(data[start : start + size], (crop.h, crop.w, 3), "uint8")
        except ValueError as error:
            raise InputError(f"a face is damaged: {error}") from error
        image[crop.y : crop.y + crop.h, crop.x : crop.x + crop.w] = pixels
        start += size


def _check_tracks(sighting: Sighting, shape: tuple[int, ...]) -> None:
    for track in sighting.tracks:
        try:
            track.box.cut(shape)
        except ValueError as error:
            raise InputError(f"a face lies outside of its picture: {track.box}") from error
        if track.person < 0:
            raise InputError(f"a face has the number {track.person}; want 0 or more")
