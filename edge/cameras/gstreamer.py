"""Any GStreamer pipeline as a camera, and the CSI sensors of a Jetson.

``gstreamer:v4l2src device=/dev/video0 ! jpegdec``, or ``gstreamer:argus?sensor=0&width=1280&height=720&fps=30&lock=1``.
The target is the pipeline up to raw video; conversion to RGB (one, and none where it is RGB already) and the sink are
added. For a thermal camera it has to give GRAY16_LE, with ``scale`` and ``offset`` as for ``video:``.

The pipeline runs on GStreamer's system clock, which is CLOCK_MONOTONIC, so a buffer's time in the stream plus the
pipeline's base time is the moment of capture that the source gave it. ``argus`` is ``nvarguscamerasrc``, whose
automatic exposure and white balance are locked two seconds after the start (``lock=0`` leaves them alone).

Needs PyGObject and GStreamer, which are system packages: in a venv made with ``--system-site-packages``.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.cameras import Camera
from edge.cameras.returning import ReturningCamera
from edge.errors import GoneError, InputError, MissingExtraError, UsageError
from edge.frames import Frame, FrameKind, StampClock
from edge.uri import Uri, query_as, without_secrets

__all__ = ["ArgusQuery", "GstSession", "GstSource", "PlainQuery", "from_uri"]

_log = logging.getLogger(__name__)

_SINK = "frames"
_LOCKED = "mmrphys_sensor"
FIRST_S, AGAIN_S = 10.0, 4.0
"""How long a pipeline may take to its first picture: at the start, and when it is made anew during a run."""
SETTLE_NS = 2_000_000_000
LONGEST_STEP = 300
"""Sources number their pictures in the buffer's offset; some write bytes there instead, which step further."""
FORMATS: dict[FrameKind, str] = {"rgb": "RGB", "thermal": "GRAY16_LE"}
INSTALL = (
    "install it with: sudo apt-get install python3-gi gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good, and make the venv with --system-site-packages"
)

Positive = Annotated[int, Meta(gt=0)]


class PlainQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a pipeline: degC = value * ``scale`` + ``offset`` of thermal ones."""

    scale: Annotated[float, Meta(gt=0.0)] = 0.01
    offset: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = -273.15


class ArgusQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``argus``: which sensor, what size and rate, and whether its automatics are locked."""

    sensor: Annotated[int, Meta(ge=0)] = 0
    width: Positive = 1280
    height: Positive = 720
    fps: Positive = 30
    lock: bool = True

    def pipeline(self) -> str:
        """From the sensor to raw video in ordinary memory."""
        size = f"width={self.width},height={self.height},framerate={self.fps}/1"
        return (
            f"nvarguscamerasrc name={_LOCKED} sensor-id={self.sensor} ! "
            f"video/x-raw(memory:NVMM),format=NV12,{size} ! nvvidconv ! video/x-raw,format=NV12"
        )


@dataclass(frozen=True, slots=True)
class GstSource:
    """Makes the pipeline, again and again where it has to be."""

    name: str
    kind: FrameKind
    description: str
    scale_degc: float = 1.0
    offset_degc: float = 0.0
    lock: bool = False

    def text(self) -> str:
        """The whole pipeline, as ``gst-launch-1.0`` would take it."""
        convert = "" if self.kind == "thermal" else "videoconvert ! "  # counts must not be touched
        sink = f"appsink name={_SINK} max-buffers=4 drop=true"
        return f"{self.description} ! {convert}capsfilter caps=video/x-raw,format={FORMATS[self.kind]} ! {sink}"

    def session(self, patience_s: float) -> GstSession:
        """A pipeline that plays. MissingExtraError without GStreamer, InputError when it does not start."""
        gst = gst_module()
        try:
            pipeline = gst.parse_launch(self.text())
        except gst.error as error:
            raise InputError(f"{self.name} is no pipeline: {_words(error)}; try it with gst-launch-1.0") from error
        pipeline.use_clock(gst.module.SystemClock.obtain())
        session = GstSession(self, gst.module, pipeline)
        try:
            session.start(patience_s)
        except InputError:
            session.close()
            raise
        return session


@dataclass(frozen=True, slots=True)
class _Gst:
    module: ModuleType
    error: type[Exception]

    def parse_launch(self, text: str) -> Any:
        return self.module.parse_launch(text)


def gst_module() -> _Gst:
    """GStreamer's bindings, initialised; MissingExtraError, with the packages, where there are none."""
    try:
        import gi  # noqa: PLC0415 - a system package, looked for when it is wanted

        gi.require_version("Gst", "1.0")
        from gi.repository import GLib, Gst  # noqa: PLC0415
    except (ImportError, ValueError) as error:
        raise MissingExtraError(f"gstreamer: needs PyGObject and GStreamer ({error}); {INSTALL}") from error
    Gst.init(None)
    return _Gst(Gst, GLib.Error)


