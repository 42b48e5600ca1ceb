from __future__ import annotations

import dataclasses
import os
import select
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.line import csv_from_numerics, numerics_from_line
from edge.sinks.serial_line import SerialSink

S = 10**9


class Port:
    """A pseudo-terminal: ``path`` is what the sink opens, ``read`` is the peer at the other end."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        self._open = True

    def read(self) -> list[bytes]:
        out = b""
        while select.select([self._master], [], [], 0.05)[0]:
            try:
                out += os.read(self._master, 65_536)
            except OSError:  # nobody has the other end open
                break
        return out.splitlines(keepends=True)

    def unplug(self) -> None:
        if self._open:
            os.close(self._master)
            self._open = False


class Clock:
    """Monotonic time that passes when told."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


@pytest.fixture
def ports() -> Iterator[list[Port]]:
    made = [Port(), Port()]
    yield made
    for port in made:
        port.unplug()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(path: str | Path, clock: Clock, profile: str = "line") -> SerialSink:
    sink = SerialSink(str(path), 115_200, profile, clock)
    sink.open()
    return sink


def test_a_reader_gets_each_numerics_record_as_a_line_with_both_checks(ports, factory, vitals):
    sink = sink_from_uri(f"serial:{ports[0].path}?baud=9600", SinkContext("kit-7"))
    sink.open()
    sent = [factory.numerics(vitals) for _ in range(3)]
    for record in sent:
        sink.write(record, 0)
        sink.write(factory.event("hr_state", "info", "not for this link"), 0)
    read = [numerics_from_line(line) for line in ports[0].read()]
    assert [(line.seq, line.hr.value, line.rr.value) for line in read] == [(record.seq, 71.8, None) for record in sent]
    assert sink.close() == 0
    assert sink.dropped == 0


def test_csv_is_plain(ports, clock, factory, vitals):
    sink = opened(ports[0].path, clock, "csv")
    record = factory.numerics(vitals)
    sink.write(record, 0)
    assert ports[0].read() == [csv_from_numerics(record)]
    sink.close()


def test_an_absent_port_is_warned_of_once_and_opened_when_it_comes(ports, clock, tmp_path, factory, vitals, caplog):
    place = tmp_path / "ttyKIT"
    sink = opened(place, clock)
    for _ in range(5):
        sink.write(factory.numerics(vitals), 0)
        clock.pass_s(1.0)
    assert sink.dropped == 5
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    place.symlink_to(ports[0].path)
    clock.pass_s(5.0)
    last = factory.numerics(vitals)
    sink.write(last, 0)
    assert [numerics_from_line(line).seq for line in ports[0].read()] == [last.seq]
    sink.close()


def test_tries_come_half_a_second_to_five_seconds_apart(clock, tmp_path, factory, vitals, monkeypatch):
    sink = opened(tmp_path / "none", clock)
    tries: list[float] = []
    connect = sink._connect

    def watched() -> None:
        tries.append(clock.now_ns / S)
        connect()

    monkeypatch.setattr(sink, "_connect", watched)
    for _ in range(300):
        sink.write(factory.numerics(vitals), 0)
        clock.pass_s(0.1)
    waits = [round(later - earlier, 1) for earlier, later in zip([0.0, *tries], tries, strict=False)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]


def test_an_unplugged_port_is_found_again_at_its_new_place(ports, clock, tmp_path, factory, vitals):
    place = tmp_path / "by-id"
    place.symlink_to(ports[0].path)
    sink = opened(place, clock)
    sink.write(factory.numerics(vitals), 0)
    assert len(ports[0].read()) == 1
    ports[0].unplug()
    sink.write(factory.numerics(vitals), 0)
    assert sink.dropped == 1
    place.unlink()
    place.symlink_to(ports[1].path)
    clock.pass_s(0.5)
    last = factory.numerics(vitals)
    sink.write(last, 0)
    assert [numerics_from_line(line).seq for line in ports[1].read()] == [last.seq]
    assert sink.close() == 0


def test_a_reader_that_stalls_costs_lines_and_gets_only_new_ones_later(ports, clock, factory, vitals, caplog):
    sink = opened(ports[0].path, clock)
    written = 0
    while sink.dropped == 0 and written < 2_000:
        sink.write(factory.numerics(vitals), 0)
        written += 1
    assert sink.dropped == 1
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["Write timeout" in text for text in warnings] == [True]
    last = factory.numerics(vitals)
    sink.write(last, 0)
    read = ports[0].read()
    assert numerics_from_line(read[-1]).seq == last.seq
    assert len(read) < written / 2
    sink.close()


def test_the_port_is_ours_alone(ports, clock, factory, vitals, caplog):
    first, second = opened(ports[0].path, clock), opened(ports[0].path, clock)
    second.write(factory.numerics(vitals), 0)
    assert second.dropped == 1
    assert "exclusively lock" in caplog.text
    first.write(factory.numerics(vitals), 0)
    assert len(ports[0].read()) == 1
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("serial:", "names no port"),
        ("serial:/dev/ttyUSB0?profile=frame", "profile frame is planned and not built yet"),
        ("serial:/dev/ttyUSB0?profile=nmea", "profile"),
        ("serial:/dev/ttyUSB0?baud=fast", "baud"),
        ("serial:/dev/ttyUSB0?baud=0", "baud"),
        ("serial:/dev/ttyUSB0?bauds=9600", "did you mean 'baud'"),
    ],
)
def test_a_uri_that_cannot_work_is_refused(uri, words):
    with pytest.raises(UsageError) as refused:
        sink_from_uri(uri, SinkContext("kit-7"))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_of_several_zones_a_port_carries_one(ports, factory, vitals):
    context = SinkContext("kit-7", zones=("main", "bed-2"))
    with pytest.raises(UsageError, match=r"zones are main, bed-2: add zone=NAME, one port a zone"):
        sink_from_uri(f"serial:{ports[0].path}", context)
    with pytest.raises(UsageError, match="zone bed-3; the zones are main, bed-2"):
        sink_from_uri(f"serial:{ports[0].path}?zone=bed-3", context)
    sink = sink_from_uri(f"serial:{ports[0].path}?zone=bed-2", context)
    sink.open()
    sink.write(factory.numerics(vitals), 0)
    sink.write(factory.numerics(dataclasses.replace(vitals, zone="bed-2", person=4)), 0)
    lines = ports[0].read()
    sink.close()
    assert [numerics_from_line(line).person for line in lines] == [4]
