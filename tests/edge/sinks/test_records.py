from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import edge.sinks
from edge.sinks.factory import RecordFactory
from edge.sinks.records import EVENTS, Record, comparable, decode, encode, json_schema
from edge.vitals import REASONS, STATES, VALUE_STATES, Estimate, Vitals

VALIDATOR = Draft202012Validator(json_schema())


def factory(**clocks: Any) -> RecordFactory:
    given_clocks = {"wall_clock": lambda: 1_795_342_507_120_000_000, "mono_clock": lambda: 123, "synced": lambda: True}
    return RecordFactory("kit-7", "9f2c61d0a4b87e13", **(given_clocks | clocks))


def estimate(**changes: Any) -> Estimate:
    good = Estimate(value=71.83, sqi=0.823, state="ok", why=(), window_s=10.0, age_ms=240, uncertainty=0.9)
    return dataclasses.replace(good, **changes)


LOST = estimate(value=None, state="lost", why=("motion",), uncertainty=None, sqi=0.21, window_s=30.0)


def vitals(**changes: Any) -> Vitals:
    plain = Vitals(
        hr=estimate(),
        rr=LOST,
        pts_ns=7_000_000_000,
        zone="main",
        person=0,
        mode="exact",
        bundle_id="sha256:ab",
        fps={"rgb": 29.968, "thermal": 8.7},
        dropped={"rgb": 0, "thermal": 2},
        skew_ms=21.04,
    )
    return dataclasses.replace(plain, **changes)


def one_of_each() -> list[Record]:
    make = factory()
    counts = {"rgb": 3, "thermal": 1}
    return [
        make.status("online", "started"),
        make.meta(
            software="0.1.0", bundle="sha256:ab", signature="none", graph="window.cpu-fp32.onnx", graph_why="only one",
            runtime="onnxrt", mode="exact", zones=["main"], cameras={"rgb": "video:a.mp4"},
        ),
        make.numerics(vitals()),
        make.wave("pleth", [0.123456, float("nan"), -2.0], fs=29.97, t0_ns=5, zone="main", person=0, source="rgb"),
        make.event("hr_state", "notice", "HR ok -> lost: motion", zone="main", person=0, pts_ns=5),
        make.event("input_broken", "warning", "truncated"),
        make.health(
            9, frames=counts, dropped=counts, late=counts, duplicate=counts, reordered=counts, detections=4, windows=2,
            sink_dropped={"mqtt://127.0.0.1/ward": 0},
        ),
    ]  # fmt: skip


def test_numerics_hold_exactly_the_published_fields():
    record = json.loads(encode(factory().numerics(vitals())))
    assert record == {
        "v": 1, "kind": "numerics", "device": "kit-7", "boot": "9f2c61d0a4b87e13", "seq": 0,
        "time": "2026-11-22T10:15:07.120Z", "clock": "synced", "mono_ns": 123, "zone": "main", "person": 0,
        "mode": "exact", "bundle": "sha256:ab",
        "hr": {"value": 71.8, "unit": "/min", "sqi": 0.82, "state": "ok", "why": [], "window_s": 10.0, "age_ms": 240,
               "uncertainty": 0.9},
        "rr": {"value": None, "unit": "/min", "sqi": 0.21, "state": "lost", "why": ["motion"], "window_s": 30.0,
               "age_ms": 240, "uncertainty": None},
        "fps": {"rgb": 29.97, "thermal": 8.7}, "dropped": {"rgb": 0, "thermal": 2},
        "pts_ns": 7_000_000_000, "skew_ms": 21.0,
    }  # fmt: skip


def breath() -> Estimate:
    return estimate(value=14.22, window_s=30.0, sources=("thermal",), source_sqi={"thermal": 0.834, "rgb": 0.4})


def test_rr_names_what_it_was_read_from_and_the_quality_of_each_modality():
    line = encode(factory().numerics(vitals(rr=breath())))
    record = json.loads(line)
    VALIDATOR.validate(record)
    assert record["rr"]["sources"] == ["thermal"]
    assert record["rr"]["source_sqi"] == {"rgb": 0.4, "thermal": 0.83}
    assert not {"sources", "source_sqi"} & set(record["hr"])
    assert encode(decode(line)) == line


