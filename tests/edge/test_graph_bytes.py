from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle import load_bundle
from edge.graph_bytes import graph_facts

IR_10 = b"\x08\x0a"


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(field: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(field << 3 | 2) + varint(len(content)) + content


EXTERNAL_TENSOR = varint(14 << 3) + b"\x01"  # data_location = EXTERNAL
NAMED_FILE = message(13, message(1, b"location") + message(2, b"weights.bin"))


@pytest.mark.parametrize("runtime", ["onnxrt", "tensorrt"])
def test_our_graphs_are_read(runtime: str) -> None:
    facts = graph_facts(load_bundle(None).graph("exact", runtime).data)  # type: ignore[arg-type]
    assert (facts.ir_version, facts.opset, facts.external_data) == (10, 18, False)


@pytest.mark.parametrize("tensor", [EXTERNAL_TENSOR, NAMED_FILE])
@pytest.mark.parametrize(
    "way",
    [
        (7, 5),  # graph, initializer
        (7, 15, 1),  # graph, sparse initializer, values
        (7, 1, 5, 5),  # graph, node, attribute, tensor
        (7, 1, 5, 6, 5),  # graph, node, attribute, graph, initializer
        (25, 7, 5, 10),  # function, node, attribute, tensors
        (20, 1, 5),  # training info, graph, initializer
    ],
)
def test_external_data_is_seen_on_every_way_to_a_tensor(tensor: bytes, way: tuple[int, ...]) -> None:
    content = tensor
    for field in reversed(way):
        content = message(field, content)
    assert graph_facts(IR_10 + content).external_data
    assert not graph_facts(IR_10).external_data


def test_opsets_of_other_domains_do_not_count() -> None:
    custom = message(8, message(1, b"com.example") + varint(2 << 3) + varint(300))
    default = message(8, varint(2 << 3) + varint(18))
    assert graph_facts(IR_10 + custom).opset == 0
    assert graph_facts(IR_10 + custom + default).opset == 18


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_facts_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        graph_facts(data)


def test_endless_nesting_is_refused() -> None:
    content = b""
    for _ in range(60):  # graph { node { attribute { g { node { ...
        content = message(1, message(5, message(6, content)))
    with pytest.raises(ValueError, match="nested"):
        graph_facts(IR_10 + message(7, content))
