"""ONNX window graphs from a model, written node by node from its layer table.

Two forms of the same function:

* ``plain``: one Conv3d a layer, for TensorRT and GPU providers.
* ``fast``: for ONNX Runtime on a CPU, whose Conv2d has direct kernels where Conv3d goes through im2col. Frames become
  the batch of a Conv2d that gives the three time taps of the kernel as three groups of maps; shifted by one frame and
  added they are the Conv3d. Exact up to rounding.

Writing the graph from the table, instead of tracing the module, lets both forms share one walk, keeps the node list
short and readable, and fixes opset and IR version independently of the torch exporter's.

Both take ``frames`` float32 ``[B, C, F, S, S]`` (RGB 0..255 first, thermal in degC last) and give one float32
``[B, T]`` a task, T = F - 1; only B is symbolic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.model import NORM_EPS, Block, BranchNet, Conv, Dropout, Layer, Mmrphys, ModelSpec, Upsample

__all__ = ["IR_VERSION", "OPSET", "Form", "onnx_from_model"]

Form = Literal["plain", "fast"]
OPSET = 18
IR_VERSION = 10
"""ONNX Runtime 1.23, the last with a wheel for Python 3.10, reads up to this one."""

Array = npt.NDArray[Any]


def onnx_from_model(model: Mmrphys, frames: int, form: Form) -> onnx.ModelProto:
    """The window graph of ``model`` for ``frames`` input frames (F), checked by onnx.

    ValueError when T = F - 1 does not fit the time strides.
    """
    spec = model.spec
    if "rsp" in spec.tasks and (frames - 1) % 4:
        raise ValueError(f"F - 1 is a multiple of 4 when RSP is on; seen F = {frames}")
    graph = _Graph()
    normed = _normed_difference(graph, "frames", frames, spec.channels)
    for task in spec.tasks:
        first, end = spec.task_channels(task)
        own = normed if end - first == spec.channels else graph.cut(normed, axis=1, first=first, end=end)
        net = model.get_submodule(task)
        assert isinstance(net, BranchNet)
        walk = _plain_branch if form == "plain" else _FastBranch(frames - 1, spec.size)
        graph.add("Identity", walk(graph, own, _weighted_layers(net, task, spec)), out=task)
    return graph.model(spec, frames, f"mmrphys_{spec.fusion}_{spec.size}_{form}")


def _weighted_layers(net: BranchNet, task: str, spec: ModelSpec) -> Iterator[tuple[Layer, Array | None]]:
    """The layers that act at inference, each with its kernel ``[out, in, 3, k, k]`` if it has one."""
    modules = [*net.features, *net.head, *net.final]
    for layer, module in zip(spec.branch(task).layers, modules, strict=True):
        if not isinstance(layer, Dropout):
            conv = module.get_submodule("conv") if isinstance(layer, Block) else module
            yield layer, conv.weight.detach().cpu().numpy() if isinstance(conv, nn.Conv3d) else None


# -------------------------------------------------------------------------------------------------- writing a graph


class _Graph:
    """Nodes in order, constants stored once."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Append a node; gives the name of its output."""
        out = out or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{op}_{len(self.nodes)}", **attributes))
        return out

    def constant(self, array: Array) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(
                np.ascontiguousarray(array), f"constant_{len(self.constants)}"
            )
        return str(self.constants[key].name)

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def cut(self, x: str, *, axis: int, first: int, end: int) -> str:
        return self.add("Slice", x, self.ints(first), self.ints(end), self.ints(axis))

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.ints(*shape))

    def norm(self, x: str, channels: int) -> str:
        """Instance norm of ``[B, C, ...]`` without affine part."""
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        return self.add("InstanceNormalization", x, self.constant(ones), self.constant(zeros), epsilon=NORM_EPS)

    def model(self, spec: ModelSpec, frames: int, name: str) -> onnx.ModelProto:
        """The finished model, checked."""
        shape: list[str | int | None] = ["B", spec.channels, frames, spec.size, spec.size]
        inputs = [helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info(task, TensorProto.FLOAT, ["B", frames - 1]) for task in spec.tasks]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mmrphys-edge")
        onnx.checker.check_model(model, full_check=True)
        return model


