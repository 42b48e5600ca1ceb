"""A profile in words, and beside another one; as a page it is in :mod:`edge.profile_page`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge.profile_layers import Layer
from edge.profile_limits import Limit, seconds_of
from edge.profile_parts import engine_lines, stage_lines
from edge.profile_types import FULL_RUNS, FULL_SECONDS, MIN_P99_RUNS, Report, Timing

__all__ = ["board_facts", "by_operation", "difference", "distance", "layer_rows", "limit_lines", "lines", "noise",
           "subject_lines"]  # fmt: skip

LEAST_NOISE = 0.01
"""Clocks and schedulers make two runs differ by this much even where their blocks agree."""
TOP_LAYERS = 15


def lines(report: Report) -> Iterator[str]:
    """The report for a terminal; the last line says how far it is from the limit."""
    yield from subject_lines(report)
    yield from _board_lines(report)
    yield from (f"warning: {text}" for text in report.warnings)
    yield ""
    yield from _timing_lines(report)
    yield ""
    if report.engine:
        yield from engine_lines(report.engine)
        yield ""
    yield from _layer_lines(report)
    yield ""
    if report.stages:
        yield from stage_lines(report.stages)
        yield ""
    yield from (f"not measured: {text}" for text in report.not_measured)
    if report.trtexec:
        yield f"the same by NVIDIA's benchmark (--check-trtexec runs it): {report.trtexec}"
    yield ""
    yield from limit_lines(report)


def subject_lines(report: Report) -> Iterator[str]:
    """Which graph, at which size and pace, on which machine."""
    card, pace, cpu = report.graph, report.pace, report.machine
    of = f" of bundle {card.bundle}" if card.bundle else ""
    yield f"{card.file}{of} ({card.mode}, {card.precision}, {card.runtime}), sha256 {card.sha256[:12]}"
    what = "chunk" if card.mode == "stream" else "window"
    yield (
        f"size {card.size} x {card.size}, {card.channels} channels, {what} {card.frames} frames = "
        f"{pace.window_s:g} s at {card.fps:g} fps, hop {pace.hop_s:g} s, overlap {pace.overlap:.0%}, batch {card.batch}"
    )
    threads = f"{report.plan.threads} thread{'s' * (report.plan.threads > 1)}"
    yield (
        f"measured on {where(report)}: {cpu.cpu}, {cpu.architecture}, {cpu.cores} cores, load {cpu.load:g}, "
        f"{_runtime_of(report, threads)}, Python {cpu.python}"
    )


def _runtime_of(report: Report, threads: str) -> str:
    engine = report.engine
    if engine is None:
        return f"{threads}, ONNX Runtime {report.machine.onnxruntime}"
    return f"GPU {engine.gpu} (SM {engine.sm}), {engine.engine}, driver for CUDA {engine.cuda}"


def where(report: Report) -> str:
    """What the figures may be called: a Jetson's only where the board says so."""
    return report.before.model or "a machine whose board has no name (not a Jetson)"


def _board_lines(report: Report) -> Iterator[str]:
    yield "board: " + (", ".join(board_facts(report)) or "tells no power mode, clocks, temperatures or power")
    memory = report.memory
    yield f"memory: peak {memory.peak_mb:.0f} MB of the process, {memory.before_mb:.0f} MB before the graph was loaded"


def board_facts(report: Report) -> list[str]:
    """What the board told: release, power mode, clocks, the hottest zone from before to after, power."""
    before, after = report.before, report.after
    told = [f"L4T {before.l4t}"] * bool(before.l4t) + [f"power mode {before.power_mode}"] * bool(before.power_mode)
    for clock in after.clocks:
        span = "locked" if clock.locked else f"{clock.least_mhz:g} to {clock.most_mhz:g}"
        told.append(f"{clock.name} {clock.now_mhz:g} MHz ({span})")
    if after.temperatures_degc:
        hot = max(after.temperatures_degc, key=lambda zone: after.temperatures_degc[zone])
        start = before.temperatures_degc.get(hot)
        told.append(f"{hot} {'' if start is None else f'{start:g} to '}{after.temperatures_degc[hot]:g} degC")
    return told + [f"{rail} {watts:g} W" for rail, watts in after.power_w.items()]


