"""One recorded run for all tests: a small scene whose face sways, seen by both cameras."""

from __future__ import annotations

import pytest
from fakes.recorded_run import Recorded, records_of

from edge.cli import main

SCENE = "synthetic:?width=320&height=240&thermal_width=80&thermal_height=60&seconds=13&sway=0.05&amplitude=0.03"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    out, lines = folder / "a.mcap", folder / "a.jsonl"
    words = ["--rgb", SCENE, "--speed", "max", "--sink", f"jsonl:{lines}", "--device-id", "kit-7", "--zone", "bed-2"]
    assert main(["record", "--out", str(out), "--consent", "nobody: it is drawn", *words]) == 0
    return Recorded(out, records_of(lines))
