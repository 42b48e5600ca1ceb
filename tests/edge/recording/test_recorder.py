"""The recorder's queue, and what of a picture it keeps."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clips.crop import Box
from edge.errors import FaultError
from edge.faces.track import FaceTrack
from edge.frames import Frame
from edge.recording import recorder as module
from edge.recording.crops import crops_of
from edge.recording.messages import Session
from edge.recording.reader import McapReader, Message
from edge.recording.recorder import Recorder
from edge.recording.writer import McapFile

SESSION = Session(
    software="x", device="kit-7", kit="", cameras={"rgb": "a", "thermal": "b"}, bundle="sha256:0", signature="none",
    runtime="x", mode="exact", live=True, full_frames=False, consent="null",
)  # fmt: skip
BOX = Box(10.0, 10.0, 20.0, 20.0)
TRACK = FaceTrack(0, BOX, moved=True, seen_ns=0, score=1.0)


def thermal(n: int) -> Frame:
    return Frame(np.full((100, 100), n, np.uint16), n * 10**8, "monotonic", n, "thermal")


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that takes the first message and no other before the event is set."""
    go = threading.Event()
    write = McapFile.write

    def slow(self: McapFile, *words: object, **named: object) -> None:
        write(self, *words, **named)  # type: ignore[arg-type]
        go.wait(30.0)

    monkeypatch.setattr(McapFile, "write", slow)
    monkeypatch.setattr(module, "_WAITING_BYTES", 200_000)
    return go


def kept(path: Path) -> list[str]:
    return [item.topic for item in McapReader(path) if isinstance(item, Message)]


def test_a_live_run_never_waits_for_the_disk(tmp_path: Path, stalled: threading.Event) -> None:
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=False)
    recorder.open(SESSION)
    for n in range(40):
        recorder.pushed(thermal(n))
    assert "the disk does not keep up" in recorder.over
    stalled.set()
    error = recorder.close()
    assert error is not None
    assert "the disk does not keep up" in str(error)
    assert 1 <= len(kept(tmp_path / "a.mcap")) < 40


def test_what_was_taken_before_the_disk_fell_behind_is_still_written(tmp_path: Path, stalled: threading.Event) -> None:
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=False)
    recorder.open(SESSION)
    taken = 0
    while not recorder.over:
        recorder.pushed(thermal(taken))
        taken += 1
    stalled.set()
    recorder.close()
    assert len(kept(tmp_path / "a.mcap")) == taken - 1, "all but the one for which there was no room"
    assert recorder._bytes == 0, "and nothing is held for the rest of the run"


def test_a_run_over_files_waits_and_loses_nothing(tmp_path: Path, stalled: threading.Event) -> None:
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=True)
    recorder.open(SESSION)
    threading.Timer(0.2, stalled.set).start()
    for n in range(40):
        recorder.pushed(thermal(n))
    assert stalled.is_set(), "the queue was full before"
    assert recorder.close() is None
    assert recorder.close() is None
    assert not recorder.over
    assert len(kept(tmp_path / "a.mcap")) == 40


def test_a_picture_without_a_face_leaves_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    recorder = Recorder(path, full_frames=False, wait=True)
    recorder.open(SESSION)
    picture = np.full((200, 200, 3), 255, np.uint8)
    for n in range(5):
        rgb = Frame(picture, n * 10**8, "media", n, "rgb")
        recorder.pushed(rgb)
        recorder.sighted(rgb, (), n, ())
    assert recorder.close() is None
    assert max(len(item.data) for item in McapReader(path) if isinstance(item, Message)) < 300


def test_what_breaks_inside_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object) -> bytes:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "bytes_from_message", broken)
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=True)
    recorder.open(SESSION)
    recorder.pushed(thermal(0))
    assert "internal error: a bug" in str(recorder.close())
    assert recorder.over


def test_what_breaks_inside_costs_nothing_of_what_came_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module.bytes_from_message

    def breaks_at_the_third(head: msgspec.Struct, *parts: Any) -> bytes:
        if getattr(head, "seq", 0) == 2:
            raise ValueError("a frame that cannot be packed")
        return whole(head, *parts)

    monkeypatch.setattr(module, "bytes_from_message", breaks_at_the_third)
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=True)
    recorder.open(SESSION)
    for n in range(4):
        recorder.pushed(thermal(n))
    assert "a frame that cannot be packed" in str(recorder.close())
    reader = McapReader(tmp_path / "a.mcap")
    assert sum(isinstance(item, Message) for item in reader) == 2
    assert reader.complete, "with its index"


def test_a_disk_without_room_for_the_beginning_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(FaultError, match="No space left on device; make room"):
            Recorder(tmp_path / "a.mcap", full_frames=False, wait=True).open(SESSION)
    assert list(tmp_path.iterdir()) == [], "the next try may have the name"
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_the_name_of_a_new_recording_is_on_the_disk_before_its_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def noted(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    recorder = Recorder(tmp_path / "a.mcap", full_frames=False, wait=True)
    recorder.open(SESSION)
    assert synced == [str(tmp_path)]
    assert recorder.close() is None


NUMBERS = st.floats(-50.0, 250.0)
BOXES = st.lists(
    st.builds(Box, NUMBERS, NUMBERS, st.floats(0.5, 90.0), st.floats(0.5, 90.0)).filter(
        lambda b: b.x < 199.0 and b.y < 99.0 and b.x + b.w > 1.0 and b.y + b.h > 1.0
    ),
    max_size=6,
)


@given(BOXES)
def test_every_pixel_of_a_region_is_in_one_crop_and_none_in_two(boxes: list[Box]) -> None:
    seen = np.zeros((100, 200), int)
    for crop in crops_of(boxes, seen.shape):
        seen[crop.y : crop.y + crop.h, crop.x : crop.x + crop.w] += 1
    assert seen.max() <= 1
    for box in boxes:
        part = box.cut(seen.shape)
        rows = slice(int(part.y), int(np.ceil(part.y + part.h)))
        assert seen[rows, int(part.x) : int(np.ceil(part.x + part.w))].all()
