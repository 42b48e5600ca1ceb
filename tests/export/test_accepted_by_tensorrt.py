"""NVIDIA's own parser and builder take every kind of graph that is meant for TensorRT, and make a plan of it.

That the full TensorRT of a board builds the same graphs, and what its engines give, only a GPU can show.
"""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from fakes.zoo import clips_for, model_of, name_of

from edge.engine_build import Span, plan_from_onnx
from export.graphs import onnx_from_model
from export.precision import half_from_plain
from export.quantize import inner_convs, int8_from_plain, ranges_from_windows
from export.stream import onnx_stream_from_model
from training.model import ModelSpec

FRAMES = 181
SPECS = [
    ModelSpec(9, "NF", 4),
    ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
    ModelSpec(36, "EF", 3, ("bvp",), reach="long"),
]


@pytest.fixture(scope="module")
def rtx() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with the dev extra on x86-64 and aarch64")


@pytest.fixture(scope="module", params=SPECS, ids=name_of)
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    chosen: ModelSpec = request.param
    return chosen


@pytest.fixture(scope="module")
def plain(spec: ModelSpec) -> onnx.ModelProto:
    return onnx_from_model(model_of(spec), FRAMES, dict.fromkeys(spec.tasks, "plain"))


def accepted(rtx: Any, graph: onnx.ModelProto, span: Span) -> bool:
    return len(plan_from_onnx(rtx, graph.SerializeToString(), span=span).data) > 100_000


def test_windows_of_32_bits(rtx: Any, plain: onnx.ModelProto) -> None:
    assert accepted(rtx, plain, Span())


def test_windows_of_16_bits(rtx: Any, plain: onnx.ModelProto) -> None:
    assert accepted(rtx, half_from_plain(plain), Span())


def test_windows_of_8_bits_between_16(rtx: Any, plain: onnx.ModelProto, spec: ModelSpec) -> None:
    ranges = ranges_from_windows(plain, [clips_for(spec, FRAMES)])
    quantised = int8_from_plain(plain, {number: ranges[number] for number in inner_convs(model_of(spec))})
    assert accepted(rtx, quantised, Span())
    assert accepted(rtx, half_from_plain(quantised), Span())


def test_streams_of_chunks_of_1_to_12_frames(rtx: Any, spec: ModelSpec) -> None:
    assert accepted(rtx, onnx_stream_from_model(model_of(spec), "plain"), Span(1, 12, 12))


@pytest.mark.slow
def test_streams_of_16_bits_and_of_8_between_16(rtx: Any, plain: onnx.ModelProto, spec: ModelSpec) -> None:
    stream = onnx_stream_from_model(model_of(spec), "plain")
    assert accepted(rtx, half_from_plain(stream), Span(1, 12, 12))
    ranges = ranges_from_windows(plain, [clips_for(spec, FRAMES)])
    quantised = int8_from_plain(stream, {number: ranges[number] for number in inner_convs(model_of(spec))})
    assert accepted(rtx, half_from_plain(quantised), Span(1, 12, 12))
