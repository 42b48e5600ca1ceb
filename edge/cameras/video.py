"""Video through FFmpeg (PyAV): ``video:PATH``, ``video:/dev/videoN``, ``video:rtsp://...``.

Stamps are the stream's own (``pts * time_base``), never counted from a nominal rate, so a variable frame rate is seen
as it is. Rotation metadata is applied, so that faces stand upright. A file ends at its first damage, after every
picture decoded before it; live sources leave damaged pictures out. A network stream that breaks is opened again and
goes on in the same run; its sender's clock is mapped onto ours and the drift is told.

Query of a device: ``width`` and ``height`` (px), ``fps``, ``format`` (FFmpeg's name: ``mjpeg``, ``yuyv422``). Query of
thermal video, which is 16-bit gray (for example FFV1 in ``.mkv``): ``scale`` and ``offset``, with
degC = value * scale + offset; the default is centikelvin.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import av
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.clock_map import Backlog
from edge.cameras.network import AGAIN_S, FIRST_S, network_camera
from edge.cameras.stamps import Stamps, ns_from_pts
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.uri import Uri, query_as, without_secrets

__all__ = ["VideoCamera", "VideoQuery", "from_uri"]

GRAY16 = ("gray16le", "gray16be")
END_TOLERANCE_S = 0.5
"""Pictures may end this much before the declared end (sound may run on), or two frames, whichever is more."""
DAMAGED_IN_A_ROW = 60
"""A live source that gives so many damaged pictures one after another is broken."""

CAPTURE_KEYS, RADIOMETRY_KEYS = ("width", "height", "fps", "format"), ("scale", "offset")


class VideoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the URI. None leaves the choice to the device."""

    width: Annotated[int, Meta(gt=0)] | None = None
    height: Annotated[int, Meta(gt=0)] | None = None
    fps: Annotated[float, Meta(gt=0.0)] | None = None
    format: str | None = None
    scale: Annotated[float, Meta(gt=0.0)] = 0.01
    offset: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = -273.15


class VideoCamera:
    """Frames of one video file, or of one uninterrupted stretch of a capture device or network stream."""

    def __init__(
        self, target: str, kind: FrameKind, query: VideoQuery | None = None, patience_s: float = FIRST_S
    ) -> None:
        self._patience_s = patience_s
        self._target, self._query = target, query or VideoQuery()
        self.name = without_secrets(f"video:{target}")
        self.kind: FrameKind = kind
        self.live = _is_device(target) or _is_network(target)
        self._container: Any = None
        self._pictures: Iterator[Any] = iter(())
        self._stamps = Stamps(live=self.live, rate=None)
        self._time_base, self._end_ns = Fraction(1), 0
        self._backlog = Backlog() if _is_network(target) else None

    @property
    def unordered(self) -> int:
        """Pictures left out because their stamp did not grow."""
        return self._stamps.unordered

    @property
    def drift_ppm(self) -> float | None:
        """How much faster CLOCK_MONOTONIC runs than a network sender's clock; None where that is not known (yet)."""
        return self._stamps.drift_ppm

    def open(self) -> None:
        """Open and find the pictures; InputError when there are none or they do not fit the kind."""
        if not self.live:
            _check_file(self._target, self.name)
        try:
            source = _source(self._target, self._query, self._patience_s)
            self._container = av.open(**source, metadata_errors="ignore")
        except (av.FFmpegError, OSError) as error:
            hint = "check cable and address, and that nobody else uses it" if self.live else "check that it is whole"
            raise InputError(f"{self.name} cannot be opened as video: {error.strerror}; {hint}") from error
        streams = [stream for stream in self._container.streams.video if stream.codec_context is not None]
        if not streams:
            self.close()
            raise InputError(f"{self.name} has no pictures that can be decoded; give a video")
        self._start(streams[0])

    def _start(self, stream: Any) -> None:
        pixels = stream.codec_context.pix_fmt
        if self.kind == "thermal" and pixels not in GRAY16:
            self.close()
            wanted = "want 16-bit gray (for example FFV1 in .mkv): other pictures hold no temperatures"
            raise InputError(f"{self.name} as thermal camera has {pixels} pictures; {wanted}")
        # One thread: as fast per core in measurements, no delay, and damage shows at the same picture everywhere.
        stream.codec_context.thread_count = 1
        self._time_base = stream.time_base
        self._stamps = Stamps(live=self.live, rate=stream.average_rate or stream.guessed_rate)
        self._pictures = self._live_pictures(stream) if self.live else self._file_pictures(stream)

    def read(self) -> Frame | None:
        """The next frame; None at the end. InputError when a file ended early or a live source broke."""
        for picture in self._pictures:
            arrival_ns = time.monotonic_ns()
            if self._waited(picture, arrival_ns):
                continue
            pts_ns = self._stamps.next(picture.pts, self._time_base, arrival_ns)
            if pts_ns is not None:
                self._end_ns = pts_ns + ns_from_pts(picture.duration or 0, self._time_base)
                return self._frame(picture, pts_ns)
        return None

    def close(self) -> None:
        """Release the file or device."""
        if self._container is not None:
            self._container.close()
        self._container, self._pictures = None, iter(())

    def _frame(self, picture: Any, pts_ns: int) -> Frame:
        thermal = self.kind == "thermal"
        scale, offset = (self._query.scale, self._query.offset) if thermal else (1.0, 0.0)
        image = _upright(picture, "gray16le" if thermal else "rgb24")
        return Frame(image, pts_ns, self._stamps.clock, self._stamps.seq, self.kind, scale, offset)

    def _waited(self, picture: Any, arrival_ns: int) -> bool:
        if self._backlog is None:
            return False
        own_ns = None if picture.pts is None else ns_from_pts(picture.pts, self._time_base)
        return self._backlog.holds(own_ns, arrival_ns)

    def _file_pictures(self, stream: Any) -> Iterator[Any]:
        try:
            for packet in self._container.demux(stream):
                yield from _decoded(packet)
        except (av.FFmpegError, _DamageError) as error:
            with contextlib.suppress(av.FFmpegError, _DamageError):  # pictures before the damage, held for reordering
                yield from _undamaged(stream.decode(None))
            raise InputError(self._ending(stream, getattr(error, "strerror", str(error)))) from error
        seen_s, declared_s = self._lengths_s(stream)
        tolerance_s = max(END_TOLERANCE_S, 2.0 * seen_s / max(self._stamps.seq + 1, 1))
        if self._stamps.seq < 0 or declared_s - seen_s > tolerance_s:
            raise InputError(self._ending(stream, "the rest is missing"))

    def _live_pictures(self, stream: Any) -> Iterator[Any]:
        damaged = 0
        try:
            for packet in self._container.demux(stream):
                pictures = _decoded_if_whole(packet)
                damaged = damaged + 1 if pictures is None else 0
                if pictures is None:
                    self._stamps.leave_out()
                if damaged > DAMAGED_IN_A_ROW:
                    raise InputError(f"{self.name} sends damaged pictures only; check cable and bus load")
                yield from pictures or ()
        except av.FFmpegError as error:
            fix = "check the network" if _is_network(self._target) else "check the cable"
            raise InputError(f"{self.name} broke off: {error.strerror}; {fix}") from error

    def _lengths_s(self, stream: Any) -> tuple[float, float]:
        """Seconds up to the end of the newest picture, and as declared by the stream, else by the file (0: nowhere)."""
        if stream.duration:
            start_s, declared_s = (self._stamps.first_ns or 0) / 1e9, float(stream.duration * stream.time_base)
        else:
            start_s, declared_s = (
                (x or 0) / av.time_base for x in (self._container.start_time, self._container.duration)
            )
        return max(self._end_ns / 1e9 - start_s, 0.0), declared_s

    def _ending(self, stream: Any, reason: str) -> str:
        seen_s, declared_s = self._lengths_s(stream)
        declared = f" of {declared_s:.1f} s declared" if declared_s else ""
        kept = "what came before is kept; copy or record the file again"
        return f"{self.name} ended after {seen_s:.1f} s{declared} ({reason}); {kept}"


