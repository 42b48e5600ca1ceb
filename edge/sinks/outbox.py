"""What waits for a peer: fresh messages go first, late measurements become backlog, what matters is durable.

A peer is an MQTT broker or an HL7 receiver.

What is worth keeping is in the store (``edge/sinks/outbox_store.py``) before :meth:`Outbox.put` returns and leaves it
only when the peer has confirmed it. Removals ride on the next message's commit, so that one record costs one sync of
the disk. A crash between a confirmation and that commit sends a message twice; it loses none.
Safe between the thread that puts and the one that takes.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge.sinks.outbox_store import Store, StoredMessage, StoreError

__all__ = ["Message", "Outbox"]

log = logging.getLogger(__name__)

_PAGE = 200
_REMOVE_AT = 500
_REMOVE_AFTER_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message. It is live until ``lifetime_ns`` after ``made_ns`` (monotonic), for ever when that is None.

    It must leave in the first half of that: the other half is for its way. Later it is worth keeping under the topic
    ``history``; without such a topic it is worthless. ``row`` is its number in the store, None for what is in memory
    only; ``live`` is False when it comes from the backlog.
    """

    topic: str
    payload: bytes
    made_ns: int
    qos: int = 1
    lifetime_ns: int | None = None
    history: str | None = None
    row: int | None = None
    live: bool = True

    def left_ns(self, now_ns: int) -> int | None:
        """For how long it is still worth delivering as live, negative when it is not; None for ever."""
        return None if self.lifetime_ns is None else self.made_ns + self.lifetime_ns - now_ns

    def is_late(self, now_ns: int) -> bool:
        """Whether it must not leave as live any more."""
        return self.lifetime_ns is not None and now_ns - self.made_ns >= self.lifetime_ns // 2

    @property
    def kept_topic(self) -> str | None:
        """Where it goes when it could not go out at once; None: nowhere, it is not worth keeping."""
        return self.history or (self.topic if self.lifetime_ns is None else None)


