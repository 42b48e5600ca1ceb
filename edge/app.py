"""Wiring: from a checked :class:`~edge.config.Kit` to a running chain and an exit code.

Nothing deeper sees the whole kit.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.bundle import Bundle, Graph
from edge.bundle_store import bundle_on_trial
from edge.cameras import Camera, camera_from_uri
from edge.config import Kit
from edge.engine_build import BuildStoppedError
from edge.errors import InputError, MmrphysError, UsageError
from edge.faces import detector_by_name
from edge.faces.crowd import CrowdTracker
from edge.faces.looks import Lag
from edge.faces.track import FaceTracker, Tracker, TrackerConfig
from edge.faces.warm import WarmDetector
from edge.frames import Frame, FrameKind
from edge.load import DeviceLoad, hottest_degc
from edge.load_budget import LoadBudget
from edge.loop import Aside, Ended, Inbox, SinkWorker, frames
from edge.pacing import Pacer
from edge.person import Person
from edge.pipeline import Options, Output, Pipeline
from edge.publish import Publisher, Summary
from edge.recording import NO_RECORDING, RecordingPlan, Tape
from edge.rig import IDENTITY, Rig, load_rig
from edge.runtimes import RUNTIMES, Runtime
from edge.sight import Lookout
from edge.sinks import Kept, Sink, SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.records import EventCode, Record, Severity
from edge.stream_graph import StreamEngine
from edge.vitals import Truth, Vitals
from edge.zones import InZones

__all__ = ["Run", "Stream", "cameras_from_kit", "run_kit", "runtime_from_kit", "stream_from_kit"]

_log = logging.getLogger(__name__)
_S = 1_000_000_000
_LIVE_LAG_FRAMES = 4
"""Behind a live camera a detection applies so many frames after its own, and takes no time from the frames. A recording
waits, and takes it at once."""
_WARM_LOOK_S = 0.5
"""Between looks for the warm face: they cost little, and thermal frames are few."""
Notice = tuple[EventCode, Severity, str]
_NOTICES = 64
"""What sinks have to tell waits for the loop's next turn; more than that comes from none of them."""
_LINK_S = 3.0
"""How long ``--check`` gives a link to come up."""


def run_kit(
    kit: Kit,
    *,
    check: bool,
    as_json: bool,
    stop: threading.Event,
    watch: Callable[[Output], None] | None = None,
    recording: RecordingPlan | None = None,
    begun: Callable[[Run], None] | None = None,
) -> int:
    """Run what ``kit`` describes until its input ends, ``seconds`` are over, nobody takes records or ``stop`` is set.

    Gives the exit code. ``seconds`` are stream time; of live input they are seconds since the start. ``watch`` is
    shown every output of the pipeline on the way to the sinks, ``begun`` the run before its first frame.

    With ``check`` everything is opened, reported and closed again. A link whose other end is away is reported as such
    and is no error, for a run would keep trying. The report goes to standard error, with ``as_json`` as JSON to
    standard output; that of a run is its summary, and goes there only ``as_json``. ``recording``: what to record.

    Raises
    ------
    MmrphysError
        What cannot start, with the exit code of its kind. What breaks later ends the run in order and is raised then.
    """
    cameras = cameras_from_kit(kit)
    zones = tuple(zone.name for zone in kit.watched)
    rig = load_rig(Path(kit.rig)) if kit.rig else IDENTITY
    lookout = Lookout(rig, kit.pair_gate_ms, through_rig=kit.thermal_roi == "rgb")
    notices: deque[Notice] = deque(maxlen=_NOTICES)
    context = SinkContext(
        kit.device_id, kit.allow_plaintext, _truth(cameras), zones,
        sight=lookout.newest, tell=lambda *notice: notices.append(notice), kept=_kept(kit.sinks),
        recording=recording is not None, live=any(camera.live for camera in cameras),
    )  # fmt: skip
    sinks = [sink_from_uri(text, context) for text in kit.sinks]
    try:
        with bundle_on_trial(kit.bundle, kit.keys, kit.store) as bundle:
            _check_measurable(bundle, cameras)
            stream = stream_from_kit(kit, bundle)
            engine = runtime_from_kit(kit, bundle, stop)
    except BuildStoppedError as error:  # as a run that is stopped: in order, before its first frame
        if check:
            raise KeyboardInterrupt from error  # nothing was checked, which must not look like success
        _log.warning("%s", error)
        if as_json:
            print(json.dumps(Summary().as_dict()), flush=True)  # noqa: T201 - the answer that --json asks for
        return 0
    with closing(engine) as runtime, closing(Aside("detect")) as aside, ExitStack() as opened:
        for camera in cameras:
            camera.open()
            opened.callback(camera.close)
        rig.check_cameras(_ids(cameras))
        live = any(camera.live for camera in cameras)
        tracker = _tracker(kit, Lag(_LIVE_LAG_FRAMES, aside.start) if live else Lag())
        parts = cameras, sinks, bundle, runtime, rig, tracker, stop, watch, stream
        run = partial(Run, kit, *parts, lookout=lookout, begun=begun, notices=notices)
        if check or recording is None:
            return run().check(as_json=as_json) if check else run().to_the_end(opened, as_json=as_json)
        with closing(_tape(recording, kit, cameras, bundle, runtime, rig)) as tape:
            return run(tape).to_the_end(opened, as_json=as_json)


