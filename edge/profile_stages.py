"""What every stage of a run takes, from the camera to the record, on the real chain.

Stages are functions of this package by name (``SEAMS``), wrapped while the chain is measured and put back after. A
stage's time is its own: what another stage takes inside of it is that one's. One thread does all, frame after frame, so
that nothing waits for anything; ``cpu`` is the time of that thread on a processor.
"""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.app import cameras_from_kit, runtime_from_kit
from edge.bundle import Bundle
from edge.cameras import Camera
from edge.config import Kit
from edge.errors import EvidenceError, UsageError
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.frames import Frame
from edge.pipeline import Options, Pipeline
from edge.profile_types import STAGES, EngineTimes, Stage, StageView
from edge.publish import Publisher
from edge.runtimes import Runtime
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory

__all__ = ["MOST_FRAMES", "SEAMS", "Stopwatch", "view_stages"]

MOST_FRAMES = 900
SEAMS: tuple[tuple[str, str, str], ...] = (
    ("decode", "cv2", "imdecode"),
    ("decode", "edge.cameras.video", "_decoded"),
    ("decode", "edge.cameras.video", "_decoded_if_whole"),
    ("decode", "edge.cameras.video", "_upright"),
    ("face", "edge.faces.track", "FaceTracker.step"),
    ("crop", "edge.follower", "model_cells"),
    ("crop", "edge.clips.thermal_view", "ThermalView.cells"),
    ("post", "edge.person", "Person.accept"),
    ("post", "edge.person", "Person.look"),
)
"""Stage, module and name of what belongs to it. Capture, grid, engine and publish are what is called from here."""
_BY_FRAME = ("capture", "decode")
"""A frame is read in many small calls; pairs come out in bursts, and what follows is timed call by call."""
_CPU_READS = "none: ONNX Runtime on the CPU reads the frames where they lie"


