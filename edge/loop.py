"""Threads, queues and pace: all of them, here.

    reader thread per camera -> Inbox (bounded, merged by stamp) -> the loop -> queue -> thread per sink
                                                                    the loop <-> one thread for face detection

A live camera cannot wait: when its queue is full the oldest frame goes, and the gap in ``Frame.seq`` tells. Files and
scenes wait, and so do the queues of their sinks: nothing is lost and the same input gives the same records at any
speed.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from edge.cameras import Camera
from edge.clips.timeline import Timeline
from edge.errors import FaultError, MmrphysError, SilentError
from edge.frames import Frame, FrameKind
from edge.sinks import Keeper, Sink
from edge.sinks.records import Record

__all__ = ["Aside", "Ended", "Inbox", "Pace", "Reader", "SinkWorker", "frames"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_DEPTH = 8
"""Frames waiting per camera: a quarter of a second at 30 fps."""
_SINK_DEPTH = 256
"""Records waiting per sink: about a minute of a live run."""
_CLOSE_CAMERA_S = 5.0
"""How long a camera may take to give its last frame."""
_CLOSE_S = 15.0
"""How long a sink may take to flush at the end."""
_PATIENCE_S = 0.5
"""A full sink that takes no record for so long is given up once the run was stopped."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A camera gives no more frames; ``error`` is None at its regular end."""

    kind: FrameKind
    error: MmrphysError | None


class Inbox:
    """The frames of all cameras, bounded per camera, taken in stamp order.

    With ``live`` False a frame is taken only when every camera that still runs has one waiting, so that the order
    depends on stamps alone; with ``live`` True whatever is there is taken, and a full queue drops its oldest frame
    (``dropped`` of them so far).
    """

    def __init__(self, kinds: Iterable[FrameKind], *, live: bool, depth: int = _DEPTH) -> None:
        self._waiting: dict[FrameKind, deque[Frame]] = {kind: deque() for kind in kinds}
        self._ended: dict[FrameKind, Ended] = {}
        self._live = live
        self._depth = depth
        self._closed = False
        self._changed = threading.Condition()
        self.dropped = 0

    @property
    def waiting(self) -> float:
        """How full the fullest camera's queue is, 0..1."""
        with self._changed:
            return max((len(waiting) / self._depth for waiting in self._waiting.values()), default=0.0)

    def put(self, frame: Frame) -> bool:
        """Add a frame, waiting for room unless live; False once the inbox is closed."""
        with self._changed:
            waiting = self._waiting[frame.kind]
            while not self._live and len(waiting) >= self._depth and not self._closed:
                self._changed.wait()
            if len(waiting) >= self._depth:
                waiting.popleft()
                self.dropped += 1
            waiting.append(frame)
            self._changed.notify_all()
            return not self._closed

    def end(self, kind: FrameKind, error: MmrphysError | None) -> None:
        """No more frames of ``kind`` will come."""
        with self._changed:
            self._ended[kind] = Ended(kind, error)
            self._changed.notify_all()

    def close(self) -> None:
        """Let every waiting reader go; what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | Ended | None:
        """The next frame, or the news that a camera ended; None when neither came in time."""
        with self._changed:
            self._changed.wait_for(self._ready, timeout_s)
            if not self._ready():
                return None
            kind = self._next_kind()
            item = self._waiting[kind].popleft() if self._waiting[kind] else self._ended[kind]
            if isinstance(item, Ended):
                del self._waiting[kind]
            self._changed.notify_all()
            return item

    def _ready(self) -> bool:
        told = [bool(waiting) or kind in self._ended for kind, waiting in self._waiting.items()]
        return any(told) if self._live else bool(told) and all(told)

    def _next_kind(self) -> FrameKind:
        over = [kind for kind, waiting in self._waiting.items() if not waiting and kind in self._ended]
        if over:
            return over[0]
        return min((w[0].pts_ns, kind) for kind, w in self._waiting.items() if w)[1]


class Pace:
    """Holds frames back until their time has come, all cameras against one start; only when ``realtime``."""

    def __init__(self, *, realtime: bool, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._realtime = realtime
        self._clock = clock
        self._start_ns: int | None = None  # clock minus stream time
        self._lock = threading.Lock()

    def wait(self, pts_ns: int, stop: threading.Event) -> None:
        """Return at the frame's time, or at once when ``stop`` is set."""
        if not self._realtime:
            return
        with self._lock:
            if self._start_ns is None:
                self._start_ns = self._clock() - pts_ns
            delay_ns = self._start_ns + pts_ns - self._clock()
        if delay_ns > 0:
            stop.wait(delay_ns / 1e9)


