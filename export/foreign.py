"""A foreign ONNX network as a window graph of our contract, by nodes before and behind it.

Frames come as ``[B, C, F, S, S]`` and a waveform leaves as ``[B, F - 1]``; F is one more than the frames that the
network takes. Of raw and standardised frames it gets all but the last, of differences all. The network itself is kept
node by node under names of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, compose, helper, version_converter

from edge.bundle import SELFTEST, Bundle, GraphEntry
from edge.errors import InputError, first_line
from edge.graph_bytes import graph_facts
from edge.selftest import SelfTest
from export.compare import infer_from_onnx
from export.foreign_card import ForeignCard, foreign_card_from_toml
from export.golden import bytes_from_file, npz_from_golden, seeded_clip
from export.graph_writer import IR_VERSION, OPSET, GraphWriter
from export.pack import check_replaceable, license_text, write_bundle
from export.window_graphs import SELFTEST_TOLERANCE

__all__ = ["bundle_from_foreign", "window_graph_from_foreign"]

MAX_OPSET = 21
"""What ONNX Runtime 1.23 reads with IR version 10."""
TINY = 1e-7
_PREFIX = "net_"


def bundle_from_foreign(network: Path, card_file: Path, out: Path) -> Bundle:
    """Pack the ONNX file ``network`` with what ``card_file`` says of it; fp32 only, and its own reference.

    Raises
    ------
    InputError
        Card or network cannot be used, or do not fit each other.
    UsageError
        ``out`` is something else than a bundle.
    """
    check_replaceable(out)
    card = foreign_card_from_toml(card_file)
    data = bytes_from_file(network, absent="name an ONNX file", large="a bundle takes no larger graph")
    window = window_graph_from_foreign(_loaded(network, data), card, network)
    graph = window.SerializeToString()
    free = bool(window.graph.input[0].type.tensor_type.shape.dim[0].dim_param)
    golden = _golden(graph, card, network, free=free)
    entry = GraphEntry("window.fp32.onnx", "exact", "tensorrt", "fp32", SELFTEST_TOLERANCE)
    about = {
        "name": card.name,
        "fps": card.fps,
        "frames": card.frames + 1,
        "size": card.size,
        "channels": card.channels,
        "tasks": tuple(card.tasks),
        "sources": dict.fromkeys(card.tasks, card.channels),
        "card": msgspec.to_builtins(card) | {"network_sha256": hashlib.sha256(data).hexdigest()},
    }
    return write_bundle(
        about, [entry], {entry.file: graph, SELFTEST: npz_from_golden(golden), "LICENSE": license_text()}, out
    )


def window_graph_from_foreign(network: onnx.ModelProto, card: ForeignCard, name: Path) -> onnx.ModelProto:
    """``network`` between our nodes, checked by onnx; InputError, which begins with ``name``, when it does not fit."""
    _check_signature(network, card, name)
    inner = compose.add_prefix(network, _PREFIX)
    writer = GraphWriter()
    entrance = _PREFIX + _inputs(network)[0].name
    writer.add("Identity", _in_layout(writer, _transformed(writer, card), card), out=entrance)
    writer.nodes.extend(inner.graph.node)
    for task, output in card.tasks.items():
        writer.add("Identity", _waveform(writer, _PREFIX + output, card), out=task)
    batch: str | int = "B" if "N" in card.layout and not _batch(network, card) else 1
    shape = [batch, card.channel_count, card.frames + 1, card.size, card.size]
    graph = helper.make_graph(
        writer.nodes,
        card.name,
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(task, TensorProto.FLOAT, [batch, card.frames]) for task in card.tasks],
        [*writer.constants.values(), *inner.graph.initializer],
    )
    opsets = [helper.make_opsetid("", network.opset_import[0].version)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mmrphys-edge")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx raises several kinds, some of them bare C++ errors
        raise InputError(f"{name}: does not fit its card ({first_line(error)})") from error
    return model


# -------------------------------------------------------------------------------------------------------------- nodes


def _transformed(graph: GraphWriter, card: ForeignCard) -> str:
    """``frames`` ``[B, C, F, S, S]`` -> what the network was trained on, ``[B, C, F - 1, S, S]``."""
    earlier = graph.cut("frames", axis=2, first=0, end=card.frames)
    later = graph.cut("frames", axis=2, first=1, end=card.frames + 1) if card.input == "diff_normalized" else ""
    parts, first = [], 0
    for channel, count in zip(card.channels, card.counts, strict=True):
        part, next_part = (graph.cut(x, axis=1, first=first, end=first + count) if x else "" for x in (earlier, later))
        if later:
            total = graph.add("Add", graph.add("Add", next_part, part), _number(graph, TINY))
            part = _over_deviation(graph, graph.add("Div", graph.add("Sub", next_part, part), total))
        elif card.input == "standardized":
            part = _over_deviation(graph, graph.add("Sub", part, _mean(graph, part)))
        elif card.scale.get(channel, 1.0) != 1.0:
            part = graph.add("Mul", part, _number(graph, card.scale[channel]))
        parts.append(part)
        first += count
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _over_deviation(graph: GraphWriter, x: str) -> str:
    centred = graph.add("Sub", x, _mean(graph, x))
    deviation = graph.add("Sqrt", _mean(graph, graph.add("Mul", centred, centred)))
    return graph.add("Div", x, graph.add("Add", deviation, _number(graph, TINY)))


def _mean(graph: GraphWriter, x: str) -> str:
    """Over each clip, one axis at a time, which keeps long float32 sums exact."""
    for axis in (4, 3, 2, 1):
        x = graph.add("ReduceMean", x, graph.ints(axis), keepdims=1)
    return x


def _in_layout(graph: GraphWriter, x: str, card: ForeignCard) -> str:
    ours = "NCTHW"
    if "N" not in card.layout:
        x, ours = graph.add("Squeeze", x, graph.ints(0)), "CTHW"
    return graph.add("Transpose", x, perm=[ours.index(letter) for letter in card.layout])


def _waveform(graph: GraphWriter, output: str, card: ForeignCard) -> str:
    """One number a frame, of whatever shape -> ``[B, T]``; a derivative, less its mean, is added up."""
    x = graph.reshape(output, -1, card.frames)
    if card.output == "signal":
        return x
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, graph.ints(1), keepdims=1))
    return graph.add("CumSum", centred, graph.constant(np.array(1, np.int64)))


def _number(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, np.float32))


# ----------------------------------------------------------------------------------------------------------- checking


def _loaded(path: Path, data: bytes) -> onnx.ModelProto:
    """The network at opset 18 or later; InputError for anything that a bundle cannot hold."""
    try:
        external = graph_facts(data).external_data
        network = onnx.ModelProto() if external else onnx.load_model_from_string(data)
        domains = {entry.domain for entry in network.opset_import} - {"", "ai.onnx"}
        if not (external or domains or network.functions):
            onnx.checker.check_model(network)
            if network.opset_import[0].version < OPSET:
                network = version_converter.convert_version(network, OPSET)
    except Exception as error:  # protobuf, onnx and its C++ raise kinds of their own
        raise InputError(f"{path}: not an ONNX network that can be used ({first_line(error)})") from error
    if external:
        raise InputError(f"{path}: keeps weights in another file; export it with all data inside")
    if domains or network.functions:
        raise InputError(f"{path}: uses {sorted(domains) or 'functions'} besides ONNX's own operations; inline them")
    if network.opset_import[0].version > MAX_OPSET:
        raise InputError(f"{path}: opset {network.opset_import[0].version}, wanted at most {MAX_OPSET}; export it anew")
    return network


def _check_signature(network: onnx.ModelProto, card: ForeignCard, name: Path) -> None:
    """One float32 input of the card's shape, and the outputs that it names."""
    inputs = _inputs(network)
    outputs = [value.name for value in network.graph.output]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise InputError(f"{name}: inputs {[value.name for value in inputs]}, wanted one of float32")
    if missing := sorted(set(card.tasks.values()) - set(outputs)):
        raise InputError(f"{name}: outputs {outputs}, the card wants {missing[0]!r}")
    wanted = {"C": card.channel_count, "T": card.frames, "H": card.size, "W": card.size}
    seen = [dim.dim_value or None for dim in inputs[0].type.tensor_type.shape.dim]
    fits = len(seen) == len(card.layout)
    fits = fits and all(n in (None, wanted.get(letter, n)) for n, letter in zip(seen, card.layout, strict=True))
    if not fits or (_batch(network, card) or 1) != 1:
        shape = [wanted.get(letter, "1 or any") for letter in card.layout]
        raise InputError(f"{name}: its input is {seen}, the card says {card.layout} = {shape}")


