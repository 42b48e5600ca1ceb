"""Layer by layer: names, operations and durations from ONNX Runtime's own profile, arithmetic and traffic from shapes.

Counts: a multiplication with its addition is 2, any other value that is computed (a tanh too) is 1, a normalisation 8 a
value. Bytes are what a layer reads and writes as it is written, its weights included, wherever a cache may hold them.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import onnxruntime

from edge.errors import FaultError

__all__ = ["Layer", "flops_of", "layers_from_events", "layers_of", "open_session"]

Shape = tuple[int, ...]

_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_MOVES = frozenset({
    "Cast", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Expand", "Gather", "MemcpyFromHost",
    "MemcpyToHost", "Pad", "ReorderInput", "ReorderOutput", "Shape", "Slice", "Split", "Tile", "Transpose", "Where",
})  # fmt: skip
_ONE_EACH = frozenset({
    "Abs", "Add", "And", "Ceil", "Clip", "Cos", "DequantizeLinear", "Div", "Elu", "Equal", "Exp", "Floor",
    "Greater", "GreaterOrEqual", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min", "Mul", "Neg", "Not", "Or",
    "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Resize", "Round", "Sigmoid", "Sign", "Sin", "Sqrt", "Sub",
    "Tanh",
})  # fmt: skip
_REDUCTIONS = ("Reduce", "GlobalAveragePool", "AveragePool", "MaxPool", "CumSum", "Softmax")
_NORMS = frozenset({"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"})
_PER_VALUE = {
    **dict.fromkeys(_VIEWS | _MOVES, 0),
    **dict.fromkeys(_ONE_EACH, 1),
    **dict.fromkeys(_NORMS, 8),
}


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node as it ran: ``us`` is the median of its runs, ``flops`` None where its shapes do not tell."""

    name: str
    op: str
    us: float
    share: float
    flops: int | None
    bytes: int


def open_session(graph: bytes, name: str, threads: int, profile: Path | None = None) -> Any:
    """A session on the CPU, as the runtime opens it; ``profile`` is the prefix of a profile to write.

    FaultError when the graph does not load.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class below Exception
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise FaultError(f"{name}: ONNX Runtime cannot load the graph ({first})") from error


def layers_of(graph: bytes, name: str, threads: int, call: Callable[[Any], object], runs: int) -> list[Layer]:
    """Layers in the order they run, from ``runs`` calls of ``call(session)`` after one that does not count."""
    with TemporaryDirectory() as folder:
        session = open_session(graph, name, threads, Path(folder) / "profile")
        for _ in range(runs + 1):
            call(session)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    return layers_from_events(events)


def layers_from_events(events: Sequence[Mapping[str, Any]]) -> list[Layer]:
    """Layers from a profile's events; the first run of each node is left out where there is another."""
    seen: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            seen[event["name"], event["args"].get("node_index", "")].append(event)
    times = {key: median(event["dur"] for event in (runs[1:] or runs)) for key, runs in seen.items()}
    total = sum(times.values()) or 1.0
    return [_layer(runs[-1], times[key], times[key] / total) for key, runs in seen.items()]


def _layer(event: Mapping[str, Any], us: float, share: float) -> Layer:
    args = event["args"]
    op = str(args.get("op_name", "unknown"))
    inputs, outputs = _shapes(args.get("input_type_shape")), _shapes(args.get("output_type_shape"))
    moved = sum(int(args.get(key) or 0) for key in ("activation_size", "parameter_size", "output_size"))
    name = event["name"].removesuffix("_kernel_time")
    return Layer(name, op, us, round(share, 5), flops_of(op, inputs, outputs), 0 if op in _VIEWS else moved)


def _shapes(entries: Sequence[Mapping[str, Sequence[int]]] | None) -> list[Shape]:
    return [tuple(shape) for entry in entries or () for shape in entry.values()]


def flops_of(op: str, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int | None:
    """Operations of one node, None for an operation that is not known or shapes that do not tell."""
    values = sum(math.prod(shape) for shape in outputs)
    if op in _PER_VALUE:
        return _PER_VALUE[op] * values
    if not inputs or not inputs[0]:
        return None
    if op.startswith(_REDUCTIONS):
        return math.prod(inputs[0])
    if op.endswith(("MatMul", "MatMulInteger")):
        return 2 * values * inputs[0][-1]
    if op.endswith("Gemm") and outputs and outputs[0]:  # its first matrix may be given transposed
        return 2 * values * (math.prod(inputs[0]) // max(1, math.prod(outputs[0][:-1])))
    return _convolution(inputs, values) if "Conv" in op and "Transpose" not in op else None


def _convolution(inputs: Sequence[Shape], values: int) -> int | None:
    """The kernel is the first input after the data that has as many axes."""
    kernel = next((shape for shape in inputs[1:] if len(shape) == len(inputs[0]) > 2), None)
    return None if kernel is None else 2 * values * math.prod(kernel[1:])