class Reader(threading.Thread):
    """Reads one camera, already open, into the inbox until it ends, breaks or ``stop`` is set; then closes it."""

    def __init__(self, camera: Camera, inbox: Inbox, pace: Pace, stop: threading.Event) -> None:
        super().__init__(name=f"read-{camera.kind}", daemon=True)
        self._camera, self._inbox, self._pace, self._stop_event = camera, inbox, pace, stop
        self._timeline = Timeline()

    def run(self) -> None:
        """Thread body."""
        reading = self._error_of(self._read)
        closing = self._error_of(self._camera.close)
        self._inbox.end(self._camera.kind, reading or closing)

    def _error_of(self, step: Callable[[], None]) -> MmrphysError | None:
        try:
            step()
        except MmrphysError as known:
            return known
        except Exception as unknown:  # noqa: BLE001 - a thread's edge: told as an error, never silent
            _log.exception("camera %s failed", self._camera.name)
            return FaultError(f"camera {self._camera.name} failed: {unknown}; run with -v and report it")
        return None

    def _read(self) -> None:
        while not self._stop_event.is_set():
            try:
                frame = self._camera.read()
            except SilentError:  # its silence shows in the states; it may come back
                continue
            if frame is None:
                return
            if not self._deliver([frame] if self._camera.live else self._steady(frame)):
                return

    def _steady(self, frame: Frame) -> list[Frame]:
        """The frame of a recording in stream time, with the one that was held back before it."""
        jumps, strays = self._timeline.jumps, self._timeline.strays
        frames = self._timeline.push(frame)
        if self._timeline.jumps > jumps:
            _log.warning("%s: its stamps jump; the jump is taken as a gap of some seconds", self._camera.name)
        if self._timeline.strays > strays:
            _log.warning("%s: a frame whose stamp is far from all others is left out", self._camera.name)
        return frames

    def _deliver(self, frames: Iterable[Frame]) -> bool:
        for frame in frames:
            if not self._camera.live:
                self._pace.wait(frame.pts_ns, self._stop_event)
            if not self._inbox.put(frame):
                return False
        return True


def frames(
    cameras: Sequence[Camera],
    *,
    realtime: bool,
    stop: threading.Event,
    idle_s: float = 0.25,
    inbox: Inbox | None = None,
) -> Iterator[Frame | Ended | None]:
    """All cameras' frames in stamp order, with one :class:`Ended` per camera; None when live cameras are silent.

    ``inbox`` is one made for these cameras, where somebody wants to watch it. Ends when all cameras ended or ``stop``
    is set. Each camera is closed by its reader and by nobody else: one that hangs in a read stays open.
    """
    inbox = inbox or Inbox([camera.kind for camera in cameras], live=any(camera.live for camera in cameras))
    pace = Pace(realtime=realtime)
    over = threading.Event()
    readers = [Reader(camera, inbox, pace, over) for camera in cameras]
    for reader in readers:
        reader.start()
    running = len(readers)
    try:
        while running and not stop.is_set():
            item = inbox.take(idle_s)
            running -= isinstance(item, Ended)
            yield item
    finally:
        over.set()
        inbox.close()
        for reader in readers:
            reader.join(_CLOSE_CAMERA_S)
            if reader.is_alive():
                _log.warning("%s hangs and is left behind", reader.name)


class Aside:
    """One thread that works while the loop goes on, one piece of work after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Begin ``work``; what comes back waits for it and gives its result, or raises what it raised."""
        return self._pool.submit(work).result

    def close(self) -> None:
        """Forget what has not begun, and wait for the rest."""
        self._pool.shutdown(cancel_futures=True)


