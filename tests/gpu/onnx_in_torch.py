"""A stream graph run by PyTorch, so that its chunks can be timed there: only the operations that such graphs use.

What depends on shapes and constants alone is computed at the first call and kept, on the CPU where it is whole numbers;
later calls run what depends on frames and state, which a CUDA graph can hold. ``half`` runs the convolutions in float16
and all else in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

__all__ = ["StreamInTorch"]

Attributes = Mapping[str, Any]


class StreamInTorch:
    """Called with ``frames`` ``[1, C, L, S, S]`` of one L and the state, it gives every output by name."""

    def __init__(self, model: onnx.ModelProto, device: str, *, half: bool) -> None:
        self._device, self._half = torch.device(device), half
        self._nodes = [(node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
                       for node in model.graph.node]  # fmt: skip
        self._outputs = [value.name for value in model.graph.output]
        sizes = {node.input[2] for node in model.graph.node if node.op_type == "Resize"}  # looked at, not computed with
        self._kept = {one.name: self._constant(one, sizes) for one in model.graph.initializer}
        self._moving: list[tuple[Any, Attributes]] | None = None

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        if self._moving is None:
            self._moving = self._fold(inputs)
        values = dict(self._kept) | inputs
        for node, attributes in self._moving:
            self._run(node, attributes, values)
        return {name: values[name] for name in self._outputs}

    def _constant(self, one: onnx.TensorProto, sizes: set[str]) -> Tensor:
        value = torch.from_numpy(numpy_helper.to_array(one).copy())
        return value.to(self._device) if value.is_floating_point() and one.name not in sizes else value

    def _fold(self, inputs: Mapping[str, Tensor]) -> list[tuple[Any, Attributes]]:
        """Run everything once; what came of constants and shapes is kept, the rest has to be run each time."""
        values, moving, left = dict(self._kept) | inputs, set(inputs), []
        for node, attributes in self._nodes:
            self._run(node, attributes, values)
            if node.op_type != "Shape" and moving & set(node.input):
                moving.update(node.output)
                left.append((node, attributes))
            else:
                self._kept.update({name: values[name] for name in node.output})
        return left

    def _run(self, node: Any, attributes: Attributes, values: dict[str, Tensor]) -> None:
        given = [values[name] if name else None for name in node.input]
        if node.op_type == "Conv" and self._half:
            given = [part.half() for part in given]
        if node.op_type == "Cast":
            made: Any = given[0].to(self._device, torch.float32)
        else:
            made = _OPERATIONS[node.op_type](given, attributes)
        parts = made if isinstance(made, list | tuple) else [made]
        for name, part in zip(node.output, parts, strict=True):
            values[name] = part.float() if part.dtype == torch.float16 else part


def _whole(value: Tensor) -> list[int]:
    return [int(n) for n in value.tolist()]


def _slice(given: list[Any], _: Attributes) -> Tensor:
    x, starts, ends, axes, *_rest = given
    for start, end, axis in zip(_whole(starts), _whole(ends), _whole(axes), strict=True):
        x = x[(slice(None),) * (axis % x.dim()) + (slice(start, min(end, 2**31)),)]
    return x


def _conv(given: list[Any], attributes: Attributes) -> Tensor:
    x, weight, *bias = given
    pads = attributes["pads"]
    assert pads[:3] == pads[3:], "symmetric padding"
    how = {"stride": attributes["strides"], "dilation": attributes["dilations"], "padding": pads[:3]}
    return functional.conv3d(x, weight, *bias, **how)


def _split(given: list[Any], attributes: Attributes) -> list[Tensor]:
    axis = attributes.get("axis", 0)
    if len(given) > 1:
        return list(torch.split(given[0], _whole(given[1]), axis))
    return list(torch.chunk(given[0], attributes["num_outputs"], axis))


def _reduced(how: Callable[..., Tensor]) -> Callable[[list[Any], Attributes], Tensor]:
    return lambda given, attributes: how(given[0], dim=_whole(given[1]), keepdim=bool(attributes.get("keepdims", 1)))


def _unsqueeze(given: list[Any], _: Attributes) -> Tensor:
    x = given[0]
    for axis in sorted(_whole(given[1])):
        x = x.unsqueeze(axis)
    return x


def _resize(given: list[Any], _: Attributes) -> Tensor:
    """Nearest, asymmetric, floor, by whole numbers: repeats along each axis."""
    x, scales = given[0], given[2]
    for axis, times in enumerate(scales.tolist()):
        x = x.repeat_interleave(round(times), dim=axis) if times != 1.0 else x
    return x


def _reshape(given: list[Any], _: Attributes) -> Tensor:
    shape = [given[0].shape[i] if n == 0 else n for i, n in enumerate(_whole(given[1]))]
    return given[0].reshape(shape)


_OPERATIONS: dict[str, Callable[[list[Any], Attributes], Any]] = {
    "Add": lambda given, _: given[0] + given[1],
    "Sub": lambda given, _: given[0] - given[1],
    "Mul": lambda given, _: given[0] * given[1],
    "Div": lambda given, _: given[0] / given[1],
    "Pow": lambda given, _: given[0] ** given[1],
    "Max": lambda given, _: torch.maximum(*given),
    "Min": lambda given, _: torch.minimum(*given),
    "GreaterOrEqual": lambda given, _: given[0] >= given[1],
    "Sqrt": lambda given, _: given[0].sqrt(),
    "Tanh": lambda given, _: given[0].tanh(),
    "MatMul": lambda given, _: given[0] @ given[1],
    "Concat": lambda given, attributes: torch.cat(given, attributes["axis"]),
    "Transpose": lambda given, attributes: given[0].permute(attributes["perm"]),
    "Shape": lambda given, at: torch.tensor(given[0].shape[at.get("start", 0) : at.get("end")]),
    "Squeeze": lambda given, _: given[0].squeeze(tuple(_whole(given[1]))) if len(given) > 1 else given[0].squeeze(),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Slice": _slice,
    "Conv": _conv,
    "Split": _split,
    "Unsqueeze": _unsqueeze,
    "Resize": _resize,
    "Reshape": _reshape,
}
