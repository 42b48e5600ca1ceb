"""INT8 for convolutions: which may have it, the ranges of their values, and Q/DQ in the graph for TensorRT.

Only convolutions are quantised. The first of each tower sees differences of frames with rare large values, the last of
each branch gives the waveform itself: both stay as they are, with all norms and tanhs. Weights have a scale a channel,
activations one a tensor, all signed with zero-point 0. What is not INT8 is float16 or float32 by
:func:`export.precision.half_from_plain`.

ONNX Runtime's ``quantize_static`` writes the same nodes (a test compares), but works through files, leaves its mark on
opset and IR version by its release, chooses ranges without looking behind the tanh, and cannot quantise before frames
are stacked, which is what makes the CPU graph fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from export.forms import WeightedLayer
from export.forms_int8 import LEVELS, LayerRange, int8_weights
from export.graph_writer import Array
from export.graphs import towers, weighted_layers
from training.model import BranchNet, LateBranchNet, Mmrphys

__all__ = ["conv_names", "inner_convs", "int8_from_plain", "ranges_from_windows"]

Values = npt.NDArray[np.float32]
SAMPLES = 4096
"""Values of a tensor that one window gives to the choice of its range."""
CUTS = np.linspace(0.3, 1.0, 29)
"""Ends of a range that are tried, as shares of the largest value seen."""


def conv_names(model: Mmrphys) -> list[str]:
    """All convolutions in the order in which the graph has them; ``bvp[0:3].0 3>8`` has channels seen, in and out."""
    return [name for name, _ in _convs(model)]


def inner_convs(model: Mmrphys) -> list[int]:
    """The numbers of those that are neither the first of a tower nor the last of a branch."""
    return [number for number, (_, inner) in enumerate(_convs(model)) if inner]


def _convs(model: Mmrphys) -> list[tuple[str, bool]]:
    """The name of each convolution, and whether it stands between others."""
    found = []
    for task in model.spec.tasks:
        branch, net = model.spec.branch(task), model.get_submodule(task)
        assert isinstance(net, (BranchNet, LateBranchNet))
        for tower, (first, end) in towers(net, model.spec):
            layers = weighted_layers(branch.features + branch.head, [*tower.features, *tower.head])
            found += [
                (f"{task}[{first}:{end}].{place} {name}", place > 0) for place, name in enumerate(_shapes(layers))
            ]
        last = _shapes(weighted_layers(branch.final, net.final))
        found += [(f"{task} final.{place} {name}", place < len(last) - 1) for place, name in enumerate(last)]
    return found


def _shapes(layers: Iterable[WeightedLayer]) -> list[str]:
    return [f"{kernel.shape[1]}>{kernel.shape[0]}" for _, kernel in layers if kernel is not None]


# ------------------------------------------------------------------------------------------------------------- ranges


def ranges_from_windows(plain: onnx.ModelProto, windows: Iterable[Values], seed: int = 0) -> list[LayerRange]:
    """For each convolution of ``plain`` the ranges whose rounding and cutting together err least on ``windows``.

    ``windows`` are ``[B, C, F, S, S]`` each. An output's error is measured behind the tanh that follows.
    """
    probe, names = _probe(plain)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    drawn: list[list[Values]] = [[] for _ in names]
    for window in windows:
        for kept, values in zip(drawn, session.run(names, {"frames": window}), strict=True):
            flat = np.abs(values).ravel()
            kept.append(np.append(rng.choice(flat, SAMPLES), flat.max()))
    samples = [np.concatenate(kept) for kept in drawn]
    return [
        LayerRange(_least_error(seen), _least_error(given, through_tanh=True))
        for seen, given in zip(samples[::2], samples[1::2], strict=True)
    ]


def _probe(plain: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """``plain`` with the input and output of every convolution as outputs, and their names."""
    probe = onnx.ModelProto()
    probe.CopyFrom(plain)
    names = [name for node in plain.graph.node if node.op_type == "Conv" for name in (node.input[0], node.output[0])]
    for name in dict.fromkeys(names):
        probe.graph.output.append(helper.make_empty_tensor_value_info(name))
    return probe, names


def _least_error(sizes: Values, *, through_tanh: bool = False) -> float:
    """Of the ends tried, the one of the least mean square error for values of these magnitudes."""
    ends = CUTS * max(float(sizes.max()), 1e-6)
    scale = (ends / LEVELS)[:, None]
    given = np.rint(sizes / scale).clip(0, LEVELS) * scale
    error = np.tanh(given) - np.tanh(sizes) if through_tanh else given - sizes
    return float(ends[(error**2).mean(axis=1).argmin()])


# --------------------------------------------------------------------------------------------------------------- Q/DQ


def int8_from_plain(plain: onnx.ModelProto, ranges: Mapping[int, LayerRange]) -> onnx.ModelProto:
    """A copy of ``plain`` with Q/DQ before each convolution that has a range by its number, checked by onnx."""
    quantised = onnx.ModelProto()
    quantised.CopyFrom(plain)
    quantised.graph.name = f"{plain.graph.name}_int8"
    constants = {tensor.name: tensor for tensor in plain.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    number = -1
    for node in plain.graph.node:
        own = onnx.NodeProto()
        own.CopyFrom(node)
        number += node.op_type == "Conv"
        if node.op_type == "Conv" and number in ranges:
            before, added = _quantised_inputs(own, numpy_helper.to_array(constants[node.input[1]]), ranges[number])
            nodes += before
            quantised.graph.initializer.extend(added)
        nodes.append(own)
    _replace(quantised.graph, nodes)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def _quantised_inputs(
    conv: onnx.NodeProto, kernel: Values, seen: LayerRange
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes before ``conv``, whose inputs become theirs, and their constants."""
    x, stem = conv.input[0], conv.name
    values, scales = int8_weights(kernel)
    held: dict[str, Array] = {
        "x_scale": np.array(seen.input / LEVELS, np.float32),
        "x_zero": np.array(0, np.int8),
        "w": values,
        "w_scale": scales,
        "w_zero": np.zeros(len(values), np.int8),
    }
    constants = [numpy_helper.from_array(value, f"{stem}_{name}") for name, value in held.items()]
    by_scale, by_channel = [f"{stem}_x_scale", f"{stem}_x_zero"], [f"{stem}_w_scale", f"{stem}_w_zero"]
    conv.input[0], conv.input[1] = f"{stem}_x", f"{stem}_kernel"
    nodes = [
        helper.make_node("QuantizeLinear", [x, *by_scale], [f"{stem}_x_int8"], name=f"{stem}_quantise"),
        helper.make_node("DequantizeLinear", [f"{stem}_x_int8", *by_scale], [f"{stem}_x"], name=f"{stem}_restore"),
        helper.make_node(
            "DequantizeLinear", [f"{stem}_w", *by_channel], [f"{stem}_kernel"], name=f"{stem}_weights", axis=0
        ),
    ]
    return nodes, constants


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """``nodes`` instead of the graph's, and only the constants that they read."""
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
