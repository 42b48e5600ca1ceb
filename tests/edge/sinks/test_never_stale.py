"""No sink ever shows a value older than 10 s as valid: random schedules of faults, every sink, virtual time.

What "shows as valid" means for each stands at its row in ``tests/faults/stale_*.py`` and in ``edge/sinks/README.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from faults.stale_table import TABLE
from faults.stale_world import FAULTS, PEERS, World, folder_for, play, schedule
from faults.ward import NO_BROKER

from edge.health.convert import Format
from edge.sinks import SCHEMES

pytestmark = pytest.mark.scenes


@pytest.mark.parametrize("name", TABLE)
def test_no_value_older_than_ten_seconds_is_shown_as_valid(name: str, tmp_path: Path) -> None:
    reading = TABLE[name]
    if reading.needs_broker and NO_BROKER:
        pytest.skip(NO_BROKER)
    seen = 0
    for seed in range(reading.schedules):
        world = World()
        played = play(world, reading.make(world, folder_for(tmp_path, f"{name} {seed}")), schedule(seed))
        assert played.wrong == (), f"seed {seed}"
        seen += played.seen
    assert seen >= reading.schedules, "nothing was shown, so nothing was tried"


def test_every_sink_and_format_has_a_row() -> None:
    there = {reading.of for reading in TABLE.values()}
    assert there >= set(SCHEMES.values()) | {f"convert --to {form}" for form in get_args(Format)}
    assert there >= {"fleet", "measure"}, "the commands that show rates"


def test_every_fault_is_in_the_schedules() -> None:
    steps = [step for seed in range(2) for step in schedule(seed)]
    assert {step.fault for step in steps} == set(FAULTS)
    assert {step.peer for step in steps} == set(PEERS)
