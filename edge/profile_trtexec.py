"""NVIDIA's own benchmark beside ours: find ``trtexec``, run the line of a report, read its medians."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.errors import FaultError
from edge.profile_types import Phases, Report, Spread

__all__ = ["check_lines", "find_trtexec", "medians_from_log", "run_trtexec"]

ON_A_JETSON = Path("/usr/src/tensorrt/bin/trtexec")
TIMEOUT_S = 600.0
AGREES = 0.1
_FIELDS = {
    "Latency": "latency", "H2D Latency": "h2d", "GPU Compute Time": "gpu_compute", "D2H Latency": "d2h",
    "Enqueue Time": "enqueue",
}  # fmt: skip
_SUMMARY = re.compile(
    r"(?P<name>Latency|Enqueue Time|H2D Latency|GPU Compute Time|D2H Latency): min = .*?median = (?P<ms>[\d.]+) ms"
)


def find_trtexec() -> str | None:
    """Its path: on the search path, or where JetPack puts it."""
    return shutil.which("trtexec") or (str(ON_A_JETSON) if ON_A_JETSON.is_file() else None)


def medians_from_log(log: str) -> dict[str, float]:
    """Median milliseconds by trtexec's own names, from what it prints."""
    return {found["name"]: float(found["ms"]) for found in _SUMMARY.finditer(log)}


def run_trtexec(program: str, line: str, folder: Path) -> dict[str, float]:
    """Run ``line`` by ``program`` in ``folder``, which holds the graph; FaultError when it fails or says nothing."""
    words = [program, *shlex.split(line)[1:]]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise FaultError(f"trtexec did not run ({error}); run it by hand: {line}") from error
    medians = medians_from_log(done.stdout)
    if done.returncode or "GPU Compute Time" not in medians:
        errors = [text for text in (done.stdout + done.stderr).splitlines() if "[E]" in text]
        seen = errors[-1] if errors else "it printed no summary"
        raise FaultError(f"trtexec ended with {done.returncode} ({seen}); run it by hand: {line}")
    return medians


def check_lines(report: Report, folder: Path, plan: bytes = b"") -> Iterator[str]:
    """What ``--check-trtexec`` says: the medians and what the ratio is made of, or one line that it is not there.

    ``folder`` holds the graph. ``plan``: the engine that was profiled, which trtexec is given instead of the graph.
    """
    if not report.trtexec:
        yield "trtexec: not run, for this graph has no plain form that takes one window"
        return
    program = find_trtexec()
    if program is None:
        yield f"trtexec: not installed here (looked on the search path and at {ON_A_JETSON}); nothing to compare"
        return
    if report.engine is not None:
        yield from _of_engine(report, program, plan)
        return
    medians, ours_ms = run_trtexec(program, report.trtexec, folder), report.timings[0].p50_ms
    yield "trtexec, medians in ms: " + ", ".join(f"{name} {ms:g}" for name, ms in medians.items())
    compute_ms = medians["GPU Compute Time"]
    yield (
        f"ratio {ours_ms / compute_ms:.1f}: {report.graph.runtime} on the CPU, outputs in hand, against the GPU's own "
        "time, without copies and enqueue: two engines and two graph forms, not two measurements of one"
    )


def _of_engine(report: Report, program: str, plan: bytes) -> Iterator[str]:
    """Phase by phase beside trtexec on the very same engine, and what a difference can come from."""
    assert report.engine is not None, "asked of a profile of an engine"
    if not report.engine.engine.startswith("tensorrt "):
        yield f"trtexec: not run, for it does not load an engine of {report.engine.engine}"
        return
    ours = _comparable(report.engine.phases)
    with TemporaryDirectory() as folder:
        (Path(folder) / "it.plan").write_bytes(plan)
        medians = run_trtexec(program, _line_for_plan(report.trtexec, graph=ours.cuda_graph), Path(folder))
    for name, field in _FIELDS.items():
        mine: Spread = getattr(ours, field)
        if theirs := medians.get(name):
            yield f"{name}: {mine.p50_ms:.4f} ms, trtexec {theirs:.4f} ms, ratio {mine.p50_ms / theirs:.2f}"
    yield _explained(ours, medians["GPU Compute Time"], report)


def _comparable(phases: Sequence[Phases]) -> Phases:
    """Trtexec makes up its input, and was asked for a CUDA graph."""
    return max(phases, key=lambda one: (one.input == "random", one.cuda_graph))


def _line_for_plan(line: str, *, graph: bool) -> str:
    """``line`` with the plan for the graph, and without what belongs to building."""
    kept = [word for word in shlex.split(line) if not word.startswith(("--onnx", "--stronglyTyped", "--noTF32"))]
    if not graph:
        kept.remove("--useCudaGraph")
    return shlex.join([kept[0], "--loadEngine=it.plan", *kept[1:]])


def _explained(ours: Phases, theirs_ms: float, report: Report) -> str:
    ratio = ours.gpu_compute.p50_ms / theirs_ms
    if abs(ratio - 1.0) <= AGREES:
        return f"GPU Compute agrees within {AGREES:.0%}: one engine, CUDA events around it on both sides"
    reasons = [warning.partition(":")[0] for warning in report.warnings]
    if ratio > 1.0 and ours.enqueue.p50_ms > 0.5 * ours.gpu_compute.p50_ms:
        reasons.insert(0, "the processor is slow to enqueue, and the GPU waits for it, here longer than under trtexec")
    if not ours.cuda_graph:
        reasons.append("no CUDA graph could be had here; trtexec ran without one too")
    unknown = "clocks or another program on the GPU: run both again"
    return f"GPU Compute differs by {ratio - 1.0:+.0%} on one and the same engine: {'; '.join(reasons) or unknown}"
