from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from msgspec import UNSET

from edge.pipeline import Counts, Presence, WaveBlock
from edge.publish import Publisher, Summary
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Event, Health, Numerics, Record, Wave, encode
from edge.vitals import Beats, Estimate, Signals, State, Vitals

S = 1_000_000_000


def estimate(state: State, value: float | None = None) -> Estimate:
    return Estimate(value, 0.5, state, () if state == "ok" else ("motion",), 10.0, 100, value and 1.0)


def vitals(second: int, hr: Estimate, rr: Estimate | None = None) -> Vitals:
    return Vitals(
        hr, rr or estimate("starting"), second * S, "main", 0, "exact", "sha256:0", {"rgb": 30.0}, {"rgb": 2}, None
    )


@pytest.fixture
def publisher() -> Publisher:
    counts = Counts(
        frames={"rgb": 300}, dropped={"rgb": 2}, late={"rgb": 0}, duplicate={"rgb": 1}, reordered={"rgb": 3},
        detections=9, windows=4,
    )  # fmt: skip
    return Publisher(
        RecordFactory("kit-1"), lambda: counts, lambda: {"jsonl:x": 3, "jsonl:y": 0}, sink_waiting=lambda: {"mqtt:z": 7}
    )


def records(publisher: Publisher, *outputs: Vitals | WaveBlock) -> list[Record]:
    return [record for output in outputs for record, _ in publisher.records(output)]


def test_a_change_of_state_is_an_event_and_the_first_state_is_none(publisher: Publisher) -> None:
    out = records(
        publisher, vitals(1, estimate("starting")), vitals(2, estimate("ok", 70.0)), vitals(3, estimate("ok", 71.0)),
        vitals(4, estimate("camera_lost")),
    )  # fmt: skip
    events = [record for record in out if isinstance(record, Event)]
    assert [(event.code, event.severity, event.text.split(";")[0]) for event in events] == [
        ("hr_state", "info", "starting -> ok"),
        ("hr_state", "warning", "ok -> camera_lost"),
    ]
    assert "the head moves" in events[1].text


def test_a_look_that_is_told_late_is_as_old_as_that_and_withheld_when_too_old() -> None:
    """A machine that stood still tells its looks when it goes on; their values are of before."""
    now_ns = 0
    publisher = Publisher(RecordFactory("kit-1"), Counts, dict, now=lambda: now_ns)
    beats = Beats((9 * S,), (830.0,), 5.0, 30.0, 30.0)
    told = []
    for late_s in (0.0, 9.9, 9.901):
        now_ns = 10 * S + round(late_s * S)
        hr = dataclasses.replace(estimate("ok", 70.0), sources=("rgb",), source_sqi={"rgb": 0.5})
        look = dataclasses.replace(vitals(10, hr, estimate("lost")), beats=beats)
        told.append(next(record for record, _ in publisher.records(look) if isinstance(record, Numerics)))
    assert [(one.hr.value, one.hr.state, one.hr.age_ms, one.hr.why) for one in told] == [
        (70.0, "ok", 100, ()), (70.0, "ok", 10_000, ()), (None, "stale", 10_001, ("gap",)),
    ]  # fmt: skip
    assert [one.ibi is UNSET for one in told] == [False, False, True]
    assert [(one.rr.state, one.rr.age_ms) for one in told] == [("lost", 100), ("lost", 10_000), ("lost", 10_001)]


def test_an_event_tells_the_number_behind_a_reason_where_it_was_measured(publisher: Publisher) -> None:
    moving = dataclasses.replace(vitals(2, estimate("lost")), facts={"hr": {"motion": 0.031}})
    out = records(publisher, vitals(1, estimate("ok", 70.0)), moving)
    (event,) = (record for record in out if isinstance(record, Event))
    assert event.text == "ok -> lost; the head moves by 3.1% of the face's width"


