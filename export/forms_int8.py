"""The fast form with chosen convolutions in INT8, for ONNX Runtime on a CPU.

Such a convolution takes the three frames that its kernel meets side by side as channels of one Conv2d, so that what is
copied is one byte a value and nothing is added afterwards. Activations are quantised once, before that, and again after
the convolution, which ONNX Runtime needs to run it in integers.

Weights are signed with zero-point 0, a scale a channel. Activations here are unsigned with zero-point 128, which is the
same grid moved: on x86-64 ONNX Runtime's products of two signed operands are six times slower (measured). The graphs
for TensorRT, which takes signed only, have zero-point 0 (:mod:`export.quantize`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.forms import FastForm, side_by_side
from export.graph_writer import Array, GraphWriter
from training.model import Conv

__all__ = ["LEVELS", "Int8Form", "LayerRange", "int8_weights", "quantised", "restored", "restored_weights"]

LEVELS = 127
"""Steps of INT8 from zero to the end of a symmetric range."""


@dataclass(frozen=True, slots=True)
class LayerRange:
    """The largest magnitude that a convolution's input and output may have without being cut."""

    input: float
    output: float


def int8_weights(kernel: Array) -> tuple[Array, Array]:
    """``kernel`` ``[out, ...]`` as int8 and the scale of each output channel, float32 ``[out]``."""
    largest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
    scale = (np.maximum(largest, 1e-12) / LEVELS).astype(np.float32)
    steps = kernel / scale.reshape(-1, *[1] * (kernel.ndim - 1))
    return np.rint(steps).clip(-LEVELS, LEVELS).astype(np.int8), scale


def quantised(graph: GraphWriter, x: str, largest: float) -> str:
    """``x`` as uint8 about 128, of a range up to ``largest`` either side."""
    return graph.add("QuantizeLinear", x, _scale(graph, largest), _zero_point(graph))


def restored(graph: GraphWriter, x: str, largest: float) -> str:
    """The float32 of a :func:`quantised` value."""
    return graph.add("DequantizeLinear", x, _scale(graph, largest), _zero_point(graph))


def restored_weights(graph: GraphWriter, kernel: Array) -> str:
    """``kernel``, kept as int8."""
    values, scale = (graph.constant(part) for part in int8_weights(kernel))
    return graph.add("DequantizeLinear", values, scale, graph.constant(np.zeros(len(kernel), np.int8)), axis=0)


def _zero_point(graph: GraphWriter) -> str:
    return graph.constant(np.array(LEVELS + 1, np.uint8))


def _scale(graph: GraphWriter, largest: float) -> str:
    return graph.constant(np.array(largest / LEVELS, np.float32))


class Int8Form(FastForm):
    """As :class:`FastForm`; ``ranges`` has the convolutions in INT8 by their number in the order of the walk."""

    def __init__(self, graph: GraphWriter, samples: int, size: int, ranges: Mapping[int, LayerRange]) -> None:
        super().__init__(graph, samples, size)
        self.ranges, self.number = ranges, -1

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """In INT8 where it has a range."""
        self.number += 1
        if self.number not in self.ranges:
            return super().conv(x, layer, kernel)
        assert self.repeats == 1, "the last convolution stays in float32"
        seen = self.ranges[self.number]
        stacked = self._stack_time(quantised(self.graph, x, seen.input), layer, kernel.shape[1])
        pictures = self.graph.reshape(stacked, -1, 3 * kernel.shape[1], self.side, self.side)
        weights = restored_weights(self.graph, side_by_side(kernel))
        maps = self._conv_node(restored(self.graph, pictures, seen.input), weights, layer)
        maps = restored(self.graph, quantised(self.graph, maps, seen.output), seen.output)
        return self.graph.reshape(maps, -1, self.length, layer.out, self.side, self.side)

    def _stack_time(self, x: str, layer: Conv, channels: int) -> str:
        """``[B, n, C, s, s]`` of uint8 -> ``[B, n', 3 * C, s, s]``; frames beyond the ends are zero, which is 128."""
        fill = _zero_point(self.graph)
        if layer.time_stride == 2:
            return self._pair_time(x, channels, fill)
        step = layer.time_dilation
        padded = self._pad_time(x, step, step, fill)
        taps = [self.graph.cut(padded, axis=1, first=j * step, end=j * step + self.length) for j in range(3)]
        return self.graph.add("Concat", *taps, axis=2)
