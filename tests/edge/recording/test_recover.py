"""What is left of a recording that ended badly."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.recorded_run import Recorded, records_of
from mcap.reader import make_reader

from edge.cli import main
from edge.errors import InputError
from edge.recording.messages import METADATA, RECORDS, TOPICS
from edge.recording.reader import MAGIC, McapReader, Message
from edge.recording.recover import recover
from edge.recording.writer import McapFile, QuotaReachedError
from edge.sinks.factory import RecordFactory
from edge.sinks.records import encode

SCENE = "synthetic:?width=320&height=240&thermal_width=80&thermal_height=60&noise=1"


def messages(path: Path) -> list[tuple[str, bytes]]:
    return [(item.topic, item.data) for item in McapReader(path) if isinstance(item, Message)]


def indexed(path: Path) -> int:
    """Messages that the library of others finds through the index, each checksum right."""
    with path.open("rb") as file:
        return sum(1 for _ in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 12 chunks."""
    file = McapFile(tmp_path_factory.mktemp("small") / "a.mcap", TOPICS)
    file.open({METADATA: {"format": "1"}}, {"rig.json": b"{}"})
    seeded = random.Random(5)
    for n in range(36):
        file.write(TOPICS[n % 5], seeded.randbytes(400), n * 400_000_000, 0, now_s=0.0)
    file.close()
    return file.path


def test_a_file_cut_anywhere_becomes_a_whole_one(small: Path, tmp_path: Path) -> None:
    data, whole = small.read_bytes(), messages(small)
    seeded = random.Random(11)
    places = [*range(30), *range(len(data) - 20, len(data)), *(seeded.randrange(len(data)) for _ in range(90))]
    cut, kept = tmp_path / "cut.mcap", []
    for place in sorted(places):
        cut.write_bytes(data[:place])
        out = tmp_path / "out.mcap"
        report = recover(cut, out)
        found = messages(out)
        assert found == whole[: len(found)], place
        assert indexed(out) == len(found) == sum(report.messages.values())
        assert report.left_out_bytes < 8000 or len(found) == len(whole), "only the chunk that was being written"
        kept.append(len(found))
        out.unlink()
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0, len(whole))


def test_a_damaged_byte_costs_what_comes_after_it_and_nothing_else(small: Path, tmp_path: Path) -> None:
    data, whole = small.read_bytes(), messages(small)
    seeded = random.Random(12)
    damaged, out = tmp_path / "damaged.mcap", tmp_path / "out.mcap"
    for _ in range(60):
        place = seeded.randrange(len(MAGIC), len(data))
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        recover(damaged, out)
        found = messages(out)
        assert found == whole[: len(found)], place
        assert len(found) >= len(whole) * (place - 12_000) / len(data)
        out.unlink()