class _DamageError(Exception):
    """Data or a picture is marked as damaged."""


def _decoded(packet: Any) -> Iterator[Any]:
    if packet.is_corrupt:
        raise _DamageError("a damaged packet")
    yield from _undamaged(packet.decode())


def _undamaged(pictures: Iterable[Any]) -> Iterator[Any]:
    for picture in pictures:
        if picture.is_corrupt:
            raise _DamageError("a damaged picture")
        yield picture


def _decoded_if_whole(packet: Any) -> list[Any] | None:
    """The pictures of a live packet, None when it is damaged."""
    if not packet.size:  # decoding an empty packet would end the stream
        return []
    try:
        return list(_decoded(packet))
    except (av.InvalidDataError, _DamageError):
        return None


def _upright(picture: Any, pixel_format: str) -> npt.NDArray[Any]:
    """Pixels ``[H, W]`` or ``[H, W, 3]``, converted once and turned as the display matrix says."""
    image: npt.NDArray[Any] = picture.to_ndarray(format=pixel_format, threads=1)  # more threads double the CPU time
    turns = round(picture.rotation / 90) % 4  # counter-clockwise, as np.rot90
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _is_device(target: str) -> bool:
    return target.startswith("/dev/video")


def _is_network(target: str) -> bool:
    return target.startswith("rtsp://")


def _check_file(target: str, name: str) -> None:
    path = Path(target)
    if not path.exists():
        raise InputError(f"{name}: there is no such file; check the path")
    if path.is_dir():
        raise InputError(f"{name} is a folder; name a video file")


def _source(target: str, query: VideoQuery, patience_s: float) -> dict[str, Any]:
    """Arguments of ``av.open``."""
    if _is_network(target):
        timeout_s = patience_s, AGAIN_S  # to open, to read
        return {"file": target, "options": {"rtsp_transport": "tcp"}, "timeout": timeout_s}
    if not _is_device(target):  # a playlist may not lead elsewhere
        return {"file": f"file:{target}", "options": {"protocol_whitelist": "file"}}
    size = f"{query.width}x{query.height}" if query.width and query.height else None
    wanted = {"video_size": size, "framerate": query.fps, "input_format": query.format}
    options = {key: str(value) for key, value in wanted.items() if value is not None}
    return {"file": target, "format": "v4l2", "options": options}


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The camera for ``video:``; UsageError for a parameter that is unknown or does not belong to this target."""
    query = query_as(uri, VideoQuery)
    allowed = (CAPTURE_KEYS if _is_device(uri.target) else ()) + (RADIOMETRY_KEYS if kind == "thermal" else ())
    for key in uri.query:
        if key not in allowed:
            owner = "capture devices" if key in CAPTURE_KEYS else "thermal cameras"
            raise UsageError(f"{without_secrets(uri.text)}: {key} is a parameter of {owner}; leave it out")
    if not uri.target:
        raise UsageError("video: names no file; want video:PATH, video:/dev/videoN or video:rtsp://...")
    if (query.width is None) != (query.height is None):
        raise UsageError(f"{uri.text}: width and height belong together; give both or neither")
    if _is_network(uri.target):
        return network_camera(
            without_secrets(f"video:{uri.target}"), kind, partial(VideoCamera, uri.target, kind, query)
        )
    return VideoCamera(uri.target, kind, query)
