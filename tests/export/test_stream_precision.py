"""Streams in float16 and INT8: which types stand where, and that they still give the stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fakes.zoo import clips_for, model_of, name_of
from onnx import TensorProto

from edge.graph_bytes import graph_facts
from edge.runtimes.onnxrt_stream import StreamSession
from edge.stream_graph import StreamRunner
from export.forms_int8 import LayerRange
from export.graphs import onnx_from_model
from export.precision import half_from_plain
from export.quantize import conv_names, inner_convs, int8_from_plain, ranges_from_windows
from export.stream import onnx_stream_from_model
from training.model import ModelSpec

SPECS = [
    ModelSpec(9, "NF", 4, reach="long"),
    ModelSpec(9, "LF", 4),
    ModelSpec(36, "EF", 3),
    ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
]
FRAMES = 36


def ranges_of(spec: ModelSpec) -> dict[int, LayerRange]:
    model = model_of(spec)
    ranges = ranges_from_windows(onnx_from_model(model, FRAMES + 1, "plain"), [clips_for(spec, FRAMES + 1)])
    return {number: ranges[number] for number in inner_convs(model)}


def graphs_of(spec: ModelSpec) -> dict[str, onnx.ModelProto]:
    model, ranges = model_of(spec), ranges_of(spec)
    plain = onnx_stream_from_model(model, "plain")
    return {
        "stream.fp32": plain,
        "stream.fp16": half_from_plain(plain),
        "stream.int8": half_from_plain(int8_from_plain(plain, ranges)),
        "stream.cpu-int8": onnx_stream_from_model(model, "fast", int8=ranges),
    }


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_every_precision_gives_the_stream(spec: ModelSpec) -> None:
    graphs, clip = graphs_of(spec), clips_for(spec, 96 if spec.size == 9 else FRAMES)[:1]
    reference = StreamRunner(StreamSession("fp32", graphs["stream.fp32"].SerializeToString())).run(clip, 12)
    for name, least in (("stream.fp16", 0.9999), ("stream.int8", 0.98), ("stream.cpu-int8", 0.98)):
        data = graphs[name].SerializeToString()
        facts = graph_facts(data)
        assert (facts.ir_version, facts.opset, facts.external_data) == (10, 18, False)
        waves = StreamRunner(StreamSession(name, data)).run(clip, 12)
        assert all(np.corrcoef(waves[task], reference[task])[0, 1] > least for task in spec.tasks), name


def test_statistics_and_what_enters_and_leaves_are_float32_and_convolutions_float16() -> None:
    half = graphs_of(SPECS[0])["stream.fp16"]
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}
    types |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    single = {"ReduceMean", "MatMul", "Sub", "Mul", "Div", "Sqrt", "Pow", "Max"}
    for node in half.graph.node:
        floats = {types[name] for name in (*node.input, *node.output) if name in types} - {TensorProto.INT64}
        if node.op_type in ("Conv", "Tanh"):
            assert floats == {TensorProto.FLOAT16}, node.name
        elif node.op_type in single:
            assert floats <= {TensorProto.FLOAT}, node.name  # some are of lengths, which are int64
    assert all(types[node.output[0]] == TensorProto.FLOAT for node in half.graph.node if node.op_type == "ReduceMean")
    outside = [*half.graph.input, *half.graph.output]
    assert {value.type.tensor_type.elem_type for value in outside} == {TensorProto.FLOAT}


def test_a_cpu_runs_the_chosen_convolutions_in_integers(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    graph = graphs_of(SPECS[0])["stream.cpu-int8"].SerializeToString()
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == len(inner_convs(model_of(SPECS[0])))
    assert kinds.count("QLinearConv") < len(conv_names(model_of(SPECS[0])))


def test_how_a_stream_is_cut_does_not_show_in_int8() -> None:
    spec = SPECS[0]
    runner = StreamRunner(StreamSession("int8", graphs_of(spec)["stream.cpu-int8"].SerializeToString()))
    clip = clips_for(spec, 96)[:1]
    whole = runner.run(clip, 12)
    runner.reset()
    for task, wave in runner.run(clip, 4).items():
        assert np.corrcoef(wave, whole[task])[0, 1] > 0.999
