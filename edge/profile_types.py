"""What a profile holds; all of it is JSON, and a profile of an earlier release is read where nothing was taken away."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.profile_board import Board, Machine
from edge.profile_layers import Layer
from edge.profile_limits import Limit
from edge.profile_subject import GraphCard

__all__ = [
    "FULL_RUNS",
    "FULL_SECONDS",
    "MIN_P99_RUNS",
    "SCENE",
    "STAGES",
    "EngineTimes",
    "Input",
    "Memory",
    "Pace",
    "Phases",
    "Plan",
    "Report",
    "Spread",
    "Stage",
    "StageView",
    "Timing",
]  # fmt: skip

FORMAT = 1
FULL_RUNS, FULL_SECONDS = 2_000, 10.0
MIN_P99_RUNS = 1_000
"""Below this, ten runs or fewer would decide the 99th percentile."""
LAYER_RUNS = 20
Input = Literal["self-test", "random"]
SCENE = "synthetic:?seconds=20&codec=mjpeg"
"""What the stage view plays when nothing is named; without a codec there would be nothing to decode."""
STAGES = (
    "capture", "decode", "face", "crop", "grid", "host-to-device", "engine", "device-to-host", "post", "publish",
)  # fmt: skip


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For each input it ends after ``runs`` runs or ``seconds``, whichever is first; the warm-up is apart."""

    runs: int = FULL_RUNS
    seconds: float = FULL_SECONDS
    warm_up_runs: int = 200
    layer_runs: int = LAYER_RUNS
    threads: int = 1


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wall milliseconds of one inference from one input, and the median of processor time.

    ``p99_ms`` is None below 1,000 runs. ``blocks_ms``: medians of ten parts of the runs, in order.
    """

    input: Input
    runs: int
    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float | None
    max_ms: float
    cpu_p50_ms: float
    blocks_ms: list[float]


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a time means at ``fps`` and one inference every ``hop_s``, of the network alone.

    ``people``: how many can be served one after the other, by the slow runs (p99, else p90).
    """

    fps: float
    hop_s: float
    window_s: float
    overlap: float
    new_frames: float
    ms_per_new_frame: float
    budget_share: float
    people: int


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The peak of this process, before the graph was loaded and after the runs."""

    before_mb: float
    peak_mb: float


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds; ``p99_ms`` is None below 1,000 runs."""

    p50_ms: float
    p90_ms: float
    p99_ms: float | None
    min_ms: float
    mean_ms: float
    max_ms: float

    @classmethod
    def from_ms(cls, times: npt.ArrayLike) -> Spread:
        """Of at least one time in milliseconds."""
        ms = np.asarray(times, np.float64)
        p50, p90, p99 = (round(float(np.quantile(ms, share)), 5) for share in (0.5, 0.9, 0.99))
        least, mean, most = (round(float(value), 5) for value in (ms.min(), ms.mean(), ms.max()))
        return cls(p50, p90, p99 if len(ms) >= MIN_P99_RUNS else None, least, mean, most)


class Phases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input on an engine, with or without a CUDA graph, under trtexec's names.

    ``latency`` is h2d, gpu_compute and d2h together; ``enqueue`` is the processor's and stands apart.
    """

    input: Input
    cuda_graph: bool
    runs: int
    latency: Spread
    h2d: Spread
    gpu_compute: Spread
    d2h: Spread
    enqueue: Spread


class EngineTimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An engine by CUDA events. ``cuda`` is what the driver knows at most, ``origin`` where the engine came from.

    ``device_mb`` is what the device lost while the engine was loaded, to others too; ``no_graph`` and ``no_nvtx`` say
    why there is none, and are empty where there is.
    """

    engine: str
    gpu: str
    sm: str
    cuda: str
    origin: str
    phases: list[Phases]
    plan_mb: float
    context_mb: float
    device_mb: float
    no_graph: str
    no_nvtx: str


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage of the chain: how often it ran, milliseconds of a call (p50, p90), and of a frame on average.

    ``cpu_ms_per_frame`` is the thread's time on a processor.

    ``note`` says why a stage does not exist here, or what its figure holds that a kit has not; ``counts``: it belongs
    to the sum.
    """

    name: str
    calls: int
    p50_ms: float
    p90_ms: float
    ms_per_frame: float
    cpu_ms_per_frame: float
    counts: bool
    note: str


class StageView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole chain on one source, frame after frame in one thread; ``share`` is that of real time at ``fps``."""

    source: str
    runtime: str
    width: int
    height: int
    fps: float
    frames: int
    windows: int
    stages: list[Stage]
    ms_per_frame: float
    share: float


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One profile; the first of ``timings`` is the one that ``pace`` and the limit are about."""

    kind: Literal["profile"] = "profile"
    format: int = FORMAT
    graph: GraphCard
    plan: Plan
    full: bool
    first_ms: float
    warm_up_done: int
    timings: list[Timing]
    pace: Pace
    layers: list[Layer]
    limit: Limit | None
    memory: Memory
    machine: Machine
    before: Board
    after: Board
    warnings: list[str]
    not_measured: list[str]
    trtexec: str
    engine: EngineTimes | None = None
    stages: StageView | None = None
    no_limit: str = ""
