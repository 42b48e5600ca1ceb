"""What an ONNX file says about itself, read from its bytes without the onnx package.

Only three facts are needed before a graph is handed to a runtime: IR version, opset, and whether any tensor's data lie
in another file. They are read by walking the protobuf wire format (protobuf.dev, "Encoding") along the fields of
onnx.proto that can hold tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["GraphFacts", "graph_facts"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 40

# message -> field number -> message inside; every way from a model to a tensor
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION = 14
_MODEL_IR_VERSION = 1
_MODEL_OPSET_IMPORT = 8
_OPSET_DOMAIN = 1
_OPSET_VERSION = 2


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """``opset`` is the default operator set's, 0 when absent; ``external_data``: some tensor lies in another file."""

    ir_version: int
    opset: int
    external_data: bool


def graph_facts(data: bytes) -> GraphFacts:
    """The facts of the ONNX model in ``data``; ValueError when it is not well-formed protobuf or nested too deeply."""
    ir_version, opset = 0, 0
    for number, value in _fields(memoryview(data)):
        if number == _MODEL_IR_VERSION and isinstance(value, int):
            ir_version = value
        elif number == _MODEL_OPSET_IMPORT and isinstance(value, memoryview):
            opset = max(opset, _default_opset(value))
    return GraphFacts(ir_version, opset, _has_external_data(memoryview(data), "model", 0))


def _default_opset(message: memoryview) -> int:
    fields = dict(_fields(message))
    domain, version = fields.get(_OPSET_DOMAIN, memoryview(b"")), fields.get(_OPSET_VERSION, 0)
    own = isinstance(domain, memoryview) and bytes(domain) in (b"", b"ai.onnx")
    return version if own and isinstance(version, int) else 0


def _has_external_data(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("graphs are nested too deeply")
    for number, value in _fields(message):
        if kind == "tensor" and (number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0)):
            return True
        inside = _CHILDREN[kind].get(number)
        if inside and isinstance(value, memoryview) and _has_external_data(value, inside, depth + 1):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers with their values: an int for numbers, the raw bytes for strings, bytes and messages."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == _VARINT:
            number, place = _varint(message, place)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            length, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"unknown protobuf wire type {wire}")
        if place + length > len(message):
            raise ValueError("a protobuf field runs past the end")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("a protobuf number runs past the end")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a protobuf number is longer than 64 bits")
