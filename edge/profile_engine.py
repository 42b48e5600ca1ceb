"""What an engine takes on a GPU, under the names of NVIDIA's ``trtexec``, each between two CUDA events.

Copies, kernels and copies back are put on one stream, with an event between, and nothing is read before the stream was
waited for. ``enqueue`` is the processor's time to put the kernels there; it stands apart, for it passes while the
device works. ``gpu_compute`` holds the gaps in which a device waits for a slower processor; a CUDA graph is against
these, and both ways are timed. The engine runs in this process: a CUDA error costs the profile, and no run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Graph, GraphEntry
from edge.cuda_driver import Driver
from edge.engine_build import Progress, version_of
from edge.errors import FaultError, UsageError
from edge.profile_board import Board, Machine, board, machine, peak_rss_mb, warnings_of
from edge.profile_layers import Layer, layers_of, open_session
from edge.profile_limits import device_of_gpu, limit_of
from edge.profile_nvtx import Range, ranges
from edge.profile_subject import Runner, Subject
from edge.profile_types import EngineTimes, Memory, Phases, Plan, Report, Spread
from edge.profiling import is_full, measure, pace_of
from edge.runtimes.engine_session import EngineSession, Opened, open_engine
from edge.runtimes.onnxrt import check_golden

__all__ = ["PhaseTimer", "engine_layers", "measure_phases", "open_subject", "profile_engine"]

Floats = npt.NDArray[np.float32]
_NO_GPU_CLOCK = "the GPU's clock cannot be read here: whether it is locked is not known (nvidia-smi -q -d CLOCK)"
_PHASES = ("h2d", "gpu_compute", "d2h", "latency", "enqueue")


def open_subject(subject: Subject, progress: Progress) -> Opened:
    """The engine of ``subject``, from the cache or built now, after its self-test, where there is one.

    Raises
    ------
    UsageError
        It is no window graph with one input ``frames``, or something is not installed.
    BundleError
        TensorRT cannot read it.
    FaultError
        There is no GPU, or the engine is not sound: its times would be worth nothing.
    """
    card = subject.card
    if card.mode == "stream":
        raise UsageError("mode 'stream' does not run on TensorRT in this version; profile it with --runtime onnxrt")
    if subject.input_name != "frames":
        raise UsageError(
            f"{card.file}: its input is {subject.input_name!r}, wanted 'frames'; pack it with mmrphys export"
        )
    entry = GraphEntry(card.file, card.mode, "tensorrt", card.precision, subject.tolerance)  # type: ignore[arg-type]
    shape = (card.batch, card.channels, card.frames, card.size, card.size)
    opened = open_engine(Graph(entry, subject.data, ""), shape, progress)
    if subject.expected:
        waves = opened.session.infer(next(iter(subject.feeds.values()))[0]["frames"])
        check_golden(f"{opened.session.name} {card.file}", subject.tolerance, waves, subject.expected)
    return opened


class PhaseTimer:
    """Times the parts of one inference. ``no_graph`` says why there is no CUDA graph; empty where there is."""

    def __init__(
        self, session: EngineSession, driver: Driver, mark: Range, wall: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._session, self._cuda, self._mark, self._wall = session, session.cuda, mark, wall
        self._events = [self._cuda.event() for _ in range(4)]
        self.launches: dict[bool, Callable[[], None]] = {False: session.execute}
        self.no_graph = ""
        try:
            self.launches[True] = driver.capture(self._cuda.stream, session.execute)
        except FaultError as error:
            self.no_graph = str(error)

    def step(self, frames: Floats, *, graph: bool) -> tuple[float, ...]:
        """Milliseconds of ``h2d``, ``gpu_compute``, ``d2h``, ``latency`` and ``enqueue`` of one inference."""
        session, cuda, events = self._session, self._cuda, self._events
        session.fill(frames)
        cuda.record(events[0])
        with self._mark("h2d"):
            session.put_in()
        cuda.record(events[1])
        with self._mark("enqueue"):
            start = self._wall()
            self.launches[graph]()
            enqueue_ms = (self._wall() - start) * 1e-6
        cuda.record(events[2])
        with self._mark("d2h"):
            session.take_out()
        cuda.record(events[3])
        cuda.synchronize()
        parts = [cuda.elapsed_ms(first, second) for first, second in pairwise(events)]
        return (*parts, cuda.elapsed_ms(events[0], events[3]), enqueue_ms)


def measure_phases(
    timer: PhaseTimer,
    inputs: Mapping[str, Sequence[Floats]],
    plan: Plan,
    wall: Callable[[], int] = time.perf_counter_ns,
) -> list[Phases]:
    """Every input without and with a CUDA graph, which take turns; a tenth of the rounds before them does not count."""
    clips = {name: cycle(pieces) for name, pieces in inputs.items()}
    taken: dict[tuple[str, bool], list[tuple[float, ...]]] = {
        (name, graph): [] for name in clips for graph in timer.launches
    }
    for _ in range(max(1, plan.warm_up_runs // 10)):
        for name, graph in taken:
            timer.step(next(clips[name]), graph=graph)
    start, rounds = wall(), 0
    while rounds < 1 or (rounds < plan.runs and wall() - start < 1e9 * plan.seconds * len(taken)):
        for (name, graph), times in taken.items():
            times.append(timer.step(next(clips[name]), graph=graph))
        rounds += 1
    return [_phases(name, graph, times) for (name, graph), times in taken.items()]


def _phases(name: str, graph: bool, times: Sequence[tuple[float, ...]]) -> Phases:
    columns = np.array(times, np.float64).T
    spreads = {phase: Spread.from_ms(column) for phase, column in zip(_PHASES, columns, strict=True)}
    return Phases("self-test" if name == "self-test" else "random", graph, len(times), **spreads)


def engine_layers(runs: Sequence[Sequence[tuple[str, float]]]) -> list[Layer]:
    """Layers in the order they ran, the median of ``runs``. An engine does not tell their arithmetic or traffic."""
    spent: dict[str, list[float]] = {}
    for run in runs:
        of_run: dict[str, float] = {}
        for name, ms in run:
            of_run[name] = of_run.get(name, 0.0) + ms
        for name, ms in of_run.items():
            spent.setdefault(name, []).append(ms)
    us = {name: 1e3 * median(times) for name, times in spent.items()}
    total = sum(us.values()) or 1.0
    return [Layer(name, "engine", round(one, 3), round(one / total, 5), None, 0) for name, one in us.items()]


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """Arithmetic and traffic of the graph that the engine was built from, as ONNX Runtime runs it on the CPU."""

    layers: list[Layer]
    least_bytes: int


def _counted(subject: Subject) -> _Counted:
    feeds, file = next(iter(subject.feeds.values())), subject.card.file
    runner = Runner(open_session(subject.data, file, 1), file, feeds)
    layers = layers_of(subject.data, file, 1, lambda session: Runner(session, file, feeds).step(), 1)
    return _Counted(layers, subject.least_bytes({"counted": runner}))


def profile_engine(
    subject: Subject, opened: Opened, plan: Plan, hop_s: float, limit: str | None, root: Path = Path("/")
) -> Report:
    """Everything about the engine of ``subject``; ``limit`` names a device, None looks for the one that this is.

    Raises
    ------
    FaultError
        The device or TensorRT fails.
    UsageError
        There is no such device in the table.
    """
    cpu, before, before_mb = machine(), board(root), peak_rss_mb()
    gpu = opened.driver.gpu()
    device, here, no_limit = device_of_gpu(limit, f"{before.model} {gpu.name}".strip())
    mark, no_nvtx = ranges()
    inputs = {name: [feed["frames"] for feed in feeds] for name, feeds in subject.feeds.items()}
    with mark("whole calls"):
        first_ms, done, timings = measure(_whole_calls(opened.session, inputs), plan)
    timer = PhaseTimer(opened.session, opened.driver, mark)
    with mark("phases"):
        phases = measure_phases(timer, inputs, plan)
    after, peak_mb = board(root), peak_rss_mb()
    with mark("layers"):
        layers = engine_layers(opened.session.layer_ms(opened.trt, plan.layer_runs))
    lost = opened.free_before - opened.cuda.free_bytes()
    counted = _counted(subject)
    times = EngineTimes(
        version_of(opened.trt), gpu.name, gpu.sm, opened.driver.version(),
        opened.engine.why.rpartition(", ")[0], phases, _mb(len(opened.engine.plan)),
        _mb(opened.session.context_bytes()), _mb(lost), timer.no_graph, no_nvtx,
    )  # fmt: skip
    return Report(
        graph=subject.card, plan=plan, full=all(is_full(one, plan) for one in timings), first_ms=round(first_ms, 4),
        warm_up_done=done, timings=timings, pace=pace_of(timings[0], subject.card, hop_s), layers=layers,
        limit=limit_of(counted.layers, subject.card.precision, device, counted.least_bytes, here) if device else None,
        memory=Memory(round(before_mb, 1), round(peak_mb, 1)), machine=cpu, before=before, after=after,
        warnings=_warnings(before, cpu), not_measured=_not_measured(subject, times),
        trtexec=subject.trtexec(plan.runs, plan.seconds), engine=times, no_limit=no_limit,
    )  # fmt: skip


def _mb(size: int) -> float:
    return round(size * 1e-6, 3)


def _whole_calls(session: EngineSession, inputs: Mapping[str, Sequence[Floats]]) -> dict[str, Callable[[], Any]]:
    """An inference as a run has it, from frames to waves, for each input."""
    clips = {name: cycle(pieces) for name, pieces in inputs.items()}
    return {name: lambda pieces=pieces: session.infer(next(pieces)) for name, pieces in clips.items()}  # type: ignore[misc]


def _warnings(before: Board, cpu: Machine) -> list[str]:
    unread = [] if any(clock.name.startswith("gpu") for clock in before.clocks) else [_NO_GPU_CLOCK]
    return [*unread, *warnings_of(before, cpu)]


def _not_measured(subject: Subject, times: EngineTimes) -> list[str]:
    missing = [f"with a CUDA graph: {times.no_graph}"] * bool(times.no_graph)
    return [*missing, *[f"NVTX ranges: {times.no_nvtx}"] * bool(times.no_nvtx), *subject.not_measured]
