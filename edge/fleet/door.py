"""A TCP door in front of a broker, to cut what passes: bytes both ways while it is open, one thread for all of them.

TLS passes through it unseen; a broker's certificate must then name the address of the door, 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

__all__ = ["Door"]

_CHUNK = 65536


class Door:
    """Open at first; clients connect to ``port`` on loopback. Use it as a context."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._ears = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self._ears.getsockname()[1])
        self._other: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._open, self._closed = True, False
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def __enter__(self) -> Door:  # noqa: PYI034 - typing.Self is of Python 3.11
        self._selector.register(self._ears, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._thread.join()
        self.shut()
        self._ears.close()
        self._selector.close()

    def shut(self) -> None:
        """Cut every connection; newcomers are turned away until it is opened."""
        with self._lock:
            self._open = False
            for one in tuple(self._other):
                self._part(one)

    def open(self) -> None:
        """Let newcomers in."""
        self._open = True

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(0.1):
                with self._lock:
                    if key.fileobj is self._ears:
                        self._admit()
                    else:
                        self._carry(key.fileobj)  # type: ignore[arg-type]  # nothing but sockets is registered

    def _admit(self) -> None:
        client, _ = self._ears.accept()
        if not self._open:
            client.close()
            return
        try:
            server = socket.create_connection(self._server, timeout=5.0)
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            one.settimeout(5.0)  # a reader that takes nothing for that long is cut
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _carry(self, source: socket.socket) -> None:
        if source not in self._other:  # parted in this very round
            return
        try:
            data = source.recv(_CHUNK)
            self._other[source].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._part(source)

    def _part(self, one: socket.socket) -> None:
        other = self._other.pop(one, None)
        if other is None:
            return
        self._other.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            with contextlib.suppress(OSError):  # so that a peer in another thread sees the end at once
                end.shutdown(socket.SHUT_RDWR)
            end.close()