def test_sources_without_a_value_are_refused():
    line = encode(factory().numerics(vitals(rr=breath())))
    record = json.loads(line)
    record["rr"] |= {"value": None, "uncertainty": None, "state": "lost", "why": ["motion"]}
    assert not VALIDATOR.is_valid(record)
    with pytest.raises(msgspec.ValidationError, match="do not go without a value"):
        decode(msgspec.json.encode(record))


def test_every_kind_validates_and_reads_back():
    for record in one_of_each():
        line = encode(record)
        VALIDATOR.validate(json.loads(line))
        assert decode(line) == record
    assert {json.loads(encode(r))["kind"] for r in one_of_each()} == {
        "status", "meta", "numerics", "wave", "event", "health",
    }  # fmt: skip


def test_one_counter_over_all_records_and_a_new_boot_per_process():
    assert [record.seq for record in one_of_each()] == list(range(7))
    boots = {RecordFactory("kit").boot for _ in range(50)}
    assert len(boots) == 50
    assert all(len(boot) == 16 and int(boot, 16) >= 0 for boot in boots)


def test_a_clock_that_follows_nothing_says_free():
    assert factory(synced=lambda: False).status("online", "").clock == "free"


def test_a_gap_in_a_wave_is_null():
    wave = json.loads(encode(one_of_each()[3]))
    assert wave["samples"] == [0.1235, None, -2.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_never_leaves(bad):
    for place in ({"fps": {"rgb": bad}}, {"skew_ms": bad}):
        with pytest.raises(ValueError, match="not finite"):
            encode(factory().numerics(vitals(**place)))
    record = factory().wave("resp", [1.0], fs=bad, t0_ns=0, zone="main", person=0, source="thermal")
    with pytest.raises(ValueError, match="not finite"):
        encode(record)


@given(state=st.sampled_from(STATES), sqi=st.floats(0, 1), value=st.floats(1, 300), uncertainty=st.floats(0, 50))
def test_every_estimate_makes_a_valid_record(state, sqi, value, uncertainty):
    why = () if state == "ok" else ("weak_signal",)
    hr = Estimate(value if state in VALUE_STATES else None, sqi, state, why, 10.0, 0, uncertainty)
    record = json.loads(encode(factory().numerics(vitals(hr=hr))))
    VALIDATOR.validate(record)
    assert (record["hr"]["value"] is None) == (state not in VALUE_STATES)


@pytest.mark.parametrize(
    "change",
    [
        {"value": None}, {"state": "lost", "why": ["motion"]}, {"why": ["motion"]}, {"state": "hold"},
        {"unit": "bpm"}, {"sqi": 1.2}, {"state": "fine"}, {"state": "hold", "why": ["because"]}, {"extra": 1},
        {"age_ms": -1},
    ],
)  # fmt: skip
def test_the_schema_refuses_a_rate_that_breaks_a_rule(change):
    record = json.loads(encode(factory().numerics(vitals())))
    record["hr"] |= change
    assert not VALIDATOR.is_valid(record)


def test_decoding_refuses_a_value_in_a_state_without_one():
    line = encode(factory().numerics(vitals())).replace(b'"state":"lost","why"', b'"state":"hold","why"')
    with pytest.raises(msgspec.ValidationError, match="does not go with"):
        decode(line)


def test_the_schema_publishes_states_reasons_and_events():
    text = json.dumps(json_schema())
    assert all(f'"{word}"' in text for word in (*STATES, *REASONS, *EVENTS))
    assert all(reason.sentence in text and reason.fix in text for reason in REASONS.values())


def test_the_committed_schema_is_the_generated_one():
    committed = Path(edge.sinks.__file__).with_name("schema.json")
    assert json.loads(committed.read_text(encoding="utf-8")) == json_schema()
    Draft202012Validator.check_schema(json_schema())


def test_comparable_drops_what_differs_between_runs_and_nothing_else():
    first = json.loads(encode(factory().numerics(vitals())))
    later = RecordFactory("kit-7", wall_clock=lambda: 0, mono_clock=lambda: 9, synced=lambda: True)
    second = json.loads(encode(later.numerics(vitals(hr=estimate(age_ms=900)))))
    assert first != second
    assert comparable(first) == comparable(second)
    changed = json.loads(encode(later.numerics(vitals(hr=estimate(value=72.0)))))
    assert comparable(first)["hr"] != comparable(changed)["hr"]
