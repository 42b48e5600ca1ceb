"""From a run into a file: what the pipeline was given, what it looked at, and what it gave.

The run hands over; packing and writing happen on a thread of its own, behind a queue of bounded size. A run over files
waits for room. A live run does not: when the disk cannot keep up, is full, or the quota is reached, the recording ends
and says so, and the run goes on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from edge.bundle import Bundle
from edge.cameras import Camera
from edge.clips.crop import Box
from edge.config import Kit, toml_from_kit
from edge.errors import FaultError
from edge.faces.track import FaceTrack
from edge.frames import Frame, FrameKind
from edge.recording import RecordingPlan
from edge.recording.crops import crops_of
from edge.recording.messages import (
    CALLS,
    FACES,
    METADATA,
    RECORDS,
    RIG,
    TOPICS,
    Call,
    Session,
    Sighting,
    bytes_from_message,
    crop_of,
    head_of,
)
from edge.recording.writer import McapFile, QuotaReachedError
from edge.rig import Rig, json_from_rig
from edge.runtimes import Runtime
from edge.sinks.records import EventCode, Record, Severity, encode

__all__ = ["Recorder", "recorder_of"]

_log = logging.getLogger(__name__)
_WAITING_BYTES = 128 * 1024 * 1024
_ITEM_BYTES = 1024
"""What an item takes beside its pixels, rather too much; so the queue also has a bounded length."""
_TICK_S = 0.25
_CLOSE_S = 30.0

_Item = tuple[str, msgspec.Struct | Record, tuple[npt.NDArray[Any], ...], int, int]


def recorder_of(
    plan: RecordingPlan, kit: Kit, cameras: Iterable[Camera], bundle: Bundle, runtime: Runtime, rig: Rig
) -> Recorder:
    """The recording of a run, begun; UsageError when its file is there already or cannot be made."""
    live = any(camera.live for camera in cameras)
    session = Session(
        software=f"mmrphys-edge {metadata.version('mmrphys-edge')}",
        device=kit.device_id,
        kit=toml_from_kit(msgspec.structs.replace(kit, sinks=())),  # where records went is nobody's business
        cameras={camera.kind: camera.name for camera in cameras},
        bundle=bundle.id,
        signature=bundle.signature,
        runtime=runtime.name,
        mode=kit.mode,
        live=live,
        full_frames=plan.full_frames,
        consent=plan.consent,
        rig=rig.hash,
    )
    recorder = Recorder(plan.path, full_frames=plan.full_frames, wait=not live, quota=plan.quota)
    recorder.open(session, {RIG: json_from_rig(rig)} if rig.planes else {})
    return recorder


class Recorder:
    """One recording. All calls but the writing come from one thread.

    ``wait``: wait for room in the queue rather than end the recording. ``over`` is why it ended before the run did, in
    words; empty while it goes on.
    """

    def __init__(self, path: Path, *, full_frames: bool, wait: bool, quota: int | None = None) -> None:
        self.over = ""
        self._full_frames, self._wait = full_frames, wait
        self._file = McapFile(path, TOPICS, quota)
        self._waiting: deque[_Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._error: FaultError | None = None
        self._log_ns = 0
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._file.size

    def open(self, session: Session, attachments: dict[str, bytes] | None = None) -> None:
        """Make the file; UsageError when it is there already or cannot be made, FaultError when the disk is full."""
        pairs = {key: _text(value) for key, value in msgspec.to_builtins(session).items() if value is not None}
        self._file.open({METADATA: pairs}, attachments)
        self._thread.start()

    def pushed(self, frame: Frame) -> None:
        """The pipeline is given a frame."""
        keep = frame.kind == "thermal" or self._full_frames
        self._put(f"/{frame.kind}", head_of(frame, pixels=keep), (frame.image,) if keep else (), frame.pts_ns)

    def sighted(self, rgb: Frame, tracks: tuple[FaceTrack, ...], detections: int, regions: Iterable[Box]) -> None:
        """The pipeline found these faces in a frame and read these parts of it."""
        if self.over:
            return
        crops = () if self._full_frames else crops_of(regions, rgb.image.shape)
        sighting = Sighting(pts_ns=rgb.pts_ns, detections=detections, tracks=tracks, crops=crops)
        self._put(FACES, sighting, tuple(crop_of(rgb.image, crop) for crop in crops), rgb.pts_ns)

    def idled(self, now_ns: int) -> None:
        """The pipeline was told the time."""
        self._put(CALLS, Call(call="idle", now_ns=now_ns), (), now_ns)

    def paced(self, hop_s: float, face_every_s: float, why: str) -> None:
        """The pipeline was told to look less often, or as often again."""
        self._put(CALLS, Call(call="pace", hop_s=hop_s, face_every_s=face_every_s, reason=why), (), self._log_ns)

    def noticed(self, code: EventCode, severity: Severity, text: str) -> None:
        """A sink told of something that happened to the device."""
        self._put(CALLS, Call(call="notice", code=code, severity=severity, reason=text), (), self._log_ns)

    def ended(self, kind: FrameKind, error: str | None) -> None:
        """The pipeline was told that a camera gives no more; ``error`` is how it broke."""
        self._put(CALLS, Call(call="end", kind=kind, error=error), (), self._log_ns)

    def finished(self, reason: str) -> None:
        """The pipeline was told that nothing more comes."""
        self._put(CALLS, Call(call="finish", reason=reason), (), self._log_ns)

    def record(self, record: Record, pts_ns: int) -> None:
        """A record was sent."""
        self._put(RECORDS, record, (), pts_ns)

    def close(self) -> FaultError | None:
        """Write what waits and close the file; gives what went wrong, but for a quota that was reached."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            return FaultError(f"{self._file.path}: the disk did not take the recording's end in time; check the disk")
        return self._error

    # ------------------------------------------------------------------------------------------------ the queue

    def _put(
        self, topic: str, head: msgspec.Struct | Record, pixels: tuple[npt.NDArray[Any], ...], pts_ns: int
    ) -> None:
        size = _ITEM_BYTES + sum(part.nbytes for part in pixels)
        self._log_ns = max(self._log_ns, pts_ns)
        with self._changed:
            while self._wait and self._bytes + size > _WAITING_BYTES and self._bytes and not self.over:
                self._changed.wait()
            if self.over:
                return
            if self._bytes and self._bytes + size > _WAITING_BYTES:
                self._end("the disk does not keep up; what waits is still written", failed=True)
                return
            self._waiting.append((topic, head, pixels, self._log_ns, pts_ns))
            self._bytes += size
            self._changed.notify_all()

    def _take(self) -> _Item | None:
        """The next item; None when none came in time, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing, _TICK_S)
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._bytes -= _ITEM_BYTES + sum(part.nbytes for part in item[2])
            self._changed.notify_all()
            return item

    def _end(self, why: str, *, failed: bool) -> None:
        """No more is recorded. Called with the lock held."""
        self.over = f"the recording {self._file.path} ended after {self._file.size / 1e6:.1f} MB: {why}"
        if failed:
            self._error = FaultError(f"{self.over}; make room or record less, and start anew")
        self._changed.notify_all()

    # ------------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            self._write_all()
            self._file.close()
        except QuotaReachedError:
            self._over("its quota is reached", failed=False)
            self._close_after_quota()
        except OSError as error:
            self._over(error.strerror or str(error), failed=True)
        except Exception as error:  # noqa: BLE001 - a thread's edge: told as an error, never silent
            _log.exception("the recording failed")
            self._over(f"internal error: {error}", failed=True)
            with contextlib.suppress(Exception):  # what can be kept of it; the reason is told already
                self._file.close()

    def _close_after_quota(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._over(error.strerror or str(error), failed=True)

    def _over(self, why: str, *, failed: bool) -> None:
        with self._changed:
            self._end(why, failed=failed)
            self._waiting.clear()
            self._bytes = 0

    def _write_all(self) -> None:
        while True:
            item = self._take()
            if item is None:
                if self._closing or self.over:
                    return
                self._file.tick(time.monotonic())
                continue
            topic, head, pixels, log_ns, pts_ns = item
            data = _record(head) if topic == RECORDS else bytes_from_message(head, pixels)  # type: ignore[arg-type]
            if data is not None:
                self._file.write(topic, data, log_ns, pts_ns, time.monotonic())


def _record(record: Record) -> bytes | None:
    """Its line; None for a number that is not finite: no sink sends such a record either."""
    try:
        return encode(record)
    except ValueError as error:
        _log.error("a record is left out of the recording: %s", error)
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
