"""The short version of every fault campaign: each promise held, or the reason why it could not be tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults.campaign import CAMPAIGNS, run_one


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_is_promised_holds(name: str, tmp_path: Path) -> None:
    finding = run_one(name, tmp_path, full=False)
    if finding.skipped:
        pytest.skip(finding.skipped)
    assert finding.failures == ()
    assert finding.rounds > 0


def test_the_figures_of_the_readme_are_those_of_the_committed_run() -> None:
    root = Path(__file__).resolve().parents[2]
    report = json.loads((root / "tests/faults/results/campaign.json").read_bytes())
    told = (root / "edge/sinks/README.md").read_text(encoding="utf-8")
    assert report["full"]
    assert set(report["found"]) >= {"outages", "kills", "prefixes", "full_disk", "capacity", "seen_offline"}
    assert not [one for one in report["found"].values() if one["failures"] or one["skipped"]]
    figures = [
        value for one in report["found"].values() for value in one["figures"].values() if isinstance(value, float)
    ]
    assert [value for value in figures if f"{value}" not in told] == []
