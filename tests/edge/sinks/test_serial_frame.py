from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.factory import RecordFactory
from edge.sinks.frame_layout import MAX_PAYLOAD, PAYLOADS, FrameType
from edge.sinks.framing import Frame
from edge.sinks.records import Rate
from edge.sinks.serial_frame import (
    AckSeen,
    EventSeen,
    HelloSeen,
    NumericsSeen,
    PingSeen,
    RateSeen,
    Seen,
    WaveSeen,
    event_payload,
    hello_payload,
    numerics_payload,
    pack,
    seen_from_frame,
    wave_payloads,
)
from edge.vitals import REASONS, STATES, VALUE_STATES, Estimate, Vitals


def seen(kind: FrameType, payload: bytes) -> Seen:
    return seen_from_frame(Frame(PAYLOADS[kind].number, 1, 2, 3, payload))


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    state = draw(st.sampled_from(STATES))
    value = draw(st.floats(1, 250)) if state in VALUE_STATES else None
    why = () if state == "ok" else (draw(st.sampled_from(sorted(REASONS))), "motion")
    sure = None if value is None else draw(st.none() | st.floats(0, 50))
    return Estimate(value, draw(st.floats(0, 1)), state, why, draw(st.floats(0, 60)), draw(st.integers(0, 10**5)), sure)


def expected(rate: Rate, waited_ms: int) -> RateSeen:
    return RateSeen(
        rate.value,
        None if rate.uncertainty is None else round(round(10 * rate.uncertainty) / 10, 1),
        rate.window_s,
        min(rate.age_ms + waited_ms, 65_535),
        round(100 * rate.sqi),
        rate.state,
        rate.why[0] if rate.why else None,
    )


@given(estimates(), estimates(), st.integers(0, 254), st.integers(0, 65_534), st.integers(0, 70_000))
def test_numerics_come_back_with_their_age_at_sending(hr, rr, zone, person, waited_ms):
    record = RecordFactory("kit").numerics(Vitals(hr, rr, 0, "main", person, "exact", "", {}, {}))
    read = seen("numerics", numerics_payload(record, zone, waited_ms))
    assert read == NumericsSeen(zone, person, expected(record.hr, waited_ms), expected(record.rr, waited_ms))


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.sampled_from([29.97, 30.0, 8.7, 100.0]),
    st.integers(0, 2**62),
)
def test_waves_come_back_within_half_a_count_with_their_gaps(samples, fs, t0_ns):
    given_samples = [math.nan if x is None else x for x in samples]
    record = RecordFactory("kit").wave(
        "resp", given_samples, fs=fs, t0_ns=t0_ns, zone="main", person=3, source="thermal"
    )
    peak = max((abs(x) for x in record.samples if x is not None), default=0.0)
    read: list[float | None] = []
    for payload in wave_payloads(record, 7):
        part = seen("wave", payload)
        assert isinstance(part, WaveSeen)
        assert (part.zone, part.person, part.wave, part.source) == (7, 3, "resp", "thermal")
        assert (part.t0_ms, part.first) == (t0_ns // 10**6 % 2**32, len(read))
        assert part.fs == pytest.approx(fs, rel=1e-7)
        read += part.samples
    assert len(read) == len(record.samples)
    for told, sent in zip(read, record.samples, strict=True):
        assert (told is None) == (sent is None)
        if told is not None and sent is not None:
            assert abs(told - sent) <= 0.51 * peak / 32_767 + 1e-30


def test_a_second_of_30_samples_is_one_frame_and_a_wave_without_amplitude_is_zeros(factory):
    still = factory.wave("pleth", [0.0] * 30, fs=30.0, t0_ns=0, zone="main", person=0, source="rgb")
    (payload,) = wave_payloads(still, 0)
    read = seen("wave", payload)
    assert isinstance(read, WaveSeen)
    assert read.samples == (0.0,) * 30


def test_an_event_says_whom_it_is_about_and_its_text_is_cut_between_characters(factory):
    about_one = factory.event("hr_state", "notice", "ok -> lost; ünruhig", zone="main", person=2)
    assert seen("event", event_payload(about_one, 1)) == EventSeen(1, 2, "hr_state", "notice", "ok -> lost; ünruhig")
    about_all = factory.event("runtime_fault", "warning", "ü" * 300)
    read = seen("event", event_payload(about_all, None))
    assert isinstance(read, EventSeen)
    assert (read.zone, read.person) == (None, None)
    assert read.text == "ü" * ((MAX_PAYLOAD - 5) // 2)


def test_an_event_that_the_table_does_not_know_is_another_one(factory):
    record = msgspec.structs.replace(factory.event("hr_state", "info", "text"), code="new_code")
    assert seen("event", event_payload(record, None)) == EventSeen(None, None, "other", "info", "text")


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=5))
def test_hello_tells_the_boot_number_and_the_zones_one_by_one(device, zones):
    for number in range(max(1, len(zones))):
        payload = hello_payload("9f2c61d0a4b87e13", device, zones, number)
        assert len(payload) <= MAX_PAYLOAD
        read = seen("hello", payload)
        assert isinstance(read, HelloSeen)
        assert (read.boot, read.zones, read.zone) == ("9f2c61d0a4b87e13", len(zones), number)
    if zones and len(device) < 20 and len(zones[-1]) < 20:
        clean = [name.replace("\0", " ").encode(errors="replace").decode() for name in (device, zones[-1])]
        assert [read.device, read.zone_name] == clean


def test_ack_and_ping():
    assert seen("ack", pack("ack", 4, 412)) == AckSeen(4, 412)
    assert seen("ping", b"") == PingSeen()


def rate(value: int = 718, sqi: int = 82, state: str = "ok", why: int = 0) -> tuple[int, ...]:
    return (value, 9, 100, 240, sqi, STATES.index(state) if state in STATES else 77, why)


@pytest.mark.parametrize(
    "wrong",
    [rate(state="lost", why=5), rate(value=0xFFFF), rate(sqi=101), rate(why=5), rate(state="hold"), rate(state="?")],
)
def test_a_rate_that_cannot_be_is_refused(wrong):
    assert seen("numerics", pack("numerics", 0, 0, *rate(), *rate()))
    for pair in ((wrong, rate()), (rate(), wrong)):
        with pytest.raises(ValueError, match=r"cannot be|where there are"):
            seen("numerics", pack("numerics", 0, 0, *pair[0], *pair[1]))


@pytest.mark.parametrize("fields", [(2, 0, 30.0, 1.0), (0, 2, 30.0, 1.0), (0, 0, 0.0, 1.0), (0, 0, 30.0, math.nan)])
def test_a_wave_that_cannot_be_is_refused(fields):
    wave, source, fs, scale = fields
    with pytest.raises(ValueError, match=r"wave with|where there are"):
        seen("wave", pack("wave", 0, 0, wave, source, 0, 0, fs, scale))
