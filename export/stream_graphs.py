"""The stream graphs of a bundle, compared with what they have to give, and the card that says what they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.bundle import GraphEntry, RuntimeForm, StreamCard, Task
from edge.errors import InputError
from edge.runtimes.onnxrt_stream import StreamRunner
from edge.selftest import STREAM_CHUNK, SelfTest, stream_frames
from export.compare import Difference
from export.golden import npz_from_golden
from export.graphs import Form, onnx_from_model
from export.stream import MEMORY, onnx_stream_from_model, stream_facts
from export.stream_agreement import Hop, agreement_of, hops, streamed, windowed
from export.stream_reference import stream_reference
from training.model import Mmrphys

__all__ = ["STREAM_TOLERANCE", "Streams", "streams_from_model"]

STREAM_TOLERANCE = 1e-4
"""A stream graph against plain computation in float64, largest difference as a share of its standard deviation,
as of window graphs against torch. Models with seeded weights, and the default one, are within 1e-5."""
SELFTEST_TOLERANCE = 1e-3
GRAPHS: tuple[tuple[str, Form, RuntimeForm], ...] = (
    ("stream.fp32.onnx", "plain", "tensorrt"),
    ("stream.cpu-fp32.onnx", "fast", "onnxrt"),
)
WHAT = "the window function, with running statistics in place of the window's"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """Rows of the manifest, graphs by file name, the self-test's file, how exact the graphs are, and their card."""

    entries: list[GraphEntry]
    graphs: dict[str, bytes]
    selftest: bytes
    differences: list[Difference]
    card: StreamCard


def streams_from_model(model: Mmrphys, frames: int, fps: float, golden: SelfTest, recordings: Floats) -> Streams:
    """The stream graphs of ``model``; ``recordings`` ``[N, C, L, S, S]`` are what windows and streams are compared on.

    InputError when a graph differs from plain computation by more than allowed, or the clip of ``golden`` is shorter
    than a chunk.
    """
    if not stream_frames(frames):
        raise InputError(f"windows of {frames} frames; a stream is tested with at least {STREAM_CHUNK}")
    clip = golden.frames[:, :, : stream_frames(frames)]
    wanted = _reference(model, clip)
    graphs = {name: onnx_stream_from_model(model, form).SerializeToString() for name, form, _ in GRAPHS}
    differences = [found for name, data in graphs.items() for found in _differences(name, data, clip, wanted)]
    entries = [GraphEntry(name, "stream", runtime, "fp32", SELFTEST_TOLERANCE) for name, _, runtime in GRAPHS]
    test = npz_from_golden(SelfTest({}, {task: wave[None] for task, wave in wanted.items()}))
    whole = onnx_from_model(model, frames, "fast").SerializeToString()
    found = _hops(whole, graphs["stream.cpu-fp32.onnx"], recordings, frames, fps)
    return Streams(entries, graphs, test, differences, _card(model, fps, found))


def _reference(model: Mmrphys, clip: Floats) -> dict[str, Floats]:
    """What a stream gives for ``clip``, as many samples as frames: zeros before the first."""
    lags = stream_facts(model.spec).lags
    waves = stream_reference(model, clip, MEMORY)
    return {
        task: np.concatenate([np.zeros(lags[task]), wave])[: clip.shape[2]].astype(np.float32)
        for task, wave in waves.items()
    }


def _differences(name: str, graph: bytes, clip: Floats, wanted: dict[str, Floats]) -> list[Difference]:
    found = []
    for task, wave in StreamRunner(name, graph).run(clip, STREAM_CHUNK).items():
        share = float(np.abs(wave - wanted[task]).max()) / max(float(wanted[task].std()), 1e-12)
        found.append(Difference(f"{name} vs plain computation", task, share, STREAM_TOLERANCE))
        if not share <= STREAM_TOLERANCE:
            raise InputError(f"the stream graph does not compute the stream: {found[-1]}; report this checkpoint")
    return found


def _hops(window: bytes, stream: bytes, recordings: Floats, frames: int, fps: float) -> list[Hop]:
    return [
        hop
        for one in recordings
        for hop in hops(streamed(stream, one[None]), windowed(window, one[None], frames, fps), fps)
    ]


def _card(model: Mmrphys, fps: float, found: list[Hop]) -> StreamCard:
    facts = stream_facts(model.spec)
    lags: dict[Task, int] = {task: facts.lags[task] for task in ("bvp", "rsp") if task in facts.lags}
    ahead = {task: round((lag - 1) / fps, 3) for task, lag in lags.items()}
    return StreamCard(WHAT, lags, ahead, (facts.chunk_step, facts.max_chunk), facts.memory, agreement_of(found))
