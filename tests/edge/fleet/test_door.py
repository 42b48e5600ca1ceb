"""The door, with real sockets on both sides."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from edge.fleet.door import Door


@pytest.fixture
def echo() -> Iterator[int]:
    server = socket.create_server(("127.0.0.1", 0))

    def answer(one: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            while data := one.recv(65536):
                one.sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def talk(one: socket.socket, words: bytes) -> bytes:
    one.sendall(words)
    heard = b""
    while len(heard) < len(words):
        more = one.recv(65536)
        if not more:
            raise ConnectionResetError
        heard += more
    return heard


def visitor(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), timeout=10.0)


def test_bytes_pass_both_ways_for_many_at_once(echo: int) -> None:
    with Door("127.0.0.1", echo) as door, contextlib.ExitStack() as opened:
        inside = [opened.enter_context(visitor(door)) for _ in range(20)]
        for number, one in enumerate(inside):
            assert talk(one, bytes([number]) * 100_000) == bytes([number]) * 100_000


def test_shut_cuts_who_is_inside_and_turns_newcomers_away_until_opened(echo: int) -> None:
    with Door("127.0.0.1", echo) as door:
        with visitor(door) as one:
            assert talk(one, b"here") == b"here"
            door.shut()
            assert one.recv(1) == b""
        with visitor(door) as two, pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as the kernel likes
            talk(two, b"let me in")
        door.open()
        with visitor(door) as three:
            assert talk(three, b"again") == b"again"
