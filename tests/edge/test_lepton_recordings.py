"""Real thermal recordings beside a drawn face: no RGB recording came with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main


def looks(shared_dir: Path, name: str, out: Path) -> list[dict[str, Any]]:
    """The numerics of a run, by second."""
    thermal = shared_dir / "data" / "thermal" / f"{name}.cptv"
    scene = "synthetic:?seconds=24&seed=4&width=480&height=360"
    words = ["--rgb", scene, "--thermal", f"cptv:{thermal}?rotate=90", "--speed", "max", "--sink", f"jsonl:{out}"]
    assert main(["run", *words]) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    return [record for record in records if record["kind"] == "numerics"]


@pytest.mark.scenes
@pytest.mark.parametrize(
    ("name", "ends_s"),
    [("lepton-ffc-pause", 23.3), pytest.param("lepton-still-person", 16.9, marks=pytest.mark.slow)],
)
def test_they_pair_by_their_own_stamps_and_claim_no_breath_that_is_not_the_patients(
    shared_dir: Path, tmp_path: Path, name: str, ends_s: float
) -> None:
    seen = looks(shared_dir, name, tmp_path / "out.jsonl")
    assert not [one for one in seen if one["rr"]["state"] == "ok"], "another person breathes there"
    assert all(one["hr"]["state"] == "ok" for one in seen[8:]), "HR is RGB's alone"
    there = [one for one in seen if one["pts_ns"] < min(ends_s, 20.0) * 1e9]
    assert {round(one["fps"]["thermal"], 1) for one in there} == {8.8}
    assert all(one["skew_ms"] < 1000.0 / 8.77 / 2.0 for one in there)
    if name == "lepton-ffc-pause":
        paused = [one["pts_ns"] for one in seen if one["skew_ms"] is None]
        assert len(paused) == 1, "two seconds without a pair hold one whole second"
        after = [one for one in seen if one["pts_ns"] > paused[0]]
        assert after
        assert all("ffc" in one["rr"]["why"] for one in after), "the pause is masked and said"
