"""Float16 and INT8 graphs: which types stand where, and that they still compute the model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from edge.bundle import load_bundle
from edge.graph_bytes import graph_facts
from edge.runtimes.onnxrt import selftest_from_bundle
from export.forms_int8 import LayerRange, int8_weights
from export.golden import seeded_clip
from export.graphs import onnx_from_model
from export.precision import half_from_plain
from export.quantize import conv_names, inner_convs, int8_from_plain, ranges_from_windows
from export.window_graphs import cpu_forms
from training.model import Mmrphys, ModelSpec

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 61
SPECS = [
    ModelSpec(9, "NF", 4, reach="long"),
    ModelSpec(9, "LF", 4),
    ModelSpec(9, "EF", 1, ("rsp",)),
    ModelSpec(9, "EF", 3, ("bvp",), input_scale=(1 / 255, 1.0)),
    ModelSpec(36, "EF", 3),
    ModelSpec(72, "EF", 3),
    ModelSpec(72, "EF", 3, ("bvp",), geometry="factorizephys"),
]


def model_of(spec: ModelSpec) -> Mmrphys:
    torch.manual_seed(3)
    return Mmrphys(spec).eval()


def clip_of(spec: ModelSpec, frames: int = FRAMES) -> np.ndarray:
    clip = seeded_clip(frames, 30.0, spec.size)
    return np.concatenate([clip[channel].astype(np.float32) for channel in spec.modalities], axis=1)


def run(graph: onnx.ModelProto, clip: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": clip}), strict=True))


def types_of(graph: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value."""
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {value.name: value.type.tensor_type.elem_type for value in values} | {
        tensor.name: tensor.data_type for tensor in inferred.initializer
    }


def graphs_of(spec: ModelSpec, frames: int = FRAMES) -> dict[str, onnx.ModelProto]:
    """Every precision of the model, under the bundle's names."""
    model = model_of(spec)
    plain = onnx_from_model(model, frames, "plain")
    ranges = ranges_from_windows(plain, [clip_of(spec, frames)])
    inner, names, forms = inner_convs(model), conv_names(model), cpu_forms(spec)
    fast = {number: ranges[number] for number in inner if forms[names[number][:3]] == "fast"}
    return {
        "window.fp32": plain,
        "window.cpu-fp32": onnx_from_model(model, frames, forms),
        "window.fp16": half_from_plain(plain),
        "window.int8": half_from_plain(int8_from_plain(plain, {number: ranges[number] for number in inner})),
        "window.cpu-int8": onnx_from_model(model, frames, forms, fast),
    }


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_precision_computes_the_model(spec: ModelSpec) -> None:
    graphs, clip = graphs_of(spec), clip_of(spec)
    clips = np.concatenate([clip, clip[:, :, ::-1]])
    reference = run(graphs["window.fp32"], clips)
    for name, least in (
        ("window.cpu-fp32", 1 - 1e-9),
        ("window.fp16", 0.9999),
        ("window.int8", 0.99),
        ("window.cpu-int8", 0.99),
    ):
        facts = graph_facts(graphs[name].SerializeToString())
        assert (facts.ir_version, facts.opset, facts.external_data) == (10, 18, False)
        waves = run(graphs[name], clips)
        assert set(waves) == set(spec.tasks)
        for task, wave in waves.items():
            assert wave.dtype == np.float32
            assert min(np.corrcoef(one, other)[0, 1] for one, other in zip(wave, reference[task], strict=True)) > least


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_norms_and_what_enters_and_leaves_are_float32_and_convolutions_float16(spec: ModelSpec) -> None:
    half = half_from_plain(onnx_from_model(model_of(spec), FRAMES, "plain"))
    types = types_of(half)
    single = {"InstanceNormalization", "ReduceMean", "Sub", "Mul", "Div", "Sqrt", "Add"}
    for node in half.graph.node:
        floats = {types[name] for name in (*node.input, *node.output) if types.get(name, 7) != TensorProto.INT64}
        if node.op_type in ("Conv", "Tanh"):
            assert floats == {TensorProto.FLOAT16}, node.name
        elif node.op_type in single:
            assert floats == {TensorProto.FLOAT}, node.name
    assert {types[value.name] for value in (*half.graph.input, *half.graph.output)} == {TensorProto.FLOAT}
    casts = [node.input[0] for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) == len(set(casts))


def test_only_inner_convolutions_are_quantised_for_tensorrt_signed_about_zero() -> None:
    spec = SPECS[0]
    model = model_of(spec)
    graph = graphs_of(spec)["window.int8"]
    types, held = types_of(graph), {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    restored = {name for node in graph.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    convs = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert [number for number, node in enumerate(convs) if node.input[0] in restored] == inner_convs(model)
    assert all((node.input[0] in restored) == (node.input[1] in restored) for node in convs)
    assert {types[node.input[0]] for node in convs if node.input[0] not in restored} == {TensorProto.FLOAT16}
    for node in graph.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert held[node.input[2]].dtype == np.int8
            assert not held[node.input[2]].any()
    kernels = [
        held[node.input[0]] for node in graph.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in held
    ]
    assert len(kernels) == len(inner_convs(model))
    assert all(np.abs(kernel.astype(int)).max() == 127 for kernel in kernels)


def test_first_and_last_are_no_candidates() -> None:
    names, inner = conv_names(model_of(SPECS[1])), set(inner_convs(model_of(SPECS[1])))
    outer = [name for number, name in enumerate(names) if number not in inner]
    assert outer == [
        "bvp[0:3].0 3>8", "bvp[3:4].0 1>8", "bvp final.2 8>1", "rsp[0:3].0 3>16", "rsp[3:4].0 1>16", "rsp final.1 16>1",
    ]  # fmt: skip
    assert len(set(names)) == len(names)


def test_a_cpu_runs_the_chosen_convolutions_in_integers(tmp_path: Path) -> None:
    graph = graphs_of(SPECS[0])["window.cpu-int8"]
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == len(inner_convs(model_of(SPECS[0])))


def test_weights_come_back_within_half_a_step() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3, 3, 3)).astype(np.float32)
    kernel[2] = 0.0
    values, scale = int8_weights(kernel)
    assert np.abs(values * scale[:, None, None, None, None] - kernel).max() <= 0.5001 * scale.max()
    assert values.dtype == np.int8