def _timing_lines(report: Report) -> Iterator[str]:
    plan, pace = report.plan, report.pace
    yield f"first call {report.first_ms:.2f} ms; warm-up apart, {report.warm_up_done} rounds"
    for one in report.timings:
        p99 = f"not given below {MIN_P99_RUNS} runs" if one.p99_ms is None else f"{one.p99_ms:.3f}"
        yield (
            f"{one.input:9} {one.runs} runs, ms: p50 {one.p50_ms:.3f}  p90 {one.p90_ms:.3f}  p99 {p99}  "
            f"min {one.min_ms:.3f}  mean {one.mean_ms:.3f}  max {one.max_ms:.3f}  processor p50 {one.cpu_p50_ms:.3f}"
        )
    if not report.full:
        yield (
            f"SHORT: stopped after {plan.runs} runs or {plan.seconds:g} s, wanted {FULL_RUNS} runs or "
            f"{FULL_SECONDS:g} s; do not publish these figures"
        )
    yield (
        f"{pace.ms_per_new_frame:.4f} ms per new frame, {pace.budget_share:.2%} of the real-time budget, "
        f"{pace.people} people per board at that budget (the network alone, one call after the other)"
    )


def by_operation(layers: list[Layer]) -> list[tuple[str, int, float]]:
    """Operation, how many layers, microseconds; the longest first."""
    spent: dict[str, tuple[int, float]] = {}
    for layer in layers:
        count, us = spent.get(layer.op, (0, 0.0))
        spent[layer.op] = count + 1, us + layer.us
    return sorted(((op, count, us) for op, (count, us) in spent.items()), key=lambda row: -row[2])


def _layer_lines(report: Report) -> Iterator[str]:
    total = sum(layer.us for layer in report.layers)
    yield f"layers, median of {report.plan.layer_runs} profiled runs: {len(report.layers)} in {total / 1e3:.3f} ms"
    if (longer := total / 1e3 / _compute_ms(report)) > 1.1:
        yield f"  that is {longer:.1f} times p50, for a profile costs time at every layer: trust the order, not the sum"
    if report.engine:
        yield "  TensorRT does not tell what its layers compute; the limit below counts the graph's arithmetic"
    else:
        yield "  " + ", ".join(f"{op} x{n} {us / 1e3:.2f} ms" for op, n, us in by_operation(report.layers)[:8])
    yield f"  {'layer':40} {'op':18} {'us':>8} {'share':>6} {'MFLOP':>8} {'MB':>7} {'GFLOP/s':>8} {'bound us':>8}"
    for name, op, *numbers in layer_rows(report)[:TOP_LAYERS]:
        us, share, mflop, moved, speed, bound = numbers
        yield f"  {name[:40]:40} {op[:18]:18} {us:>8} {share:>6} {mflop:>8} {moved:>7} {speed:>8} {bound:>8}"


def layer_rows(report: Report) -> list[tuple[str, ...]]:
    """Cells of the layers' table, the longest first."""
    return [_layer_row(layer, report.limit) for layer in sorted(report.layers, key=lambda one: -one.us)]


def _layer_row(layer: Layer, limit: Limit | None) -> tuple[str, ...]:
    flops, measured = layer.flops, (layer.name, layer.op, f"{layer.us:.1f}", f"{layer.share:.1%}")
    if layer.op == "engine":  # fused from several layers: what it computes is TensorRT's own
        return (*measured, "-", "-", "-", "-")
    mflop = "?" if flops is None else f"{flops / 1e6:.3f}"
    speed = f"{flops / layer.us / 1e3:.1f}" if flops and layer.us else "-"
    bound = "-"
    if limit:
        bound = f"{seconds_of(flops or 0, layer.bytes, limit.tflop_s * 1e12, limit.gb_s) * 1e6:.1f}"
    return (*measured, mflop, f"{layer.bytes / 1e6:.3f}", speed, bound)


