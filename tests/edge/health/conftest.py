"""A small night in a file: two runs of a live kit, with every state and gaps in its wave, and two damaged lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.kit_records import Kit, night

from edge.sinks.records import Record, encode


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def into(*records: Record, name: str = "night.jsonl", extra: bytes = b"") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(encode(record) + b"\n" for record in records) + extra)
        return path

    return into


@pytest.fixture
def two_runs(write: Callable[..., Path]) -> Path:
    first, second = Kit("1" * 16), Kit("2" * 16, 7200)
    lines = write(*night(first, 25), *night(second, 12))
    with lines.open("ab") as file:
        file.write(b'{"kind":"numerics","v":1,"dev\n' + json.dumps({"kind": "numerics", "v": 2}).encode() + b"\n")
    return lines
