"""The stream graphs of a bundle, compared with what they have to give, judged, and the card that says what they are.

fp32 is compared with plain computation, and judged against the windows that it approximates. The other precisions are
made of it as those of windows are, with the same convolutions in INT8 and the same ranges, and judged against both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from edge.bundle import GraphEntry, RuntimeForm, StreamCard, Task
from edge.errors import InputError
from edge.runtimes.onnxrt_stream import StreamSession
from edge.selftest import STREAM_CHUNK, SelfTest, stream_frames
from edge.stream_graph import StreamRunner
from export.agreement import STREAM_GATE, Agreement, Hop, Judge, agreements, refusal
from export.clip_set import Clips, held_apart, joined
from export.compare import Difference, share_of_deviation
from export.forms_int8 import LayerRange
from export.golden import npz_from_golden
from export.graphs import NO_INT8, Form, onnx_from_model
from export.precision import half_from_plain
from export.quantize import int8_from_plain
from export.stream import MEMORY, onnx_stream_from_model, stream_facts
from export.stream_agreement import Waves, agreement_of, apart, streamed, windowed
from export.stream_reference import stream_reference
from export.window_graphs import MadeGraph, Precision, thermal_tasks, tolerance_of
from training.model import Mmrphys

__all__ = ["STREAM_TOLERANCE", "Streams", "streams_from_model"]

STREAM_TOLERANCE = {9: 1e-5, 36: 1e-5, 72: 2e-5}
"""A stream graph against plain computation in float64, by size: largest difference as a share of the output's standard
deviation. Sums over a frame are 64 times longer at 72 x 72 than at 9 x 9; a published model there is at 1.1e-5."""
GRAPHS: tuple[tuple[str, Form, RuntimeForm], ...] = (
    ("stream.fp32.onnx", "plain", "tensorrt"),
    ("stream.cpu-fp32.onnx", "fast", "onnxrt"),
)
WHAT = "the window function, with running statistics in place of the window's"

Floats = npt.NDArray[np.float32]
Row = tuple[str, RuntimeForm, Precision, onnx.ModelProto]


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """The graphs, the self-test's file, how exact the fp32 ones are, and their card."""

    made: list[MadeGraph]
    selftest: bytes
    differences: list[Difference]
    card: StreamCard


def streams_from_model(
    model: Mmrphys,
    frames: int,
    fps: float,
    golden: SelfTest,
    sources: Sequence[Clips],
    precisions: Collection[Precision] = (),
    int8: Mapping[int, LayerRange] = NO_INT8,
) -> Streams:
    """The stream graphs of ``model``, fp32 and ``precisions``, on whose ``sources`` windows and streams are compared.

    ``int8``: the convolutions that are INT8, with their ranges. InputError when an fp32 graph differs from plain
    computation by more than allowed, or the clip of ``golden`` is shorter than a chunk.
    """
    if not stream_frames(frames):
        raise InputError(f"windows of {frames} frames; a stream is tested with at least {STREAM_CHUNK}")
    clip = golden.frames[:, :, : stream_frames(frames)]
    wanted = _reference(model, clip)
    graphs = {name: onnx_stream_from_model(model, form) for name, form, _ in GRAPHS}
    differences = [
        found
        for name, graph in graphs.items()
        for found in _differences(name, graph.SerializeToString(), clip, wanted, STREAM_TOLERANCE[model.spec.size])
    ]
    rows: list[Row] = [(name, runtime, "fp32", graphs[name]) for name, _, runtime in GRAPHS]
    rows += _other_precisions(model, graphs["stream.fp32.onnx"], precisions, int8)
    whole = onnx_from_model(model, frames, "fast").SerializeToString()
    judge = windowed(whole, joined(sources).recordings, model.spec.tasks, frames, fps, thermal_tasks(model.spec))
    jury = _Jury(judge, held_apart(sources)[1], graphs["stream.cpu-fp32.onnx"].SerializeToString(), clip, wanted)
    test = npz_from_golden(SelfTest({}, {task: wave[None] for task, wave in wanted.items()}))
    return Streams([jury.made(*row) for row in rows], test, differences, _card(model, fps, jury.hops))