def _tape(plan: RecordingPlan, kit: Kit, cameras: Iterable[Camera], bundle: Bundle, runtime: Runtime, rig: Rig) -> Tape:
    """The recording of a run, begun."""
    from edge.recording.recorder import recorder_of  # noqa: PLC0415 - a run that is not recorded needs none of it

    return recorder_of(plan, kit, cameras, bundle, runtime, rig)


def cameras_from_kit(kit: Kit) -> list[Camera]:
    """The RGB camera and, unless there is none, the thermal one; a synthetic scene brings its own."""
    assert kit.rgb is not None, "edge.config.check holds this"
    cameras = [camera_from_uri(kit.rgb, "rgb")]
    own = kit.rgb if kit.rgb.startswith("synthetic:") else None
    thermal = kit.thermal or own
    if thermal not in (None, "none"):
        cameras.append(camera_from_uri(thermal, "thermal"))
    if len({camera.live for camera in cameras}) > 1:
        live, recorded = sorted(cameras, key=lambda camera: not camera.live)
        seen = f"{live.name} is live and {recorded.name} is recorded: their clocks never meet"
        raise UsageError(f"{seen}; give two cameras or two recordings, or --thermal none")
    return cameras


def _check_measurable(bundle: Bundle, cameras: Iterable[Camera]) -> None:
    """UsageError when these cameras can never show a living face to this model: a pulse in RGB, or warm skin."""
    has_thermal = any(camera.kind == "thermal" for camera in cameras)
    if not has_thermal and ("bvp" not in bundle.tasks or bundle.needs_thermal("bvp")):
        name, has = bundle.manifest.name, ", ".join(bundle.tasks)
        what = f"bundle {name!r} ({has} from {', '.join(bundle.channels)}) measures nothing without a thermal camera"
        raise UsageError(f"{what}; add one with --thermal or choose a bundle with BVP from RGB")


def _truth(cameras: Iterable[Camera]) -> Callable[[int], Truth | None] | None:
    return next((told for camera in cameras if (told := getattr(camera, "truth_at", None)) is not None), None)


def _kept(sinks: Iterable[str]) -> Kept:
    """What a run with these sinks leaves on the disk."""
    return "numbers" if any(uri.startswith(("jsonl:", "mcap:")) and uri != "jsonl:-" for uri in sinks) else "nothing"


def _ids(cameras: Iterable[Camera]) -> dict[FrameKind, str]:
    """Who the cameras are, where that is known: of a live one its id or URI; recordings do not tell."""
    known = {camera.kind: getattr(camera, "device_id", camera.name if camera.live else None) for camera in cameras}
    return {kind: name for kind, name in known.items() if name is not None}


def _drifts_ppm(cameras: Iterable[Camera]) -> dict[FrameKind, float]:
    """How much faster our clock runs than that of a live camera, for those that have one of their own."""
    known = [(camera.kind, getattr(camera, "drift_ppm", None)) for camera in cameras if camera.live]
    return {kind: ppm for kind, ppm in known if ppm is not None}


def runtime_from_kit(kit: Kit, bundle: Bundle, stop: threading.Event | None = None) -> Runtime:
    """What runs whole windows, after its self-test; in mode ``stream`` those for which no stream can be believed.

    BuildStoppedError when ``stop`` was set before.
    """
    name = "onnxrt" if kit.runtime == "auto" else kit.runtime
    runtime: Runtime = importlib.import_module(RUNTIMES[name]).open_runtime(bundle, "exact", kit.precision, stop)
    return runtime


