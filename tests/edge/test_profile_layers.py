from __future__ import annotations

from typing import Any

import pytest

from edge.bundle import load_bundle
from edge.errors import FaultError
from edge.profile_layers import flops_of, layers_from_events, open_session
from edge.profile_limits import Device, limit_of


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "flops"),
    [
        ("Conv", [(2, 3, 9, 9), (8, 3, 3, 3), (8,)], [(2, 8, 7, 7)], 2 * 2 * 8 * 7 * 7 * 27),
        ("FusedConv", [(1, 4, 6, 5, 5), (2, 4, 3, 3, 3)], [(1, 2, 4, 3, 3)], 2 * 2 * 36 * 108),
        ("QLinearConv", [(1, 3, 9, 9), (), (), (8, 3, 3, 3), (8,), (8,)], [(1, 8, 7, 7)], 2 * 8 * 49 * 27),
        ("MatMul", [(4, 5, 6), (6, 7)], [(4, 5, 7)], 2 * 4 * 5 * 6 * 7),
        ("Gemm", [(6, 5), (6, 7)], [(5, 7)], 2 * 5 * 6 * 7),
        ("Tanh", [(4, 5)], [(4, 5)], 20),
        ("InstanceNormalization", [(1, 4, 10), (4,), (4,)], [(1, 4, 10)], 320),
        ("ReduceMean", [(4, 5)], [(4, 1)], 20),
        ("Slice", [(4, 5)], [(2, 5)], 0),
        ("Conv", [(1, 3, 9, 9)], [(1, 8, 7, 7)], None),
        ("ConvTranspose", [(1, 3, 9, 9), (3, 8, 3, 3)], [(1, 8, 11, 11)], None),
        ("Attention", [(4, 5)], [(4, 5)], None),
        ("MatMul", [()], [()], None),
    ],
)
def test_arithmetic_is_counted_from_shapes(op: str, inputs: Any, outputs: Any, flops: int | None) -> None:
    assert flops_of(op, inputs, outputs) == flops


def event(name: str, op: str, us: int, index: str = "0") -> dict[str, Any]:
    shape = [{"float": [1, 4]}]
    args = {
        "op_name": op, "node_index": index, "input_type_shape": shape, "output_type_shape": shape,
        "activation_size": "16", "parameter_size": "8", "output_size": "16",
    }  # fmt: skip
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": args}


def test_a_layer_is_the_median_of_its_runs_without_the_first() -> None:
    runs = [event("a", "Tanh", us) for us in (900, 30, 31, 90)]
    other = [event("b", "Reshape", 10, "1")]
    noise = [{"cat": "Session", "name": "model_run", "dur": 5, "args": {}}, {"cat": "Node", "name": "a_fence_before"}]
    one, two = layers_from_events([*noise, *runs, *other])
    assert (one.name, one.op, one.us, one.flops, one.bytes) == ("a", "Tanh", 31, 4, 40)
    assert (two.us, two.flops, two.bytes) == (10, 0, 0)
    assert one.share == pytest.approx(31 / 41, abs=1e-5)


def test_the_limit_is_the_larger_of_arithmetic_and_traffic() -> None:
    device = Device("one", 1e-6, 2e-6, 4e-6, 1e-6, [], ["int8_top_s"])  # 1 MFLOP/s, 1 kB/s
    layers = layers_from_events([event("a", "Tanh", 5)])
    limit = limit_of(layers, "fp32", device, least_bytes=20, here=True)
    assert (limit.flops, limit.moved_bytes, limit.floor_by) == (4, 40, "memory")
    assert (limit.floor_ms, limit.written_ms) == (pytest.approx(20.0), pytest.approx(40.0))
    assert limit.unchecked == []
    assert limit_of(layers, "int8", device, 0, here=True).unchecked == ["int8_top_s"]
    assert limit_of(layers, "fp32", device, 0, here=True).floor_by == "arithmetic"


def test_a_graph_that_does_not_load_is_one_line() -> None:
    with pytest.raises(FaultError, match=r"^it\.onnx: ONNX Runtime cannot load the graph \(") as caught:
        open_session(load_bundle(None).graph("exact", "onnxrt").data[:1000], "it.onnx", 1)
    assert "\n" not in str(caught.value)
