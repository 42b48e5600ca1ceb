from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.factory import RecordFactory
from edge.sinks.frame_layout import PAYLOADS
from edge.sinks.framing import Frame, encode_frame
from edge.sinks.line import csv_from_numerics, line_from_numerics
from edge.sinks.serial_decode import SerialDecoder, layout_lines, words_from_heard
from edge.sinks.serial_frame import event_payload, hello_payload, numerics_payload
from edge.vitals import Estimate, Vitals


def framed(kind: Any, payload: bytes, seq: int = 0, boot: int = 0x7E13) -> bytes:
    return encode_frame(Frame(PAYLOADS[kind].number, seq, boot, 1_500, payload))


@pytest.fixture
def streams(factory, vitals) -> dict[str, bytes]:
    record = factory.numerics(vitals)
    return {
        "line": line_from_numerics(record) * 3,
        "csv": csv_from_numerics(record) * 3,
        "frame": framed("numerics", numerics_payload(record, 0, 0)) * 3,
    }


@pytest.mark.parametrize("profile", ["line", "csv", "frame"])
@pytest.mark.parametrize("noise", [b"", b"login: \r\n", b"\x00\xff\x55\r\n", b"$GPGGA,1*00\r\n", b"PMMR"])
@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_the_profile_is_found_by_what_the_bytes_are(streams, profile, noise, chunk):
    data = noise + streams[profile]
    if profile == "csv" and not noise.endswith(b"\n"):
        data = noise + b"\r\n" + streams[profile]
    decoder = SerialDecoder()
    heard = [item for at in range(0, len(data), chunk) for item in decoder.feed(data[at : at + chunk])]
    assert [(item.profile, item.what.hr.value, item.what.rr.value) for item in heard] == [(profile, 71.8, None)] * 3
    assert decoder.profile == profile
    assert decoder.counts["good"] == 3


@given(st.binary(max_size=500))
def test_garbage_is_no_profile(data):
    decoder = SerialDecoder()
    assert list(decoder.feed(data)) == []
    assert decoder.profile is None
    assert decoder.counts == {"good": 0, "damaged": 0, "skipped": 0}


def test_zones_have_the_names_that_hello_gave_until_another_process_says_hello(factory, vitals):
    decoder = SerialDecoder()
    numerics = numerics_payload(factory.numerics(vitals), 1, 0)
    zones = ["bed-1", "bed-2"]
    stream = framed("numerics", numerics)
    stream += b"".join(framed("hello", hello_payload("0" * 12 + "7e13", "kit-7", zones, number)) for number in (0, 1))
    stream += framed("numerics", numerics) + framed("numerics", numerics, boot=2)
    heard = list(decoder.feed(stream))
    assert [item.zone for item in heard] == [None, "bed-1", "bed-2", "bed-2", None]


def test_an_event_that_comes_again_is_told_once(factory):
    decoder = SerialDecoder()
    event = event_payload(factory.event("hr_state", "info", "text"), None)
    stream = b"".join(framed("event", event, seq) for seq in (5, 5, 6, 5, 6, 7))
    assert [item.seq for item in decoder.feed(stream)] == [5, 6, 7]


def test_damage_and_what_is_newer_are_counted(streams):
    decoder = SerialDecoder()
    wire = streams["frame"]
    newer = encode_frame(Frame(2, 0, 0, 0, b"?", version=0x11))
    impossible = framed("numerics", b"\xff" * 25)
    list(decoder.feed(wire + b"\0broken\0" + newer + impossible))
    assert decoder.counts == {"good": 3, "damaged": 2, "skipped": 1}


def test_everything_has_words_and_json():
    factory = RecordFactory("kit-7", "9f2c61d0a4b87e13")
    lost = Estimate(None, 0.21, "lost", ("motion",), 30.0, 240, None)
    sure = Estimate(71.83, 0.82, "ok", (), 10.0, 240, 0.9)
    record = factory.numerics(Vitals(sure, lost, 0, "bed-1", 2, "exact", "", {}, {}))
    stream = framed("hello", hello_payload(factory.boot, "kit-7", ["bed-1"], 0))
    stream += framed("numerics", numerics_payload(record, 0, 0))
    stream += framed("event", event_payload(factory.event("hr_state", "notice", "ok -> lost", zone="bed-1"), 0))
    stream += framed("event", event_payload(factory.event("runtime_fault", "warning", "gone"), None), seq=1)
    stream += framed("ping", b"")
    heard = list(SerialDecoder().feed(stream))
    assert [words_from_heard(item).strip() for item in heard] == [
        "1.500 s  hello from kit-7, boot 9f2c61d0a4b87e13, zone 1 of 1: bed-1",
        "1.500 s  bed-1/2  HR  71.8 ok 82 %  RR   --- lost 21 % (motion)",
        "1.500 s  bed-1  notice: hr_state: ok -> lost",
        "1.500 s  device  warning: runtime_fault: gone",
        "1.500 s  ping",
    ]
    told = [json.loads(json.dumps(item.as_dict())) for item in heard]
    assert [item["type"] for item in told] == ["hello", "numerics", "event", "event", "ping"]
    assert told[1]["zone_name"] == "bed-1"
    assert told[1]["hr"]["value"] == 71.8
    assert told[1]["rr"] == {
        "value": None, "uncertainty": None, "window_s": 30.0, "age_ms": 240, "sqi_percent": 21, "state": "lost",
        "why": "motion",
    }  # fmt: skip


def test_the_printed_layout_names_every_field_at_its_place():
    text = "\n".join(layout_lines())
    for name, payload in PAYLOADS.items():
        assert f"{name}: type {payload.number}" in text
        assert all(field.name in text for field in payload.fields)
    assert "    11  f32       fs " in text
    assert "9 ok" in text