class Outbox:
    """A queue of fresh messages in memory, before the store. Old measurements make room for new ones, events never."""

    def __init__(self, store: Store, fresh_limit: int = 1_000) -> None:
        self._store = store
        self._fresh: deque[Message] = deque()
        self._fresh_limit = fresh_limit
        self._page: deque[Message] = deque()  # the next of the backlog
        self._seen = 0  # the backlog was looked through up to this row
        self._held: set[int] = set()  # rows that are fresh, in the page, on their way, or confirmed
        self._confirmed: list[int] = []  # rows to remove
        self._confirmed_ns: int | None = None
        self._trouble = ""
        self._closed = False
        self._late = self._lost = 0
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the store; what it holds from before is backlog. FaultError or UsageError when it cannot be used."""
        self._store.open()

    def __len__(self) -> int:
        """How many messages are not confirmed; of those in memory only, how many are not on their way."""
        with self._lock:
            return self._store.count - len(self._confirmed) + sum(message.row is None for message in self._fresh)

    @property
    def backlog(self) -> int:
        """How many messages wait in the store, neither fresh nor on their way."""
        with self._lock:
            return self._store.count - len(self._held) + len(self._page)

    @property
    def dropped(self) -> int:
        """Messages given up, for whatever reason."""
        return self._late + self.lost

    @property
    def lost(self) -> int:
        """Those of them that were worth keeping: what made room, and what could be kept in memory only."""
        return self._lost + self._store.dropped

    def put(self, message: Message) -> bool:
        """Take a new message; True when it will survive a power cut. A full fresh queue retires its oldest."""
        with self._lock:
            if len(self._fresh) >= self._fresh_limit:
                self._retire(self._fresh.popleft())
            if message.kept_topic is not None:
                message = self._stored(message)
            self._fresh.append(message)
            return message.row is not None

    def take_fresh(self, now_ns: int) -> Message | None:
        """The next message that is not late, None when there is none."""
        with self._lock:
            while self._fresh:
                message = self._fresh.popleft()
                if not message.is_late(now_ns):
                    return message
                self._retire(message)
            return None

    def take_backlog(self) -> Message | None:
        """The oldest message of the backlog, None when there is none."""
        with self._lock:
            while not self._page and not self._closed and self._store.count > len(self._held):
                if not self._turn_page():
                    return None
            return self._page.popleft() if self._page else None

    def confirm(self, message: Message, now_ns: int) -> None:
        """The peer has it, or never will: it need not be kept."""
        if message.row is None:
            return
        with self._lock:
            self._confirmed.append(message.row)
            if self._confirmed_ns is None:
                self._confirmed_ns = now_ns

    def settle(self, now_ns: int) -> None:
        """Remove what was confirmed, when that was long ago or much; else the next put does it in passing."""
        with self._lock:
            waited = self._confirmed_ns is not None and now_ns - self._confirmed_ns >= _REMOVE_AFTER_NS
            if waited or len(self._confirmed) >= _REMOVE_AT:
                self._remove()

    def give_back(self, messages: Iterable[Message]) -> None:
        """Put taken messages back, in their order: their delivery was not confirmed. After the end they are counted."""
        with self._lock:
            for message in reversed(list(messages)):
                if self._closed:
                    self._retire(message)
                elif message.live:
                    self._fresh.appendleft(message)
                else:
                    self._release(message)

    def close(self) -> int:
        """Close the store; gives how many messages stay in it for the next run."""
        with self._lock:
            self._remove()
            self._lost += sum(message.row is None and message.kept_topic is not None for message in self._fresh)
            self._late += sum(message.kept_topic is None for message in self._fresh)
            self._fresh.clear()
            waiting = self._store.count
            if not self._store.durable:
                self._lost += waiting
                waiting = 0
            self._store.close()
            self._closed = True
            return waiting

    def _turn_page(self) -> bool:
        """Read on in the store; False at its end, or when it cannot be read."""
        try:
            found = self._store.after(self._seen, _PAGE)
        except StoreError as error:
            self._complain(str(error))
            return False
        self._seen = found[-1].row if found else self._seen
        self._page.extend(_message(one) for one in found if one.row not in self._held)
        self._held.update(message.row for message in self._page if message.row is not None)
        return bool(found)

    def _stored(self, message: Message) -> Message:
        assert message.kept_topic is not None
        row = self._store.next_row
        one = StoredMessage(row, message.kept_topic, message.payload, droppable=message.history is not None)
        try:
            self._store.add(one, self._confirmed, self._held)
        except StoreError as error:
            self._complain(str(error))
            return message
        self._complain("")
        self._forget_confirmed()
        self._held.add(row)
        return replace(message, row=row)

    def _remove(self) -> None:
        if self._confirmed and not self._closed:
            try:
                self._store.remove(self._confirmed)
            except StoreError as error:  # they go out twice after a restart
                self._complain(str(error))
            else:
                self._forget_confirmed()
            self._confirmed_ns = None

    def _forget_confirmed(self) -> None:
        self._held.difference_update(self._confirmed)
        self._confirmed.clear()
        self._confirmed_ns = None

    def _complain(self, trouble: str) -> None:
        """Say once that records are in memory only, and once that they are safe again."""
        if trouble and not self._trouble:
            log.error("%s: %s; records wait in memory only", self._store.name, trouble)
        elif self._trouble and not trouble:
            log.warning("%s: records are kept on disk again", self._store.name)
        self._trouble = trouble

    def _retire(self, message: Message) -> None:
        if message.row is not None:
            self._release(message)
        elif message.kept_topic is None:
            self._late += 1
        else:
            self._lost += 1

    def _release(self, message: Message) -> None:
        """Leave it to the backlog, which is looked through again from there."""
        if message.row is None:
            return
        rows = [message.row, *(one.row for one in self._page if one.row is not None)]
        self._held.difference_update(rows)
        self._page.clear()
        self._seen = min(self._seen, min(rows) - 1)


def _message(one: StoredMessage) -> Message:
    return Message(one.topic, one.payload, 0, row=one.row, live=False)