def _tracker(kit: Kit, lag: Lag) -> Tracker:
    """Who follows the faces in RGB."""
    detector = detector_by_name(kit.detector)
    if kit.zones:
        detector = InZones(detector, kit.zones)
    if kit.zones or kit.most_people > 1:
        return CrowdTracker(detector, kit.most_people, lag=lag)
    return FaceTracker(detector, lag=lag)


def stream_from_kit(kit: Kit, bundle: Bundle) -> Stream | None:
    """The stream graph that mode ``stream`` runs; on the CPU whatever the runtime of the windows is."""
    if kit.mode != "stream":
        return None
    engine, graph = importlib.import_module("edge.runtimes.onnxrt_stream").open_stream(bundle, kit.precision)
    return Stream(engine, graph)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A stream graph that passed its self-test, and why it was chosen."""

    engine: StreamEngine
    graph: Graph


class Run:
    """One run: its parts, and the first thing that went wrong."""

    def __init__(
        self,
        kit: Kit,
        cameras: Sequence[Camera],
        sinks: list[Sink],
        bundle: Bundle,
        runtime: Runtime,
        rig: Rig,
        tracker: Tracker,
        stop: threading.Event,
        watch: Callable[[Output], None] | None = None,
        stream: Stream | None = None,
        tape: Tape = NO_RECORDING,
        lookout: Lookout | None = None,
        begun: Callable[[Run], None] | None = None,
        notices: deque[Notice] | None = None,
    ) -> None:
        self._watch, self._begun = watch, begun
        self._notices: deque[Notice] = deque() if notices is None else notices  # filled by the threads of sinks
        self._kit, self._cameras, self._bundle, self._runtime, self._stop = kit, cameras, bundle, runtime, stop
        self._rig, self._lookout = rig, lookout
        self._live = any(camera.live for camera in cameras)
        self._stream, self._tape = stream, tape
        person = partial(Person, stream=stream.engine if stream else None)
        options = Options(kit.zone, len(cameras) > 1, kit.hop_s, kit.pair_gate_ms, rig, kit.zones, kit.most_people)
        own = kit.thermal_roi == "own"
        warm = FaceTracker(WarmDetector(), TrackerConfig(look_every_s=_WARM_LOOK_S)) if own else None
        self._pipeline = Pipeline(bundle, runtime, tracker, options, person, warm, tape.sighted)
        self._workers = [SinkWorker(sink, wait=not self._live, stop=stop) for sink in sinks]
        self._factory = RecordFactory(kit.device_id)
        self._publisher = Publisher(
            self._factory,
            lambda: replace(self._pipeline.counts, drift_ppm=_drifts_ppm(cameras)),
            lambda: {worker.sink.name: worker.dropped for worker in self._workers},
            *([self._load] if self._live else []),
            sink_waiting=lambda: {worker.sink.name: worker.waiting for worker in self._workers},
            now=time.monotonic_ns if self._live else None,
        )
        self._device_load = DeviceLoad()
        self._inbox = Inbox([camera.kind for camera in cameras], live=self._live)
        self._pacer = self._pacer_if_live()
        self._summary = Summary()
        self._error: MmrphysError | None = None
        self._begin_ns: int | None = None
        self._told_of_tape = False
        self._newest_ns = 0

    @property
    def waiting(self) -> dict[str, float]:
        """How full the queues are, 0..1: that of the fullest camera, and of each sink by its name. From any thread."""
        return {"cameras": self._inbox.waiting} | {worker.sink.name: worker.filled for worker in self._workers}

    def check(self, *, as_json: bool) -> int:
        """Open and close the sinks (cameras, bundle and runtime are open already) and say what there is."""
        with self._sinks_open():
            self._wait_for_links()
            found = self._found()
        if as_json:
            print(json.dumps(found), flush=True)  # noqa: T201 - the answer that --json asks for
        else:
            print("\n".join(_lines_from_found(found)), file=sys.stderr)  # noqa: T201 - the report that --check asks for
        return self._code()

    def to_the_end(self, opened: ExitStack, *, as_json: bool) -> int:
        """Run; gives 0 or raises the first error, after everything was flushed and closed.

        The cameras that ``opened`` would close belong to their readers from here on.
        """
        with self._sinks_open():
            opened.pop_all()
            if self._begun is not None:
                self._begun(self)
            self._frames_to_records()
        self._keep(self._tape.close())
        if as_json:
            print(json.dumps(self._summary.as_dict()), flush=True)  # noqa: T201 - the answer that --json asks for
        return self._code()

    @contextmanager
    def _sinks_open(self) -> Iterator[None]:
        """Start every sink; those that started are flushed and closed, however it ends."""
        with ExitStack() as started:
            for worker in self._workers:
                worker.start()
                started.callback(self._close, worker)
            yield

    def _close(self, worker: SinkWorker) -> None:
        self._keep(worker.close())

    def _wait_for_links(self) -> None:
        end_s = time.monotonic() + _LINK_S
        while not (all(worker.sink.connected for worker in self._workers) or self._stop.is_set()):
            if time.monotonic() >= end_s:
                return
            time.sleep(0.05)

    def _found(self) -> dict[str, Any]:
        manifest = self._bundle.manifest
        return {
            "cameras": {camera.kind: camera.name for camera in self._cameras},
            "bundle": {"name": manifest.name, "id": self._bundle.id, "signature": self._bundle.signature},
            "runtime": self._runtime_name,
            "rig": self._rig.hash or None,
            "sinks": [{"name": worker.sink.name, "connected": worker.sink.connected} for worker in self._workers],
        }

    def _code(self) -> int:
        if self._error is not None:
            raise self._error
        return 0

    def _keep(self, error: MmrphysError | None) -> None:
        """Remember the first error; later ones are logged."""
        if error is not None and self._error is not None:
            _log.error("%s", error)
        self._error = self._error or error

    def _frames_to_records(self) -> None:
        self._send(self._meta(), 0)
        self._send(self._factory.status("online", "started"), 0)
        try:
            self._all_frames()
        except MmrphysError as error:
            self._broke("input_broken" if isinstance(error, InputError) else "runtime_fault", error)
        except Exception:
            self._send(self._factory.status("offline", "internal error"), self._newest_ns)
            raise
        self._send(self._factory.status("offline", self._reason()), self._newest_ns)

    def _reason(self) -> str:
        return "broken" if self._error else "stopped" if self._stop.is_set() else "ended"

    def _all_frames(self) -> None:
        if self._live:
            self._begin_ns = time.monotonic_ns()
        realtime = self._kit.speed == "realtime"
        for item in frames(self._cameras, realtime=realtime, stop=self._stop, inbox=self._inbox):
            if self._enough(item):
                break
            if isinstance(item, Ended):
                if self._ended(item):
                    break
            elif item is not None:
                with self._pacer.working() if self._pacer else nullcontext():
                    self._push(item)
            if self._live:  # on every turn: one camera may be silent while the other sends
                self._idle(time.monotonic_ns())  # the clock of live stamps
            self._keep_pace()
            self._tell_notices()
            self._tell_of_tape()
        self._tell_notices()
        self._finish(self._reason())

    def _pacer_if_live(self) -> Pacer | None:
        """Files wait, so they never adapt."""
        if not self._live:
            return None
        return Pacer(
            LoadBudget(self._kit.hop_s), lambda: self._inbox.waiting, lambda: self._inbox.dropped, hottest_degc
        )

    def _load(self) -> dict[str, float | None]:
        return self._device_load() | {"hop_s": self._pacer.budget.hop_s if self._pacer else None}

    def _keep_pace(self) -> None:
        """Look less often when the device cannot keep up, or as often again, and say so."""
        pace = self._pacer.step() if self._pacer else None
        if pace is not None:
            self._pace(pace.hop_s, pace.face_every_s, pace.why)

    def _pace(self, hop_s: float, face_every_s: float, why: str) -> None:
        self._tape.paced(hop_s, face_every_s, why)
        self._pipeline.pace(hop_s, face_every_s)
        often = f"the model now runs every {hop_s:g} s, the face is looked for every {face_every_s:g} s"
        self._event("pace", "notice", f"{often}: {why}")

    def _push(self, frame: Frame) -> None:
        self._newest_ns = frame.pts_ns
        self._tape.pushed(frame)
        self._publish(self._pipeline.push(frame))
        if self._lookout is not None:
            self._lookout.take(frame, self._pipeline.followed)

    def _idle(self, now_ns: int) -> None:
        self._tape.idled(now_ns)
        self._publish(self._pipeline.idle(now_ns))

    def _finish(self, reason: str) -> None:
        self._tape.finished(reason)
        self._publish(self._pipeline.finish())

    def _tell_notices(self) -> None:
        """What sinks had to tell since the last turn."""
        while self._notices:
            self._notice(*self._notices.popleft())

    def _notice(self, code: EventCode, severity: Severity, text: str) -> None:
        self._tape.noticed(code, severity, text)
        self._event(code, severity, text)

    def _tell_of_tape(self) -> None:
        """Once, when the recording ended before the run."""
        if self._tape.over and not self._told_of_tape:
            self._told_of_tape = True
            self._event("recording_ended", "warning", self._tape.over)

    def _enough(self, item: Frame | Ended | None) -> bool:
        """True when ``seconds`` are over, or no sink is left that takes records."""
        if self._deserted():
            return True
        now_ns = time.monotonic_ns() if self._live else item.pts_ns if isinstance(item, Frame) else None
        if self._kit.seconds is None or now_ns is None:
            return False
        if self._begin_ns is None:
            self._begin_ns = now_ns
        return now_ns - self._begin_ns >= self._kit.seconds * _S

    def _deserted(self) -> bool:
        """True when there were sinks and none is left that takes records."""
        return bool(self._workers) and all(worker.over for worker in self._workers)

    def _ended(self, item: Ended) -> bool:
        """Tell of a camera's end; True when the run is over with it."""
        self._keep(item.error)
        self._end(item.kind, None if item.error is None else str(item.error))
        return item.kind == "rgb"

    def _end(self, kind: FrameKind, error: str | None) -> None:
        self._tape.ended(kind, error)
        if error is None:
            self._event("input_ended", "info", f"the {kind} camera came to its end")
        else:
            self._event("input_broken", "warning", error)
        self._publish(self._pipeline.end(kind))

    def _broke(self, code: EventCode, error: MmrphysError) -> None:
        self._keep(error)
        self._event(code, "warning", str(error))

    def _event(self, code: EventCode, severity: Severity, text: str) -> None:
        zone = self._kit.watched[0].name if len(self._kit.watched) == 1 else None  # None: about the device
        event = self._factory.event(code, severity, text, zone=zone, pts_ns=self._newest_ns)
        self._send(event, self._newest_ns)

    def _publish(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if self._watch is not None:
                self._watch(output)
            if isinstance(output, Vitals):
                self._summary.add(output)
            for record, pts_ns in self._publisher.records(output):
                self._send(record, pts_ns)

    def _send(self, record: Record, pts_ns: int) -> None:
        self._tape.record(record, pts_ns)
        for worker in self._workers:
            worker.put(record, pts_ns)

    def _meta(self) -> Record:
        graph = self._stream.graph if self._stream else self._runtime.graph
        return self._factory.meta(
            software=f"mmrphys-edge {metadata.version('mmrphys-edge')}",
            bundle=self._bundle.id,
            signature=self._bundle.signature,
            graph=graph.name,
            graph_why=graph.why,
            runtime=self._runtime_name,
            mode=self._kit.mode,
            zones=[zone.name for zone in self._kit.watched],
            cameras={camera.kind: camera.name for camera in self._cameras},
            rig=self._rig.hash or None,
        )

    @property
    def _runtime_name(self) -> str:
        """Who computes: in mode ``stream`` two, the stream and the windows that stand by."""
        name = self._runtime.name
        return f"{self._stream.engine.name}; windows where no stream is believed: {name}" if self._stream else name


def _lines_from_found(found: Mapping[str, Any]) -> Iterator[str]:
    """The report of ``--check`` in words."""
    yield from (f"ok  {kind}: {name}" for kind, name in found["cameras"].items())
    yield "ok  bundle: {name} {id} (signature: {signature})".format_map(found["bundle"])
    yield f"ok  runtime: {found['runtime']}"
    yield f"ok  rig: {found['rig'] or 'none, both cameras are taken to see the same field'}"
    for sink in found["sinks"]:
        away = "" if sink["connected"] else " is not connected yet (a run keeps trying)"
        yield f"{'--' if away else 'ok'}  sink: {sink['name']}{away}"
