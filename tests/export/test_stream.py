from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import onnx
import pytest
from fakes.zoo import ZOO, clips_for, model_of, name_of

from edge.graph_bytes import graph_facts
from edge.runtimes.onnxrt_stream import StreamSession
from edge.stream_graph import StreamRunner
from export.graphs import Form
from export.stream import MEMORY, onnx_stream_from_model, stream_facts
from export.stream_reference import stream_reference
from export.stream_state import LAYOUT, Piece
from export.stream_weights import MAX_COUNT, decay_of
from training.model import ModelSpec

TOLERANCE = 1e-5
NF = ModelSpec(9, "NF", 4)
BVP = ModelSpec(9, "EF", 3, ("bvp",))


def runner_of(spec: ModelSpec, form: Form = "fast", memory: float = MEMORY) -> StreamRunner:
    return StreamRunner(StreamSession("test", onnx_stream_from_model(model_of(spec), form, memory).SerializeToString()))


def random_chunks(spec: ModelSpec, frames: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """``frames`` ``[1, C, F, S, S]`` in chunks of every length that the model allows."""
    rng, step, at = np.random.default_rng(seed), stream_facts(spec).chunk_step, 0
    while at < frames.shape[2]:
        end = at + step * int(rng.integers(1, 12 // step + 1))
        yield np.ascontiguousarray(frames[:, :, at:end])
        at = end


def streamed(runner: StreamRunner, chunks: Iterator[np.ndarray]) -> dict[str, np.ndarray]:
    outputs = [runner.step(chunk) for chunk in chunks]
    return {task: np.concatenate([one[task] for one in outputs]) for task in runner.engine.tasks}


def assert_is_reference(spec: ModelSpec, frames: np.ndarray, form: Form, memory: float = MEMORY) -> None:
    runner, wanted = runner_of(spec, form, memory), stream_reference(model_of(spec), frames, memory)
    seen = streamed(runner, random_chunks(spec, frames, spec.size))
    for task, wave in seen.items():
        lag = runner.engine.facts.lags[task]
        assert not wave[:lag].any(), "samples before the first are 0"
        ideal = wanted[task][: len(wave) - lag]
        assert len(ideal) > 8
        assert np.abs(wave[lag:] - ideal).max() <= TOLERANCE * ideal.std()


@pytest.mark.parametrize("spec", [spec for spec in ZOO if spec.size == 9], ids=name_of)
def test_random_chunks_give_the_reference(spec: ModelSpec) -> None:
    for clip in clips_for(spec, 96):
        for form in ("plain", "fast"):
            assert_is_reference(spec, clip[None], form)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(36, "NF", 4),
        ModelSpec(36, "EF", 3, ("bvp",), reach="long"),
        ModelSpec(72, "EF", 3),
        ModelSpec(72, "LF", 4),
        ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
        ModelSpec(72, "EF", 1, ("bvp",), geometry="factorizephys"),
    ],
    ids=name_of,
)
def test_larger_models_give_the_reference(spec: ModelSpec) -> None:
    clip = clips_for(spec, 36)[:1]
    for form in ("plain", "fast"):
        assert_is_reference(spec, clip, form)


def test_a_short_memory_that_forgets_gives_the_reference() -> None:
    assert_is_reference(NF, clips_for(NF, 240)[:1], "fast", memory=30.0)


def test_the_look_ahead_is_what_the_layers_need() -> None:
    lags = {
        name: dict(stream_facts(ModelSpec(9, "NF", 4, reach=reach)).lags)
        for name, reach in (("short", "short"), ("long", "long"))
    }
    assert lags == {"short": {"bvp": 10, "rsp": 21}, "long": {"bvp": 20, "rsp": 21}}


@pytest.mark.parametrize("spec", [NF, BVP], ids=name_of)
def test_a_sample_is_final_no_later_than_its_lag_and_no_earlier(spec: ModelSpec) -> None:
    """A change of frame ``n`` changes the sample that comes with it, and none that came before."""
    frames = clips_for(spec, 72)[:1]
    other = frames.copy()
    other[:, :, 60:] = frames[:, :, 60:][:, :, ::-1]
    before, after = (streamed(runner_of(spec), random_chunks(spec, clip, 3)) for clip in (frames, other))
    for task in spec.tasks:
        changed = np.flatnonzero(before[task] != after[task])
        assert 60 <= changed[0] < 60 + stream_facts(spec).chunk_step


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_how_a_stream_is_cut_does_not_show(form: Form) -> None:
    frames, runner = clips_for(NF, 96)[:1], runner_of(NF, form)
    whole = runner.run(frames, 12)
    for chunk in (4, 8):
        runner.reset()
        for task, wave in runner.run(frames, chunk).items():
            assert np.abs(wave - whole[task]).max() <= TOLERANCE * whole[task].std()


def test_a_saved_state_goes_on_elsewhere() -> None:
    frames, runner = clips_for(NF, 96)[:1], runner_of(NF)
    runner.run(frames[:, :, :48], 12)
    saved = runner.state.copy()
    on = runner.run(frames[:, :, 48:], 12)
    other = runner_of(NF)
    other.state = saved
    again = other.run(frames[:, :, 48:], 12)
    assert all(np.array_equal(again[task], on[task]) for task in NF.tasks)


def test_a_reset_forgets_everything() -> None:
    frames, runner = clips_for(NF, 48), runner_of(NF)
    fresh = runner.run(frames[:1], 12)
    runner.run(frames[1:], 12)
    runner.reset()
    again = runner.run(frames[:1], 12)
    assert all(np.array_equal(again[task], fresh[task]) for task in NF.tasks)


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_a_picture_that_does_not_change_gives_numbers(form: Form) -> None:
    runner = runner_of(NF, form)
    frames = np.full((1, 4, 120, 9, 9), 100.0, np.float32)
    frames[:, :, 60:] = 250.0  # a uniform step: no spread within any frame
    assert all(np.isfinite(wave).all() for wave in runner.run(frames, 12).values())


def test_the_counter_stops_without_a_trace() -> None:
    """After hours of frames its value does not matter any more."""
    frames, young, old = clips_for(NF, 48)[:1], runner_of(NF), runner_of(NF)
    young.state[0, 0], old.state[0, 0] = 100_000.0, MAX_COUNT
    one, other = young.run(frames, 12), old.run(frames, 12)
    assert old.state[0, 0] == MAX_COUNT
    for task in NF.tasks:
        assert np.abs(one[task] - other[task]).max() <= TOLERANCE * one[task].std()


def test_early_statistics_are_nearly_plain_means() -> None:
    weights = decay_of(600.0, 1) ** np.arange(60)
    assert weights.min() > 0.9
    assert decay_of(600.0, 4) == pytest.approx(decay_of(600.0, 1) ** 4)


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_the_layout_tells_every_value_of_the_state(form: Form) -> None:
    graph = onnx_stream_from_model(model_of(NF), form)
    held = {one.key: one.value for one in graph.metadata_props}
    pieces = msgspec.json.decode(held[LAYOUT], type=list[Piece])
    assert len({piece.name for piece in pieces}) == len(pieces)
    assert [piece.first for piece in pieces] == [0, *np.cumsum([math.prod(piece.shape) for piece in pieces])[:-1]]
    assert sum(piece.size for piece in pieces) == shapes_of(graph)["state"][1]


def shapes_of(graph: onnx.ModelProto) -> dict[str, list[str | int]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.graph.input, *graph.graph.output]
    }


@pytest.mark.parametrize(("form", "dimensions"), [("plain", 5), ("fast", 4)])
def test_the_interface_is_the_contract(form: Form, dimensions: int) -> None:
    graph = onnx_stream_from_model(model_of(NF), form)
    facts = graph_facts(graph.SerializeToString())
    assert (facts.ir_version, facts.opset, facts.external_data) == (10, 18, False)
    shapes = shapes_of(graph)
    size = shapes["state"][1]
    assert shapes == {
        "frames": [1, 4, "L", 9, 9],
        "state": [1, size],
        "bvp": [1, "L"],
        "rsp": [1, "L"],
        "state_out": [1, size],
    }
    kernels = {tensor.name: len(tensor.dims) for tensor in graph.graph.initializer}
    assert {kernels[node.input[1]] for node in graph.graph.node if node.op_type == "Conv"} == {dimensions}
    assert graph.SerializeToString() == onnx_stream_from_model(model_of(NF), form).SerializeToString()
