"""Window graphs on one CPU thread, interleaved with the published plain graph in the same ONNX Runtime.

    python -m export.benchmarks.window_cpu --published SCAMPS_MultiTask_9x9.onnx

Early-fusion RGB models with seeded weights stand for ours, of short reach (the published graph's layers) and of long
reach (as the default bundle): all graphs do the same work. Times are process CPU time; each round runs every graph
once, in turn, so that a busy machine slows all alike; ratios are taken within rounds.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
import typer

from export.graphs import Form, onnx_from_model
from training.model import Mmrphys, ModelSpec

__all__ = ["FRAMES", "SIZE", "Timing", "main", "session_from_onnx", "timings"]

FRAMES = 181
SIZE = 9
WARM_UP = 3
FORMS: dict[str, Form] = {"window.fp32": "plain", "window.cpu-fp32": "fast"}


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CPU milliseconds a window; ``speed`` is the published graph's time over this one's, median over rounds."""

    graph: str
    median_ms: float
    min_ms: float
    speed: float | None


def timings(graphs: dict[str, bytes], reference: str | None, rounds: int, size: int = SIZE) -> list[Timing]:
    """Time each of ``graphs`` on one seeded window, interleaved."""
    sessions = {name: session_from_onnx(data) for name, data in graphs.items()}
    shape = (1, 3, FRAMES, size, size)
    frames = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    times_ms: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(WARM_UP + rounds):
        for name, session in sessions.items():
            times_ms[name].append(_run_ms(session, frames))
    kept = {name: np.array(values[WARM_UP:]) for name, values in times_ms.items()}
    return [
        Timing(
            name,
            round(float(np.median(values)), 2),
            round(float(values.min()), 2),
            round(float(np.median(kept[reference] / values)), 2) if reference else None,
        )
        for name, values in kept.items()
    ]


def session_from_onnx(graph: bytes, profile: str = "") -> onnxruntime.InferenceSession:
    """``graph`` on one thread; with ``profile``, the beginning of a file name, what it spends its time on is kept."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _run_ms(session: onnxruntime.InferenceSession, frames: npt.NDArray[np.float32]) -> float:
    feed = {session.get_inputs()[0].name: frames}
    start = time.process_time()
    session.run(None, feed)
    return 1e3 * (time.process_time() - start)


def main() -> None:
    """Print the table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="the published 9 x 9 ONNX graph")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    data = {}
    for reach in ("short", "long"):
        torch.manual_seed(0)
        model = Mmrphys(ModelSpec(SIZE, "EF", 3, reach=reach)).eval()
        for name, form in FORMS.items():
            data[f"{name}, {reach}"] = onnx_from_model(model, FRAMES, form).SerializeToString()
    reference = None
    if options.published and options.published.is_file():
        reference, data = "published", {"published": options.published.read_bytes()} | data
    else:
        typer.echo("no published graph given or found: times without ratios")
    found = timings(data, reference, options.rounds)
    machine = (
        f"{platform.machine()}, ONNX Runtime {onnxruntime.__version__}, one thread, {SIZE} x {SIZE}, {FRAMES} frames"
    )
    if options.json:
        typer.echo(msgspec.json.encode({"machine": machine, "timings": found}).decode())
        return
    typer.echo(machine)
    for timing in found:
        speed = "" if timing.speed is None else f"   {timing.speed:.2f} x"
        typer.echo(f"{timing.graph:22} median {timing.median_ms:6.2f} ms   min {timing.min_ms:6.2f} ms{speed}")


if __name__ == "__main__":
    main()
