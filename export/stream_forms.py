"""The two forms in which a layer of a stream becomes nodes; both compute the same function.

A convolution in time is given the frames it kept before those that come, and needs no padding. A chunk has L frames,
which only the graph's input knows; layers that stride in time halve them.

* plain: one Conv3d a layer on ``[1, C, L, s, s]``, for TensorRT. Statistics are ``[1, C, L]``.
* fast: Conv2d on ``[L, C, s, s]``, for ONNX Runtime on a CPU, whose Conv2d has direct kernels where Conv3d goes through
  im2col. The three frames that a kernel meets are put side by side as channels; or each has its own Conv2d, and the
  three are added; or one Conv2d gives what each frame adds to three outputs. Statistics are ``[L, C]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from export.graph_writer import Array, GraphWriter, conv3d, repeat_time
from training.model import Conv

__all__ = ["FastStream", "PlainStream", "StreamForm"]

TO_END = np.iinfo(np.int64).max
SMALL_SIZE, FEW_CHANNELS = 9, 4
"""Up to the size, copies are cheap beside calls; up to the channels, one Conv2d of three frames beside three of one."""


class StreamForm(ABC):
    """A way to write the layers of a stream. ``frames_last``: the weights of statistics are wanted transposed."""

    frame_axis: ClassVar[int]
    channel_axis: ClassVar[int]
    frames_last: ClassVar[bool]

    def __init__(self, graph: GraphWriter) -> None:
        self.graph = graph

    def join(self, parts: list[str]) -> str:
        """The channels of all parts, in their order."""
        return self.graph.add("Concat", *parts, axis=self.channel_axis) if len(parts) > 1 else parts[0]

    def after(self, kept: str, x: str) -> str:
        """The frames of ``x`` after those of ``kept``."""
        return self.graph.add("Concat", kept, x, axis=self.frame_axis)

    def newest(self, x: str, frames: int) -> str:
        """The last ``frames`` frames."""
        return self.graph.cut(x, axis=self.frame_axis, first=-frames, end=TO_END)

    def all_but_newest(self, x: str, frames: int) -> str:
        """All frames but the last ``frames``."""
        return self.graph.cut(x, axis=self.frame_axis, first=0, end=-frames)

    def by_channel(self, values: tuple[float, ...]) -> Array:
        """One factor a channel, in a shape that meets frames value by value."""
        shape = [1] * len(self.shape(1, 1, 1))
        shape[self.channel_axis] = len(values)
        return np.array(values, np.float32).reshape(shape)

    def cut_channels(self, x: str, first: int, end: int) -> str:
        """Some of the channels."""
        return self.graph.cut(x, axis=self.channel_axis, first=first, end=end)

    @abstractmethod
    def shape(self, frames: int, channels: int, side: int) -> tuple[int, ...]:
        """Of an array of so many frames."""

    @abstractmethod
    def enter(self, frames: str, channels: int, side: int) -> str:
        """``[1, C, L, S, S]`` in the layout that this form works on."""

    @abstractmethod
    def leave(self, x: str) -> str:
        """One channel of one pixel as ``[1, L]``."""

    @abstractmethod
    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """The convolution of ``layer``, unpadded in time."""

    @abstractmethod
    def repeat(self, x: str, times: int, channels: int, side: int) -> str:
        """Every frame ``times`` times."""

    @abstractmethod
    def frame_means(self, x: str) -> str:
        """The mean over each frame, as statistics."""

    @abstractmethod
    def statistic_shape(self, channels: int) -> tuple[int, ...]:
        """Of statistics of one frame."""

    @abstractmethod
    def weigh(self, weights: str, statistics: str) -> str:
        """What ``fresh`` of the weights makes of new statistics."""

    @abstractmethod
    def spread(self, statistics: str, channels: int) -> str:
        """Statistics in a shape that meets frames value by value."""

    @abstractmethod
    def last(self, statistics: str) -> str:
        """Statistics of the last frame."""


class PlainStream(StreamForm):
    """With Conv3d on ``[1, C, L, s, s]``."""

    frame_axis = 2
    channel_axis = 1
    frames_last = True

    def shape(self, frames: int, channels: int, side: int) -> tuple[int, ...]:
        """Channels first."""
        return 1, channels, frames, side, side

    def enter(self, frames: str, channels: int, side: int) -> str:  # noqa: ARG002 - the fast form needs them
        """As it is."""
        return frames

    def leave(self, x: str) -> str:
        """Drop channel and pixel."""
        return self.graph.add("Squeeze", x, self.graph.ints(1, 3, 4))

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """One Conv3d."""
        return conv3d(self.graph, x, layer, kernel, time_pad=0)

    def repeat(self, x: str, times: int, channels: int, side: int) -> str:  # noqa: ARG002 - likewise
        """A nearest-neighbour Resize."""
        return repeat_time(self.graph, x, times)

    def frame_means(self, x: str) -> str:
        """``[1, C, L]``."""
        return self.graph.add("ReduceMean", x, self.graph.ints(3, 4), keepdims=0)

    def statistic_shape(self, channels: int) -> tuple[int, ...]:
        """``[1, C, 1]``."""
        return 1, channels, 1

    def weigh(self, weights: str, statistics: str) -> str:
        """``[1, C, L]``."""
        return self.graph.add("MatMul", statistics, weights)

    def spread(self, statistics: str, channels: int) -> str:  # noqa: ARG002 - likewise
        """``[1, C, L, 1, 1]``."""
        return self.graph.add("Unsqueeze", statistics, self.graph.ints(3, 4))

    def last(self, statistics: str) -> str:
        """``[1, C, 1]``."""
        return self.graph.cut(statistics, axis=2, first=-1, end=TO_END)


class FastStream(StreamForm):
    """With Conv2d on ``[L, C, s, s]``."""

    frame_axis = 0
    channel_axis = 1
    frames_last = False

    def __init__(self, graph: GraphWriter, size: int) -> None:
        super().__init__(graph)
        self.size = size

    def shape(self, frames: int, channels: int, side: int) -> tuple[int, ...]:
        """Frames first."""
        return frames, channels, side, side

    def enter(self, frames: str, channels: int, side: int) -> str:
        """Frames outermost."""
        return self.graph.reshape(self.graph.add("Transpose", frames, perm=[0, 2, 1, 3, 4]), -1, channels, side, side)

    def leave(self, x: str) -> str:
        """Drop channel and pixel."""
        return self.graph.reshape(x, 1, -1)

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """Of the three frames that each output meets, in the way that is fastest there."""
        small = self.size <= SMALL_SIZE
        if small and layer.time_stride == 1:
            return self._shifted(x, layer, kernel)
        taps = self._taps(x, layer)
        if small or kernel.shape[1] <= FEW_CHANNELS:
            beside = self.graph.add("Concat", *taps, axis=1)
            return self._conv2d(beside, layer, kernel.swapaxes(1, 2).reshape(layer.out, -1, *kernel.shape[3:]))
        return self._sum([self._conv2d(tap, layer, kernel[:, :, j]) for j, tap in enumerate(taps)])

    def _shifted(self, x: str, layer: Conv, kernel: Array) -> str:
        """One Conv2d of every frame, kept ones too, that gives its three taps as groups of maps; shifted, added."""
        maps = self._conv2d(x, layer, np.concatenate([kernel[:, :, j] for j in range(3)]))
        step, parts = layer.time_dilation, []
        for j in range(3):
            first = self.graph.ints(j * step, j * layer.out)
            end = self.graph.ints((j - 2) * step or TO_END, (j + 1) * layer.out)
            parts.append(self.graph.add("Slice", maps, first, end, self.graph.ints(0, 1)))
        return self._sum(parts)

    def _sum(self, parts: list[str]) -> str:
        total, *others = parts
        for other in others:
            total = self.graph.add("Add", other, total)
        return total

    def _conv2d(self, x: str, layer: Conv, kernel: Array) -> str:
        return self._conv_node(x, self.graph.constant(kernel), layer)

    def _conv_node(self, x: str, kernel: str, layer: Conv) -> str:
        shape, strides, pads = [layer.side_kernel] * 2, [layer.stride] * 2, [layer.pad] * 4
        return self.graph.add("Conv", x, kernel, kernel_shape=shape, strides=strides, pads=pads)

    def _taps(self, x: str, layer: Conv) -> list[str]:
        """The three frames that each output meets."""
        step = layer.time_dilation
        return [self._frames(x, j * step, (j - 2) * step or TO_END, layer.time_stride) for j in range(3)]

    def _frames(self, x: str, first: int, end: int, step: int) -> str:
        ints = self.graph.ints
        return self.graph.add("Slice", x, ints(first), ints(end), ints(0), ints(step))

    def repeat(self, x: str, times: int, channels: int, side: int) -> str:
        """Expanded along a new axis."""
        x = self.graph.add("Unsqueeze", x, self.graph.ints(1))
        x = self.graph.add("Expand", x, self.graph.ints(1, times, 1, 1, 1))
        return self.graph.reshape(x, -1, channels, side, side)

    def frame_means(self, x: str) -> str:
        """``[L, C]``."""
        return self.graph.add("ReduceMean", x, self.graph.ints(2, 3), keepdims=0)

    def statistic_shape(self, channels: int) -> tuple[int, ...]:
        """``[1, C]``."""
        return 1, channels

    def weigh(self, weights: str, statistics: str) -> str:
        """``[L, C]``."""
        return self.graph.add("MatMul", weights, statistics)

    def spread(self, statistics: str, channels: int) -> str:
        """``[L, C, 1, 1]``."""
        return self.graph.reshape(statistics, -1, channels, 1, 1)

    def last(self, statistics: str) -> str:
        """``[1, C]``."""
        return self.graph.cut(statistics, axis=0, first=-1, end=TO_END)
