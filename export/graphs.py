"""ONNX window graphs from a model, written node by node from its layer table.

Writing the graph from the table, instead of tracing the module, lets both forms (``export/forms.py``) share one walk,
keeps the node list short and readable, and fixes opset and IR version independently of the torch exporter's.

Both forms take ``frames`` float32 ``[B, C, F, S, S]`` (RGB 0..255 first, thermal in degC last) and give one float32
``[B, T]`` a task, T = F - 1; only B is symbolic. Attention acts in training only and has no part in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import onnx
from torch import nn

from export.forms import FastForm, PlainForm, WeightedLayer, WindowForm
from export.forms_int8 import Int8Form, LayerRange
from export.graph_writer import IR_VERSION, OPSET, GraphWriter
from training.model import Block, BranchNet, LateBranchNet, Layer, Mmrphys, ModelSpec, Tower

__all__ = ["IR_VERSION", "NO_INT8", "OPSET", "Form", "form_name", "onnx_from_model", "towers", "weighted_layers"]

Form = Literal["plain", "fast"]
NO_INT8: Mapping[int, LayerRange] = MappingProxyType({})
LONG_SUM = 2**14
"""ONNX Runtime's InstanceNormalization adds up a channel in one run of float32. Of the input's differences, a window of
9x9 and 181 frames has 14 580 values, one of 72x72 a million: published models then differ from torch by up to 2.4e-3 of
an output's standard deviation; with sums in stages by up to 2.1e-5."""


def onnx_from_model(
    model: Mmrphys, frames: int, form: Form | Mapping[str, Form], int8: Mapping[int, LayerRange] = NO_INT8
) -> onnx.ModelProto:
    """The window graph of ``model`` for ``frames`` input frames (F), checked by onnx.

    ``form``: of all branches, or of each task's. ``int8``: in branches of the fast form, the convolutions that are
    quantised, by their number in the graph, with their ranges. ValueError when T = F - 1 does not fit the time strides.
    """
    spec = model.spec
    spec.check_frames(frames)
    forms = dict.fromkeys(spec.tasks, form) if isinstance(form, str) else {task: form[task] for task in spec.tasks}
    graph = GraphWriter()
    normed = _normed_difference(graph, "frames", frames, spec)
    for task in spec.tasks:
        writer = _writer(graph, forms[task], frames - 1, spec.size, int8)
        graph.add("Identity", _waveform(writer, normed, model, task), out=task)
    return graph.model(spec, frames, f"mmrphys_{spec.fusion}_{spec.size}_{form_name(forms)}{'_int8' if int8 else ''}")


def form_name(forms: Mapping[str, Form]) -> str:
    """The form that all branches have, else ``mixed``."""
    first, *others = dict.fromkeys(forms.values())
    return "mixed" if others else first


def _writer(graph: GraphWriter, form: Form, samples: int, size: int, int8: Mapping[int, LayerRange]) -> WindowForm:
    if form == "plain":
        return PlainForm(graph)
    if not int8:
        return FastForm(graph, samples, size)
    before = sum(node.op_type == "Conv" for node in graph.nodes)
    return Int8Form(graph, samples, size, {number - before: seen for number, seen in int8.items()})


def _normed_difference(graph: GraphWriter, frames_in: str, frames: int, spec: ModelSpec) -> str:
    """``[B, C, F, S, S]`` -> ``[B, C, T, S, S]``, what every branch starts from."""
    later = graph.cut(frames_in, axis=2, first=1, end=frames)
    earlier = graph.cut(frames_in, axis=2, first=0, end=frames - 1)
    difference = graph.add("Sub", later, earlier)
    if spec.input_scale != (1.0, 1.0):
        scale = np.array(spec.channel_scale, np.float32).reshape(1, -1, 1, 1, 1)
        difference = graph.add("Mul", difference, graph.constant(scale))
    if (frames - 1) * spec.size**2 > LONG_SUM:
        return graph.norm_in_stages(difference)
    return graph.norm(difference, spec.channels)


def _waveform(writer: WindowForm, normed: str, model: Mmrphys, task: str) -> str:
    """``[B, C, T, S, S]`` -> ``[B, T]``: one tower, or two joined as [RGB, thermal], then the final layers."""
    branch, net = model.spec.branch(task), model.get_submodule(task)
    assert isinstance(net, (BranchNet, LateBranchNet))
    embedded = []
    for tower, (first, end) in towers(net, model.spec):
        seen = normed if end - first == model.spec.channels else writer.graph.cut(normed, axis=1, first=first, end=end)
        layers = weighted_layers(branch.features + branch.head, [*tower.features, *tower.head])
        embedded.append(writer.walk(writer.enter(seen), layers))
    return writer.leave(writer.walk(writer.join(embedded), weighted_layers(branch.final, net.final)))


def towers(net: BranchNet | LateBranchNet, spec: ModelSpec) -> list[tuple[Tower, tuple[int, int]]]:
    """The towers of a branch, in the order in which they are joined, with the channels they see."""
    if isinstance(net, BranchNet):
        return [(net, spec.task_channels(net.task))]
    return [(net.rgb, (0, 3)), (net.thermal, (3, 4))]


def weighted_layers(layers: tuple[Layer, ...], modules: Iterable[nn.Module]) -> Iterator[WeightedLayer]:
    """Each layer with its kernel, if it has one."""
    for layer, module in zip(layers, modules, strict=True):
        conv = module.get_submodule("conv") if isinstance(layer, Block) else module
        yield layer, conv.weight.detach().cpu().numpy() if isinstance(conv, nn.Conv3d) else None
