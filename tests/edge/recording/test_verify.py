from __future__ import annotations

import pytest

from edge.recording.verify import Verifier
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record, encode


def records(reason: str = "ended") -> list[Record]:
    factory = RecordFactory("kit-7", synced=lambda: reason == "ended")
    return [factory.status("online", "started"), factory.status("offline", reason)]


@pytest.mark.parametrize("recorded_first", [True, False])
def test_the_same_is_the_same_whatever_came_first(recorded_first: bool) -> None:
    verifier = Verifier()
    steps = [
        lambda: [verifier.recorded(encode(one)) for one in records()],
        lambda: [verifier.replayed(one) for one in records()],
    ]
    for step in steps if recorded_first else reversed(steps):
        step()
    assert verifier.finish(complete=True) == ""
    assert verifier.compared == 2


def test_the_first_difference_is_named() -> None:
    verifier = Verifier()
    for before, now in zip(records(), records("stopped"), strict=True):
        verifier.recorded(encode(before))
        verifier.replayed(now)
    assert verifier.finish(complete=True) == 'record 1 (status): reason was "ended", is "stopped"'
    assert verifier.compared == 1


def test_what_is_missing_at_the_end_counts_and_what_was_cut_off_does_not() -> None:
    short, long = Verifier(), Verifier()
    for number, one in enumerate(records()):
        short.recorded(encode(one))
        long.replayed(one)
        if not number:
            short.replayed(one)
            long.recorded(encode(one))
    assert short.finish(complete=True) == short.finish(complete=False) == "the recording has 1 more: record 1 (status)"
    assert long.finish(complete=False) == ""
    assert long.finish(complete=True) == "the replay has 1 more: record 1 (status)"