def limit_lines(report: Report) -> Iterator[str]:
    """The roofline, and the distance from it where times and limit are of one device."""
    limit = report.limit
    if limit is None:
        yield f"no limit to compare with: {report.no_limit}"
        return
    p50_ms = _compute_ms(report)
    unknown = f"; not counted: {', '.join(limit.flops_unknown)}" if limit.flops_unknown else ""
    yield f"arithmetic {limit.flops / 1e9:.4f} GFLOP, layers move {limit.moved_bytes / 1e6:.1f} MB{unknown}"
    loose = f"; not looked up: {', '.join(limit.unchecked)}" if limit.unchecked else ""
    yield f"limit of {limit.device}: {limit.tflop_s:g} TFLOP/s ({limit.precision}), {limit.gb_s:g} GB/s{loose}"
    written = f"{limit.written_ms:.4f} ms were every layer's traffic to go through memory"
    floor = f"at least {limit.floor_ms:.4f} ms by {limit.floor_by}; {written}"
    if not limit.measured_here:
        yield f"computed, not measured: {floor}"
        ours = f"of {report.engine.gpu}" if report.engine else "ONNX Runtime's on this processor"
        yield f"no ratio: the times are {ours}, the limit is that of a {limit.device}"
        return
    yield floor
    peak = limit.tflop_s * 1e6
    if beyond := sum((layer.flops or 0) > peak * layer.us for layer in report.layers):
        yield f"layers that ran faster than the probe's peak: {beyond}; it met a busy machine, the true limit is lower"
    yield f"{p50_ms / limit.floor_ms:.1f} times from the limit"


def distance(report: Report) -> float | None:
    """How many times longer than the limit it takes; None where times and limit are of two devices."""
    limit = report.limit
    return _compute_ms(report) / limit.floor_ms if limit and limit.measured_here else None


def _compute_ms(report: Report) -> float:
    """What is compared with the limit: the fastest GPU Compute of the first input, or the whole call on a CPU."""
    if report.engine is None:
        return report.timings[0].p50_ms
    first = report.timings[0].input
    return min(one.gpu_compute.p50_ms for one in report.engine.phases if one.input == first)


def noise(timing: Timing) -> float:
    """How far the median of a tenth of the runs strays from the whole's, as a share; at least 1 %."""
    return max(LEAST_NOISE, *(abs(block / timing.p50_ms - 1.0) for block in timing.blocks_ms))


def difference(report: Report, other: Report) -> Iterator[str]:
    """``report`` against ``other``, for every input that both have, with the band within which it means nothing."""
    for what, own, its in (
        ("graph", report.graph.sha256, other.graph.sha256),
        ("runtime", report.graph.runtime, other.graph.runtime),
        ("processor", report.machine.cpu, other.machine.cpu),
        ("GPU", report.engine.gpu if report.engine else "", other.engine.gpu if other.engine else ""),
        ("board", report.before.model, other.before.model),
        ("power mode", report.before.power_mode, other.before.power_mode),
        ("ONNX Runtime", report.machine.onnxruntime, other.machine.onnxruntime),
        ("number of threads", str(report.plan.threads), str(other.plan.threads)),
    ):
        if own != its:
            yield f"not the same {what}: {own[:40] or 'unknown'} against {its[:40] or 'unknown'}"
    theirs = {one.input: one for one in other.timings}
    yield from (_changed(mine, theirs[mine.input]) for mine in report.timings if mine.input in theirs)


def _changed(mine: Timing, reference: Timing) -> str:
    change, band = mine.p50_ms / reference.p50_ms - 1.0, math.hypot(noise(mine), noise(reference))
    verdict = "within the noise" if abs(change) <= band else "slower" if change > 0 else "faster"
    compared = f"p50 {mine.p50_ms:.3f} against {reference.p50_ms:.3f} ms, {change:+.1%}"
    return f"{mine.input}: {compared}, noise band {band:.1%}: {verdict}"