def _other_precisions(
    model: Mmrphys, plain: onnx.ModelProto, precisions: Collection[Precision], int8: Mapping[int, LayerRange]
) -> list[Row]:
    rows: list[Row] = []
    if "fp16" in precisions:
        rows.append(("stream.fp16.onnx", "tensorrt", "fp16", half_from_plain(plain)))
    if "int8" in precisions:
        rows.append(("stream.int8.onnx", "tensorrt", "int8", half_from_plain(int8_from_plain(plain, int8))))
        rows.append(("stream.cpu-int8.onnx", "onnxrt", "int8", onnx_stream_from_model(model, "fast", int8=int8)))
    return rows


class _Jury:
    """Judges streams against windows and, those that are not fp32, against the stream that is; ``hops`` are its own.

    fp32 is judged by all recordings, the others by ``held_out``, on which no range was chosen.
    """

    def __init__(self, judge: Judge, held_out: Clips, fp32: bytes, clip: Floats, wanted: Waves) -> None:
        self.judge, self.clip, self.wanted = judge, clip, wanted
        self.held_out = {n for n, one in enumerate(judge.recordings) if any(one is own for own in held_out.recordings)}
        self.whole = [judge.whole(number) for number in range(len(judge.recordings))]
        self.fp32 = self._streamed(fp32)
        self.hops = apart(judge, self.fp32, self.whole)

    def made(self, name: str, runtime: RuntimeForm, precision: Precision, graph: onnx.ModelProto) -> MadeGraph:
        """The graph with what the gates say of it."""
        data = graph.SerializeToString()
        waves, tasks, is_fp32 = self._streamed(data), tuple(self.wanted), precision == "fp32"
        windows, fp32 = (
            [hop for hop in apart(self.judge, waves, reference) if is_fp32 or hop.recording in self.held_out]
            for reference in (self.whole, self.fp32)
        )
        found = agreements(windows, tasks, STREAM_GATE)
        beside = [] if is_fp32 else agreements(fp32, tasks)
        measured = *(one.measured("windows") for one in found), *(one.measured("fp32 stream") for one in beside)
        entry = GraphEntry(name, "stream", runtime, precision, self._tolerance(data), _refusal(found, beside), measured)
        return MadeGraph(entry, data, "fast" if runtime == "onnxrt" else "plain", (*found, *beside))

    def _streamed(self, graph: bytes) -> list[Waves]:
        return [streamed(graph, recording.frames) for recording in self.judge.recordings]

    def _tolerance(self, graph: bytes) -> float:
        waves = StreamRunner(StreamSession("stream", graph)).run(self.clip, STREAM_CHUNK)
        return tolerance_of(max(share_of_deviation(waves[task], wave) for task, wave in self.wanted.items()))


def _refusal(windows: list[Agreement], fp32: list[Agreement]) -> str:
    parts = {"the windows": refusal(windows), "the fp32 stream": refusal(fp32)}
    return "; ".join(f"against {name} {why}" for name, why in parts.items() if why)


def _reference(model: Mmrphys, clip: Floats) -> dict[str, Floats]:
    """What a stream gives for ``clip``, as many samples as frames: zeros before the first."""
    lags = stream_facts(model.spec).lags
    waves = stream_reference(model, clip, MEMORY)
    return {
        task: np.concatenate([np.zeros(lags[task]), wave])[: clip.shape[2]].astype(np.float32)
        for task, wave in waves.items()
    }


def _differences(name: str, graph: bytes, clip: Floats, wanted: dict[str, Floats], limit: float) -> list[Difference]:
    found = []
    for task, wave in StreamRunner(StreamSession(name, graph)).run(clip, STREAM_CHUNK).items():
        share = share_of_deviation(wave, wanted[task])
        found.append(Difference(f"{name} vs plain computation", task, share, limit))
        if not share <= limit:
            raise InputError(f"the stream graph does not compute the stream: {found[-1]}; report this checkpoint")
    return found


def _card(model: Mmrphys, fps: float, found: list[Hop]) -> StreamCard:
    facts = stream_facts(model.spec)
    lags: dict[Task, int] = {task: facts.lags[task] for task in ("bvp", "rsp") if task in facts.lags}
    ahead = {task: round((lag - 1) / fps, 3) for task, lag in lags.items()}
    return StreamCard(
        WHAT, lags, ahead, (facts.chunk_step, facts.max_chunk), facts.memory, agreement_of(found, tuple(lags))
    )
