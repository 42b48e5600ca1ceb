"""ONNX stream graphs from a model: chunks of frames and a state in, waveform samples and the next state out.

A stream graph approximates the window function. Convolutions are the same, each with the last frames it met kept for
the next chunk; the norms' means over a window become running means (:mod:`export.stream_weights`), for which no end of
a window has to be waited. :mod:`edge.stream_graph` says how it is called. Samples are final ``lag`` frames late
(:mod:`export.stream_time`): at 30 fps 0.33 s for BVP, 0.67 s with long reach, 0.7 s for RSP.

Chunks have 1 to 12 frames, and a multiple of 4 where RSP is on, whose strides in time are 2 and 2. Their length may
change from chunk to chunk; how a stream is cut does not show in what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, helper

from edge.stream_graph import STATE_IN, STATE_OUT, StreamFacts
from export.forms import WeightedLayer
from export.forms_int8 import LayerRange
from export.graph_writer import Array, GraphWriter
from export.graphs import NO_INT8, Form, towers, weighted_layers
from export.stream_forms import FastStream, PlainStream, StreamForm
from export.stream_forms_int8 import Int8Stream
from export.stream_state import LAYOUT, StatePacker
from export.stream_time import DIFFERENCE, Place, block_places, lag, place_after
from export.stream_weights import MAX_CHUNK, MAX_COUNT, Weights, stream_weights
from training.attention import NORM_EPS
from training.model import Block, BranchNet, Conv, LateBranchNet, Mmrphys, ModelSpec, Upsample

__all__ = ["MEMORY", "onnx_stream_from_model", "stream_facts"]

MEMORY = 600.0
"""Frames after which a frame weighs 1/e in the running means: 20 s at 30 fps."""


def stream_facts(spec: ModelSpec, memory: float = MEMORY) -> StreamFacts:
    """What a stream graph of such a model says of itself."""
    step = max(place.rate for place in block_places(spec))
    return StreamFacts(step, MAX_CHUNK, memory, {task: lag(spec.branch(task)) for task in spec.tasks})


def onnx_stream_from_model(
    model: Mmrphys, form: Form, memory: float = MEMORY, int8: Mapping[int, LayerRange] = NO_INT8
) -> onnx.ModelProto:
    """The stream graph of ``model``, checked by onnx; ``int8`` as in :func:`export.graphs.onnx_from_model`."""
    graph = GraphWriter()
    writer = _Writer(graph, _stream_form(graph, form, model.spec.size, int8), model.spec, memory)
    normed = writer.normed_difference()
    for task in model.spec.tasks:
        writer.waveform(normed, model, task)
    writer.count_on()
    writer.state.finish()
    name = f"mmrphys_stream_{model.spec.fusion}_{model.spec.size}_{form}{'_int8' if int8 else ''}"
    metadata = stream_facts(model.spec, memory).metadata() | {LAYOUT: writer.state.layout()}
    return graph.finish(name, *_interface(model.spec, writer.state.size), metadata)


def _stream_form(graph: GraphWriter, form: Form, size: int, int8: Mapping[int, LayerRange]) -> StreamForm:
    if form == "plain":
        return PlainStream(graph)
    return Int8Stream(graph, size, int8) if int8 else FastStream(graph, size)


def _interface(spec: ModelSpec, state: int) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Inputs and outputs."""
    shapes: dict[str, list[str | int | None]] = {
        "frames": [1, spec.channels, "L", spec.size, spec.size],
        STATE_IN: [1, state],
        **{task: [1, "L"] for task in spec.tasks},
        STATE_OUT: [1, state],
    }
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    return values[:2], values[2:]