def _batch(network: onnx.ModelProto, card: ForeignCard) -> int:
    """The fixed number of clips, 0 where it is free or there is none."""
    if "N" not in card.layout:
        return 0
    return int(_inputs(network)[0].type.tensor_type.shape.dim[card.layout.index("N")].dim_value)


def _inputs(network: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a caller gives. Files of IR version 3 list the weights among the inputs too, in any order."""
    held = {tensor.name for tensor in network.graph.initializer}
    return [value for value in network.graph.input if value.name not in held]


def _same(waves: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two runs gave one thing, to rounding; what is no number is for another check."""
    with np.errstate(all="ignore"):
        return all(
            wave.shape == others[task].shape
            and np.allclose(wave, others[task], rtol=0.0, atol=1e-3 * float(wave.std()) + 1e-6, equal_nan=True)
            for task, wave in waves.items()
        )


def _golden(graph: bytes, card: ForeignCard, name: Path, *, free: bool) -> SelfTest:
    """The seeded clip and what the network gives for it here; ``free``: it takes several clips at once.

    InputError where that depends on the run, or on the clips beside it.
    """
    clip: dict[Any, Any] = seeded_clip(card.frames + 1, card.fps, card.size)
    golden = SelfTest({channel: clip[channel] for channel in card.channels}, {})
    infer, clips = infer_from_onnx(graph, tuple(card.tasks)), golden.frames
    try:
        waves, again = infer(clips), infer(clips)
        beside = infer(np.concatenate([clips, clips[:, :, ::-1]])) if free else waves
    except InputError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base class below Exception
        raise InputError(f"{name}: does not run as its card says ({first_line(error)})") from error
    if not _same(waves, again):
        raise InputError(f"{name}: gives other values for the same clip each time; take out what draws at random")
    if not _same(waves, {task: wave[:1] for task, wave in beside.items()}):
        raise InputError(f"{name}: mixes the clips of a batch; export it with a batch of 1")
    for task, wave in waves.items():
        if wave.shape != (1, card.frames) or not np.isfinite(wave).all():
            raise InputError(f"{name}: {task} of shape {list(wave.shape)}, wanted finite numbers [1, {card.frames}]")
    return SelfTest(golden.clip, dict(waves))
