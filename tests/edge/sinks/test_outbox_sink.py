"""What every sink with an outbox does, on a link of the tests that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator

import pytest
from fakes.broker import until
from fakes.kit_records import Kit

from edge.sinks import outbox_sink
from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_sink import OutboxSink
from edge.sinks.outbox_store import Store
from edge.sinks.records import Numerics, encode


class Post(OutboxSink[str]):
    """``connects`` is asked for every connection; what comes over one is in ``taken`` and confirmed at once."""

    def __init__(self, connects: Callable[[], str], drive: Callable[[Iterator[float]], None] | None = None) -> None:
        super().__init__("post:", Outbox(Store(None)), farewell_s=0.05, waits_s=(0.001, 0.002), drive=drive)
        self._connects = connects
        self.taken: list[bytes] = []
        self.hurried = threading.Event()

    def write(self, record: Numerics) -> None:
        self._outbox.put(Message("t", encode(record), record.mono_ns))

    def _check(self) -> None: ...

    def _connect(self) -> str:
        return self._connects()

    def _converse(self, link: str) -> Generator[float, None, bool]:
        self._gets_through()
        while not self._hurried.is_set():
            while (message := self._outbox.take_fresh(0)) is not None:
                if link == "poor":
                    self._outbox.give_back([message])
                    raise KeyError(link)
                self.taken.append(message.payload)
                self._let_go(message)
            if self._closing.is_set():
                return True
            yield outbox_sink.POLL_S
        return False

    def _hurry(self) -> None:
        self.hurried.set()


def look() -> Numerics:
    record = Kit("a" * 16).look()
    assert isinstance(record, Numerics)
    return record


def test_a_fault_in_a_link_is_told_and_the_next_connection_sends_the_record(caplog: pytest.LogCaptureFixture) -> None:
    links = iter(["poor", "poor", "good"])
    post = Post(lambda: next(links))
    post.open()
    post.write(look())
    until(lambda: post.taken, "the record")
    assert caplog.text.count("connection failed unexpectedly") == 2
    assert post.connected
    assert (post.close(), post.dropped, len(post.taken)) == (0, 0, 1)


def test_a_fault_while_closing_ends_the_thread() -> None:
    link = threading.Event()

    def connects() -> str:
        link.wait()
        return "poor"

    post = Post(connects)
    post.open()
    post.write(look())
    (thread,) = [one for one in threading.enumerate() if one.name == "link post:"]
    post._closing.set()
    link.set()
    thread.join(5.0)
    assert not thread.is_alive()
    assert post.close() == post.close() == 1, "what was in memory is lost, and every close says so"


def test_a_connection_that_is_never_made_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_sink, "_FLUSH_S", 0.01)
    never = threading.Event()
    made = []

    def connects() -> str:
        made.append(never.wait())
        return "good"

    post = Post(connects)
    post.open()
    post.write(look())
    until(lambda: any(one.name == "link post:" for one in threading.enumerate()), "the thread")
    assert post.close() == 1
    assert post.hurried.is_set()
    never.set()
    until(lambda: all(one.name != "link post:" for one in threading.enumerate()), "the thread's end")
    assert (len(made), post.taken) == (1, []), "nothing is sent, nor tried again, after the end"


def test_why_nothing_gets_through_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    seen = iter([OSError("away"), OSError("away"), ValueError("odd"), OSError("away")])

    def connects() -> str:
        error = next(seen, None)
        if error is None:
            return "good"
        raise error

    lives: list[Iterator[float]] = []
    post = Post(connects, drive=lives.append)
    post.open()
    assert [next(lives[0]) for _ in range(4)] == [0.001, 0.002, 0.002, 0.002]
    assert not post.connected
    next(lives[0])
    assert post.connected
    said = [text for text in caplog.messages if "nothing gets through" in text]
    assert [text.partition("(")[2].partition(")")[0] for text in said] == ["away", "odd", "away"]
    lives[0].close()  # type: ignore[attr-defined]  # a generator
    assert post.close() == 0