class _Writer:
    """The walk over a model's layers; ``at`` is where in time the frames at hand stand, ``side`` their size."""

    def __init__(self, graph: GraphWriter, form: StreamForm, spec: ModelSpec, memory: float) -> None:
        self.graph, self.form, self.spec = graph, form, spec
        self.state = StatePacker(graph)
        self.count = self.state.take("count", (1, 1, 1))
        self.length = graph.add("Shape", "frames", start=2, end=3)
        self.weights = stream_weights(
            graph, self.count, self.length, _places(spec), memory, frames_last=form.frames_last
        )
        self.at, self.side, self.channels = DIFFERENCE, spec.size, spec.channels

    def count_on(self) -> None:
        """The frames had with this chunk."""
        more = self.graph.add("Add", self.count, self.graph.add("Cast", self.length, to=TensorProto.FLOAT))
        self.state.put("count", self.graph.add("Min", more, self.graph.number(MAX_COUNT)))

    def normed_difference(self) -> str:
        """What every branch starts from; the last frame is kept."""
        frames = self.form.enter("frames", self.channels, self.side)
        seen = self._remember("frame", frames, 1)
        difference = self.graph.add("Sub", frames, self.form.all_but_newest(seen, 1))
        if self.spec.input_scale != (1.0, 1.0):
            scale = self.graph.constant(self.form.by_channel(self.spec.channel_scale))
            difference = self.graph.add("Mul", difference, scale)
        return self._norm("difference", difference, self.weights[DIFFERENCE])

    def waveform(self, normed: str, model: Mmrphys, task: str) -> None:
        """``normed`` to the output ``task``: one tower, or two joined as [RGB, thermal], then the final layers."""
        branch, net = self.spec.branch(task), model.get_submodule(task)
        assert isinstance(net, (BranchNet, LateBranchNet))
        embedded, channels = [], 0
        for tower, (first, end) in towers(net, self.spec):
            whole = end - first == self.spec.channels
            x = normed if whole else self.form.cut_channels(normed, first, end)
            self.at, self.side, self.channels = DIFFERENCE, self.spec.size, end - first
            name = task if isinstance(net, BranchNet) else f"{task}.{'rgb' if first == 0 else 'thermal'}"
            layers = weighted_layers(branch.features + branch.head, [*tower.features, *tower.head])
            embedded.append(self._walk(name, x, layers))
            channels += self.channels
        self.channels = channels
        x = self._walk(f"{task}.final", self.form.join(embedded), weighted_layers(branch.final, net.final))
        there = self.graph.reshape(self.weights[self.at].there, 1, -1)
        self.graph.add("Mul", self.form.leave(x), there, out=task)

    def _walk(self, name: str, x: str, layers: Iterable[WeightedLayer]) -> str:
        for number, (layer, kernel) in enumerate(layers):
            if isinstance(layer, Upsample):
                x = self.form.repeat(x, layer.times, self.channels, self.side)
            elif isinstance(layer, Conv):
                assert kernel is not None
                x = self._conv(f"{name}.{number}", x, layer, kernel)
            self.at = place_after(layer, self.at)
            if isinstance(layer, Block):
                x = self._norm(f"{name}.{number}", self.graph.add("Tanh", x), self.weights[self.at])
        return x

    def _conv(self, name: str, x: str, layer: Conv, kernel: Array) -> str:
        """The convolution, on the frames kept from before and those that come."""
        reach = 2 * layer.time_dilation if layer.time_stride == 1 else 1 + self.at.skew
        y = self.form.conv(self._remember(f"{name}.frames", x, reach), layer, kernel)
        self.side = (self.side + 2 * layer.pad - layer.side_kernel) // layer.stride + 1
        self.channels = layer.out
        return y

    def _remember(self, name: str, x: str, frames: int) -> str:
        """``x`` after the ``frames`` before it, the last of which are kept."""
        before = self.state.take(name, self.form.shape(frames, self.channels, self.side))
        seen = self.form.after(before, x)
        self.state.put(name, self.form.newest(seen, frames))
        return seen

    def _norm(self, name: str, x: str, weights: Weights) -> str:
        """Deviations from the running mean, in running standard deviations: each frame by those up to itself.

        Both are carried as they are, not as sums, and updated by deviations from the mean before the chunk: nothing
        large is subtracted from something large. Frames before the first become zero.
        """
        add, form = self.graph.add, self.form
        mean = self.state.take(f"{name}.mean", form.statistic_shape(self.channels))
        variance = self.state.take(f"{name}.variance", form.statistic_shape(self.channels))
        x = add("Sub", x, form.spread(mean, self.channels))
        drift = form.weigh(weights.fresh, form.frame_means(x))
        power = form.weigh(weights.fresh, form.frame_means(add("Mul", x, x)))
        power = add("Add", power, add("Mul", weights.kept, variance))
        spread = add("Max", add("Sub", power, add("Mul", drift, drift)), self.graph.number(0.0))
        gain = add("Div", weights.there, add("Sqrt", add("Add", spread, self.graph.number(NORM_EPS))))
        self.state.put(f"{name}.mean", add("Add", mean, form.last(drift)))
        self.state.put(f"{name}.variance", form.last(spread))
        return add("Mul", add("Sub", x, form.spread(drift, self.channels)), form.spread(gain, self.channels))


def _places(spec: ModelSpec) -> set[Place]:
    """Where norms and outputs stand."""
    return block_places(spec) | {Place(1, lag(spec.branch(task))) for task in spec.tasks}