def test_health_comes_first_and_then_every_ten_seconds(publisher: Publisher) -> None:
    out = records(publisher, *(vitals(second, estimate("starting")) for second in range(1, 35)))
    healths = [record for record in out if isinstance(record, Health)]
    assert [health.pts_ns // S for health in healths] == [1, 11, 21, 31]
    assert (healths[0].frames, healths[0].sink_waiting) == ({"rgb": 300}, {"mqtt:z": 7})
    assert (healths[0].frames, healths[0].sink_dropped, healths[0].cpu_share) == ({"rgb": 300}, {"jsonl:x": 3}, None)


def test_a_wave_block_becomes_one_record_a_waveform(publisher: Publisher) -> None:
    wave = np.arange(30, dtype=np.float32)
    block = WaveBlock(Signals(wave, None, 30.0, 5 * S), "main", 0)
    (record,) = records(publisher, block)
    assert isinstance(record, Wave)
    assert (record.wave, record.source, record.t0_ns, len(record.samples)) == ("pleth", "rgb", 5 * S, 30)


def test_a_wave_names_path_and_state_where_streams_run_and_only_there(publisher: Publisher) -> None:
    signals = Signals(np.zeros(12, np.float32), np.zeros(12, np.float32), 30.0, 5 * S)
    plain = records(publisher, WaveBlock(signals, "main", 0))
    streamed = records(publisher, WaveBlock(signals, "main", 0, "stream", ("ok", "starting")))
    assert all(b'"mode"' not in encode(one) and b'"state"' not in encode(one) for one in plain)
    told = [(one.wave, one.mode, one.state) for one in streamed if isinstance(one, Wave)]
    assert told == [("pleth", "stream", "ok"), ("resp", "stream", "starting")]


def test_records_are_numbered_in_the_order_they_are_sent(publisher: Publisher) -> None:
    out = records(publisher, *(vitals(second, estimate("ok", 70.0)) for second in range(1, 4)))
    assert [record.seq for record in out] == list(range(len(out)))
    assert sum(isinstance(record, Numerics) for record in out) == 3


def test_who_comes_and_leaves_is_an_event_of_the_zone(publisher: Publisher) -> None:
    out = records(publisher, Presence("bed-2", 3, S, here=True), Presence("bed-2", 3, 2 * S, here=False))
    assert [(e.code, e.zone, e.person, e.text) for e in out if isinstance(e, Event)] == [
        ("person_came", "bed-2", 3, "person 3 came into bed-2"),
        ("person_left", "bed-2", 3, "person 3 left bed-2"),
    ]


def test_states_of_two_people_in_a_zone_are_kept_apart_and_forgotten(publisher: Publisher) -> None:
    lead = vitals(1, estimate("ok", 70.0))
    other = dataclasses.replace(vitals(1, estimate("starting")), person=1, lead=False)
    out = records(publisher, lead, other, lead, other, Presence("main", 1, 2 * S, here=False), other)
    assert [event.code for event in out if isinstance(event, Event)] == ["person_left"]


def test_the_summary_tells_zones_apart_where_there_are_several() -> None:
    summary = Summary()
    summary.add(vitals(1, estimate("ok", 70.0)))
    assert "zones" not in summary.as_dict()
    summary.add(dataclasses.replace(vitals(1, estimate("ok", 90.0)), zone="bed-2"))
    assert summary.as_dict()["hr"]["ok_mean"] == 80.0
    assert {name: zone["hr"]["ok_mean"] for name, zone in summary.as_dict()["zones"].items()} == {
        "main": 70.0,
        "bed-2": 90.0,
    }


def test_the_summary_counts_looks_by_state() -> None:
    summary = Summary()
    for look in (vitals(1, estimate("starting")), vitals(2, estimate("ok", 70.0)), vitals(3, estimate("ok", 74.0))):
        summary.add(look)
    assert summary.as_dict()["hr"] == {"states": {"starting": 1, "ok": 2}, "ok_share": 0.667, "ok_mean": 72.0}
    assert summary.as_dict()["rr"]["ok_mean"] is None
