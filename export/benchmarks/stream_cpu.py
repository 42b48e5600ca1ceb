"""Stream graphs on one CPU thread, per frame, interleaved with published window graphs in the same ONNX Runtime.

    python -m export.benchmarks.stream_cpu SCAMPS_MultiTask_9x9.onnx SCAMPS_MultiTask_72x72_FP.onnx

A published graph gives 180 samples for 181 frames: its time is divided by 180. Early-fusion RGB models with seeded
weights stand for ours. Times are process CPU time, everything counted that a caller waits for, state in and out too;
each round runs every graph once, in turn; ratios are taken within rounds. Shares say what the time goes into, from
ONNX Runtime's own profile of the stream graph.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
import typer

from edge.benchmarks.machine import machine
from edge.runtimes.onnxrt_stream import StreamSession
from edge.stream_graph import STATE_IN, STATE_OUT, StreamRunner
from export.benchmarks.window_cpu import session_from_onnx
from export.forms_int8 import LayerRange
from export.graphs import NO_INT8, Form, onnx_from_model
from export.quantize import inner_convs, ranges_from_windows
from export.stream import onnx_stream_from_model
from training.model import Mmrphys, ModelSpec

__all__ = ["KIND", "Result", "Timing", "main", "timings"]

KIND = "stream graphs on a CPU"
FRAMES = 181
CHUNKS = (12, 4)
WARM_UP = 2
FORMS: dict[str, Form] = {"stream.fp32": "plain", "stream.cpu-fp32": "fast", "stream.cpu-int8": "fast"}
WORK = {
    "convolutions": ("Conv",),
    "layouts": ("ReorderInput", "ReorderOutput", "Transpose", "Concat", "Slice", "Split"),
}

Floats = npt.NDArray[np.float32]


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CPU milliseconds a frame; ``cheaper``: the published graph's time over this one's, median over rounds."""

    size: int
    graph: str
    chunk: int
    median_ms: float
    least_ms: float
    cheaper: float


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``shares``: by size, what a chunk of 12 of the fast form spends its time on."""

    kind: str
    machine: str
    timings: list[Timing]
    shares: dict[int, dict[str, float]]


def timings(published: bytes, rounds: int) -> list[Timing]:
    """Time our stream graphs and ``published`` on the same seeded frames."""
    window = session_from_onnx(published)
    entry = window.get_inputs()[0]
    size = int(entry.shape[-1])
    frames = _frames(size)
    runs: dict[tuple[str, int], Callable[[], object]] = {
        ("published window", FRAMES - 1): lambda: window.run(None, {entry.name: frames})
    }
    for reach in ("short", "long"):
        for name, form in FORMS.items():
            for chunk in CHUNKS:
                runner = StreamRunner(StreamSession(name, _graph(size, reach, form, int8=name.endswith("int8"))))
                runs[f"{name}, {reach}", chunk] = _stepper(runner, np.ascontiguousarray(frames[:, :, :chunk]))
    return _interleaved(size, runs, rounds)


def _interleaved(size: int, runs: dict[tuple[str, int], Callable[[], object]], rounds: int) -> list[Timing]:
    times_ms: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    for _ in range(WARM_UP + rounds):
        for (name, chunk), run in runs.items():
            repeats = max(1, 120 // chunk)
            start = time.process_time()
            for _ in range(repeats):
                run()
            times_ms[name, chunk].append(1e3 * (time.process_time() - start) / (repeats * chunk))
    kept = {key: np.array(values[WARM_UP:]) for key, values in times_ms.items()}
    reference = next(iter(kept.values()))
    found = []
    for (name, chunk), values in kept.items():
        figures = (float(np.median(values)), float(values.min()), float(np.median(reference / values)))
        found.append(Timing(size, name, chunk, *(round(value, 4) for value in figures)))
    return found


def _stepper(runner: StreamRunner, frames: Floats) -> Callable[[], object]:
    return lambda: runner.step(frames)


def shares(size: int) -> dict[str, float]:
    """What share of a chunk of 12 goes into convolutions, into copies between layouts, and into the rest."""
    frames = np.ascontiguousarray(_frames(size)[:, :, :12])
    with tempfile.TemporaryDirectory() as folder:
        session = session_from_onnx(_graph(size, "short", "fast"), str(Path(folder) / "profile"))
        state = np.zeros(session.get_inputs()[1].shape, np.float32)
        for _ in range(50 if size < 20 else 8):
            state = session.run([STATE_OUT], {"frames": frames, STATE_IN: state})[0]
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    found = {kind: sum(spent[op] for op in ops) / spent.total() for kind, ops in WORK.items()}
    return {kind: round(share, 3) for kind, share in (found | {"the rest": 1.0 - sum(found.values())}).items()}


def _graph(size: int, reach: str, form: Form, *, int8: bool = False) -> bytes:
    torch.manual_seed(0)
    model = Mmrphys(ModelSpec(size, "EF", 3, reach=reach)).eval()
    layers = _int8_layers(model) if int8 else NO_INT8
    return bytes(onnx_stream_from_model(model, form, int8=layers).SerializeToString())


def _int8_layers(model: Mmrphys) -> dict[int, LayerRange]:
    """All that may be INT8, with ranges from the seeded frames."""
    ranges = ranges_from_windows(onnx_from_model(model, FRAMES, "plain"), [_frames(model.spec.size)])
    return {number: ranges[number] for number in inner_convs(model)}


def _frames(size: int) -> Floats:
    return np.random.default_rng(0).uniform(0, 255, (1, 3, FRAMES, size, size)).astype(np.float32)


def main() -> None:
    """Print the table; ``--json FILE`` writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, nargs="+", help="published window graphs of early fusion, RGB")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    here = f"{machine()}, ONNX Runtime {onnxruntime.__version__}, one thread"
    typer.echo(here)
    found: list[Timing] = []
    work: dict[int, dict[str, float]] = {}
    for path in options.published:
        found += (new := timings(path.read_bytes(), options.rounds))
        for one in new:
            times = f"median {one.median_ms:.4f} ms a frame, least {one.least_ms:.4f}"
            typer.echo(f"{one.size:2} {one.graph:22} chunk {one.chunk:3}: {times}   {one.cheaper:.2f} x")
        work[new[0].size] = shares(new[0].size)
        typer.echo(f"{new[0].size:2} stream.cpu-fp32 spends: {work[new[0].size]}")
    if options.json:
        result = Result(KIND, here, found, work)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")


if __name__ == "__main__":
    main()
