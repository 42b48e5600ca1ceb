"""The sink with its thread on pseudo-terminals."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pynmea2
import pytest
from fakes.serial_ports import Pty
from faults import serial_replug

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext, sink_from_uri
from edge.sinks.frame_layout import PAYLOADS
from edge.sinks.framing import Frame, encode_frame
from edge.sinks.line import csv_from_numerics, numerics_from_line
from edge.sinks.serial_decode import SerialDecoder
from edge.sinks.serial_frame import AckSeen, EventSeen, HelloSeen, NumericsSeen
from edge.vitals import STATES, VALUE_STATES, Estimate, Vitals

PATIENCE_S = 20.0


@pytest.fixture
def ptys() -> Iterator[list[Pty]]:
    made = [Pty(), Pty()]
    yield made
    for pty in made:
        pty.unplug()


@pytest.fixture
def opened() -> Iterator[Callable[..., Sink]]:
    """Opens sinks for URIs of ports; closes what a test leaves open."""
    sinks: list[Sink] = []

    def open_sink(path: object, query: str = "") -> Sink:
        sink = sink_from_uri(f"serial:{path}{query}", SinkContext("kit-7"))
        sink.open()
        sinks.append(sink)
        return sink

    yield open_sink
    for sink in sinks:
        sink.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for a thread; fails after long."""
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s
        threading.Event().wait(0.005)


def lines(pty: Pty) -> list[bytes]:
    return pty.read().splitlines(keepends=True)


def test_a_reader_gets_each_numerics_record_as_a_line_with_both_checks(ptys, opened, factory, vitals):
    sink = opened(ptys[0].path, "?baud=9600")
    sent = [factory.numerics(vitals) for _ in range(3)]
    for record in sent:
        sink.write(record, 0)
        sink.write(factory.event("hr_state", "info", "not for this profile"), 0)
    read = [numerics_from_line(line) for line in lines(ptys[0])]
    assert [(line.seq, line.hr.value, line.rr.value) for line in read] == [(record.seq, 71.8, None) for record in sent]
    assert sink.close() == 0
    assert sink.dropped == 0


def test_a_foreign_nmea_parser_reads_every_line(ptys, opened, factory):
    """pynmea2 knows the rules of NMEA 0183 and checks its sum; of the maker it knows nothing."""
    sink = opened(ptys[0].path)
    sent = []
    for number, state in enumerate(STATES):
        value = 40.0 + 15 * number if state in VALUE_STATES else None
        hr = Estimate(value, number / 10, state, () if state == "ok" else ("motion",), 10.0, 0, None)
        sent.append(factory.numerics(Vitals(hr, hr, 0, "main", number, "exact", "", {}, {})))
        sink.write(sent[-1], 0)
    read = [pynmea2.parse(line.decode("ascii"), check=True) for line in lines(ptys[0])]
    assert [sentence.manufacturer for sentence in read] == ["MMR"] * len(STATES)
    for sentence, record in zip(read, sent, strict=True):
        value = "---" if record.hr.value is None else f"{record.hr.value:.1f}"
        rate = [value, str(round(100 * record.hr.sqi)), record.hr.state]
        assert sentence.data[1:3] == ["1", str(record.person)]
        assert sentence.data[5:11] == rate + rate


def test_csv_is_plain(ptys, opened, factory, vitals):
    sink = opened(ptys[0].path, "?profile=csv")
    record = factory.numerics(vitals)
    sink.write(record, 0)
    assert lines(ptys[0]) == [csv_from_numerics(record)]


def test_frames_go_both_ways(ptys, opened, factory, vitals):
    sink = opened(ptys[0].path, "?profile=frame")
    decoder = SerialDecoder()
    wire, heard = b"", []

    def listen() -> None:
        nonlocal wire
        new = ptys[0].read(wait_s=0.01)
        wire += new
        heard.extend(item.what for item in decoder.feed(new))

    def has_come(*wanted: object) -> bool:
        listen()
        return all(any(what == want or type(what) is want for what in heard) for want in wanted)

    ptys[0].write(encode_frame(Frame(PAYLOADS["ping"].number, 9, 0, 0, b"")))
    sink.write(factory.numerics(vitals), 0)
    until(lambda: has_come(NumericsSeen, HelloSeen, AckSeen(PAYLOADS["ping"].number, 9)))
    sink.write(factory.event("hr_state", "info", "ok -> lost", zone="main", person=0), 0)
    until(lambda: has_come(EventSeen) and wire.count(b"ok -> lost") == 4)  # nobody acknowledges
    assert sum(isinstance(what, EventSeen) for what in heard) == 1


def test_a_port_that_is_for_one_zone_carries_no_other(ptys, factory, vitals):
    context = SinkContext("kit-7", zones=("main", "bed-2"))
    sink = sink_from_uri(f"serial:{ptys[0].path}?zone=main", context)
    sink.open()
    other = Vitals(vitals.hr, vitals.rr, 0, "bed-2", 1, "exact", "", {}, {})
    sink.write(factory.numerics(other), 0)
    mine = factory.numerics(vitals)
    sink.write(mine, 0)
    assert [numerics_from_line(line).seq for line in lines(ptys[0])] == [mine.seq]
    assert sink.close() == 0


