"""Threads and queues, on small real cameras and sinks."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge import loop
from edge.errors import FaultError, InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.loop import Ended, Inbox, Pace, SinkWorker, frames
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record


def frame(pts_ns: int, kind: FrameKind = "rgb", seq: int = 0) -> Frame:
    image = np.zeros((2, 2, 3), np.uint8) if kind == "rgb" else np.zeros((2, 2), np.uint16)
    return Frame(image, pts_ns, "media", seq, kind)


class ListCamera:
    """Gives the frames it was made with, then ends or raises."""

    name = "list"

    def __init__(
        self, kind: FrameKind, stamps: list[int], *, live: bool = False, error: Exception | None = None
    ) -> None:
        self.kind, self.live = kind, live
        self._frames = iter([frame(pts, kind, seq) for seq, pts in enumerate(stamps)])
        self._error = error
        self.closed = False

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        item = next(self._frames, None)
        if item is None and self._error is not None:
            raise self._error
        return item

    def close(self) -> None:
        self.closed = True


class ListSink:
    """Keeps what it gets; waits at ``gate`` for each record and fails where told."""

    name = "list:"
    connected = True

    def __init__(
        self,
        gate: threading.Event | None = None,
        fail_at: int | None = None,
        left: int = 0,
        error: BaseException = OSError(28, "No space left on device"),  # noqa: B008 - never changed
    ) -> None:
        self.records: list[Record] = []
        self.dropped = 0
        self._gate, self._fail_at, self._left, self._error = gate, fail_at, left, error

    def open(self) -> None: ...

    def write(self, record: Record, pts_ns: int) -> None:
        if self._gate is not None:
            self._gate.wait(10)
        if len(self.records) == self._fail_at:
            raise self._error
        self.records.append(record)

    def close(self) -> int:
        return self._left


@pytest.fixture
def records() -> list[Record]:
    factory = RecordFactory("kit-1")
    return [factory.status("online", str(k)) for k in range(40)]


def collect(*cameras: ListCamera) -> list[Frame | Ended | None]:
    return list(frames(cameras, realtime=False, stop=threading.Event()))


def test_two_cameras_come_merged_by_stamp_and_are_closed() -> None:
    rgb, thermal = ListCamera("rgb", list(range(0, 300, 33))), ListCamera("thermal", list(range(10, 300, 115)))
    items = collect(rgb, thermal)
    stamps = [item.pts_ns for item in items if isinstance(item, Frame)]
    assert stamps == sorted([*range(0, 300, 33), *range(10, 300, 115)])
    assert {item.kind for item in items if isinstance(item, Ended)} == {"rgb", "thermal"}
    assert rgb.closed
    assert thermal.closed


def test_an_error_of_a_camera_comes_after_its_frames() -> None:
    broken = InputError("cable out")
    items = collect(ListCamera("rgb", [1, 2, 3], error=broken))
    assert [item.pts_ns for item in items[:-1]] == [1, 2, 3]
    assert items[-1] == Ended("rgb", broken)


def test_an_unexpected_error_becomes_a_fault_and_no_thread_dies_silently() -> None:
    items = collect(ListCamera("rgb", [1], error=RuntimeError("driver bug")))
    assert isinstance(items[-1], Ended)
    assert isinstance(items[-1].error, FaultError)
    assert "driver bug" in str(items[-1].error)


def test_stopping_ends_the_frames_and_closes_the_cameras() -> None:
    camera, stop = ListCamera("rgb", list(range(10_000))), threading.Event()
    seen = []
    for item in frames([camera], realtime=False, stop=stop):
        seen.append(item)
        if len(seen) == 5:
            stop.set()
    assert len(seen) == 5
    assert camera.closed


def test_a_camera_that_fails_to_close_is_an_error_and_an_end() -> None:
    class Stuck(ListCamera):
        def close(self) -> None:
            raise RuntimeError("device busy")

    ended = collect(Stuck("rgb", [1]))[-1]
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, FaultError)
    assert "device busy" in str(ended.error)


def test_a_camera_is_never_closed_under_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_CLOSE_CAMERA_S", 0.05)
    gone, closed = threading.Event(), threading.Event()

    class Hanging(ListCamera):
        def read(self) -> Frame | None:
            gone.wait(10)
            return None

        def close(self) -> None:
            assert gone.is_set()
            closed.set()

    stop = threading.Event()
    for item in frames([Hanging("rgb", [], live=True)], realtime=False, stop=stop, idle_s=0.01):
        assert item is None
        stop.set()
    assert not closed.is_set()
    gone.set()
    assert closed.wait(5)


def test_a_full_live_queue_drops_its_oldest_frame() -> None:
    inbox = Inbox(["rgb"], live=True, depth=3)
    for seq in range(10):
        assert inbox.put(frame(seq, seq=seq))
    taken = [inbox.take(0.0) for _ in range(4)]
    assert [item.seq if isinstance(item, Frame) else None for item in taken] == [7, 8, 9, None]
    assert inbox.dropped == 7


def test_an_inbox_tells_how_full_its_fullest_queue_is() -> None:
    inbox = Inbox(["rgb", "thermal"], live=True, depth=4)
    assert inbox.waiting == 0.0
    for seq in range(3):
        inbox.put(frame(seq, seq=seq))
    inbox.put(frame(1, "thermal"))
    assert inbox.waiting == 0.75


def test_a_full_file_queue_waits_and_loses_nothing() -> None:
    inbox = Inbox(["rgb"], live=False, depth=3)
    writer = threading.Thread(target=lambda: [inbox.put(frame(seq, seq=seq)) for seq in range(50)])
    writer.start()
    taken = [inbox.take(5.0) for _ in range(50)]
    writer.join(5)
    assert [item.seq for item in taken if isinstance(item, Frame)] == list(range(50))


def test_files_wait_for_the_slower_camera() -> None:
    inbox = Inbox(["rgb", "thermal"], live=False)
    inbox.put(frame(5))
    assert inbox.take(0.01) is None
    inbox.put(frame(3, "thermal"))
    first = inbox.take(0.01)
    assert isinstance(first, Frame)
    assert first.kind == "thermal"


def test_closing_lets_a_waiting_reader_go() -> None:
    inbox = Inbox(["rgb"], live=False, depth=1)
    inbox.put(frame(1))
    answers: list[bool] = []
    reader = threading.Thread(target=lambda: answers.append(inbox.put(frame(2))))
    reader.start()
    inbox.close()
    reader.join(5)
    assert answers == [False]


class CountedWait(threading.Event):
    """Notes how long one would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return True