class SinkWorker:
    """One sink with its bounded queue and its thread.

    With ``wait`` the sender waits for room, until ``stop`` is set; else the oldest record goes. A sink whose reader has
    gone (BrokenPipeError) or that fails gets no more records; a record that cannot be encoded (ValueError) goes alone.
    """

    def __init__(self, sink: Sink, *, wait: bool, stop: threading.Event, depth: int = _SINK_DEPTH) -> None:
        self.sink = sink
        self._wait = wait
        self._stop = stop
        self._queue: queue.Queue[tuple[Record, int] | None] = queue.Queue(depth)
        self._opened = threading.Event()
        self._open_error: Exception | None = None
        self._queued = self._overflow = self._no_room = 0  # counted by the sender
        self._handled = self._failed = self._unflushed = 0  # counted by the thread
        self._error: BaseException | None = None
        self._broken = False
        self._reader_left = False
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)

    @property
    def dropped(self) -> int:
        """Records this sink did not send, for whatever reason."""
        return self._overflow + self._no_room + self._failed + self.sink.dropped

    @property
    def waiting(self) -> int:
        """Records that the sink keeps for a peer that is away."""
        return self.sink.waiting if isinstance(self.sink, Keeper) else 0

    @property
    def filled(self) -> float:
        """How full its queue is, 0..1."""
        return self._queue.qsize() / self._queue.maxsize

    @property
    def over(self) -> bool:
        """True when no more records can go this way: the reader has left, the sink failed, or its thread is gone."""
        return self._reader_left or self._broken or not self._thread.is_alive()

    def start(self) -> None:
        """Open the sink on its own thread; raises what its ``open`` raised. Waits for it until ``stop`` is set."""
        self._thread.start()
        while not self._opened.wait(_PATIENCE_S) and not self._stop.is_set():
            pass
        if self._open_error is not None:
            raise self._open_error

    def put(self, record: Record, pts_ns: int) -> None:
        """Hand over one record."""
        if self._reader_left:
            return
        if self._wait:
            taken = self._put_patiently((record, pts_ns), self._stop.is_set)
            self._queued += taken
            self._no_room += not taken
            return
        while True:
            try:
                self._queue.put_nowait((record, pts_ns))
            except queue.Full:
                self._overflow += self._take_oldest()
            else:
                self._queued += 1
                return

    def _put_patiently(self, item: tuple[Record, int] | None, hurried: Callable[[], bool]) -> bool:
        """Wait for room; False when there is none and it is ``hurried``, or nobody is left to make some."""
        while True:
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                if hurried() or not self._thread.is_alive():
                    return False
            else:
                return True

    def _take_oldest(self) -> int:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return 0
        return 1

    def close(self) -> FaultError | None:
        """Flush and close; gives an error that says what could not be delivered."""
        end_s = time.monotonic() + _CLOSE_S
        self._put_patiently(None, lambda: time.monotonic() >= end_s)
        self._thread.join(timeout=_CLOSE_S)
        if self._reader_left:
            return None
        waiting = self._queued - self._overflow - self._handled
        lost = self._no_room + waiting + self._failed + self._unflushed
        hangs = self._thread.is_alive()
        if self._error is None and not lost and not hangs:
            return None
        cause = self._error or ("it did not finish in time" if hangs else "it did not take them")
        return FaultError(f"{lost} records not delivered to {self.sink.name} ({cause}); check that link")

    def _run(self) -> None:
        try:
            self.sink.open()
        except Exception as error:  # noqa: BLE001 - handed to the thread that called start
            self._open_error = error
            return
        finally:
            self._opened.set()
        while (item := self._queue.get()) is not None:
            self._write(*item)
            self._handled += 1
        try:
            self._unflushed = self.sink.close()
        except BrokenPipeError:
            self._reader_left = True
        except Exception as error:  # noqa: BLE001 - a thread's edge: reported by close
            _log.exception("sink %s failed at closing", self.sink.name)
            self._error = self._error or error

    def _write(self, record: Record, pts_ns: int) -> None:
        if self._reader_left:
            return
        if self._broken:
            self._failed += 1
            return
        try:
            self.sink.write(record, pts_ns)
        except BrokenPipeError:
            _log.info("the reader of sink %s has seen enough", self.sink.name)
            self._reader_left = True
        except ValueError as error:
            self._failed += 1
            self._error = self._error or error
            _log.error("sink %s: a record is dropped: %s", self.sink.name, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken sink stops no other; reported by close
            self._failed += 1
            self._error, self._broken = error, True
            _log.error("sink %s failed and gets no more records: %s", self.sink.name, error)