def test_a_port_for_one_zone_tells_of_the_device_too(ptys, factory):
    sink = sink_from_uri(
        f"serial:{ptys[0].path}?profile=frame&zone=main", SinkContext("kit-7", zones=("main", "bed-2"))
    )
    sink.open()
    sink.write(factory.event("hr_state", "info", "of another", zone="bed-2", person=1), 0)
    sink.write(factory.event("runtime_fault", "warning", "of all"), 0)
    decoder, texts = SerialDecoder(), []

    def listen() -> bool:
        heard = decoder.feed(ptys[0].read(0.01))
        texts.extend(item.what.text for item in heard if isinstance(item.what, EventSeen))
        return bool(texts)

    until(listen)
    sink.close()
    assert texts == ["of all"]


def test_an_absent_port_is_warned_of_once_and_opened_when_it_comes(ptys, opened, tmp_path, factory, vitals, caplog):
    place = tmp_path / "ttyKIT"
    sink = opened(place)
    for _ in range(5):
        sink.write(factory.numerics(vitals), 0)
    assert sink.dropped == 4  # the newest waits
    assert not sink.connected
    place.symlink_to(ptys[0].path)
    until(lambda: sink.connected)
    last = factory.numerics(vitals)
    sink.write(last, 0)
    assert numerics_from_line(lines(ptys[0])[-1]).seq == last.seq
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_an_unplugged_port_is_found_again_at_its_new_place(ptys, opened, tmp_path, factory, vitals, caplog):
    place = tmp_path / "by-id"
    place.symlink_to(ptys[0].path)
    sink = opened(place)
    sink.write(factory.numerics(vitals), 0)
    assert len(lines(ptys[0])) == 1
    place.unlink()
    ptys[0].unplug()
    until(lambda: not sink.connected)
    place.symlink_to(ptys[1].path)
    until(lambda: sink.connected)
    last = factory.numerics(vitals)
    sink.write(last, 0)
    assert numerics_from_line(lines(ptys[1])[-1]).seq == last.seq
    assert sink.close() == 0
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"serial:{place}: not plugged in; until it takes records again they are dropped"
    ]


def test_a_short_campaign_of_unplugging_has_lines_again_within_five_seconds():
    """The long one: python tests/faults/serial_replug.py."""
    report = serial_replug.report(rounds=2, seed=5, longest_s=0.3)
    assert report["ok"]
    assert 0 < report["opened_s"]["max"] <= report["first_line_s"]["max"]


def test_a_reader_that_stalls_never_blocks_for_long_and_gets_only_new_lines_later(
    ptys, opened, factory, vitals, caplog
):
    sink = opened(ptys[0].path)
    written = 0
    while sink.dropped == 0 and written < 5_000:
        sink.write(factory.numerics(vitals), 0)
        written += 1
    assert sink.dropped >= 1
    assert "takes nothing" in caplog.text
    last = factory.numerics(vitals)
    sink.write(last, 0)
    read = lines(ptys[0])
    assert numerics_from_line(read[-1]).seq == last.seq
    assert len(read) < written / 2


def test_the_port_is_ours_alone(ptys, opened, factory, vitals, caplog):
    first, second = opened(ptys[0].path), opened(ptys[0].path)
    assert (first.connected, second.connected) == (True, False)
    assert f"({os.getpid()}) holds {ptys[0].path}" in caplog.text
    first.write(factory.numerics(vitals), 0)
    assert len(lines(ptys[0])) == 1
    second.write(factory.numerics(vitals), 0)
    assert second.close() == 1


def test_a_fault_on_the_thread_is_logged_and_does_not_end_the_sink(ptys, opened, factory, vitals, monkeypatch, caplog):
    sink = opened(ptys[0].path)
    step = sink._link.step
    faults = iter([ValueError("a bug")])

    def faulty(now_ns: int) -> None:
        for fault in faults:
            raise fault
        step(now_ns)

    monkeypatch.setattr(sink._link, "step", faulty)
    until(lambda: "failed unexpectedly" in caplog.text)
    sink.write(factory.numerics(vitals), 0)
    until(partial(ptys[0].read, 0.01))


@pytest.mark.parametrize(
    ("uri", "zones", "words"),
    [
        ("serial:", (), "names no port"),
        ("serial:/dev/ttyUSB0?profile=nmea", (), "profile"),
        ("serial:/dev/ttyUSB0?baud=fast", (), "baud"),
        ("serial:/dev/ttyUSB0?baud=300", (), "baud"),
        ("serial:/dev/ttyUSB0?waves=some", (), "waves"),
        ("serial:/dev/ttyUSB0?bauds=9600", (), "did you mean 'baud'"),
        ("serial:/dev/ttyUSB0?zone=bed-9", ("bed-1", "bed-2"), "zone bed-9; the zones are bed-1, bed-2"),
        ("serial:/dev/ttyUSB0", ("bed-1", "bed-2"), "does not say which zone"),
        ("serial:/dev/ttyUSB0?profile=csv", ("bed-1", "bed-2"), "or profile=frame"),
    ],
)
def test_a_uri_that_cannot_work_is_refused(uri, zones, words):
    with pytest.raises(UsageError) as refused:
        sink_from_uri(uri, SinkContext("kit-7", zones=zones))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_port_of_frames_carries_several_zones():
    context = SinkContext("kit-7", zones=("bed-1", "bed-2"))
    assert sink_from_uri("serial:/dev/ttyUSB0?profile=frame&waves=0", context).name == "serial:/dev/ttyUSB0"
