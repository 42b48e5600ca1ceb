"""Float16 in the graph itself, for TensorRT, whose builder takes a strongly typed network and no flag.

Convolutions, tanh and resampling are computed in float16. Everything that sums or divides over a window stays float32:
the difference of frames and its norm, and every instance norm, where float16 loses the mean of thousands of values.
Inputs and outputs are float32. A Cast stands where a value changes its type, and once for all who read it.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["half_from_plain"]

_HALF_INPUTS: dict[str, tuple[int, ...]] = {"Conv": (0, 1), "Resize": (0,)}
"""Operations computed in float16, and which of their inputs are; the others keep their type."""
_EITHER = {"Slice", "Squeeze", "Concat", "Identity", "Tanh"}
"""Operations that take the type that comes: they move numbers, or are fused with what gives them."""


def half_from_plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` (the plain form of :mod:`export.graphs`) in mixed precision, checked by onnx."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    half.graph.name = f"{model.graph.name}_fp16"
    typed = _Typing(half.graph)
    for node in model.graph.node:
        typed.take(node)
    typed.finish()
    onnx.checker.check_model(half, full_check=True)
    return half


class _Typing:
    """Rewrites a graph node by node.

    ``halves`` are the values that are float16 under their own name, ``restored`` those that come from INT8.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.halves: set[str] = set()
        self.restored: set[str] = set()
        self.casts: dict[tuple[str, int], str] = {}
        self.half_constants: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []

    def take(self, node: onnx.NodeProto) -> None:
        """Append ``node`` with inputs of the types that it is computed in."""
        either = node.op_type in _EITHER
        is_half = node.op_type in _HALF_INPUTS or (either and node.input[0] in self.halves)
        is_half &= node.input[0] not in self.restored
        if node.op_type == "DequantizeLinear":  # gives float32, and what reads it is INT8
            self.restored.update(node.output)
        places = range(1 if node.op_type != "Concat" else len(node.input)) if either else range(len(node.input))
        own = onnx.NodeProto()
        own.CopyFrom(node)
        for place in _HALF_INPUTS.get(node.op_type, places) if is_half else places:
            own.input[place] = self._as_type(node.input[place], half=is_half)
        if is_half and node.output[0] in self.outputs:
            own = helper.make_node("Cast", [own.input[0]], list(node.output), name=node.name, to=TensorProto.FLOAT)
        elif is_half:
            self.halves.update(node.output)
        self.nodes.append(own)

    def finish(self) -> None:
        """Put nodes and constants, those that are still read, into the graph."""
        read = {name for node in self.nodes for name in node.input}
        constants = [*self.constants.values(), *self.half_constants.values()]
        kept = [tensor for tensor in constants if tensor.name in read]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(kept)

    def _as_type(self, name: str, *, half: bool) -> str:
        """The name of the value ``name`` in float16 or float32; a constant is converted, another gets a Cast."""
        if name in self.constants:
            return self._half_constant(name) if half else name
        if (name in self.halves) == half:
            return name
        to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        if (name, to) not in self.casts:
            out = self.casts[name, to] = f"{name}_{'half' if half else 'single'}"
            self.nodes.append(helper.make_node("Cast", [name], [out], name=f"Cast_{out}", to=to))
        return self.casts[name, to]

    def _half_constant(self, name: str) -> str:
        if name not in self.half_constants:
            values = numpy_helper.to_array(self.constants[name]).astype(np.float16)
            self.half_constants[name] = numpy_helper.from_array(values, f"{name}_half")
        return str(self.half_constants[name].name)
