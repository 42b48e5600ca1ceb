"""Results that are committed are whole, and say where they were measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.benchmarks import soak, start, whole_loop

RESULTS = Path(__file__).resolve().parents[3] / "edge" / "benchmarks" / "results"
TYPES = {"soak": soak.Result, "start": start.Result, "whole-loop": whole_loop.Result}


def found(kind: str) -> list[Path]:
    return sorted(RESULTS.glob(f"{kind}-*.json"))


@pytest.mark.parametrize("kind", TYPES)
def test_there_are_results_and_each_is_whole(kind: str) -> None:
    assert found(kind)
    for path in found(kind):
        result = msgspec.json.decode(path.read_bytes(), type=TYPES[kind])
        assert result.kind == kind.replace("-", " ")
        assert "cores, load" in result.machine


def test_no_file_is_of_no_kind() -> None:
    assert {path for kind in TYPES for path in found(kind)} == set(RESULTS.glob("*"))


@pytest.mark.parametrize("path", found("whole-loop"), ids=lambda path: path.stem)
def test_stages_make_the_whole(path: Path) -> None:
    result = msgspec.json.decode(path.read_bytes(), type=whole_loop.Result)
    assert {row.mode for row in result.rows} == {"exact", "stream"}
    for row in result.rows:
        assert sum(row.stage_ms.values()) == pytest.approx(row.frame_ms, rel=0.1)  # medians, each of its own
        assert row.fps == pytest.approx(1e3 / row.frame_ms, rel=0.01)
        assert row.model_share == pytest.approx(row.stage_ms["model"] / row.frame_ms, rel=0.01)


@pytest.mark.parametrize("path", found("soak"), ids=lambda path: path.stem)
def test_a_soak_was_long_and_its_verdict_is_that_of_its_samples(path: Path) -> None:
    result = msgspec.json.decode(path.read_bytes(), type=soak.Result)
    assert result.samples[-1].s >= 60.0 * result.minutes - 2.0 * soak.EVERY_S
    settled = [sample for sample in result.samples if sample.s >= soak.WARM_UP_SHARE * 60.0 * result.minutes]
    assert soak.failures_of(settled, result.limits) == result.failures
