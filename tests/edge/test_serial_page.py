"""The page for people who wire kits: its figures are those of the committed results and of the code."""

from __future__ import annotations

import json
from pathlib import Path

from edge.benchmarks import serial_budget
from edge.sinks.serial_queue import MAX_AGE_MS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "edge/arduino/README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "tests/faults/results"


def test_the_budget_is_what_the_benchmark_prints():
    lines = PAGE.splitlines()
    assert [line for line in serial_budget.table() if line not in lines] == []
    assert serial_budget.bytes_a_second()["line"] == 82  # NMEA's longest


def test_the_figures_are_those_of_the_committed_campaigns():
    damage = json.loads((RESULTS / "serial.json").read_text(encoding="utf-8"))
    verdicts = [damage[profile][decoder] for profile in ("frame", "line") for decoder in ("python", "c")]
    assert damage["ok"]
    assert [damage[profile]["damaged"] for profile in ("frame", "line")] == [1_000_000, 1_000_000]
    assert [(verdict["wrong"], verdict["untouched_lost"]) for verdict in verdicts] == [(0, 0)] * 4
    whole = damage["frame"]["c"]["untouched"] + damage["line"]["c"]["untouched"]
    assert f"beside damaged ones, of {whole:,} |" in PAGE
    replug = json.loads((RESULTS / "serial_replug.json").read_text(encoding="utf-8"))
    line = replug["first_line_s"]
    assert replug["ok"]
    assert f"{replug['rounds']} times |" in PAGE
    assert f"median {line['median']:.2f} s, longest {line['max']:.2f} s" in PAGE


def test_the_age_it_tells_is_the_one_that_holds():
    assert f"Values older than {MAX_AGE_MS / 1000:g} s are not sent" in PAGE