def _normed_difference(graph: _Graph, frames_in: str, frames: int, channels: int) -> str:
    later = graph.cut(frames_in, axis=2, first=1, end=frames)
    earlier = graph.cut(frames_in, axis=2, first=0, end=frames - 1)
    return graph.norm(graph.add("Sub", later, earlier), channels)


# --------------------------------------------------------------------------------------------------------- plain form


def _plain_branch(graph: _Graph, x: str, layers: Iterator[tuple[Layer, Array | None]]) -> str:
    """``[B, C, T, S, S]`` -> ``[B, T]`` with Conv3d."""
    for layer, kernel in layers:
        if isinstance(layer, Upsample):
            x = _repeat_time(graph, x, layer.times)
        elif isinstance(layer, Conv):
            assert kernel is not None
            x = _conv3d(graph, x, layer, kernel)
            if isinstance(layer, Block):
                x = graph.norm(graph.add("Tanh", x), layer.out)
    return graph.add("Squeeze", x, graph.ints(1, 3, 4))


def _conv3d(graph: _Graph, x: str, layer: Conv, kernel: Array) -> str:
    return graph.add(
        "Conv",
        x,
        graph.constant(kernel),
        kernel_shape=list(kernel.shape[2:]),
        strides=[layer.time_stride, layer.stride, layer.stride],
        pads=[layer.time_dilation, layer.pad, layer.pad] * 2,
        dilations=[layer.time_dilation, 1, 1],
    )


def _repeat_time(graph: _Graph, x: str, times: int) -> str:
    scales = graph.constant(np.array([1, 1, times, 1, 1], dtype=np.float32))
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", x, "", scales, **nearest)


# ---------------------------------------------------------------------------------------------------------- fast form


