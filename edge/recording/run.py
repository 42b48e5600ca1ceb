"""A replay: the deployed pipeline on a recording, wired as a run is, but for cameras and detector.

What decides the records comes from the file: device and zone names, hop, gate, faces. What runs is this installation:
its bundle, runtime and code. Sinks are those asked for now; nothing the file says is opened or connected to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.app import Run, Stream, runtime_from_kit, stream_from_kit
from edge.bundle import Bundle, load_bundle
from edge.config import Kit, Precision, RuntimeName, Speed, kit_from_text
from edge.errors import EvidenceError, InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.loop import Pace
from edge.recording.messages import RIG, Call, Session
from edge.recording.replay import RecordedTracker, Recording
from edge.recording.verify import Verifier
from edge.rig import IDENTITY, Rig, rig_from_json
from edge.runtimes import Runtime
from edge.sinks import Sink, SinkContext, sink_from_uri
from edge.sinks.records import Record

__all__ = ["Wish", "replay_file"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a replay may choose; ``sinks`` are URIs, ``bundle`` None is the default one."""

    sinks: tuple[str, ...]
    bundle: Path | None = None
    speed: Speed = "realtime"
    runtime: RuntimeName = "auto"
    precision: Precision = "auto"
    verify: bool = False


def replay_file(path: Path, wish: Wish, *, as_json: bool, stop: threading.Event) -> int:
    """Replay a recording to its end, or until ``stop`` is set or nobody takes records; gives the exit code.

    Raises
    ------
    InputError
        It is no recording, or damaged: then what comes before was replayed.
    EvidenceError
        With ``verify``, at the first difference between its records and those made now, after all were made.
    UsageError
        With ``verify``, another bundle than the recorded one.
    """
    verifier = Verifier()
    recording = Recording(path, verifier.recorded if wish.verify else None)
    kit = _kit(recording.session, wish, path)
    context = SinkContext(kit.device_id, zones=tuple(zone.name for zone in kit.watched))
    sinks = [sink_from_uri(text, context) for text in wish.sinks]
    bundle = load_bundle(wish.bundle)
    _check_bundle(bundle, recording.session, wish)
    rig = _rig(recording)
    with closing(runtime_from_kit(kit, bundle, stop)) as runtime:
        tell = verifier.replayed if wish.verify else None
        run = _Replay(kit, recording, sinks, bundle, runtime, rig, stop, stream_from_kit(kit, bundle), tell)
        code = run.to_the_end(ExitStack(), as_json=as_json)
    if recording.cut:
        _log.warning("%s: %s; what came before was replayed", path, recording.cut)
    if wish.verify and not stop.is_set():
        recording.rest()
        _judge(verifier, recording)
    return code


def _kit(session: Session, wish: Wish, path: Path) -> Kit:
    """The recorded kit with what is chosen now; it holds no sink, file or address of the recorded run."""
    try:
        kit = kit_from_text(session.kit, "its kit.toml")
    except UsageError as error:
        raise InputError(f"{path}: {error}; replay it with the version that recorded it: {session.software}") from error
    return msgspec.structs.replace(
        kit, sinks=wish.sinks, bundle=None, rig=None, speed=wish.speed, runtime=wish.runtime, precision=wish.precision,
        seconds=None, allow_plaintext=False,
    )  # fmt: skip


def _rig(recording: Recording) -> Rig:
    """The recorded camera geometry; InputError when it is missing, damaged or another one than the run's."""
    wanted = recording.session.rig
    if not wanted:
        return IDENTITY
    if RIG not in recording.attachments:
        raise InputError(f"{recording.path} was made with a rig that is not in it; the file was changed")
    rig = rig_from_json(recording.attachments[RIG], f"{recording.path}: its {RIG}")
    if rig.hash != wanted:
        raise InputError(f"{recording.path}: its {RIG} is {rig.hash}, the run's was {wanted}; the file was changed")
    return rig


def _check_bundle(bundle: Bundle, session: Session, wish: Wish) -> None:
    if bundle.id == session.bundle:
        return
    seen = f"it was recorded with bundle {session.bundle}, this is {bundle.id}"
    if wish.verify:
        raise UsageError(f"--verify: {seen}; name the recorded one with --bundle")
    _log.warning("%s: its records will differ", seen)


def _judge(verifier: Verifier, recording: Recording) -> None:
    if verifier.finish(complete=recording.complete):
        raise EvidenceError(
            f"{recording.path}: the replay differs from the recording: {verifier.difference} "
            f"({verifier.compared} records were the same)"
        )
    if not verifier.compared:
        raise EvidenceError(f"{recording.path} holds no records to compare with; record with mmrphys record")
    _log.info("%s: all %d records are the same", recording.path, verifier.compared)


@dataclass(frozen=True, slots=True)
class _RecordedCamera:
    """Stands for a camera of the recorded run; nothing is read from it."""

    name: str
    kind: FrameKind
    live: bool = False

    def open(self) -> None: ...

    def read(self) -> Frame | None: ...

    def close(self) -> None: ...


class _Replay(Run):
    """A run whose turns come from a recording."""

    def __init__(
        self,
        kit: Kit,
        recording: Recording,
        sinks: list[Sink],
        bundle: Bundle,
        runtime: Runtime,
        rig: Rig,
        stop: threading.Event,
        stream: Stream | None,
        tell: Callable[[Record, int], None] | None,
    ) -> None:
        cameras = [_RecordedCamera(name, kind) for kind, name in recording.session.cameras.items()]
        super().__init__(kit, cameras, sinks, bundle, runtime, rig, RecordedTracker(recording), stop, None, stream)
        self._tell = tell
        self._recording = recording
        self._recorded_reason = "cut short"

    def _all_frames(self) -> None:
        pace = Pace(realtime=self._kit.speed == "realtime")
        for turn in self._recording.turns():
            if self._stop.is_set() or self._deserted():
                return
            if isinstance(turn, Frame):
                pace.wait(turn.pts_ns, self._stop)
                self._push(turn)
            else:
                self._call(turn)

    def _call(self, call: Call) -> None:
        if call.call == "idle" and call.now_ns is not None:
            self._idle(call.now_ns)
        elif call.call == "pace" and call.hop_s is not None and call.face_every_s is not None:
            self._pace(call.hop_s, call.face_every_s, call.reason or "")
        elif call.call == "notice" and call.code is not None and call.severity is not None:
            self._notice(call.code, call.severity, call.reason or "")
        elif call.call == "end" and call.kind is not None:
            self._end(call.kind, call.error)
        elif call.call == "finish":
            self._recorded_reason = call.reason or "ended"
            self._finish(self._recorded_reason)

    def _send(self, record: Record, pts_ns: int) -> None:
        super()._send(record, pts_ns)
        if self._tell is not None:
            self._tell(record, pts_ns)

    def _reason(self) -> str:
        return super()._reason() if self._stop.is_set() or self._error else self._recorded_reason
