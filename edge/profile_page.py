"""A profile as a page, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge.html_page import Html, bullets, figure, join, page, paragraph, section, table, tag, tiles
from edge.profile_parts import PHASES, phase_row, phases_name, stage_row
from edge.profile_report import board_facts, by_operation, distance, layer_rows, limit_lines, subject_lines
from edge.profile_types import FULL_RUNS, FULL_SECONDS, MIN_P99_RUNS, Report
from edge.svg_plot import Plot, key, number_axis

__all__ = ["html"]


def html(report: Report) -> str:
    """One page."""
    title = f"Profile of {report.graph.file}"
    return page(
        title,
        tag("h1", title),
        paragraph("Times on the machine named below, and on no other.", soft=True),
        tiles(_tiles(report)),
        *_warnings(report),
        section("What was measured", bullets([*subject_lines(report), *_facts(report)])),
        section("One inference", *_timings(report), _plot(report)),
        *_engine(report),
        *_stages(report),
        section("Layers", *_layers(report)),
        section("The limit", bullets(limit_lines(report))),
        section("Not measured", bullets(report.not_measured)),
    )


def _tiles(report: Report) -> Iterator[tuple[str, str, str]]:
    first, pace = report.timings[0], report.pace
    what = "chunk" if report.graph.mode == "stream" else "window"
    yield f"one {what}", _ms(first.p50_ms), f"median, input {first.input}"
    if first.p99_ms is None:
        yield "slow runs", _ms(first.p90_ms), "90th percentile"
    else:
        yield "slow runs", _ms(first.p99_ms), "99th percentile"
    yield "of real time", f"{pace.budget_share:.2%}", f"one inference every {pace.hop_s:g} s"
    yield "people", str(pace.people), "by the slow runs, the network alone"
    times = distance(report)
    yield "from the limit", "-" if times is None else f"{times:.1f}x", report.limit.device if report.limit else "none"
    if report.stages:
        yield "whole chain", _ms(report.stages.ms_per_frame), "a frame, one thread"


def _ms(ms: float) -> str:
    return f"{ms:.2f} ms" if ms >= 1.0 else f"{1e3 * ms:.3g} us"


def _warnings(report: Report) -> Iterator[Html]:
    short = [f"SHORT: wanted {FULL_RUNS} runs or {FULL_SECONDS:g} s; do not publish these figures"] * (not report.full)
    if short or report.warnings:
        yield section("Before you quote a figure", bullets([*short, *report.warnings]))


def _facts(report: Report) -> Iterator[object]:
    yield "board: " + (", ".join(board_facts(report)) or "tells no power mode, clocks, temperatures or power")
    memory = report.memory
    yield f"memory: peak {memory.peak_mb:.0f} MB of the process, {memory.before_mb:.0f} MB before the graph was loaded"
    if engine := report.engine:
        yield (
            f"engine {engine.origin}: plan {engine.plan_mb:.1f} MB, a context {engine.context_mb:.1f} MB, "
            f"the device lost {engine.device_mb:.1f} MB"
        )
    if report.trtexec:
        yield join(["the same by NVIDIA's benchmark: ", tag("code", report.trtexec)])


def _timings(report: Report) -> Iterator[Html]:
    head = ("input", "runs", "p50", "p90", "p99", "min", "mean", "max", "processor p50")
    rows = []
    for one in report.timings:
        p99 = f"needs {MIN_P99_RUNS} runs" if one.p99_ms is None else f"{one.p99_ms:.3f}"
        times = (one.p50_ms, one.p90_ms, one.min_ms, one.mean_ms, one.max_ms, one.cpu_p50_ms)
        p50, p90, *rest = (f"{ms:.3f}" for ms in times)
        rows.append((one.input, str(one.runs), p50, p90, p99, *rest))
    first = f"the first call took {report.first_ms:.2f} ms"
    yield table(f"Milliseconds from frames to waves; {report.warm_up_done} rounds to warm up, {first}.", head, rows)


def _engine(report: Report) -> Iterator[Html]:
    if report.engine is None:
        return
    head = ("ms, p50 (p90)", "runs", *(name for name, _ in PHASES))
    rows = [(phases_name(one), str(one.runs), *phase_row(one)) for one in report.engine.phases]
    said = "Between CUDA events. Latency is H2D, GPU Compute and D2H; Enqueue is the processor's and passes meanwhile."
    yield section("On the GPU", table(said, head, rows))


def _stages(report: Report) -> Iterator[Html]:
    view = report.stages
    if view is None:
        return
    head = ("stage", "calls", "p50 ms", "p90 ms", "ms a frame", "processor ms", "share", "note")
    rows = [(stage.name, *stage_row(stage, view.ms_per_frame)) for stage in view.stages]
    source = f"{view.source}, {view.width} x {view.height} at {view.fps:g} fps, {view.frames} frames, {view.runtime}"
    total = f"{view.ms_per_frame:.3f} ms a frame are {view.share:.1%} of real time."
    yield section("Stages of a run", table(f"{source}, one thread. {total}", head, rows, text_columns=(0, 7)))


def _layers(report: Report) -> Iterator[Html]:
    runs = f"median of {report.plan.layer_runs} profiled runs"
    if report.engine:
        rows = [row[:1] + row[2:4] for row in layer_rows(report)]
        yield table(f"As TensorRT fused them, {runs}.", ("layer", "us", "share"), rows)
        return
    total = sum(layer.us for layer in report.layers) or 1.0
    kinds = [(op, str(n), f"{us / 1e3:.3f}", f"{us / total:.1%}") for op, n, us in by_operation(report.layers)]
    yield table("By operation.", ("operation", "layers", "ms", "share"), kinds)
    head = ("layer", "operation", "us", "share", "MFLOP", "MB", "GFLOP/s", "bound us")
    of = f"; bounds of {report.limit.device}" if report.limit else ""
    yield table(f"Every layer, {runs}{of}.", head, layer_rows(report), text_columns=(0, 1))


def _plot(report: Report) -> Html:
    most = max(max(one.blocks_ms) for one in report.timings)
    unit, scale = ("ms", 1.0) if most >= 1.0 else ("us", 1e3)
    plot = Plot(
        number_axis(0.0, 1.0, "part of the runs"),
        number_axis(0.0, scale * most, f"{unit}, median of a tenth"),
        "Median time in each tenth of the runs",
    )
    styles = ("c1", "c2")
    for one, style in zip(report.timings, styles, strict=False):
        middle = (np.arange(len(one.blocks_ms)) + 0.5) / len(one.blocks_ms)
        plot.line(middle, scale * np.array(one.blocks_ms), style)
    legend = [key(style, "line", one.input) for one, style in zip(report.timings, styles, strict=False)]
    return figure(
        plot.svg(), "A slope is a clock that sinks or a cache that fills; a jump is another program.", legend=legend
    )
