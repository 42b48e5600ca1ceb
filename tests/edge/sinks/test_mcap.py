from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import msgspec
import pytest
from mcap.reader import make_reader

from edge.errors import UsageError
from edge.recording.reader import McapReader, Message
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.records import decode, json_schema


def opened(target):
    sink = sink_from_uri(f"mcap:{target}", SinkContext("kit-7"))
    sink.open()
    return sink


def test_the_library_of_others_reads_every_record_with_its_schema(tmp_path, factory, vitals):
    path = tmp_path / "records.mcap"
    sink = opened(path)
    sent = [factory.status("online", "started"), factory.numerics(vitals), factory.status("offline", "ended")]
    for number, record in enumerate(sent):
        sink.write(record, number * 10**9)
    assert sink.connected
    assert sink.close() == 0
    assert sink.close() == 0
    with path.open("rb") as file:
        found = list(make_reader(file, validate_crcs=True).iter_messages())
    assert [decode(message.data) for _, _, message in found] == sent
    assert [message.log_time for _, _, message in found] == [0, 10**9, 2 * 10**9]
    schema, channel, _ = found[0]
    assert (channel.topic, channel.message_encoding, schema.encoding) == ("/records", "json", "jsonschema")
    assert msgspec.json.decode(schema.data) == json_schema()


def test_records_are_readable_while_the_file_is_open(tmp_path, factory, vitals):
    path = tmp_path / "records.mcap"
    sink = opened(path)
    for second in range(4):
        sink.write(factory.numerics(vitals), second * 10**9)
    kept = [item for item in McapReader(path) if isinstance(item, Message)]
    assert len(kept) >= 2
    sink.close()


def test_a_full_disk_is_told_once_and_its_records_are_counted(tmp_path, factory, vitals, monkeypatch, caplog):
    path = tmp_path / "records.mcap"
    sink = opened(path)
    for second in range(3):
        sink.write(factory.numerics(vitals), second * 10**9)
    before = path.read_bytes()
    on_disk = sum(isinstance(item, Message) for item in McapReader(path))

    def full(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with caplog.at_level(logging.WARNING):
        for second in range(3, 9):
            sink.write(factory.numerics(vitals), second * 10**9)
    assert sink.close() == sink.dropped == 9 - on_disk
    assert len([one for one in caplog.records if "No space left on device" in one.getMessage()]) == 1
    assert path.read_bytes() == before


def test_wrong_places_are_refused_in_one_line(tmp_path):
    here = tmp_path / "here.mcap"
    here.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already; name a new file"):
        opened(here)
    assert here.read_bytes() == b"mine"
    with pytest.raises(UsageError, match="name a file in a folder you may write to"):
        opened(Path("none") / "here.mcap")
    with pytest.raises(UsageError, match="names no file"):
        sink_from_uri("mcap:", SinkContext("kit-7"))
    with pytest.raises(UsageError, match="no parameter 'quota'"):
        sink_from_uri("mcap:a?quota=1", SinkContext("kit-7"))
