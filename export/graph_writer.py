"""Writing an ONNX graph node by node, with the constants and operations that the window graphs need."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.attention import NORM_EPS
from training.model import Conv, ModelSpec

__all__ = ["IR_VERSION", "OPSET", "Array", "GraphWriter", "conv3d", "repeat_time"]

OPSET = 18
IR_VERSION = 10
"""ONNX Runtime 1.23, the last with a wheel for Python 3.10, reads up to this one."""

Array = npt.NDArray[Any]


class GraphWriter:
    """Nodes in order, constants stored once. Every method appends a node and gives the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Any node."""
        out = out or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{op}_{len(self.nodes)}", **attributes))
        return out

    def constant(self, array: Array) -> str:
        """The name of a constant, which is no node."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(
                np.ascontiguousarray(array), f"constant_{len(self.constants)}"
            )
        return str(self.constants[key].name)

    def ints(self, *values: int) -> str:
        """As :meth:`constant`, of int64."""
        return self.constant(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """As :meth:`constant`, one float32 without a shape."""
        return self.constant(np.array(value, dtype=np.float32))

    def split(self, x: str, parts: int, *, axis: int) -> list[str]:
        """``x`` in equal parts along ``axis``."""
        if parts == 1:
            return [x]
        names = [f"split_{len(self.nodes)}_{i}" for i in range(parts)]
        self.nodes.append(
            helper.make_node("Split", [x], names, name=f"Split_{len(self.nodes)}", axis=axis, num_outputs=parts)
        )
        return names

    def cut(self, x: str, *, axis: int, first: int, end: int) -> str:
        """``first <= index < end`` along ``axis``."""
        return self.add("Slice", x, self.ints(first), self.ints(end), self.ints(axis))

    def reshape(self, x: str, *shape: int) -> str:
        """The same numbers in another shape."""
        return self.add("Reshape", x, self.ints(*shape))

    def norm(self, x: str, channels: int) -> str:
        """Instance norm of ``[B, C, ...]`` without affine part."""
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        return self.add("InstanceNormalization", x, self.constant(ones), self.constant(zeros), epsilon=NORM_EPS)

    def norm_in_stages(self, x: str) -> str:
        """As :meth:`norm` of ``[B, C, T, S, S]``, exact however long: sums are taken over one axis at a time."""
        centred = self.add("Sub", x, self._mean(x))
        variance = self._mean(self.add("Mul", centred, centred))
        epsilon = self.constant(np.array(NORM_EPS, np.float32))
        return self.add("Div", centred, self.add("Sqrt", self.add("Add", variance, epsilon)))

    def _mean(self, x: str) -> str:
        for axis in (4, 3, 2):
            x = self.add("ReduceMean", x, self.ints(axis), keepdims=1)
        return x

    def model(self, spec: ModelSpec, frames: int, name: str) -> onnx.ModelProto:
        """The finished model from ``frames`` to one output a task, checked."""
        shape: list[str | int | None] = ["B", spec.channels, frames, spec.size, spec.size]
        inputs = [helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info(task, TensorProto.FLOAT, ["B", frames - 1]) for task in spec.tasks]
        return self.finish(name, inputs, outputs)

    def finish(
        self,
        name: str,
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> onnx.ModelProto:
        """The model of all nodes so far, checked."""
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mmrphys-edge")
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def conv3d(graph: GraphWriter, x: str, layer: Conv, kernel: Array, *, time_pad: int) -> str:
    """One Conv3d on ``[B, C, T, S, S]``, with ``time_pad`` zero frames at each end."""
    return graph.add(
        "Conv",
        x,
        graph.constant(kernel),
        kernel_shape=list(kernel.shape[2:]),
        strides=[layer.time_stride, layer.stride, layer.stride],
        pads=[time_pad, layer.pad, layer.pad] * 2,
        dilations=[layer.time_dilation, 1, 1],
    )


def repeat_time(graph: GraphWriter, x: str, times: int) -> str:
    """Every frame of ``[B, C, T, S, S]`` ``times`` times, by a nearest-neighbour Resize."""
    scales = graph.constant(np.array([1, 1, times, 1, 1], dtype=np.float32))
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", x, "", scales, **nearest)
