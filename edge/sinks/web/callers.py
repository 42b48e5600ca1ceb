"""The open connections: how many there may be, and how long one may go without asking.

A server for HTTP waits for a request as long as it takes. Whoever opens many connections and never asks, or asks a
byte at a time, would so keep others out. Here a connection has ten seconds from its opening, or from its last answer,
for the next one; only that of an admitted page has all the time. When all places are taken, the one that has gone
longest without an answer is ended for the newcomer: a true visitor asks at once, and so gets in all the same.

Counted are the sockets themselves, as they are accepted, so this holds before and during a TLS handshake too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Callers", "Listener"]

Peer = tuple[str, int]
"""Address and port."""
_LOOK_S = 0.5
_LEAVING_S = 0.05
"""The server takes so long at most to close a connection that was ended, if it is not kept from it."""


@dataclass(slots=True)
class _Caller:
    connection: socket.socket
    since_s: float
    stays: bool = False
    ended_s: float | None = None

    @property
    def gone(self) -> bool:
        return self.connection.fileno() < 0

    def end(self, now_s: float) -> None:
        """The server finds the end of its input and closes; closing here would take the file from under it."""
        self.ended_s = now_s
        with contextlib.suppress(OSError):  # the other side was faster
            self.connection.shutdown(socket.SHUT_RDWR)


class Callers:
    """At most ``most`` connections, each with ``patience_s`` for its next answer. Belongs to the server's event loop.

    ``clock`` is a monotonic one in seconds.
    """

    def __init__(self, most: int, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience_s = patience_s
        self._most = most
        self._clock = clock
        self._open: dict[Peer, _Caller] = {}

    def __len__(self) -> int:
        """How many are open."""
        self._forget()
        return len(self._open)

    def has_room(self) -> bool:
        """Whether one more may come in."""
        return len(self) < self._most

    def make_room(self) -> bool:
        """End whoever has waited longest, unless one is leaving just now; False when all are there to stay."""
        now_s = self._clock()
        if any(one.ended_s is not None and now_s - one.ended_s < _LEAVING_S for one in self._open.values()):
            return True
        waiting = [one for one in self._open.values() if not one.stays and one.ended_s is None]
        if waiting:
            min(waiting, key=lambda one: one.since_s).end(now_s)
        return bool(waiting)

    def enter(self, connection: socket.socket, peer: Peer) -> None:
        """A connection came in."""
        self._open[peer] = _Caller(connection, self._clock())

    def answered(self, peer: Peer) -> None:
        """It got an answer, and its time for the next one begins."""
        if peer in self._open:
            self._open[peer].since_s = self._clock()

    @contextlib.contextmanager
    def staying(self, peer: Peer) -> Iterator[None]:
        """As long as this lasts it may stay."""
        caller = self._open.get(peer)
        if caller is not None:
            caller.stays = True
        try:
            yield
        finally:
            if caller is not None:
                caller.stays, caller.since_s = False, self._clock()

    async def watch(self) -> None:
        """End those whose time is over, again and again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.end_the_silent()

    def end_the_silent(self) -> None:
        """End those whose time is over now."""
        self._forget()
        now_s = self._clock()
        for caller in self._open.values():
            if not caller.stays and caller.ended_s is None and now_s - caller.since_s > self.patience_s:
                caller.end(now_s)

    def _forget(self) -> None:
        self._open = {peer: caller for peer, caller in self._open.items() if not caller.gone}


class Listener(socket.socket):
    """A listening socket that lets in whom ``callers`` have room for; takes over the file of ``plain``."""

    def __init__(self, plain: socket.socket, callers: Callers) -> None:
        super().__init__(fileno=plain.detach())
        self._callers = callers

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises
        ------
        BlockingIOError
            None is there, or there is room in a moment: until then it waits in the kernel.
        ConnectionAbortedError
            There is no room; it was turned away.
        """
        if not self._callers.has_room() and self._callers.make_room():
            raise BlockingIOError
        connection, peer = super().accept()
        if not self._callers.has_room():
            connection.close()
            raise ConnectionAbortedError
        self._callers.enter(connection, peer[:2])
        return connection, peer
