"""What every sink with an outbox does: one connection to its peer after the other, until all was said.

A kind of link adds how to connect, and how to send messages and hear of each whether it was taken. The rest stands
here: records are on disk before ``write`` returns, a peer that is away is tried again after 1 to 5 s, said once, and
closing sends what waits for at most 3 s and leaves the rest to the next run.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from edge.errors import MmrphysError
from edge.sinks.outbox import Message, Outbox

__all__ = ["POLL_S", "OutboxSink"]

log = logging.getLogger(__name__)

L = TypeVar("L")
"""One connection."""

POLL_S = 0.02
"""A rest up to this long was spent waiting for the network already."""
_RECONNECT_S = (1.0, 5.0)
_FLUSH_S = 3.0


class OutboxSink(ABC, Generic[L]):
    """Keeps a connection of its own making; ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    ``waits_s`` is the shortest and the longest pause between attempts, ``farewell_s`` what a connection may still take
    once the time for flushing is up. Without ``drive`` there is one thread of its own; with it, ``drive`` takes what
    that would have run: an iterator whose every step does what there is to do and gives for how many seconds nothing
    more is likely. Closing the iterator is what a crash is.
    """

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        farewell_s: float,
        waits_s: tuple[float, float] = _RECONNECT_S,
        drive: Callable[[Iterator[float]], None] | None = None,
    ) -> None:
        self._name = name
        self._outbox = outbox
        self._clock = clock
        self._farewell_s = farewell_s
        self._waits_s = waits_s
        self._wait_s = waits_s[0]
        self._drive = drive or self._in_own_thread
        self._complaint: str | None = ""  # why nothing gets through; None while it does
        self._refused = 0
        self._started = False
        self._closing = threading.Event()  # say what there is to say
        self._hurried = threading.Event()  # and now stop
        self._over = threading.Event()

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return self._name

    @property
    def connected(self) -> bool:
        """True while the peer is there and takes what it is sent."""
        return self._complaint is None

    @property
    def dropped(self) -> int:
        """Records given up: what came too late, the oldest of a full outbox, and what the peer will never take."""
        return self._outbox.dropped + self._refused

    @property
    def waiting(self) -> int:
        """Records that could not go out at once: the backlog, and without a connection all that is not confirmed."""
        return self._outbox.backlog if self.connected else len(self._outbox)

    def open(self) -> None:
        """Check the files, open the outbox and start connecting in the background."""
        self._check()
        self._outbox.open()
        if waiting := len(self._outbox):
            log.info("%s: %d records wait from before", self.name, waiting)
        self._started = True
        self._drive(self._life())

    def close(self) -> int:
        """Send what waits for at most 3 s while the peer is there; the rest stays in the outbox for the next run."""
        started, self._started = self._started, False
        if started:
            self._closing.set()
            if not self._over.wait(_FLUSH_S):
                self._hurried.set()
                self._hurry()
                self._over.wait(self._farewell_s)
            if waiting := self._outbox.close():
                log.warning("%s: %d records wait for the next run with this sink", self.name, waiting)
        return self._outbox.lost + self._refused

    # ---------------------------------------------------------------------------------------- what a kind of link adds

    @abstractmethod
    def _check(self) -> None:
        """UsageError when the files that it needs cannot be used."""

    @abstractmethod
    def _connect(self) -> L:
        """A connection; OSError, ValueError or MmrphysError say why there is none."""

    @abstractmethod
    def _converse(self, link: L) -> Generator[float, None, bool]:
        """Send and hear until the connection ends; True when it did because the sink is closing and all was said.

        Whatever was taken from the outbox is confirmed or given back when this ends, however it does.
        """

    @abstractmethod
    def _hurry(self) -> None:
        """From another thread: ``_hurried`` is set, so wake what waits."""

    # ---------------------------------------------------------------------------------------- what it says of its link

    def _gets_through(self) -> None:
        """The peer is there."""
        if self._complaint is not None:
            log.info("%s: connected", self.name)
        self._complaint, self._wait_s = None, self._waits_s[0]

    def _complain(self, reason: str) -> None:
        """Nothing gets through; the same reason is said once."""
        if reason != self._complaint:
            log.warning("%s: nothing gets through (%s); records wait, trying again", self.name, reason)
        self._complaint = reason

    def _let_go(self, message: Message) -> None:
        """The peer has it."""
        self._outbox.confirm(message, self._clock())

    def _give_up(self, message: Message, why: str) -> None:
        """The peer will never take it: counted, and the first one said."""
        if not self._refused:
            log.error("%s: %s", self.name, why)
        self._refused += 1
        self._outbox.confirm(message, self._clock())

    # ---------------------------------------------------------------------------------------- its life

    def _in_own_thread(self, life: Iterator[float]) -> None:
        threading.Thread(target=self._run, args=(life,), name=f"link {self.name}", daemon=True).start()

    def _run(self, life: Iterator[float]) -> None:
        for rest_s in life:
            if rest_s > POLL_S:
                self._closing.wait(rest_s)

    def _life(self) -> Iterator[float]:
        """One connection after the other, until all was said; gives for how long to rest."""
        try:
            while True:
                last_chance = self._closing.is_set()
                all_said = False
                try:
                    all_said = yield from self._serve()
                except Exception as error:  # the thread's edge: a fault here must not end the sink
                    log.exception("%s: connection failed unexpectedly", self.name)
                    self._complaint = str(error)
                if all_said or last_chance or self._hurried.is_set():
                    return
                yield self._wait_s
                self._wait_s = min(2 * self._wait_s, self._waits_s[1])
        finally:
            self._over.set()

    def _serve(self) -> Generator[float, None, bool]:
        try:
            link = self._connect()
        except (OSError, ValueError, MmrphysError) as error:
            self._complain(str(error))
            return False
        return (yield from self._converse(link))
