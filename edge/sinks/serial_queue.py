"""What waits for a serial port: of numerics the newest of each person, waves of 2 s, events."""

from __future__ import annotations

from collections import deque

from edge.sinks.records import Event, Numerics, Wave

__all__ = ["MAX_AGE_MS", "Handed", "Sendable", "Waiting", "waited_ms"]

MAX_AGE_MS = 8_500
"""A value older than this is not sent: driver and wire may take 1.5 s more, and none older than 10 s may arrive."""

_KEEP_MS = 2_000
_EVENTS = 64
_WAVES = 64

Sendable = Numerics | Wave | Event


def waited_ms(record: Sendable, now_ns: int) -> int:
    """Since the record was made; ``now_ns`` on CLOCK_MONOTONIC."""
    return max(0, (now_ns - record.mono_ns) // 10**6)


class Waiting:
    """Bounded. Events go first and wait as long as it takes; the rest is given up after 2 s.

    ``dropped`` counts what was given up, ``lost`` the events among it.
    """

    def __init__(self) -> None:
        self.dropped = self.lost = 0
        self._events: deque[Event] = deque()
        self._numerics: dict[tuple[str, int], Numerics] = {}
        self._waves: deque[Wave] = deque()

    def __len__(self) -> int:
        return len(self._events) + len(self._numerics) + len(self._waves)

    def put(self, record: Sendable) -> None:
        """Add one; what no longer has room is given up, the oldest first."""
        if isinstance(record, Numerics):
            place = (record.zone, record.person)
            self.dropped += self._numerics.pop(place, None) is not None
            self._numerics[place] = record
        elif isinstance(record, Wave):
            self._waves.append(record)
            self._trim(self._waves, _WAVES)
        else:
            self._events.append(record)
            self.lost += self._trim(self._events, _EVENTS)

    def put_back(self, event: Event) -> None:
        """An event that did not get out whole."""
        self._events.appendleft(event)
        self.lost += self._trim(self._events, _EVENTS)

    def take(self, now_ns: int) -> Sendable | None:
        """The next to send at ``now_ns``."""
        if self._events:
            return self._events.popleft()
        while self._numerics:
            numerics = self._numerics.pop(next(iter(self._numerics)))
            if _sendable(numerics, now_ns):
                return numerics
            self.dropped += 1
        while self._waves:
            wave = self._waves.popleft()
            if waited_ms(wave, now_ns) <= _KEEP_MS:
                return wave
            self.dropped += 1
        return None

    def clear(self) -> int:
        """Give up everything; how much that was, which is counted."""
        count = len(self)
        self.dropped += count
        self._events.clear()
        self._numerics.clear()
        self._waves.clear()
        return count

    def _trim(self, queue: deque[Event] | deque[Wave], room: int) -> int:
        extra = max(0, len(queue) - room)
        for _ in range(extra):
            queue.popleft()
        self.dropped += extra
        return extra


class Handed:
    """What the driver has taken and may not have sent."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, Sendable | None]] = deque()
        self._bytes = 0

    def add(self, size: int, record: Sendable | None) -> None:
        """``size`` bytes more, of ``record`` or of none."""
        self._pieces.append((size, record))
        self._bytes += size

    def settle(self, pending: int) -> None:
        """All but the last ``pending`` bytes have left."""
        while self._pieces and self._bytes - self._pieces[0][0] >= pending:
            self._bytes -= self._pieces.popleft()[0]

    def take_unsent(self) -> list[Sendable]:
        """The records of which something has not left, each once; forgets them."""
        found = {record.seq: record for _, record in self._pieces if record is not None}
        self._pieces.clear()
        self._bytes = 0
        return list(found.values())


def _sendable(record: Numerics, now_ns: int) -> bool:
    waited = waited_ms(record, now_ns)
    return waited <= _KEEP_MS and waited + record.oldest_ms <= MAX_AGE_MS
