"""A door in front of a server: shut, nobody gets in and who is inside is thrown out; open, bytes pass both ways.

It lets a test put a subscriber behind the door first, so that nothing a client sends when it comes in goes unheard.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from fakes.broker import free_port

__all__ = ["Door"]


class Door:
    """Shut at first. Clients connect to ``port`` on loopback."""

    def __init__(self) -> None:
        self.port = free_port()
        self._ears: socket.socket | None = None
        self._inside: list[socket.socket] = []

    def open(self, server_port: int) -> None:
        """Let clients through to ``server_port`` from now on."""
        self._ears = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._admit, args=(self._ears, server_port), daemon=True).start()

    def shut(self) -> None:
        """Refuse newcomers and cut every connection."""
        if self._ears is not None:
            _drop(self._ears)
            self._ears = None
        while self._inside:
            _drop(self._inside.pop())

    def _admit(self, ears: socket.socket, server_port: int) -> None:
        with contextlib.suppress(OSError):  # shut
            while True:
                client, _ = ears.accept()
                server = socket.create_connection(("127.0.0.1", server_port))
                self._inside += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _drop(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # never connected, or gone already
        one.shutdown(socket.SHUT_RDWR)
    one.close()
