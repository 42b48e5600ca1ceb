"""One serial link: opens its port again and again, sends what is newest, never waits. Port and time are given to it.

Hardly more than one line or frame is in the driver at a time: what waits, waits here, where it can still be replaced by
something newer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from edge.sinks.records import Event, Record
from edge.sinks.serial_port import NOT_THERE, PORT_ERRORS, Port, lasting_name, open_error
from edge.sinks.serial_profiles import Profile
from edge.sinks.serial_queue import Handed, Sendable, Waiting

__all__ = ["SerialLink"]

log = logging.getLogger(__name__)

_BACKOFF_NS = (500_000_000, 2_000_000_000)
_STALL_NS = 500_000_000
_WARN_AGAIN_NS = 60_000_000_000
_STALLED = "its reader takes nothing"


class SerialLink:
    """Driven by :meth:`step`, whose calls and :meth:`put` come one at a time; ``now_ns`` is monotonic.

    ``opened`` tells whether the port ever was open, ``stalled`` whether its reader takes nothing; ``room_bytes`` are
    what may be pending in the driver when the next piece is added.
    """

    def __init__(self, path: str, open_port: Callable[[str], Port], profile: Profile, room_bytes: int = 128) -> None:
        self.opened = self.stalled = False
        self._path = self._name = path
        self._open_port = open_port
        self._profile = profile
        self._waiting = Waiting()
        self._port: Port | None = None
        self._pieces: deque[bytes] = deque()
        self._record: Sendable | None = None
        self._handed = Handed()
        self._room_bytes = room_bytes
        self._torn = False
        self._complaint = ""
        self._stalled_ns: int | None = None
        self._retry_ns, self._backoff_ns = 0, _BACKOFF_NS[0]
        self._pending = self._moved_ns = 0
        self._cut = 0

    @property
    def connected(self) -> bool:
        """True while the port is open."""
        return self._port is not None

    @property
    def dropped(self) -> int:
        """Records that no reader got."""
        return self._waiting.dropped + self._cut + self._profile.given_up

    @property
    def lost(self) -> int:
        """Events among them."""
        return self._waiting.lost

    @property
    def busy(self) -> bool:
        """True while something waits here."""
        return bool(len(self._waiting) or self._pieces)

    @property
    def flushed(self) -> bool:
        """True when nothing waits, neither here nor in the driver."""
        return not self.busy and self._pending == 0

    def put(self, record: Record) -> None:
        """Queue a record of a kind that the profile sends; leave out any other."""
        wanted = self._profile.wants(record)
        if wanted is not None:
            self._waiting.put(wanted)

    def step(self, now_ns: int) -> None:
        """Open, read and write as far as it goes without waiting."""
        if self._port is None and now_ns >= self._retry_ns:
            self._open(now_ns)
        if self._port is None:
            return
        try:
            self._profile.heard(self._port.read(), now_ns)
            self._say(self._port, now_ns)
        except PORT_ERRORS:  # whatever the driver calls it
            self._lose(now_ns)

    def close(self) -> int:
        """Give up what waits and close the port; how many records that cost."""
        before = self._waiting.dropped + self._cut
        self._drop_unsent()
        self._waiting.clear()
        self._release()
        return self._waiting.dropped + self._cut - before

    def _open(self, now_ns: int) -> None:
        try:
            self._port = self._open_port(self._name)
        except (*PORT_ERRORS, ValueError) as error:  # ValueError: a baud rate the driver cannot make
            self._complain(open_error(self._name, error))
            self._wait(now_ns)
            return
        self._name = lasting_name(self._name)
        self.opened = True
        self._backoff_ns = _BACKOFF_NS[0]
        self._moved_ns = now_ns
        self._complaint = ""
        self._profile.opened(now_ns)
        log.info("serial:%s: open%s", self._path, "" if self._name == self._path else f" as {self._name}")

    def _say(self, port: Port, now_ns: int) -> None:
        while self._has_room(port, now_ns) and (self._pieces or self._fill(now_ns)):
            piece = self._pieces.popleft()
            taken = port.write(piece)
            self._handed.add(taken, self._record)
            self._pending += taken
            if taken:
                self._moved_ns = now_ns
            if taken < len(piece):
                self._pieces.appendleft(piece[taken:])
                break
            self.stalled = False
            if not self._pieces:
                self._record = None
        if now_ns - self._moved_ns >= _STALL_NS:
            self._give_up(port, now_ns)

    def _has_room(self, port: Port, now_ns: int) -> bool:
        before, self._pending = self._pending, port.pending()
        self._handed.settle(self._pending)
        idle = not self._pending and not self._pieces
        if self._pending < before or idle:
            self._moved_ns = now_ns
        return self._pending <= self._room_bytes

    def _fill(self, now_ns: int) -> bool:
        """Take what is to be said next; False when that is nothing."""
        self._pieces.extend(self._profile.due(now_ns))
        if not self._pieces:
            self._record = self._waiting.take(now_ns)
            if self._record is not None:
                self._pieces.extend(self._profile.encode(self._record, now_ns))
        if self._pieces and self._torn:
            self._pieces.appendleft(self._profile.separator)
            self._torn = False
        return bool(self._pieces)

    def _give_up(self, port: Port, now_ns: int) -> None:
        """The reader stalls: throw away what it did not take, so that it gets something new when it is back."""
        if self._stalled_ns is not None and now_ns - self._stalled_ns > _WARN_AGAIN_NS:
            self._complaint = ""
        self._complain(_STALLED)
        port.discard()
        self._drop_unsent()
        self.stalled, self._torn = True, True
        self._stalled_ns = self._moved_ns = now_ns

    def _drop_unsent(self) -> None:
        """What is here or in the driver and not on the wire: events go back to wait, the rest is counted."""
        unsent = self._handed.take_unsent()
        if self._record is not None and self._record not in unsent:
            unsent.append(self._record)
        for record in reversed(unsent):
            if isinstance(record, Event):
                self._waiting.put_back(record)
            else:
                self._cut += 1
        self._pieces.clear()
        self._record = None
        self._pending = 0

    def _lose(self, now_ns: int) -> None:
        self._complain(NOT_THERE)
        self._drop_unsent()
        self._release()
        self._torn = True
        self._wait(now_ns)

    def _wait(self, now_ns: int) -> None:
        self._retry_ns = now_ns + self._backoff_ns
        self._backoff_ns = min(2 * self._backoff_ns, _BACKOFF_NS[1])

    def _release(self) -> None:
        port, self._port = self._port, None
        self._pending = 0
        if port is not None:
            port.close()

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            log.warning("serial:%s: %s; until it takes records again they are dropped", self._path, reason)
        self._complaint = reason