def test_a_recording_that_is_cut_short_is_replayed_up_to_there(recorded: Recorded, tmp_path: Path) -> None:
    data = recorded.path.read_bytes()
    cut, fixed = tmp_path / "cut.mcap", tmp_path / "fixed.mcap"
    cut.write_bytes(data[: len(data) // 2])
    recover(cut, fixed)
    for path in (cut, fixed):
        out = tmp_path / f"{path.stem}.jsonl"
        assert main(["replay", str(path), "--verify", "--sink", f"jsonl:{out}"]) == 0
        assert records_of(out)[-1]["reason"] == "cut short"
        assert len(records_of(out)) > 8


def test_a_killed_run_has_all_but_its_last_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, lines, fixed = tmp_path / "killed.mcap", tmp_path / "killed.jsonl", tmp_path / "fixed.mcap"
    command = [sys.executable, "-m", "edge", "record", "--rgb", f"{SCENE}&seconds=600", "--out", str(path)]
    run = subprocess.Popen([*command, "--sink", f"jsonl:{lines}"], stderr=subprocess.DEVNULL)
    end_s = time.monotonic() + 60.0
    while not (lines.exists() and lines.read_bytes().count(b'"numerics"') >= 2):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    sent = records_of(lines)
    assert len(list(McapReader(path))) > 60
    assert main(["recover", str(path), "--out", str(fixed)]) == 0
    assert "were left out" in capsys.readouterr().err
    assert main(["replay", str(path), "--verify"]) == 0
    assert main(["replay", str(fixed), "--verify"]) == 0
    kept = [data for topic, data in messages(fixed) if topic == RECORDS]
    assert len(kept) >= len(sent) - 4, "numerics and state changes of a second and a half"


def test_a_foreign_file_is_refused_in_one_line_and_nothing_is_made(tmp_path: Path) -> None:
    foreign, out = tmp_path / "a.mp4", tmp_path / "out.mcap"
    foreign.write_bytes(b"\0\0\0\x18ftypmp42" * 9)
    with pytest.raises(InputError, match=r"a\.mp4 is no MCAP file; want a file of mmrphys record"):
        recover(foreign, out)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        recover(tmp_path / "none.mcap", out)
    assert not out.exists()


def test_a_file_that_is_there_is_never_written_over(recorded: Recorded, tmp_path: Path) -> None:
    here = tmp_path / "here.mcap"
    here.write_text("mine")
    assert main(["recover", str(recorded.path), "--out", str(here)]) == 2
    assert main(["record", "--rgb", SCENE, "--out", str(here), "--sink", f"jsonl:{tmp_path / 'x'}"]) == 2
    assert here.read_text() == "mine"


def test_a_recovery_that_is_stopped_leaves_no_half_copy(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge.recording.recover.Writer.add_message", stopped)
    with pytest.raises(KeyboardInterrupt):
        recover(small, tmp_path / "out.mcap")
    assert list(tmp_path.iterdir()) == []


def test_the_quota_ends_the_recording_and_not_the_run(tmp_path: Path) -> None:
    path, lines = tmp_path / "small.mcap", tmp_path / "small.jsonl"
    words = ["--rgb", f"{SCENE}&seconds=3", "--speed", "max", "--sink", f"jsonl:{lines}"]
    assert main(["record", "--out", str(path), "--quota", "1MB", *words]) == 0
    assert path.stat().st_size <= 1_000_000
    sent = records_of(lines)
    (event,) = [one for one in sent if one.get("code") == "recording_ended"]
    assert "its quota is reached" in event["text"]
    assert sent[-1]["reason"] == "ended"
    assert [one["pts_ns"] for one in sent if one["kind"] == "numerics"][-1] > 2.9e9
    assert indexed(path) > 20
    assert main(["replay", str(path), "--verify"]) == 0


def test_a_full_disk_ends_the_recording_with_an_event_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, lines = tmp_path / "full.mcap", tmp_path / "full.jsonl"
    words = ["--rgb", f"{SCENE}&seconds=3", "--speed", "max", "--sink", f"jsonl:{lines}"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, before[1]))  # for each file; a write beyond gives OSError
    try:
        assert main(["record", "--out", str(path), *words]) == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "full.mcap ended after " in capsys.readouterr().err
    sent = records_of(lines)
    assert [one["code"] for one in sent if one["kind"] == "event"].count("recording_ended") == 1
    assert [one["pts_ns"] for one in sent if one["kind"] == "numerics"][-1] > 2.9e9
    reader = McapReader(path)
    assert len(list(reader)) > 20
    assert reader.whole_bytes == path.stat().st_size, "the chunk that found no room was cut off"
    assert main(["replay", str(path), "--verify"]) == 0


def test_a_chunk_is_on_the_disk_a_second_after_its_first_message(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "a.mcap", TOPICS)
    file.open()
    line = encode(RecordFactory("kit-7").status("online", "started"))
    file.write(RECORDS, line, 0, 0, now_s=100.0)
    file.tick(100.9)
    assert messages(file.path) == []
    file.tick(101.0)
    assert messages(file.path) == [(RECORDS, line)]
    file.write(RECORDS, line, 0, 0, now_s=200.0)
    file.write(RECORDS, line, 0, 0, now_s=201.0)
    assert len(messages(file.path)) == 3
    file.close()
    file.close()
    assert indexed(file.path) == 3


def test_a_quota_is_never_passed_and_the_file_can_still_be_closed(tmp_path: Path) -> None:
    seeded = random.Random(3)
    file = McapFile(tmp_path / "a.mcap", TOPICS, quota=600_000)
    file.open()
    count = 0
    with contextlib.suppress(QuotaReachedError):
        for count in range(1000):
            file.write(RECORDS, seeded.randbytes(9_000), 0, 0, now_s=0.5 * count)
    file.close()
    assert 300_000 < file.path.stat().st_size <= 600_000
    assert indexed(file.path) == count


@pytest.mark.parametrize("size", ["", "8", "8XB", "-1GB", "500KB", "nanGB"])
def test_a_quota_that_is_no_size_is_refused(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rgb", "synthetic:", "--sink", f"jsonl:{tmp_path / 'x'}", "--quota", size]
    assert main(["record", "--out", str(tmp_path / "a.mcap"), *words]) == 2
    assert "want a size of at least 1MB, for example 500MB or 8GB" in capsys.readouterr().err