def test_pace_holds_frames_to_their_time_against_one_start() -> None:
    now, stop = [1_000_000_000], CountedWait()
    pace = Pace(realtime=True, clock=lambda: now[0])
    pace.wait(500_000_000, stop)  # the first frame starts the clock
    pace.wait(600_000_000, stop)
    now[0] += 300_000_000
    pace.wait(700_000_000, stop)  # late already
    pace.wait(900_000_000, stop)
    assert stop.waits == pytest.approx([0.1, 0.1])


def test_no_pace_at_full_speed() -> None:
    stop = CountedWait()
    for pts_ns in (0, 10**12):
        Pace(realtime=False).wait(pts_ns, stop)
    assert stop.waits == []


def test_a_waiting_sink_gets_every_record(records: list[Record]) -> None:
    sink = ListSink()
    worker = SinkWorker(sink, wait=True, stop=threading.Event(), depth=2)
    worker.start()
    for record in records:
        worker.put(record, 0)
    assert worker.close() is None
    assert sink.records == records


def test_a_slow_live_sink_loses_the_oldest_and_counts(records: list[Record]) -> None:
    gate = threading.Event()
    sink = ListSink(gate)
    worker = SinkWorker(sink, wait=False, stop=threading.Event(), depth=4)
    worker.start()
    for record in records:
        worker.put(record, 0)  # never blocks
    gate.set()
    assert worker.close() is None
    assert sink.records[-4:] == records[-4:]
    assert worker.dropped == len(records) - len(sink.records) > 0


