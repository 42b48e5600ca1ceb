"""The fast form of a stream with chosen convolutions in INT8, for ONNX Runtime on a CPU.

As :mod:`export.forms_int8` does for windows: the frames that a kernel meets, quantised once, are put side by side as
channels of one Conv2d, which runs in integers, and what it gives is quantised again. The state stays float32.
"""

from __future__ import annotations

from collections.abc import Mapping

from export.forms import side_by_side
from export.forms_int8 import LayerRange, quantised, restored, restored_weights
from export.graph_writer import Array, GraphWriter
from export.stream_forms import FastStream
from training.model import Conv

__all__ = ["Int8Stream"]


class Int8Stream(FastStream):
    """As :class:`FastStream`; ``ranges`` has the convolutions in INT8 by their number in the order of the walk."""

    def __init__(self, graph: GraphWriter, size: int, ranges: Mapping[int, LayerRange]) -> None:
        super().__init__(graph, size)
        self.ranges, self.number = ranges, -1

    def conv(self, x: str, layer: Conv, kernel: Array) -> str:
        """In INT8 where it has a range."""
        self.number += 1
        if self.number not in self.ranges:
            return super().conv(x, layer, kernel)
        seen = self.ranges[self.number]
        beside = self.graph.add("Concat", *self._taps(quantised(self.graph, x, seen.input), layer), axis=1)
        weights = restored_weights(self.graph, side_by_side(kernel))
        maps = self._conv_node(restored(self.graph, beside, seen.input), weights, layer)
        return restored(self.graph, quantised(self.graph, maps, seen.output), seen.output)
