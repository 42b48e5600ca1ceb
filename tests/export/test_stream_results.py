"""What was measured of streams, as it is committed, holds what it says it does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from export.benchmarks import stream_agreement, stream_cpu

RESULTS = Path(__file__).resolve().parents[2] / "export" / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("stream-cpu-*.json")), ids=lambda path: path.stem)
def test_times_are_whole(path: Path) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=stream_cpu.Result)
    assert found.kind == stream_cpu.KIND
    assert {row.size for row in found.timings} == {9, 72} == set(found.shares)
    assert {"published window", "stream.cpu-fp32, short", "stream.fp32, long"} <= {row.graph for row in found.timings}
    assert all(row.median_ms >= row.least_ms > 0.0 for row in found.timings)
    assert all(sum(shares.values()) == pytest.approx(1.0, abs=0.01) for shares in found.shares.values())


@pytest.mark.parametrize("path", sorted(RESULTS.glob("stream-agreement-*.json")), ids=lambda path: path.stem)
def test_agreement_is_whole(path: Path) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=stream_agreement.Result)
    assert found.kind == stream_agreement.KIND
    assert {row.scene for row in found.agreement} == set(stream_agreement.SCENES)
    chosen = [row for row in found.agreement if row.memory == stream_agreement.MEMORY and row.task == "bvp"]
    assert len(chosen) == len(stream_agreement.SCENES)
    assert all(row.pearson_median > 0.99 for row in chosen)


def test_there_are_both() -> None:
    assert len(list(RESULTS.glob("stream-*.json"))) >= 2
