from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.frame_layout import (
    EVENT_CODES,
    HEADER_BYTES,
    MAX_BODY,
    MAX_PAYLOAD,
    PAYLOADS,
    REASON_CODES,
    TYPES,
    VERSION,
    size_of,
)
from edge.sinks.framing import (
    Deframer,
    Frame,
    body_from_frame,
    cobs_decode,
    cobs_encode,
    encode_frame,
    frame_from_body,
)
from edge.sinks.records import EVENTS
from edge.vitals import REASONS


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Any frame that this version can read, whatever its payload says."""
    kind, payload = draw(st.sampled_from(list(PAYLOADS.items())))
    fixed = size_of(payload.fields)
    more = {"": 0, "text": draw(st.integers(0, MAX_PAYLOAD - fixed))}.get(payload.tail)
    extra = 2 * draw(st.integers(0, (MAX_PAYLOAD - fixed) // 2)) if more is None else more
    data = draw(st.binary(min_size=fixed + extra, max_size=fixed + extra))
    u16 = st.integers(0, 2**16 - 1)
    return Frame(PAYLOADS[kind].number, draw(u16), draw(u16), draw(st.integers(0, 2**32 - 1)), data)


def test_the_bytes_of_a_frame_are_as_published():
    body = bytes.fromhex("10 06 0201 137e 0d0c0b0a")
    body += struct.pack("<I", zlib.crc32(body))
    frame = Frame(PAYLOADS["ping"].number, 0x0102, 0x7E13, 0x0A0B0C0D, b"")
    assert body_from_frame(frame) == body
    assert encode_frame(frame) == b"\0" + cobs_encode(body) + b"\0"


@pytest.mark.parametrize(
    ("plain", "code"),
    [  # the examples of the paper's section on encoding, as Wikipedia and every implementation give them
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("112200 33", "03112202 33"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
    ],
)
def test_cobs_is_the_published_one(plain, code):
    assert cobs_encode(bytes.fromhex(plain)) == bytes.fromhex(code)


@given(st.binary(max_size=MAX_BODY))
def test_cobs_adds_one_byte_and_leaves_no_zero(body):
    code = cobs_encode(body)
    assert len(code) == len(body) + 1
    assert b"\0" not in code
    assert cobs_decode(code) == body


@given(st.binary(max_size=MAX_BODY + 10))
def test_what_is_no_cobs_is_refused_or_can_be_encoded_again(code):
    try:
        body = cobs_decode(code)
    except ValueError:
        return
    assert cobs_encode(body) == code


@given(frames())
def test_a_frame_comes_back_as_it_was(frame):
    assert frame_from_body(body_from_frame(frame)) == frame
    assert list(Deframer().feed(encode_frame(frame))) == [frame]


@given(st.lists(frames(), max_size=8), st.data())
def test_a_stream_may_be_cut_anywhere(sent, data):
    stream = b"".join(map(encode_frame, sent))
    deframer = Deframer()
    heard: list[Frame] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        heard += deframer.feed(stream[:size])
        stream = stream[size:]
    assert heard == sent
    assert (deframer.good, deframer.damaged, deframer.skipped) == (len(sent), 0, 0)


@given(frames(), st.binary(max_size=600), frames())
def test_garbage_between_two_frames_costs_neither(first, garbage, second):
    deframer = Deframer()
    heard = list(deframer.feed(encode_frame(first) + garbage + encode_frame(second)))
    assert heard[0] == first
    assert heard[-1] == second
    assert len(deframer._held) <= MAX_BODY + 1


@given(frames(), st.data())
def test_any_change_of_up_to_three_bits_is_seen(frame, data):
    wire = bytearray(encode_frame(frame))
    for bit in data.draw(st.sets(st.integers(8, 8 * len(wire) - 9), min_size=1, max_size=3)):
        wire[bit // 8] ^= 1 << bit % 8
    assert list(Deframer().feed(bytes(wire))) == []


def test_an_endless_stretch_without_a_delimiter_is_one_damaged_frame_and_takes_no_memory():
    deframer = Deframer()
    for _ in range(1_000):
        assert list(deframer.feed(b"\x55" * 1_000)) == []
        assert len(deframer._held) <= MAX_BODY + 1
    frame = Frame(PAYLOADS["ping"].number, 1, 2, 3, b"")
    assert list(deframer.feed(encode_frame(frame))) == [frame]
    assert deframer.damaged == 1


@pytest.mark.parametrize(
    ("version", "kind"), [(VERSION + 1, 2), (0x20, 1), (VERSION, 0), (VERSION, max(TYPES) + 1), (VERSION, 255)]
)
def test_newer_versions_and_unknown_types_are_skipped_and_what_follows_is_read(version, kind):
    newer = Frame(kind, 1, 2, 3, b"\0\1\2", version)
    known = Frame(PAYLOADS["ping"].number, 2, 2, 4, b"")
    deframer = Deframer()
    assert list(deframer.feed(encode_frame(newer) + encode_frame(known))) == [known]
    assert (deframer.good, deframer.damaged, deframer.skipped) == (1, 0, 1)


def test_a_sound_frame_whose_length_does_not_fit_its_type_is_refused():
    short = Frame(PAYLOADS["numerics"].number, 1, 2, 3, b"\0" * (size_of(PAYLOADS["numerics"].fields) - 1))
    odd = Frame(PAYLOADS["wave"].number, 1, 2, 3, b"\0" * (size_of(PAYLOADS["wave"].fields) + 1))
    deframer = Deframer()
    assert list(deframer.feed(encode_frame(short) + encode_frame(odd))) == []
    assert deframer.damaged == 2


def test_a_payload_beyond_the_cap_is_refused():
    with pytest.raises(ValueError, match="at most 240 bytes; seen 241"):
        Frame(4, 0, 0, 0, bytes(MAX_PAYLOAD + 1))
    with pytest.raises(ValueError, match="at most 254 bytes"):
        cobs_encode(bytes(MAX_BODY + 1))


def test_every_published_code_has_its_number():
    """A code that is new goes to the end of its table in edge/sinks/frame_layout.py; then make the C files anew."""
    assert set(REASONS) - set(REASON_CODES) == set()
    assert set(EVENTS) - set(EVENT_CODES) == set()
    assert len(set(REASON_CODES)) == len(REASON_CODES) < 256
    assert len(set(EVENT_CODES)) == len(EVENT_CODES) < 256
    assert HEADER_BYTES + MAX_PAYLOAD + 4 == MAX_BODY


def test_numbers_that_were_given_are_never_given_again():
    """Readers in the field know them: only ever add behind these."""
    assert REASON_CODES.index("other") == 25
    assert REASON_CODES[1:5] == ("warming_up", "no_face", "face_small", "face_moved")
    assert EVENT_CODES[:6] == ("other", "hr_state", "rr_state", "input_ended", "input_broken", "runtime_fault")
    assert {name: payload.number for name, payload in PAYLOADS.items()} == {
        "hello": 1, "numerics": 2, "wave": 3, "event": 4, "ack": 5, "ping": 6,
    }  # fmt: skip