class Stopwatch:
    """Nanoseconds of wall and processor by stage, call by call; of reading by ``frame``, which the reader counts up.

    What is timed inside of something timed is taken off the outer one.
    """

    def __init__(
        self, wall: Callable[[], int] = time.perf_counter_ns, cpu: Callable[[], int] = time.thread_time_ns
    ) -> None:
        self.taken: dict[str, dict[int, tuple[int, int]]] = {}
        self.frame = 0
        self._clocks = wall, cpu
        self._inner: list[list[int]] = []  # of what is being timed: wall and processor time of what ran inside of it

    @contextmanager
    def span(self, stage: str) -> Iterator[None]:
        """Time a block as a part of ``stage``."""
        start = [clock() for clock in self._clocks]
        self._inner.append([0, 0])
        try:
            yield
        finally:
            whole = [clock() - before for clock, before in zip(self._clocks, start, strict=True)]
            inner = self._inner.pop()
            found = self.taken.setdefault(stage, {})
            number = self.frame if stage in _BY_FRAME else len(found)
            wall, cpu = found.get(number, (0, 0))
            found[number] = (wall + whole[0] - inner[0], cpu + whole[1] - inner[1])
            for outer in self._inner[-1:]:
                outer[:] = [outer[0] + whole[0], outer[1] + whole[1]]

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call``, timed; of a generator the time inside of it."""

        @functools.wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.span(stage):
                result = call(*arguments, **named)
            return self._pieces(stage, result) if isinstance(result, Iterator) else result

        return timed

    def _pieces(self, stage: str, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self.span(stage):
                item = next(items, _END)
            if item is _END:
                return
            yield item


_END = object()


class _TimedRuntime:
    """A runtime whose inferences are timed."""

    def __init__(self, runtime: Runtime, watch: Stopwatch) -> None:
        self.name, self.graph, self.close = runtime.name, runtime.graph, runtime.close
        self.infer = watch.around("engine", runtime.infer)


@contextmanager
def _seams_timed(watch: Stopwatch) -> Iterator[None]:
    """Wrap what ``SEAMS`` names; all of it is put back."""
    with ExitStack() as undo:
        for stage, module, path in SEAMS:
            *owners, name = path.split(".")
            owner = functools.reduce(getattr, owners, importlib.import_module(module))
            call = getattr(owner, name)
            setattr(owner, name, watch.around(stage, call))
            undo.callback(setattr, owner, name, call)
        yield


def view_stages(kit: Kit, bundle: Bundle, engine: EngineTimes | None = None) -> StageView:
    """The stages on what ``kit`` says of cameras, mode, runtime, hop; at most ``MOST_FRAMES`` RGB frames.

    ``engine``: times of the same engine, which tell what of its call are copies.

    Raises
    ------
    UsageError
        Mode ``stream``, or a live camera together with another one: a thread that waits for one misses frames of the
        other.
    EvidenceError
        The model never ran: no face, or too few frames.
    InputError, FaultError
        The source breaks, or the runtime fails.
    """
    if kit.mode == "stream":
        raise UsageError(
            "--stages measures whole windows; 'python -m edge.benchmarks.whole_loop' measures streams beside them"
        )
    cameras, watch = cameras_from_kit(kit), Stopwatch()
    if len(cameras) > 1 and any(camera.live for camera in cameras):
        raise UsageError("--stages measures one live camera at a time; add --thermal none, or give recordings")
    with closing(runtime_from_kit(kit, bundle)) as runtime, _opened(cameras):
        options = Options(kit.zone, len(cameras) > 1, kit.hop_s, kit.pair_gate_ms)
        timed = _TimedRuntime(runtime, watch)
        pipeline = Pipeline(bundle, timed, FaceTracker(detector_by_name("haar")), options)
        with _seams_timed(watch):
            shape, stamps_ns = _run(cameras, pipeline, watch)
        windows, name = pipeline.counts.windows, runtime.name
    if not windows:
        raise EvidenceError(
            f"{cameras[0].name}: the model never ran in {len(stamps_ns)} frames; show a face for longer"
        )
    fps = (len(stamps_ns) - 1) / max((stamps_ns[-1] - stamps_ns[0]) * 1e-9, 1e-9)
    stages = [_stage(stage, watch, len(stamps_ns), _notes(cameras[0], name)) for stage in STAGES]
    stages = _without_copies(stages, engine, len(stamps_ns)) if engine else stages
    ms = sum(stage.ms_per_frame for stage in stages if stage.counts)
    return StageView(
        cameras[0].name, name, shape[1], shape[0], round(fps, 3), len(stamps_ns), windows, stages, round(ms, 4),
        round(ms * fps * 1e-3, 5),
    )  # fmt: skip


@contextmanager
def _opened(cameras: list[Camera]) -> Iterator[None]:
    with ExitStack() as opened:
        for camera in cameras:
            camera.open()
            opened.callback(camera.close)
        yield


def _run(cameras: list[Camera], pipeline: Pipeline, watch: Stopwatch) -> tuple[tuple[int, ...], list[int]]:
    """Everything through the chain and into a file; the shape of an RGB picture and the stamps of all."""
    publisher = Publisher(RecordFactory("profile"), lambda: pipeline.counts, dict)
    stamps_ns, shape = [], (0, 0)
    with TemporaryDirectory() as folder:
        sink = sink_from_uri(f"jsonl:{Path(folder) / 'records.jsonl'}", SinkContext("profile"))
        sink.open()
        for frame in _in_order(cameras, watch):
            if frame.kind == "rgb":
                stamps_ns.append(frame.pts_ns)
                shape = frame.image.shape
                watch.frame = len(stamps_ns)
            for output in watch.around("grid", list)(pipeline.push(frame)):
                with watch.span("publish"):
                    for record, pts_ns in publisher.records(output):
                        sink.write(record, pts_ns)
            if len(stamps_ns) >= MOST_FRAMES:
                break
        sink.close()
    return shape, stamps_ns


def _in_order(cameras: list[Camera], watch: Stopwatch) -> Iterator[Frame]:
    """Frames of all cameras by stamp, until the first RGB camera ends."""
    read = {camera.kind: watch.around("capture", camera.read) for camera in cameras}
    waiting = {kind: frame for kind, call in read.items() if (frame := call()) is not None}
    while "rgb" in waiting:
        kind = min(waiting, key=lambda one: waiting[one].pts_ns)
        yield waiting.pop(kind)
        if (frame := read[kind]()) is not None:
            waiting[kind] = frame


def _notes(rgb: Camera, runtime: str) -> dict[str, str]:
    """What has to be said of a stage; what begins with ``not counted`` stays out of the sum."""
    found = {"grid": "pairing, motion of the face, time grid, rings"}
    if rgb.name.startswith("synthetic:"):
        found["capture"] = "not counted: draws and encodes the scene, which no camera does"
        found["decode"] = (
            "" if "codec=mjpeg" in rgb.name else "none, or inside of capture: of a scene only codec=mjpeg shows"
        )
    elif rgb.live:
        found["capture"] = "not counted: waits for the camera"
    copies = "inside of engine" if not runtime.endswith("CPU") else _CPU_READS
    return found | {"host-to-device": copies, "device-to-host": copies}


def _stage(name: str, watch: Stopwatch, frames: int, notes: Mapping[str, str]) -> Stage:
    note, taken = notes.get(name, ""), watch.taken.get(name, {})
    times: npt.NDArray[np.float64] = np.array(list(taken.values()) or [(0, 0)], np.float64) * 1e-6
    p50, p90 = (round(float(np.quantile(times[:, 0], share)), 4) for share in (0.5, 0.9))
    wall, cpu = (round(float(total) / frames, 5) for total in times.sum(axis=0))
    return Stage(name, len(taken), p50, p90, wall, cpu, not note.startswith("not counted"), note)


def _without_copies(stages: list[Stage], engine: EngineTimes, frames: int) -> list[Stage]:
    """Copies by CUDA events, taken off the engine's call, which passes through a socket to the engine's process."""
    (phases, *_) = sorted(engine.phases, key=lambda one: (not one.cuda_graph, one.input != "self-test"))
    by_name = {stage.name: stage for stage in stages}
    whole = by_name["engine"]
    per_frame = whole.calls / frames
    copies = {"host-to-device": phases.h2d, "device-to-host": phases.d2h}
    for name, spread in copies.items():
        note = "by CUDA events, of the same engine in the profile"
        share = round(spread.p50_ms * per_frame, 5)
        by_name[name] = Stage(name, whole.calls, spread.p50_ms, spread.p90_ms, share, 0.0, counts=True, note=note)
    both_ms = sum(spread.p50_ms for spread in copies.values())
    rest = round(max(whole.ms_per_frame - both_ms * per_frame, 0.0), 5)
    by_name["engine"] = Stage(
        "engine", whole.calls, round(whole.p50_ms - both_ms, 4), round(whole.p90_ms - both_ms, 4), rest,
        whole.cpu_ms_per_frame, counts=True, note="its process and the socket to it included, copies taken off",
    )  # fmt: skip
    return [by_name[name] for name in STAGES]
