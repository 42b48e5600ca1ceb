"""What PyTorch takes for a window and for a chunk of a stream: between CUDA events, with and without a CUDA graph.

float32 without TF32; ``fp16`` are convolutions in float16 and norms in float32, as in the graphs of a bundle. A chunk
without a CUDA graph holds the time of Python, which walks through the graph's 650 nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from gpu.machine import ROOT, torch_on_a_gpu
from gpu.onnx_in_torch import StreamInTorch
from gpu.results import Part, TorchRow

from edge.bundle import load_bundle
from edge.profile_subject import random_frames
from edge.profile_types import Plan, Spread
from edge.runtimes.onnxrt import selftest_from_bundle
from edge.selftest import STREAM_CHUNK
from export.stream import onnx_stream_from_model
from training.checkpoint import model_from_checkpoint
from training.model import Mmrphys, ModelSpec

__all__ = ["networks", "stream_call", "streams", "window_call", "windows"]

DEVICE = "cuda"
FRAMES = 181
PRECISIONS = ("fp32", "fp16")
Call = Callable[[], object]


def networks() -> Iterator[tuple[str, Mmrphys]]:
    """The default bundle's network, and one of each size with four channels and seeded weights."""
    yield "default", model_from_checkpoint(ROOT / "training/results/default/default.safetensors")
    for size in (9, 36, 72):
        torch.manual_seed(size)
        yield f"seeded {size} x {size}", Mmrphys(ModelSpec(size, "EF", 4)).eval()


def window_call(model: Mmrphys, frames: np.ndarray, precision: str, device: str) -> Call:
    """One window through ``model``, on the device already."""
    net, clip = model.to(device), torch.from_numpy(frames).to(device)

    def call() -> object:
        with torch.inference_mode(), torch.autocast(device, torch.float16, enabled=precision == "fp16"):
            return net(clip)

    return call


def stream_call(model: Mmrphys, frames: np.ndarray, precision: str, device: str) -> Call:
    """One chunk through the stream graph of ``model``, always from the same state."""
    net = StreamInTorch(onnx_stream_from_model(model, "plain"), device, half=precision == "fp16")
    state = next(value for value in onnx_stream_from_model(model, "plain").graph.input if value.name == "state")
    size = state.type.tensor_type.shape.dim[1].dim_value
    clip, zeros = torch.from_numpy(frames).to(device), torch.zeros(1, size, device=device)

    def call() -> object:
        with torch.inference_mode():
            return net(frames=clip, state=zeros)

    return call


def windows(plan: Plan, _place: Path | None) -> Part:
    """Every network, window by window, and how far the default one is from its golden waves."""
    rows = _all_rows("window", FRAMES, 30, window_call, plan)
    return Part(rows=rows, facts=_golden())


def streams(plan: Plan, _place: Path | None) -> Part:
    """Every network, chunk by chunk."""
    return Part(rows=_all_rows("chunk", STREAM_CHUNK, STREAM_CHUNK, stream_call, plan))


def _all_rows(what: str, length: int, new: int, call_of: Callable[..., Call], plan: Plan) -> list[TorchRow]:
    torch_on_a_gpu()
    _exact()
    rows: list[TorchRow] = []
    for name, model in networks():
        frames = random_frames((1, model.spec.channels, length, model.spec.size, model.spec.size), 3)
        for precision in PRECISIONS:
            rows += _rows(name, model, what, new, precision, call_of(model, frames, precision, DEVICE), plan)
    return rows


def _exact() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def _golden() -> dict[str, float | bool | str]:
    """How far the default network is from its golden waves on this device, as a share of their standard deviation."""
    bundle = load_bundle(None)
    frames, golden = selftest_from_bundle(bundle)
    (_, model) = next(networks())
    found: dict[str, float | bool | str] = {}
    for precision in PRECISIONS:
        waves = window_call(model, frames, precision, DEVICE)()
        for task, wave in golden.items():
            difference = np.abs(waves[task].float().cpu().numpy() - wave).max() / wave.std()
            found[f"{precision} {task} largest difference"] = float(difference)
    return found


def _rows(name: str, model: Mmrphys, what: str, new: int, precision: str, call: Call, plan: Plan) -> Iterator[TorchRow]:
    for graph in (False, True):
        try:
            launch = _captured(call) if graph else call
        except RuntimeError as error:  # what PyTorch raises for what a graph cannot hold
            why = " ".join(str(error).split())[:500]
            yield TorchRow(name, model.spec.size, what, new, precision, graph, 0, None, None, why)
            continue
        times = _timed(launch, plan)
        spread = Spread.from_ms(times)
        per_frame = round(spread.p50_ms / new, 6)
        yield TorchRow(name, model.spec.size, what, new, precision, graph, len(times), spread, per_frame)


def _captured(call: Call) -> Call:
    """``call`` as one launch of a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # PyTorch asks for a warm-up on another stream
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = call()  # noqa: F841 - the graph writes into these outputs
    return graph.replay


def _timed(call: Call, plan: Plan) -> list[float]:
    """Milliseconds of each run after the warm-up, between two events, the device waited for every time."""
    for _ in range(max(plan.warm_up_runs, 3)):
        call()
    torch.cuda.synchronize()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times: list[float] = []
    start = time.monotonic()
    while not times or (len(times) < plan.runs and time.monotonic() - start < plan.seconds):
        first.record()
        call()
        last.record()
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last))
    return times