class GstSession:
    """Frames of one pipeline; see :class:`~edge.cameras.returning.Session`."""

    drift_ppm: float | None = None  # sources map their own clocks onto the pipeline's

    def __init__(self, source: GstSource, gst: Any, pipeline: Any) -> None:
        self._source, self._gst, self._pipeline = source, gst, pipeline
        self._sink = pipeline.get_by_name(_SINK)
        self._offset: int | None = None
        self._seq = -1
        self._first_ns: int | None = None
        self._unlocked = source.lock

    def start(self, patience_s: float) -> None:
        """Play, and wait for the first picture; InputError when it fails or none comes."""
        gst, name = self._gst, self._source.name
        for state in (gst.State.PAUSED, gst.State.PLAYING):
            self._pipeline.set_state(state)
            result, _, _ = self._pipeline.get_state(round(patience_s * gst.SECOND))
            if result == gst.StateChangeReturn.FAILURE:
                raise InputError(f"{name}: {self._error() or 'it does not start'}; try it with gst-launch-1.0")
            if result == gst.StateChangeReturn.ASYNC:
                told = self._error() or f"no picture within {patience_s:.0f} s"
                raise InputError(f"{name}: {told}; check the source, and that nobody else uses it")
            if result == gst.StateChangeReturn.NO_PREROLL:  # live; files are held back, lest they outrun their stamps
                self._sink.set_property("sync", False)  # noqa: FBT003 - GObject's own signature

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame; None when none came in time. GoneError at the end of the pipeline and at its errors."""
        sample = self._sink.emit("try-pull-sample", round(timeout_s * self._gst.SECOND))
        told = self._error()  # on every turn: what nobody takes from the bus would stay there for the whole run
        if sample is None and told is None and self._sink.get_property("eos"):
            told = "it came to its end"
        if told:
            raise GoneError(f"{self._source.name} broke off: {told}")
        if sample is None:
            return None
        stamp_ns, is_true = self._stamp(sample)
        self._count(sample.get_buffer().offset)
        self._lock_when_settled(stamp_ns)
        scale = (self._source.scale_degc, self._source.offset_degc)
        clock: StampClock = "monotonic" if is_true else "monotonic_arrival"
        return Frame(self._image(sample), stamp_ns, clock, self._seq, self._source.kind, *scale)

    def close(self) -> None:
        """Stop the pipeline; may be called twice."""
        self._pipeline.set_state(self._gst.State.NULL)

    def _stamp(self, sample: Any) -> tuple[int, bool]:
        """On CLOCK_MONOTONIC, and whether the pipeline gave it: no picture was taken after it arrived."""
        gst, pts, now_ns = self._gst, sample.get_buffer().pts, time.monotonic_ns()
        running = gst.CLOCK_TIME_NONE if pts == gst.CLOCK_TIME_NONE else self._running(sample, pts)
        stamp_ns = int(self._pipeline.get_base_time() + running)
        believed = running != gst.CLOCK_TIME_NONE and stamp_ns <= now_ns
        return (stamp_ns, True) if believed else (now_ns, False)

    def _running(self, sample: Any, pts: int) -> int:
        return int(sample.get_segment().to_running_time(self._gst.Format.TIME, pts))

    def _count(self, offset: int) -> None:
        step = 1 if self._offset is None else offset - self._offset
        self._offset = offset
        self._seq += step if 1 <= step <= LONGEST_STEP else 1

    def _image(self, sample: Any) -> npt.NDArray[Any]:
        caps = sample.get_caps().get_structure(0)
        width, height = caps.get_value("width"), caps.get_value("height")
        row = width * (2 if self._source.kind == "thermal" else 3)
        line = (row + 3) // 4 * 4  # GStreamer's own padding
        data = sample.get_buffer().extract_dup(0, line * height)
        if len(data) != line * height:
            raise InputError(f"{self._source.name} gives {len(data)} bytes for {width}x{height}; want {line * height}")
        rows = np.frombuffer(data, np.uint8).reshape(height, line)[:, :row]
        if self._source.kind == "thermal":
            return np.ascontiguousarray(rows).view("<u2")
        return np.ascontiguousarray(rows).reshape(height, width, 3)

    def _error(self) -> str | None:
        """The first error on the bus; all that came before it, warnings and notices, is forgotten."""
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR)
        return None if message is None else _words(message.parse_error()[0])

    def _lock_when_settled(self, stamp_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = stamp_ns
        if self._unlocked and stamp_ns - self._first_ns >= SETTLE_NS:
            self._unlocked = False
            sensor = self._pipeline.get_by_name(_LOCKED)
            sensor.set_properties(aelock=True, awblock=True)
            _log.info("%s locked: exposure and white balance, as they are now", self._source.name)


def _words(error: Any) -> str:
    """What a GLib error says, on one line."""
    return without_secrets(" ".join(str(getattr(error, "message", error)).split()).rstrip("."))


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The camera of ``gstreamer:PIPELINE`` or ``gstreamer:argus``, not yet opened; UsageError for a wrong parameter."""
    source = _argus(uri, kind) if uri.target == "argus" else _plain(uri, kind)
    sessions = 0

    def connect() -> GstSession:
        nonlocal sessions
        session = source.session(AGAIN_S if sessions else FIRST_S)
        sessions += 1
        return session

    return ReturningCamera(source.name, kind, connect)


def _argus(uri: Uri, kind: FrameKind) -> GstSource:
    if kind == "thermal":
        raise UsageError(f"{uri.text}: argus is an RGB camera; give it as --rgb")
    query = query_as(uri, ArgusQuery)
    return GstSource(uri.text, kind, query.pipeline(), lock=query.lock)


def _plain(uri: Uri, kind: FrameKind) -> GstSource:
    query = query_as(uri, PlainQuery)
    if not uri.target.strip(" !"):
        raise UsageError("gstreamer: names no pipeline; want gstreamer:argus or gstreamer:SOURCE ! ...")
    if "sink " in f"{uri.target} ":
        raise UsageError(f"{without_secrets(uri.text)}: the sink is added here; end the pipeline before it")
    if kind == "rgb" and uri.query:
        raise UsageError(
            f"{without_secrets(uri.text)}: {', '.join(uri.query)} belong to thermal cameras; leave them out"
        )
    scale = (query.scale, query.offset) if kind == "thermal" else (1.0, 0.0)
    return GstSource(without_secrets(uri.text), kind, uri.target.strip(" !"), *scale)
