"""What an engine and the stages of a run took, in words."""

from __future__ import annotations

from collections.abc import Iterator

from edge.profile_types import EngineTimes, Phases, Stage, StageView

__all__ = ["PHASES", "engine_lines", "phase_row", "phases_name", "stage_lines", "stage_row"]


def engine_lines(engine: EngineTimes) -> Iterator[str]:
    """An engine's phases, without and with a CUDA graph."""
    memory = f"plan {engine.plan_mb:.1f} MB, a context {engine.context_mb:.1f} MB beside its weights"
    yield f"engine {engine.origin}; {memory}; the device lost {engine.device_mb:.1f} MB while it was loaded"
    yield f"  {'ms, p50 (p90)':22} {'runs':>7}" + "".join(f" {name:>17}" for name, _ in PHASES)
    for phases in engine.phases:
        cells = "".join(f" {cell:>17}" for cell in phase_row(phases))
        yield f"  {phases_name(phases):22} {phases.runs:>7}{cells}"
    yield "  Latency is H2D, GPU Compute and D2H together; Enqueue is the processor's, and passes while the GPU works"
    by_way = {(one.input, one.cuda_graph): one.gpu_compute.p50_ms for one in engine.phases}
    for (name, graph), with_ms in by_way.items():
        if graph and (name, False) in by_way:
            yield f"  {name}: a CUDA graph makes GPU Compute {by_way[name, False] / with_ms:.2f} times as fast"


PHASES = (
    ("Latency", "latency"), ("H2D", "h2d"), ("GPU Compute", "gpu_compute"), ("D2H", "d2h"), ("Enqueue", "enqueue"),
)  # fmt: skip
"""trtexec's names, and ours."""


def phases_name(phases: Phases) -> str:
    """Which input, and by which way it was launched."""
    return f"{phases.input}, {'CUDA graph' if phases.cuda_graph else 'no graph'}"


def phase_row(phases: Phases) -> list[str]:
    """Median and 90th percentile of each of ``PHASES``."""
    spreads = [getattr(phases, field) for _, field in PHASES]
    return [f"{spread.p50_ms:.4f} ({spread.p90_ms:.4f})" for spread in spreads]


def stage_lines(view: StageView) -> Iterator[str]:
    """Every stage by name, those that do not exist here with the reason."""
    yield (
        f"stages of a run on {view.source}, {view.width} x {view.height} at {view.fps:g} fps, {view.frames} frames, "
        f"{view.runtime}, one thread"
    )
    yield f"  {'stage':16} {'calls':>6} {'p50 ms':>9} {'p90 ms':>9} {'ms/frame':>9} {'cpu ms':>9} {'share':>7}"
    for stage in view.stages:
        *cells, note = stage_row(stage, view.ms_per_frame)
        times = "".join(f" {cell:>9}" for cell in cells[1:5])
        yield f"  {stage.name:16} {cells[0]:>6}{times} {cells[5]:>7}  {note}".rstrip()
    rate, cpu_ms = 1e3 / max(view.ms_per_frame, 1e-9), sum(one.cpu_ms_per_frame for one in view.stages if one.counts)
    share = f"{view.share:.1%} of real time, {rate:.0f} frames a second"
    yield f"  {view.ms_per_frame:.3f} ms a frame, of it {cpu_ms:.3f} on a processor: {share}"


def stage_row(stage: Stage, sum_ms: float) -> tuple[str, ...]:
    """Cells of the stages' table after the name: calls, p50, p90, of a frame, processor, share of the sum, a note."""
    if not stage.calls:
        return "-", "-", "-", "-", "-", "-", stage.note or "did not run"
    share = f"{stage.ms_per_frame / max(sum_ms, 1e-9):.1%}" if stage.counts else "-"
    times = (stage.p50_ms, stage.p90_ms, stage.ms_per_frame, stage.cpu_ms_per_frame)
    return str(stage.calls), *(f"{ms:.3f}" for ms in times), share, stage.note
