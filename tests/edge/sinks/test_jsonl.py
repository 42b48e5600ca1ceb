from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.serial_ports import Clock

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.jsonl import JsonlSink
from edge.sinks.records import decode


def opened(target):
    sink = sink_from_uri(f"jsonl:{target}", SinkContext("kit-7"))
    sink.open()
    return sink


def test_every_record_is_one_line_on_the_file_at_once(tmp_path, factory, vitals):
    path = tmp_path / "records.jsonl"
    sink = opened(path)
    sent = [factory.status("online", "started"), factory.numerics(vitals)]
    for number, record in enumerate(sent, start=1):
        sink.write(record, 0)
        assert len(path.read_bytes().splitlines()) == number
    assert sink.close() == 0
    assert sink.close() == 0
    assert [decode(line) for line in path.read_bytes().splitlines()] == sent


def test_a_new_run_appends_and_starts_on_a_fresh_line_after_a_crash(tmp_path, factory):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"kind":"numerics","v":1,"dev')
    sink = opened(path)
    sink.write(factory.status("online", "started"), 0)
    sink.write(factory.status("offline", "ended"), 0)
    sink.close()
    first, *whole = path.read_bytes().splitlines()
    assert first == b'{"kind":"numerics","v":1,"dev'
    assert [decode(line).seq for line in whole] == [0, 1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_the_file_is_brought_to_the_disk_once_a_second(tmp_path, factory, monkeypatch):
    synced, clock = [], Clock()
    sink = JsonlSink(str(tmp_path / "a.jsonl"), lambda: clock() / 1e9)
    sink.open()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", synced.append)
        for _ in range(30):
            sink.write(factory.status("online", "started"), 0)
            clock.pass_s(0.1)
    assert len(synced) == 2, "with the first line after 1 and after 2 s"
    assert sink.close() == 0


def test_a_full_disk_is_told_once_and_its_records_are_counted(factory, vitals, caplog):
    sink = opened("/dev/full")
    for _ in range(3):
        sink.write(factory.numerics(vitals), 0)
    assert sink.dropped == 3
    assert [record.getMessage() for record in caplog.records] == [
        "jsonl:/dev/full: No space left on device; records are dropped until it can be written again"
    ]
    assert sink.close() == 3


def test_records_go_on_after_a_torn_line_when_there_is_room_again(tmp_path, factory):
    path = tmp_path / "records.jsonl"
    sink = opened(path)
    room, sink._fd = sink._fd, os.open("/dev/full", os.O_WRONLY)
    sink.write(factory.status("online", "lost"), 0)
    os.close(sink._fd)
    sink._fd = room
    sink.write(factory.status("online", "kept"), 0)
    assert sink.close() == 1
    assert [decode(line).reason for line in path.read_bytes().split()] == ["kept"]


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    for target in (tmp_path / "none" / "records.jsonl", tmp_path):
        with pytest.raises(UsageError) as refused:
            opened(target)
        assert str(target) in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="names no file"):
        sink_from_uri("jsonl:", SinkContext("kit-7"))
    with pytest.raises(UsageError, match="no parameter 'append'"):
        sink_from_uri("jsonl:a?append=1", SinkContext("kit-7"))


PROGRAM = """
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.jsonl import JsonlSink
from edge.sinks.factory import RecordFactory
sink = sink_from_uri("jsonl:-", SinkContext("kit-7"))
sink.open()
make = RecordFactory("kit-7")
for _ in range(3):
    sink.write(make.status("online", "started"), 0)
print(sink.close())
"""


def test_a_dash_is_stdout():
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout.splitlines()
    assert [decode(line).seq for line in out[:3]] == [0, 1, 2]
    assert out[3:] == [b"0"]


def test_a_reader_of_stdout_that_went_away_is_told():
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run([sys.executable, "-c", PROGRAM], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert child.stderr.decode().splitlines()[-1].startswith("BrokenPipeError")


def test_a_reader_of_a_named_pipe_may_come_back(tmp_path, factory):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = sink_from_uri(f"jsonl:{pipe}", SinkContext("kit-7"))
    assert not sink.connected
    sink.open()
    assert sink.connected
    os.close(reader)
    sink.write(factory.status("online", "started"), 0)
    assert sink.dropped == 1
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink.write(factory.status("online", "started"), 0)
    assert decode(os.read(reader, 10_000).strip()).seq == 1
    os.close(reader)
    assert sink.close() == 1
