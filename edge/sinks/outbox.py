"""What waits for the MQTT broker, in memory and bounded: fresh messages go first, late measurements become backlog.

Safe between the thread that puts and the one that takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["Message", "Outbox"]


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. It is fresh for ``lifetime_ns`` after ``made_ns`` (monotonic), for ever when that is None.

    When no longer fresh it is worth keeping under the topic ``history``; without such a topic it is worthless.
    """

    topic: str
    payload: bytes
    made_ns: int
    qos: int = 1
    lifetime_ns: int | None = None
    history: str | None = None

    def left_ns(self, now_ns: int) -> int | None:
        """For how long it stays fresh, negative when it is late; None for ever."""
        return None if self.lifetime_ns is None else self.made_ns + self.lifetime_ns - now_ns

    def kept(self) -> Message | None:
        """What of it belongs into the backlog: itself, itself under ``history`` where it is never late, or nothing."""
        if self.history is not None:
            return replace(self, topic=self.history, history=None, lifetime_ns=None)
        return self if self.lifetime_ns is None else None


class Outbox:
    """Two queues. ``take`` empties the fresh one before the backlog, so that a backlog never makes live data late."""

    def __init__(self, fresh_limit: int = 1_000, backlog_limit: int = 20_000) -> None:
        self._fresh: deque[Message] = deque()
        self._backlog: deque[Message] = deque()
        self._fresh_limit = fresh_limit
        self._backlog_limit = backlog_limit
        self._lock = threading.Lock()
        self._late = 0
        self._lost = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._fresh) + len(self._backlog)

    @property
    def dropped(self) -> int:
        """Messages given up, for whatever reason."""
        return self._late + self._lost

    @property
    def lost(self) -> int:
        """Those of them that were worth keeping: the oldest of a full backlog, and what was left at the end."""
        return self._lost

    def put(self, message: Message) -> None:
        """Queue a new message; a full fresh queue retires its oldest."""
        with self._lock:
            if len(self._fresh) >= self._fresh_limit:
                self._retire(self._fresh.popleft())
            self._fresh.append(message)

    def take(self, now_ns: int) -> Message | None:
        """The next message to send, None when nothing waits."""
        with self._lock:
            while self._fresh:
                message = self._fresh.popleft()
                left_ns = message.left_ns(now_ns)
                if left_ns is None or left_ns > 0:
                    return message
                self._retire(message)
            return self._backlog.popleft() if self._backlog else None

    def give_back(self, messages: Iterable[Message]) -> None:
        """Put taken messages back in front, in their order: their delivery was not confirmed."""
        with self._lock:
            for message in reversed(list(messages)):
                (self._backlog if message.lifetime_ns is None else self._fresh).appendleft(message)

    def clear(self) -> None:
        """Give everything up."""
        with self._lock:
            self._lost += len(self._fresh) + len(self._backlog)
            self._fresh.clear()
            self._backlog.clear()

    def _retire(self, message: Message) -> None:
        kept = message.kept()
        if kept is None:
            self._late += 1
            return
        if len(self._backlog) >= self._backlog_limit:
            self._backlog.popleft()
            self._lost += 1
        self._backlog.append(kept)
