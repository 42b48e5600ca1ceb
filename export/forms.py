"""The two forms in which a layer table becomes nodes. Both compute the same function.

* plain: one Conv3d a layer, for TensorRT and GPU providers.
* fast: for ONNX Runtime on a CPU, whose Conv2d has direct kernels where Conv3d goes through im2col. Frames become
  the batch of a Conv2d that gives the three time taps of the kernel as three groups of maps; shifted by one frame and
  added they are the Conv3d. Exact up to rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from export.graph_writer import Array, GraphWriter, conv3d, repeat_time
from training.model import Block, Conv, Dropout, Layer, Upsample

__all__ = ["FastForm", "PlainForm", "WeightedLayer", "WindowForm", "side_by_side"]

WeightedLayer = tuple[Layer, Array | None]
"""A layer and its kernel ``[out, in, 3, k, k]``, if it has one."""


class WindowForm(ABC):
    """A way to write layers: ``enter``, ``walk`` as often as needed, ``join`` where towers meet, ``leave``."""

    channel_axis: ClassVar[int]

    def __init__(self, graph: GraphWriter) -> None:
        self.graph = graph

    def walk(self, x: str, layers: Iterable[WeightedLayer]) -> str:
        """Apply ``layers``; those that act in training only are left out."""
        for layer, kernel in layers:
            if isinstance(layer, Upsample):
                x = self.repeat(x, layer.times)
            elif not isinstance(layer, Dropout):
                assert kernel is not None
                x = self.conv(x, layer, kernel)
                if isinstance(layer, Block):
                    x = self.norm(self.graph.add("Tanh", x), layer.out)
        return x

    def join(self, parts: list[str]) -> str:
        """The channels of all parts, in their order."""
        return self.graph.add("Concat", *parts, axis=self.channel_axis) if len(parts) > 1 else parts[0]

    @abstractmethod
    def enter(self, x: str) -> str:
        """``[B, C, T, S, S]`` in the layout that this form works on."""

    @abstractmethod
    def leave(self, x: str) -> str:
        """``[B, T]`` of one channel of one pixel."""

    @abstractmethod
    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """The convolution of ``layer`` alone."""

    @abstractmethod
    def repeat(self, x: str, times: int) -> str:
        """Every frame ``times`` times."""

    @abstractmethod
    def norm(self, x: str, channels: int) -> str:
        """Instance norm."""


class PlainForm(WindowForm):
    """With Conv3d on ``[B, C, T, S, S]``."""

    channel_axis = 1

    def enter(self, x: str) -> str:
        """As it is."""
        return x

    def leave(self, x: str) -> str:
        """Drop channel and pixel."""
        return self.graph.add("Squeeze", x, self.graph.ints(1, 3, 4))

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """One Conv3d."""
        return conv3d(self.graph, x, layer, kernel, time_pad=layer.time_dilation)

    def repeat(self, x: str, times: int) -> str:
        """A nearest-neighbour Resize."""
        return repeat_time(self.graph, x, times)

    def norm(self, x: str, channels: int) -> str:
        """One node."""
        return self.graph.norm(x, channels)


class FastForm(WindowForm):
    """With Conv2d, frames outermost: ``x`` is ``[B, length, C, side, side]`` between ``enter`` and ``leave``.

    Taps are numbered as in the kernel: output frame ``t`` adds tap ``j`` of input frame
    ``t * time_stride + (j - 1) * time_dilation``. Layers with a stride have no dilation.
    """

    channel_axis = 2

    def __init__(self, graph: GraphWriter, samples: int, size: int) -> None:
        super().__init__(graph)
        self._entered = self.length, self.side = samples, size
        self.repeats = 1

    def enter(self, x: str) -> str:
        """Frames outermost; length and side are those of the input again."""
        (self.length, self.side), self.repeats = self._entered, 1
        return self.graph.add("Transpose", x, perm=[0, 2, 1, 3, 4])

    def leave(self, x: str) -> str:
        """Drop channel and pixel."""
        return self.graph.add("Squeeze", x, self.graph.ints(2, 3, 4))

    def repeat(self, x: str, times: int) -> str:
        """Deferred to the next convolution: one in space commutes with repeating frames."""
        self.repeats = times
        return x

    def norm(self, x: str, channels: int) -> str:
        """Between two transposes: the node wants channels first."""
        by_channel = self.graph.add("Transpose", x, perm=[0, 2, 1, 3, 4])
        return self.graph.add("Transpose", self.graph.norm(by_channel, channels), perm=[0, 2, 1, 3, 4])

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """A Conv2d on all frames, and what time needs around it."""
        assert layer.time_dilation == 1 or (layer.time_stride == 1 and self.repeats == 1), "no layer has both"
        if layer.time_stride == 2:
            return self._halve_time(x, layer, kernel)
        if self.repeats > 1:
            return self._repeat_then_shift(x, layer, kernel)
        return self._shift(x, layer, kernel)

    def _shift(self, x: str, layer: Conv, kernel: Array) -> str:
        """Stride 1: zero frames at each end, all three taps of every frame, shifted sum."""
        step = layer.time_dilation
        taps = self._conv2d(self._pad_time(x, step, step), layer, _taps(kernel), self.length + 2 * step)
        return self._sum_of_taps(taps, layer.out, step)

    def _sum_of_taps(self, taps: str, out: int, step: int = 1) -> str:
        """``[B, length + 2 * step, 3 * out, s, s]`` -> ``[B, length, out, s, s]``."""
        total = ""
        for j in range(3):
            tap = self._cut_frames_maps(taps, (j * step, j * step + self.length), (j * out, (j + 1) * out))
            total = self.graph.add("Add", total, tap) if total else tap
        return total

    def _halve_time(self, x: str, layer: Conv, kernel: Array) -> str:
        """Stride 2: the three frames that a kernel meets, side by side as channels of one Conv2d."""
        return self._conv2d(self._pair_time(x, kernel.shape[1]), layer, side_by_side(kernel))

    def _pair_time(self, x: str, channels: int, fill: str = "") -> str:
        """``[B, n, C, s, s]`` -> ``[B, n / 2, 3 * C, s, s]``: the last odd frame, the even one, the next odd one."""
        half = self.length // 2
        pairs = self.graph.reshape(x, -1, half, 2 * channels, self.side, self.side)
        odd = self._cut_frames_maps(pairs, (0, half - 1), (channels, 2 * channels))
        self.length = half
        return self.graph.add("Concat", self._pad_time(odd, 1, 0, fill), pairs, axis=2)

    def _repeat_then_shift(self, x: str, layer: Conv, kernel: Array) -> str:
        """The convolution in space at the low rate, then every frame repeated, then the shifted sum."""
        taps = self._conv2d(x, layer, _taps(kernel))
        side, maps = self.side, 3 * layer.out
        taps = self.graph.add("Unsqueeze", taps, self.graph.ints(2))
        taps = self.graph.add("Expand", taps, self.graph.ints(1, self.length, self.repeats, maps, side, side))
        self.length, self.repeats = self.length * self.repeats, 1
        taps = self.graph.reshape(taps, -1, self.length, maps, side, side)
        return self._sum_of_taps(self._pad_time(taps, 1, 1), layer.out)

    def _conv2d(self, x: str, layer: Conv, kernel: Array, length: int = 0) -> str:
        """``[B, length, C, side, side]`` -> ``[B, length, maps, side', side']``; ``self.side`` becomes the new one."""
        pictures = self.graph.reshape(x, -1, kernel.shape[1], self.side, self.side)
        maps = self._conv_node(pictures, self.graph.constant(kernel), layer)
        return self.graph.reshape(maps, -1, length or self.length, len(kernel), self.side, self.side)

    def _conv_node(self, pictures: str, kernel: str, layer: Conv) -> str:
        """The Conv2d itself, after which ``self.side`` is the new one."""
        self.side = (self.side + 2 * layer.pad - layer.side_kernel) // layer.stride + 1
        side = layer.side_kernel
        pads, strides = [layer.pad] * 4, [layer.stride] * 2
        return self.graph.add("Conv", pictures, kernel, kernel_shape=[side, side], strides=strides, pads=pads)

    def _pad_time(self, x: str, before: int, after: int, fill: str = "") -> str:
        """``[B, n, C, s, s]`` with frames of zero, or of the constant ``fill``, at the ends."""
        pads = self.graph.ints(0, before, 0, 0, 0, 0, after, 0, 0, 0)
        return self.graph.add("Pad", x, pads, *([fill] if fill else []))

    def _cut_frames_maps(self, x: str, frames: tuple[int, int], maps: tuple[int, int]) -> str:
        first, end = self.graph.ints(frames[0], maps[0]), self.graph.ints(frames[1], maps[1])
        return self.graph.add("Slice", x, first, end, self.graph.ints(1, 2))


def _taps(kernel: Array) -> Array:
    """``[out, C, 3, k, k]`` -> ``[3 * out, C, k, k]``: the time taps as three groups of maps."""
    return np.concatenate([kernel[:, :, j] for j in range(3)])


def side_by_side(kernel: Array) -> Array:
    """``[out, C, 3, k, k]`` -> ``[out, 3 * C, k, k]``: the time taps as three groups of input channels."""
    beside: Array = kernel.swapaxes(1, 2).reshape(len(kernel), -1, *kernel.shape[3:])
    return beside
