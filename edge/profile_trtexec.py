"""NVIDIA's own benchmark beside ours: find ``trtexec``, run the line of a report, read its medians."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edge.errors import FaultError
from edge.profiling import Report

__all__ = ["check_lines", "find_trtexec", "medians_from_log", "run_trtexec"]

ON_A_JETSON = Path("/usr/src/tensorrt/bin/trtexec")
TIMEOUT_S = 600.0
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


def check_lines(report: Report, folder: Path) -> Iterator[str]:
    """What ``--check-trtexec`` says: the medians and what the ratio is made of, or one line that it is not there."""
    if not report.trtexec:
        yield "trtexec: not run, for this graph has no plain form that takes one window"
        return
    program = find_trtexec()
    if program is None:
        yield f"trtexec: not installed here (looked on the search path and at {ON_A_JETSON}); nothing to compare"
        return
    medians, ours_ms = run_trtexec(program, report.trtexec, folder), report.timings[0].p50_ms
    yield "trtexec, medians in ms: " + ", ".join(f"{name} {ms:g}" for name, ms in medians.items())
    compute_ms = medians["GPU Compute Time"]
    yield (
        f"ratio {ours_ms / compute_ms:.1f}: {report.graph.runtime} on the CPU, outputs in hand, against the GPU's own "
        "time, without copies and enqueue: two engines and two graph forms, not two measurements of one"
    )
