from __future__ import annotations

import pytest

from edge.pipeline import Counts
from edge.publish import Publisher
from edge.recording.verify import Verifier
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record, encode
from edge.vitals import Estimate, Vitals


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


def test_a_rate_that_a_live_run_came_to_tell_too_late_is_not_compared_and_the_rest_is() -> None:
    def told(now_ns: int | None, skew_ms: float) -> list[Record]:
        hr = Estimate(71.8, 0.8, "ok", (), 10.0, 240, 0.9)
        rr = Estimate(None, 0.1, "lost", ("motion",), 30.0, 240, None)
        vitals = Vitals(hr, rr, 10**9, "main", 0, "exact", "sha256:ab", {}, {}, skew_ms)
        clock = None if now_ns is None else lambda: now_ns
        publisher = Publisher(RecordFactory("kit-7"), Counts, dict, now=clock)
        return [record for record, _ in publisher.records(vitals)][:1]

    for skew_ms, expected in ((1.0, ""), (2.0, "skew_ms was 1.0, is 2.0")):
        verifier = Verifier()
        verifier.recorded(encode(told(31 * 10**9, 1.0)[0]))
        verifier.replayed(told(None, skew_ms)[0])
        assert verifier.finish(complete=True).endswith(expected)
        assert bool(verifier.difference) == bool(expected)
