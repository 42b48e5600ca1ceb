"""Every window graph for ONNX Runtime on one CPU thread, beside the published plain graph, and what bounds them.

    python -m export.benchmarks.precision_cpu --published SCAMPS_MultiTask_9x9.onnx [--out RESULT.json]

At 9 x 9, RGB, both tasks, as the published graph. Its rows are early-fusion models with seeded weights, of short reach
(the published layers) and of long reach (as the default bundle). Then one branch at a time, at every size, in each
form: ``CPU_FORM`` of ``export/window_graphs.py`` is read off there. Times are process CPU time; each round runs every
graph once, in turn, and ratios are taken within rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import torch
import typer

from export.benchmarks.window_cpu import FRAMES, SIZE, Timing, session_from_onnx, timings
from export.golden import seeded_clip
from export.graphs import onnx_from_model
from export.quantize import inner_convs, ranges_from_windows
from export.window_graphs import cpu_forms
from training.model import Mmrphys, ModelSpec

__all__ = ["KIND", "Branch", "Machine", "Result", "main"]

KIND = "window graphs on a CPU"
PROFILED_RUNS = 6


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it ran. ``load``: the one-minute load average at the start, on ``cores``."""

    cpu: str
    architecture: str
    cores: int
    load: float
    python: str
    onnxruntime: str
    threads: int = 1


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One branch at one size: the times of its forms, ``speed`` against the plain one."""

    task: str
    size: int
    timings: list[Timing]


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``timings`` at 9 x 9 against the published graph; ``bounds`` milliseconds a window by operation, of ours."""

    kind: str
    command: str
    machine: Machine
    published_sha256: str
    rounds: int
    timings: list[Timing]
    bounds: dict[str, dict[str, float]]
    branches: list[Branch]


def ours(spec: ModelSpec) -> dict[str, bytes]:
    """``plain``, ``cpu-fp32`` (as it is chosen), ``fast`` and ``cpu-int8`` of a model with seeded weights."""
    torch.manual_seed(0)
    model = Mmrphys(spec).eval()
    plain = onnx_from_model(model, FRAMES, "plain")
    ranges = ranges_from_windows(plain, [seeded_clip(FRAMES, 30.0, spec.size)["rgb"].astype(np.float32)])
    inner = {number: ranges[number] for number in inner_convs(model)}
    made = {
        "plain": plain,
        "fast": onnx_from_model(model, FRAMES, "fast"),
        "cpu-fp32": onnx_from_model(model, FRAMES, cpu_forms(spec)),
        "cpu-int8": onnx_from_model(model, FRAMES, "fast", inner),
    }
    return {name: graph.SerializeToString() for name, graph in made.items()}


def operations_ms(graph: bytes, size: int) -> dict[str, float]:
    """Milliseconds of a window by operation, largest first; of each node the shortest time that was profiled."""
    frames = np.random.default_rng(0).uniform(0, 255, (1, 3, FRAMES, size, size)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        session = session_from_onnx(graph, str(Path(folder) / "profile"))
        for _ in range(PROFILED_RUNS):
            session.run(None, {"frames": frames})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    least: dict[tuple[str, str], float] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            key = event["name"], event["args"]["op_name"]
            least[key] = min(event["dur"], least.get(key, float("inf")))
    spent: Counter[str] = Counter()
    for (_, operation), us in least.items():
        spent[operation] += round(us)
    return {name: round(us / 1e3, 3) for name, us in spent.most_common(8)}


def measured(published: Path, rounds: int, sizes: tuple[int, ...]) -> Result:
    """Everything."""
    data = published.read_bytes()
    graphs = {"published": data}
    for reach in ("short", "long"):
        found = ours(ModelSpec(SIZE, "EF", 3, reach=reach))
        graphs |= {f"{name}, {reach}": found[name] for name in ("plain", "cpu-fp32", "cpu-int8")}
    machine = _machine()
    return Result(
        KIND,
        "python -m export.benchmarks.precision_cpu --published SCAMPS_MultiTask_9x9.onnx",
        machine,
        hashlib.sha256(data).hexdigest(),
        rounds,
        timings(graphs, "published", rounds),
        {name: operations_ms(graphs[f"{name}, long"], SIZE) for name in ("cpu-fp32", "cpu-int8")},
        [_branch(task, size, max(3, rounds // 6)) for size in sizes for task in ("bvp", "rsp")],
    )


def _branch(task: str, size: int, rounds: int) -> Branch:
    found = ours(ModelSpec(size, "EF", 3, (task,)))
    return Branch(task, size, timings({n: found[n] for n in ("plain", "fast", "cpu-int8")}, "plain", rounds, size))


def _machine() -> Machine:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    names = [line.partition(":")[2].strip() for line in lines.splitlines() if line.startswith("model name")]
    load = float(Path("/proc/loadavg").read_text(encoding="utf-8").split()[0]) if lines else 0.0
    known = names[0] if names else platform.processor() or "unknown"
    return Machine(known, platform.machine(), len(names), load, platform.python_version(), onnxruntime.__version__)


def main() -> None:
    """Print the tables; with ``--out`` write them as JSON too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True, help="the published 9 x 9 ONNX graph")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--sizes", type=int, nargs="*", default=[9, 36, 72], help="of the single branches")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measured(options.published, options.rounds, tuple(options.sizes))
    if options.out:
        options.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    machine = found.machine
    typer.echo(f"{machine.cpu}, ONNX Runtime {machine.onnxruntime}, one thread, load {machine.load} on {machine.cores}")
    _print("9 x 9, both tasks, against the published graph", found.timings)
    for name, spent in found.bounds.items():
        parts = ", ".join(f"{operation} {ms:.2f}" for operation, ms in spent.items())
        typer.echo(f"  {name}, of {sum(spent.values()):.1f} ms: {parts}")
    for branch in found.branches:
        _print(f"{branch.size} x {branch.size}, {branch.task}, against the plain form", branch.timings)


def _print(title: str, rows: list[Timing]) -> None:
    typer.echo(title)
    for row in rows:
        typer.echo(f"  {row.graph:20} median {row.median_ms:7.2f} ms   min {row.min_ms:7.2f} ms   {row.speed:.2f} x")


if __name__ == "__main__":
    main()