def test_ranges_follow_what_was_seen() -> None:
    spec = SPECS[2]
    plain = onnx_from_model(model_of(spec), FRAMES, "plain")
    ranges = ranges_from_windows(plain, [clip_of(spec)])
    assert len(ranges) == len(conv_names(model_of(spec)))
    assert ranges == ranges_from_windows(plain, [clip_of(spec)])
    assert all(0.0 < seen.input < 100.0 and 0.0 < seen.output < 100.0 for seen in ranges)
    narrow = int8_from_plain(plain, {number: LayerRange(1e-3, 1e-3) for number in inner_convs(model_of(spec))})
    apart = run(narrow, clip_of(spec))["rsp"], run(plain, clip_of(spec))["rsp"]
    assert np.abs(apart[0] - apart[1]).max() > 0.1 * apart[1].std()


def test_onnxruntimes_own_quantiser_writes_the_same_weights(tmp_path: Path) -> None:
    """What stands in for it here must not differ where both do the same: kernels, a scale a channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    spec = SPECS[2]
    plain, clip = onnx_from_model(model_of(spec), FRAMES, "plain"), clip_of(spec)

    class OneClip(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [clip]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return {"frames": self.left.pop()} if self.left else None

    onnx.save(plain, tmp_path / "plain.onnx")
    quantize_static(
        tmp_path / "plain.onnx", tmp_path / "theirs.onnx", OneClip(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv"],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )  # fmt: skip
    theirs = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(tmp_path / "theirs.onnx").graph.initializer
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 5
    ]
    ours = [int8_weights(numpy_helper.to_array(t))[0] for t in plain.graph.initializer if len(t.dims) == 5]
    assert len(theirs) == len(ours) > 5
    for own in ours:
        assert any(own.shape == other.shape and np.abs(own.astype(int) - other).max() <= 1 for other in theirs)


@pytest.mark.parametrize("spec", [SPECS[1], SPECS[5]], ids=str)
def test_tensorrts_parser_takes_every_graph_and_gives_a_plan(spec: ModelSpec) -> None:
    """TensorRT for RTX builds without a GPU; strongly typed, so precision is what the graph says."""
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    for name, graph in graphs_of(spec).items():
        if name.startswith("window.cpu"):
            continue
        log = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(log)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, log)
        assert parser.parse(graph.SerializeToString()), f"{name}: {parser.get_error(0)}"
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        shape = (1, *network.get_input(0).shape[1:])
        profile.set_shape("frames", shape, shape, shape)
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        assert plan is not None, name
        assert plan.nbytes > 100_000


LOAD_ALL = """
import json, sys
import numpy as np, onnxruntime
found = {}
for path in sys.argv[3:]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    frames = np.load(sys.argv[1])
    feed = {"frames": frames}
    if len(session.get_inputs()) == 2:
        feed = {"frames": frames[:, :, :12], "state": np.zeros(session.get_inputs()[1].shape, np.float32)}
    found[path] = [bool(np.isfinite(wave).all()) for wave in session.run(sys.argv[2].split(","), feed)]
print(json.dumps({"python": list(sys.version_info[:2]), "onnxruntime": onnxruntime.__version__, "found": found}))
"""


def loaded_in_3_10(files: list[Path], clip: Path, tasks: tuple[str, ...]) -> None:
    """Every file runs in the oldest ONNX Runtime. JetPack 6 has Python 3.10, whose last one is 1.23.2."""
    python = ROOT / ".venv-3.10/bin/python"
    if not python.is_file():
        pytest.skip(f"no {python}: make unit-3.10 makes it")
    words = [str(python), "-c", LOAD_ALL, str(clip), ",".join(tasks), *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert (said["python"], said["onnxruntime"]) == ([3, 10], "1.23.2")
    assert said["found"] == {str(file): [True] * len(tasks) for file in files}


def test_every_graph_loads_where_the_oldest_device_is(tmp_path: Path) -> None:
    files = []
    for name, graph in graphs_of(SPECS[1]).items():
        files.append(tmp_path / f"{name}.onnx")
        files[-1].write_bytes(graph.SerializeToString())
    np.save(tmp_path / "clip.npy", clip_of(SPECS[1]))
    loaded_in_3_10(files, tmp_path / "clip.npy", SPECS[1].tasks)


def test_the_default_bundle_loads_where_the_oldest_device_is(tmp_path: Path) -> None:
    """Streams and INT8 too."""
    bundle = load_bundle(None)
    files = [bundle.place / entry.file for entry in bundle.manifest.graphs]
    assert len(files) == 10
    np.save(tmp_path / "clip.npy", selftest_from_bundle(bundle)[0])
    loaded_in_3_10(files, tmp_path / "clip.npy", bundle.tasks)
