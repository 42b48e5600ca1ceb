"""The short version of every fault campaign: each promise held, or the reason why it could not be tried."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from faults import campaign
from faults.campaign import CAMPAIGNS, run_one


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_is_promised_holds(name: str, tmp_path: Path) -> None:
    finding = run_one(name, tmp_path, full=False)
    if finding.skipped:
        pytest.skip(finding.skipped)
    assert finding.failures == ()
    assert finding.rounds > 0


def test_the_figures_of_the_readme_are_those_of_the_committed_runs() -> None:
    root = Path(__file__).resolve().parents[2]
    report = json.loads((root / "tests/faults/results/campaign.json").read_bytes())
    told = (root / "edge/sinks/README.md").read_text(encoding="utf-8")
    assert list(report["found"]) == list(CAMPAIGNS), "every fault has its row"
    assert [name for name, one in report["found"].items() if not one["full"] or one["failures"] or one["skipped"]] == []
    figures = [
        value for one in report["found"].values() for value in one["figures"].values() if isinstance(value, float)
    ]
    assert [value for value in figures if f"{value}" not in told] == []


def test_a_report_keeps_the_rows_that_were_not_run_and_what_ran_before_a_stop(tmp_path: Path) -> None:
    kept = tmp_path / "found.json"
    row = {"rounds": 1, "figures": {}, "failures": [], "skipped": "", "took_s": 1.0, "full": True}
    kept.write_text(json.dumps({"found": {"outages": row}}))
    words = [
        sys.executable,
        campaign.__file__,
        "--json",
        str(kept),
        "--jobs",
        "2",
        "--only",
        "clock_jumps",
        "serial_replug",
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(kept.read_bytes())["found"]
    assert list(found) == ["outages", "clock_jumps", "serial_replug"]
    assert found["outages"] == row
    assert found["serial_replug"]["rounds"] == 1
    assert {"date", "machine"} <= set(found["serial_replug"])
    assert "held     serial_replug" in done.stdout
