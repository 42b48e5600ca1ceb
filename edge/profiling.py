"""A profile that one can trust: what one inference takes here, layer by layer, and how far that is from the limit.

Everything is on one clock and finished when it is stopped: ONNX Runtime's call returns the outputs. Inputs take turns
within one run, so that a busy machine meets all of them alike. An engine on a GPU is timed by
:mod:`edge.profile_engine`, what is around the network by :mod:`edge.profile_stages`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.profile_board import board, machine, peak_rss_mb, warnings_of
from edge.profile_layers import layers_of, open_session
from edge.profile_limits import THIS_CPU, device_from_probe, find_device, limit_of
from edge.profile_probe import probe
from edge.profile_subject import GraphCard, Runner, Subject
from edge.profile_types import FULL_RUNS, FULL_SECONDS, MIN_P99_RUNS, Memory, Pace, Plan, Report, Timing

__all__ = ["NO_ENGINE", "Clocks", "is_full", "measure", "pace_of", "profile"]

NO_ENGINE = "an engine of TensorRT: GPU Compute, Enqueue, H2D, D2H, CUDA graph, NVTX: --runtime tensorrt, on a GPU"

BLOCKS = 10


@dataclass(frozen=True, slots=True)
class Clocks:
    """Nanoseconds of the wall and of this process."""

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.process_time_ns


def profile(subject: Subject, plan: Plan, hop_s: float, limit: str = THIS_CPU, root: Path = Path("/")) -> Report:
    """Everything about ``subject``; ``limit`` names a device of :func:`edge.profile_limits.devices`.

    Raises
    ------
    FaultError
        The graph does not load or does not run.
    UsageError
        There is no such device.
    """
    device = None if limit == THIS_CPU else find_device(limit)
    cpu, before, before_mb = machine(), board(root), peak_rss_mb()
    device = device or device_from_probe(probe(), plan.threads)
    session = open_session(subject.data, subject.card.file, plan.threads)
    runners = {name: Runner(session, subject.card.file, feeds) for name, feeds in subject.feeds.items()}
    first_ms, done, timings = measure({name: runner.step for name, runner in runners.items()}, plan)
    after, peak_mb = board(root), peak_rss_mb()
    feeds = next(iter(subject.feeds.values()))
    layers = layers_of(
        subject.data,
        subject.card.file,
        plan.threads,
        lambda s: Runner(s, subject.card.file, feeds).step(),
        plan.layer_runs,
    )
    return Report(
        graph=subject.card,
        plan=plan,
        full=all(is_full(one, plan) for one in timings),
        first_ms=round(first_ms, 4),
        warm_up_done=done,
        timings=timings,
        pace=pace_of(timings[0], subject.card, hop_s),
        layers=layers,
        limit=limit_of(layers, subject.card.precision, device, subject.least_bytes(runners), here=limit == THIS_CPU),
        memory=Memory(round(before_mb, 1), round(peak_mb, 1)),
        machine=cpu,
        before=before,
        after=after,
        warnings=warnings_of(before, cpu),
        not_measured=[NO_ENGINE, *subject.not_measured],
        trtexec=subject.trtexec(plan.runs, plan.seconds),
    )


def measure(
    calls: Mapping[str, Callable[[], object]], plan: Plan, clocks: Clocks | None = None
) -> tuple[float, int, list[Timing]]:
    """Milliseconds of the very first call, warm-up rounds, and a timing for each of ``calls``, which take turns."""
    tick = clocks or Clocks()
    start = tick.wall()
    next(iter(calls.values()))()
    first_ms = (tick.wall() - start) * 1e-6
    warm, start = 0, tick.wall()
    while warm < plan.warm_up_runs and tick.wall() - start < 0.2e9 * plan.seconds * len(calls):
        for call in calls.values():
            call()
        warm += 1
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in calls}
    start, rounds = tick.wall(), 0
    while rounds < 1 or (rounds < plan.runs and tick.wall() - start < 1e9 * plan.seconds * len(calls)):
        for name, call in calls.items():
            cpu, wall = tick.cpu(), tick.wall()
            call()
            found[name].append((tick.wall() - wall, tick.cpu() - cpu))
        rounds += 1
    return first_ms, warm, [_timing(name, taken) for name, taken in found.items()]


def is_full(timing: Timing, plan: Plan) -> bool:
    """Whether it was long enough to be published: enough runs, or ended by enough time."""
    return timing.runs >= FULL_RUNS or (timing.runs < plan.runs and plan.seconds >= FULL_SECONDS)


def _timing(name: str, taken: Sequence[tuple[int, int]]) -> Timing:
    wall, cpu = np.array(taken, np.float64).T * 1e-6
    p50, p90, p99 = (round(float(np.quantile(wall, share)), 4) for share in (0.5, 0.9, 0.99))
    blocks = np.array_split(wall, min(BLOCKS, len(wall)))
    return Timing(
        "self-test" if name == "self-test" else "random",
        len(wall),
        round(float(wall.min()), 4),
        round(float(wall.mean()), 4),
        p50,
        p90,
        p99 if len(wall) >= MIN_P99_RUNS else None,
        round(float(wall.max()), 4),
        round(float(np.median(cpu)), 4),
        [round(float(np.median(block)), 4) for block in blocks],
    )


def pace_of(timing: Timing, card: GraphCard, hop_s: float) -> Pace:
    """What ``timing`` means in use. A stream takes every frame once: its hop is its chunk."""
    hop_s = card.frames / card.fps if card.mode == "stream" else hop_s
    window_s = (card.frames if card.mode == "stream" else card.frames - 1) / card.fps
    new_frames = min(hop_s, window_s) * card.fps
    slow_ms = timing.p90_ms if timing.p99_ms is None else timing.p99_ms
    return Pace(
        card.fps,
        hop_s,
        round(window_s, 4),
        round(max(0.0, 1.0 - hop_s / window_s), 4),
        round(new_frames, 3),
        round(timing.p50_ms / new_frames, 5),
        round(timing.p50_ms / (hop_s * 1e3), 6),
        int(hop_s * 1e3 / max(slow_ms, 1e-6)),
    )
