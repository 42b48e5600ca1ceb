"""A door in front of a server: shut, nobody gets in and who is inside is thrown out; open, bytes pass both ways.

It lets a test put a subscriber behind the door first, so that nothing a client sends when it comes in goes unheard.
And it does what networks do: it hangs, is slow, cuts a connection within a packet, or knows an old protocol only.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable

from fakes.broker import free_port

__all__ = ["Door"]

_VERSION_AT = 8
"""Where CONNECT (MQTT 5, 3.1) has its protocol version, with one byte of remaining length; 9 with two."""
_UNACCEPTABLE_VERSION = b"\x20\x02\x00\x01"
"""What a 3.1.1 broker answers to a newer CONNECT (MQTT 3.1.1, 3.2.2.3)."""
_UNAVAILABLE = b"\x20\x03\x00\x88\x00"
"""CONNACK of version 5: server unavailable."""


class Door:
    """Shut at first. Clients connect to ``port`` on loopback. ``knows_5`` False refuses all but MQTT 3.1.1."""

    def __init__(self, *, knows_5: bool = True) -> None:
        self.port = free_port()
        self.refused = 0
        self.spoil: Callable[[bytes], bytes] | None = None
        """Changes what the server says."""
        self.spoil_in: Callable[[bytes], bytes] | None = None
        """Changes what clients say."""
        self._knows_5 = knows_5
        self._ears: socket.socket | None = None
        self._inside: list[socket.socket] = []
        self._passing = threading.Event()
        self._passing.set()
        self._bytes_per_s: float | None = None
        self._left: int | None = None
        self._refusing = False

    def open(self, server_port: int) -> None:
        """Let clients through to ``server_port`` from now on, as they come and at full speed."""
        self._bytes_per_s = self._left = None
        self._refusing = False
        self._passing.set()
        self._ears = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._admit, args=(self._ears, server_port), daemon=True).start()

    def shut(self) -> None:
        """Refuse newcomers and cut every connection."""
        if self._ears is not None:
            _drop(self._ears)
            self._ears = None
        self._passing.set()
        self.throw_out()

    def throw_out(self) -> None:
        """Cut every connection; newcomers may enter."""
        while self._inside:
            _drop(self._inside.pop())

    def hang(self) -> None:
        """Keep connections and let nothing pass, until it goes on, is opened again or shut."""
        self._passing.clear()

    def go_on(self) -> None:
        """End a hang."""
        self._passing.set()

    def slow(self, bytes_per_s: float) -> None:
        """Let bytes from clients pass at this rate."""
        self._bytes_per_s = bytes_per_s

    def cut_after(self, left_bytes: int) -> None:
        """Let so many more bytes from clients pass, wherever that is in a packet, then cut every connection once."""
        self._left = left_bytes

    def refuse(self) -> None:
        """Cut every connection and answer newcomers that the server is unavailable, until shut and opened again."""
        self._refusing = True
        self.throw_out()

    def _admit(self, ears: socket.socket, server_port: int) -> None:
        with contextlib.suppress(OSError):  # shut
            while True:
                client, _ = ears.accept()
                server = socket.create_connection(("127.0.0.1", server_port))
                self._inside += [client, server]
                threading.Thread(target=self._carry_in, args=(client, server), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client), daemon=True).start()

    def _carry_in(self, client: socket.socket, server: socket.socket) -> None:
        hello = b""
        with contextlib.suppress(OSError):  # gone again
            hello = client.recv(10, socket.MSG_PEEK)
        if self._refusing or (not self._knows_5 and 5 in hello[_VERSION_AT:]):
            self.refused += 1
            with contextlib.suppress(OSError):
                client.sendall(_UNAVAILABLE if self._refusing else _UNACCEPTABLE_VERSION)
            _drop(client)
            _drop(server)
        else:
            self._carry(client, server, inwards=True)

    def _carry(self, source: socket.socket, sink: socket.socket, *, inwards: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1024 if self._bytes_per_s else 65536):
                self._passing.wait()
                if _is_reset(source):
                    break
                if inwards and self._bytes_per_s:
                    time.sleep(len(data) / self._bytes_per_s)
                if inwards and self.spoil_in is not None:
                    data = self.spoil_in(data)
                if inwards and self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                if not inwards and self.spoil is not None:
                    data = self.spoil(data)
                sink.sendall(data)
                if inwards and self._left is not None and self._left <= 0:
                    self._left = None
                    self.throw_out()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _is_reset(one: socket.socket) -> bool:
    """Whether the other side broke the connection off (RST), which on its way takes along what was sent before."""
    looked = select.poll()
    try:
        looked.register(one, 0)
    except ValueError:  # closed here meanwhile
        return True
    return any(found & select.POLLERR for _, found in looked.poll(0))


def _drop(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # never connected, or gone already
        one.shutdown(socket.SHUT_RDWR)
    one.close()
