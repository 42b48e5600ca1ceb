"""Results that are committed or sent in say what they are and where they were measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from export.benchmarks.precision_cpu import KIND, Result

RESULTS = sorted((Path(__file__).resolve().parents[2] / "export/results").glob("window-cpu-*.json"))


def test_there_are_results() -> None:
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_whole(path: Path) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=Result)
    assert found.kind == KIND
    assert found.machine.cpu not in ("", "unknown")
    assert found.machine.threads == 1
    assert {"published", "cpu-fp32, short", "cpu-int8, short"} <= {row.graph for row in found.timings}
    assert all(row.speed and row.median_ms >= row.min_ms > 0.0 for row in found.timings)
    assert {(branch.task, branch.size) for branch in found.branches} == {
        (task, size) for task in ("bvp", "rsp") for size in (9, 36, 72)
    }
    assert all(spent for spent in found.bounds.values())