def test_a_failing_sink_is_told_once_with_the_number_lost(records: list[Record]) -> None:
    worker = SinkWorker(ListSink(fail_at=3), wait=True, stop=threading.Event())
    worker.start()
    for record in records:
        worker.put(record, 0)
    error = worker.close()
    assert isinstance(error, FaultError)
    assert f"{len(records) - 3} records not delivered" in str(error)
    assert "No space left" in str(error)


def test_records_left_undelivered_are_told(records: list[Record]) -> None:
    worker = SinkWorker(ListSink(left=2), wait=True, stop=threading.Event())
    worker.start()
    worker.put(records[0], 0)
    assert "2 records not delivered" in str(worker.close())


def test_what_open_raises_reaches_the_starter() -> None:
    class Refusing(ListSink):
        def open(self) -> None:
            raise UsageError("no such place")

    with pytest.raises(UsageError, match="no such place"):
        SinkWorker(Refusing(), wait=True, stop=threading.Event()).start()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_PATIENCE_S", 0.02)
    monkeypatch.setattr(loop, "_CLOSE_S", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_sink_that_hangs_holds_nobody_once_the_run_is_stopped(records: list[Record]) -> None:
    gate, stop = threading.Event(), threading.Event()
    worker = SinkWorker(ListSink(gate), wait=True, stop=stop, depth=2)
    worker.start()
    sender = threading.Thread(target=lambda: [worker.put(record, 0) for record in records[:6]], daemon=True)
    sender.start()
    stop.set()
    sender.join(10)
    assert not sender.is_alive()
    error = worker.close()
    gate.set()
    assert "6 records not delivered to list: (it did not finish in time)" in str(error)


@pytest.mark.usefixtures("impatient")
def test_a_sink_that_hangs_in_open_holds_nobody_once_the_run_is_stopped() -> None:
    gate, stop = threading.Event(), threading.Event()

    class Opening(ListSink):
        def open(self) -> None:
            gate.wait(10)

    stop.set()
    worker = SinkWorker(Opening(), wait=True, stop=stop)
    worker.start()
    assert "did not finish" in str(worker.close())
    gate.set()


def test_a_reader_that_has_seen_enough_ends_its_sink_quietly(records: list[Record]) -> None:
    sink = ListSink(fail_at=3, error=BrokenPipeError())
    worker = SinkWorker(sink, wait=True, stop=threading.Event(), depth=2)
    worker.start()
    assert not worker.over
    for record in records:
        worker.put(record, 0)
    assert worker.close() is None
    assert worker.over
    assert (len(sink.records), worker.dropped) == (3, 0)


def test_a_library_that_wants_to_exit_is_a_failure_that_is_told(records: list[Record]) -> None:
    worker = SinkWorker(ListSink(fail_at=1, error=SystemExit(1)), wait=True, stop=threading.Event(), depth=2)
    worker.start()
    for record in records[:8]:
        worker.put(record, 0)
    assert "7 records not delivered" in str(worker.close())


def test_a_record_that_cannot_be_encoded_goes_alone(records: list[Record]) -> None:
    class Strict(ListSink):
        def write(self, record: Record, pts_ns: int) -> None:
            if record is records[2]:
                raise ValueError("not finite")
            super().write(record, pts_ns)

    sink = Strict()
    worker = SinkWorker(sink, wait=True, stop=threading.Event())
    worker.start()
    for record in records[:6]:
        worker.put(record, 0)
    error = worker.close()
    assert sink.records == records[:2] + records[3:6]
    assert worker.dropped == 1
    assert "1 records not delivered to list: (not finite)" in str(error)