class _FastBranch:
    """``[B, C, T, S, S]`` -> ``[B, T]`` with Conv2d, frames outermost: ``x`` is ``[B, length, C, side, side]`` between.

    Taps are numbered as in the kernel: output frame ``t`` adds tap ``j`` of input frame
    ``t * time_stride + (j - 1) * time_dilation``. Layers with a stride have no dilation.
    """

    def __init__(self, length: int, side: int) -> None:
        self.length = length
        self.side = side
        self.repeat = 1

    def __call__(self, graph: _Graph, x: str, layers: Iterator[tuple[Layer, Array | None]]) -> str:
        x = graph.add("Transpose", x, perm=[0, 2, 1, 3, 4])
        for layer, kernel in layers:
            if isinstance(layer, Upsample):
                self.repeat = layer.times  # deferred: a convolution in space commutes with repeating frames
            elif isinstance(layer, Conv):
                assert kernel is not None
                assert layer.time_dilation == 1 or (layer.time_stride == 1 and self.repeat == 1), "no layer has both"
                x = self._conv(graph, x, layer, kernel)
        return graph.add("Squeeze", x, graph.ints(2, 3, 4))

    def _conv(self, graph: _Graph, x: str, layer: Conv, kernel: Array) -> str:
        if layer.time_stride == 2:
            x = self._halve_time(graph, x, layer, kernel)
        elif self.repeat > 1:
            x = self._repeat_then_shift(graph, x, layer, kernel)
        else:
            x = self._shift(graph, x, layer, kernel)
        return self._tanh_norm(graph, x, layer.out) if isinstance(layer, Block) else x

    def _shift(self, graph: _Graph, x: str, layer: Conv, kernel: Array) -> str:
        """Stride 1: zero frames at each end, all three taps of every frame, shifted sum."""
        step = layer.time_dilation
        taps = self._conv2d(graph, _pad_time(graph, x, step, step), layer, _taps(kernel), self.length + 2 * step)
        return self._sum_of_taps(graph, taps, layer.out, step)

    def _sum_of_taps(self, graph: _Graph, taps: str, out: int, step: int = 1) -> str:
        """``[B, length + 2 * step, 3 * out, s, s]`` -> ``[B, length, out, s, s]``."""
        total = ""
        for j in range(3):
            tap = _cut_frames_maps(graph, taps, (j * step, j * step + self.length), (j * out, (j + 1) * out))
            total = graph.add("Add", total, tap) if total else tap
        return total

    def _halve_time(self, graph: _Graph, x: str, layer: Conv, kernel: Array) -> str:
        """Stride 2: the last odd frame, the even and the next odd one side by side as channels meet one kernel."""
        channels, side, half = kernel.shape[1], self.side, self.length // 2
        pairs = graph.reshape(x, -1, half, 2 * channels, side, side)
        odd = _cut_frames_maps(graph, pairs, (0, half - 1), (channels, 2 * channels))
        triples = graph.add("Concat", _pad_time(graph, odd, 1, 0), pairs, axis=2)
        self.length = half
        return self._conv2d(graph, triples, layer, kernel.swapaxes(1, 2).reshape(layer.out, -1, *kernel.shape[3:]))

    def _repeat_then_shift(self, graph: _Graph, x: str, layer: Conv, kernel: Array) -> str:
        """The convolution in space at the low rate, then every frame repeated, then the shifted sum."""
        taps = self._conv2d(graph, x, layer, _taps(kernel))
        side, maps = self.side, 3 * layer.out
        taps = graph.add("Unsqueeze", taps, graph.ints(2))
        taps = graph.add("Expand", taps, graph.ints(1, self.length, self.repeat, maps, side, side))
        self.length, self.repeat = self.length * self.repeat, 1
        taps = graph.reshape(taps, -1, self.length, maps, side, side)
        return self._sum_of_taps(graph, _pad_time(graph, taps, 1, 1), layer.out)

    def _conv2d(self, graph: _Graph, x: str, layer: Conv, kernel: Array, length: int = 0) -> str:
        """``[B, length, C, side, side]`` -> ``[B, length, maps, side', side']``; ``self.side`` becomes the new one."""
        length = length or self.length
        maps = graph.add(
            "Conv",
            graph.reshape(x, -1, kernel.shape[1], self.side, self.side),
            graph.constant(kernel),
            kernel_shape=[layer.side_kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.pad] * 4,
        )
        self.side = (self.side + 2 * layer.pad - layer.side_kernel) // layer.stride + 1
        return graph.reshape(maps, -1, length, len(kernel), self.side, self.side)

    def _tanh_norm(self, graph: _Graph, x: str, channels: int) -> str:
        by_channel = graph.add("Transpose", graph.add("Tanh", x), perm=[0, 2, 1, 3, 4])
        return graph.add("Transpose", graph.norm(by_channel, channels), perm=[0, 2, 1, 3, 4])


def _taps(kernel: Array) -> Array:
    """``[out, C, 3, k, k]`` -> ``[3 * out, C, k, k]``: the time taps as three groups of maps."""
    return np.concatenate([kernel[:, :, j] for j in range(3)])


def _pad_time(graph: _Graph, x: str, before: int, after: int) -> str:
    """``[B, n, C, s, s]`` with zero frames at the ends."""
    return graph.add("Pad", x, graph.ints(0, before, 0, 0, 0, 0, after, 0, 0, 0))


def _cut_frames_maps(graph: _Graph, x: str, frames: tuple[int, int], maps: tuple[int, int]) -> str:
    first, end = graph.ints(frames[0], maps[0]), graph.ints(frames[1], maps[1])
    return graph.add("Slice", x, first, end, graph.ints(1, 2))
