from __future__ import annotations

import dataclasses
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.factory import RecordFactory
from edge.sinks.line import LineRate, crc16, csv_from_numerics, line_from_numerics, numerics_from_line
from edge.sinks.records import Numerics
from edge.vitals import STATES, VALUE_STATES, Estimate, Vitals


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    state = draw(st.sampled_from(STATES))
    value = draw(st.floats(1, 250)) if state in VALUE_STATES else None
    return Estimate(value, draw(st.floats(0, 1)), state, () if state == "ok" else ("motion",), 10.0, 0, None)


@st.composite
def numerics(draw: st.DrawFn) -> Numerics:
    vitals = Vitals(draw(estimates()), draw(estimates()), 0, "main", draw(st.integers(0, 9)), "exact", "", {}, {})
    mono_ns = draw(st.integers(0, 2**63))
    record = RecordFactory("kit", mono_clock=lambda: mono_ns).numerics(vitals)
    return msgspec.structs.replace(record, seq=draw(st.integers(0, 99_999_999)))


def test_the_line_is_as_published(vitals):
    record = RecordFactory("kit", mono_clock=lambda: (2**32 + 1234) * 10**6).numerics(vitals)
    assert crc16(b"123456789") == 0x29B1  # the published check value of CRC-16/IBM-3740
    body = "PMMR,1,0,0,1234,71.8,82,ok,---,21,lost,"
    body += f"{crc16(body.encode()):04X}"
    check = 0
    for sign in body:
        check ^= ord(sign)
    assert line_from_numerics(record) == f"${body}*{check:02X}\r\n".encode()
    assert csv_from_numerics(record) == b"1,0,0,1234,71.8,82,ok,---,21,lost\r\n"


@given(numerics())
def test_what_is_written_is_read_back(record):
    line = line_from_numerics(record)
    read = numerics_from_line(line)
    assert (read.person, read.seq, read.t_ms) == (record.person, record.seq, record.mono_ns // 10**6 % 2**32)
    for rate, sent in ((read.hr, record.hr), (read.rr, record.rr)):
        assert rate == LineRate(sent.value, round(100 * sent.sqi), sent.state)
    assert len(line) <= 82


def test_the_longest_line_nmea_allows_for_is_the_longest_we_send(vitals):
    weak = Estimate(198.0, 1.0, "low_quality", ("motion",), 10.0, 0, None)
    longest = dataclasses.replace(vitals, hr=weak, rr=dataclasses.replace(weak, value=40.0), person=9)
    record = RecordFactory("kit", mono_clock=lambda: (2**32 - 1) * 10**6).numerics(longest)
    assert len(line_from_numerics(msgspec.structs.replace(record, seq=99_999_999))) == 82


def damaged(line: bytes, chance: random.Random) -> bytes:
    bad = bytearray(line)
    how = chance.randrange(4)
    if how == 0:
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
    elif how == 1:
        start = chance.randrange(len(bad))
        del bad[start : start + chance.randint(1, 8)]
    elif how == 2:
        bad[chance.randrange(len(bad))] = chance.choice(b"0123456789")
    else:
        start, end = sorted(chance.sample(range(len(bad)), 2))
        bad[start:end] = bad[start:end][::-1]
    return bytes(bad)


def test_no_damaged_line_is_taken_for_another(vitals):
    chance = random.Random(7)
    good = [
        line_from_numerics(RecordFactory("kit", mono_clock=lambda n=n: n).numerics(vitals)) for n in (0, 7 * 10**15)
    ]
    refused = 0
    for _ in range(20_000):
        line = chance.choice(good)
        bad = damaged(line, chance)
        try:
            assert numerics_from_line(bad) == numerics_from_line(line)
            assert bad == line
        except ValueError:
            refused += 1
    assert refused > 15_000


@given(st.binary(max_size=100))
def test_garbage_is_refused_by_name(garbage):
    with pytest.raises(ValueError, match="PMMR"):
        numerics_from_line(garbage)


@pytest.mark.parametrize("hr", ["71.8,82,lost", "---,82,ok", "71.8,101,ok", "71.8,82,fine"])
def test_a_line_with_right_checks_and_a_rate_that_cannot_be_is_refused(hr):
    body = f"PMMR,1,0,0,0,{hr},---,21,lost,".encode()
    body += b"%04X" % crc16(body)
    check = 0
    for byte in body:
        check ^= byte
    with pytest.raises(ValueError, match=r"cannot be|not a \$PMMR"):
        numerics_from_line(b"$%b*%02X\r\n" % (body, check))
