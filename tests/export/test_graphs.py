from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge.graph_bytes import graph_facts
from export.graphs import IR_VERSION, OPSET, Form, onnx_from_model
from training.model import Mmrphys, ModelSpec

VARIANTS = [
    ModelSpec(9, "NF", 4),
    ModelSpec(9, "EF", 1),
    ModelSpec(9, "EF", 4),
    ModelSpec(9, "EF", 3, ("bvp",)),
    ModelSpec(9, "NF", 4, ("rsp",)),
    ModelSpec(9, "NF", 4, reach="long"),
    ModelSpec(36, "EF", 3),
    ModelSpec(72, "NF", 4),
]


def model_of(spec: ModelSpec) -> Mmrphys:
    torch.manual_seed(spec.size + spec.channels)
    return Mmrphys(spec).eval()


def clips_for(spec: ModelSpec, frames: int, batch: int) -> np.ndarray:
    rng = np.random.default_rng(spec.size)
    return rng.uniform(0, 255, (batch, spec.channels, frames, spec.size, spec.size)).astype(np.float32)


def run(graph: onnx.ModelProto, clips: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": clips}), strict=True))


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_both_forms_compute_the_model_for_any_batch(spec: ModelSpec) -> None:
    frames = 61
    model, clips = model_of(spec), clips_for(spec, frames, batch=2)
    with torch.inference_mode():
        reference = {task: wave.numpy() for task, wave in model(torch.from_numpy(clips)).items()}
    plain, fast = (run(onnx_from_model(model, frames, form), clips) for form in ("plain", "fast"))
    assert set(plain) == set(fast) == set(spec.tasks)
    for task, wave in reference.items():
        for made in (plain, fast):
            assert np.abs(made[task] - wave).max() <= 1e-4 * wave.std()
        assert np.abs(fast[task] - plain[task]).max() <= 1e-5 * wave.std() + 1e-6


def test_a_length_that_is_no_multiple_of_4_works_without_rsp() -> None:
    spec = ModelSpec(9, "EF", 3, ("bvp",))
    model, clips = model_of(spec), clips_for(spec, 24, batch=1)
    with torch.inference_mode():
        wave = model(torch.from_numpy(clips))["bvp"].numpy()
    for form in ("plain", "fast"):
        assert np.abs(run(onnx_from_model(model, 24, form), clips)["bvp"] - wave).max() <= 1e-4 * wave.std()


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_the_interface_is_the_contract(form: Form) -> None:
    graph = onnx_from_model(model_of(VARIANTS[0]), 181, form)
    facts = graph_facts(graph.SerializeToString())
    assert (facts.ir_version, facts.opset, facts.external_data) == (IR_VERSION, OPSET, False) == (10, 18, False)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.graph.input, *graph.graph.output]
    }
    assert shapes == {"frames": ["B", 4, 181, 9, 9], "bvp": ["B", 180], "rsp": ["B", 180]}
    assert {entry.domain for entry in graph.opset_import} == {""}


@pytest.mark.parametrize(("form", "dimensions"), [("plain", 5), ("fast", 4)])
def test_each_form_uses_its_kind_of_convolution(form: Form, dimensions: int) -> None:
    graph = onnx_from_model(model_of(VARIANTS[0]), 181, form).graph
    kernels = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    seen = {kernels[node.input[1]] for node in graph.node if node.op_type == "Conv"}
    assert seen == {dimensions}


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_the_same_model_gives_the_same_bytes(form: Form) -> None:
    first, again = (onnx_from_model(model_of(VARIANTS[0]), 181, form).SerializeToString() for _ in range(2))
    assert first == again


def test_a_length_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        onnx_from_model(model_of(VARIANTS[0]), 180, "plain")
