"""Connections that do not ask: they are bounded in time and number, and keep nobody out."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fakes.bedside import Bedside
from fakes.chromium import eventually
from websockets.sync.client import connect

from edge.sinks.web.callers import Callers, Listener

PART = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def callers(clock: Time) -> Callers:
    return Callers(2, 10.0, clock)


@pytest.fixture
def pair(callers: Callers) -> Iterator[Callable[[int], socket.socket]]:
    """Lets one in under a port; gives the visitor's end."""
    with ExitStack() as opened:

        def enter(port: int) -> socket.socket:
            ours, theirs = (opened.enter_context(one) for one in socket.socketpair())
            callers.enter(ours, ("::1", port))
            theirs.settimeout(0.0)
            return theirs

        yield enter


def ended(visitor: socket.socket) -> bool:
    try:
        return visitor.recv(1) == b""
    except BlockingIOError:
        return False


def test_who_is_not_answered_in_time_is_ended(callers, clock, pair):
    silent, answered = pair(1), pair(2)
    clock.now_s += 6.0
    callers.answered(("::1", 2))
    clock.now_s += 6.0
    callers.end_the_silent()
    assert (ended(silent), ended(answered)) == (True, False)
    clock.now_s += 6.0
    callers.end_the_silent()
    assert ended(answered)


def test_an_admitted_page_stays_and_has_its_time_again_when_it_is_done(callers, clock, pair):
    page = pair(1)
    with callers.staying(("::1", 1)):
        clock.now_s += 3600.0
        callers.end_the_silent()
        assert not ended(page)
    callers.end_the_silent()
    assert not ended(page)
    clock.now_s += 11.0
    callers.end_the_silent()
    assert ended(page)


def test_when_all_places_are_taken_who_waits_longest_makes_room_and_only_one(callers, clock, pair):
    first = pair(1)
    clock.now_s += 1.0
    second = pair(2)
    callers.answered(("::1", 1))
    clock.now_s += 1.0
    callers.answered(("::1", 1))
    assert not callers.has_room()
    assert callers.make_room()
    assert callers.make_room(), "it is on its way out"
    assert (ended(first), ended(second)) == (False, True)
    clock.now_s += 1.0
    assert callers.make_room(), "the one before is kept from leaving: the next one"
    assert ended(first)
    assert callers.make_room()
    clock.now_s += 1.0
    assert not callers.make_room(), "nobody is left to end"


def test_pages_are_not_ended_for_a_newcomer_who_is_turned_away_instead(callers, pair):
    pages = [pair(1), pair(2)]
    with callers.staying(("::1", 1)), callers.staying(("::1", 2)):
        assert not callers.make_room()
        with Listener(socket.create_server(("127.0.0.1", 0)), callers) as listener:
            listener.settimeout(0.0)
            with socket.create_connection(listener.getsockname(), timeout=10) as visitor:
                with pytest.raises(ConnectionAbortedError):
                    listener.accept()
                assert visitor.recv(1) == b""
    assert not any(ended(page) for page in pages)


# ------------------------------------------------------------------------------------------------- the whole site


@pytest.fixture
def bedside(serve: Callable[..., Bedside]) -> Bedside:
    made = serve()
    made.look()
    return made


def call(bedside: Bedside, words: bytes) -> socket.socket:
    visitor = socket.create_connection(("127.0.0.1", bedside.sink.port), timeout=10)
    visitor.sendall(words)
    return visitor


def first_line(visitor: socket.socket) -> bytes:
    return visitor.recv(4096).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "words",
    [b"", PART, b"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n1234", WHOLE + PART],
    ids=["nothing", "part of a header", "part of a body", "one request and part of another"],
)
def test_a_client_that_does_not_finish_its_request_is_ended(bedside, words):
    bedside.sink._callers.patience_s = 0.3
    with call(bedside, words) as visitor:
        while visitor.recv(4096):
            pass
    assert eventually(lambda: len(bedside.sink._callers) == 0)


def test_a_byte_now_and_then_does_not_buy_time(bedside):
    bedside.sink._callers.patience_s = 0.5
    with call(bedside, PART) as visitor:

        def cut() -> bool:
            try:
                visitor.sendall(b"x")
            except OSError:
                return True
            return False

        assert eventually(cut)


def test_hundreds_that_never_ask_keep_nobody_out_and_the_run_does_not_notice(bedside):
    longest_s = 0.0
    with ExitStack() as opened:
        page = opened.enter_context(connect(f"ws://127.0.0.1:{bedside.sink.port}/live", max_size=None))
        for number in range(300):
            opened.enter_context(call(bedside, (b"", PART)[number % 2]))
            if number % 30 == 29:
                with call(bedside, WHOLE) as visitor:
                    assert first_line(visitor) == b"HTTP/1.1 200 OK"
                begin_s = time.perf_counter()
                bedside.step()
                bedside.look()
                longest_s = max(longest_s, time.perf_counter() - begin_s)
            assert len(bedside.sink._callers) <= 64
        assert eventually(lambda: f'"pts_ms":{bedside.second}000' in page.recv(timeout=10))
    sys.stdout.write(f"a record put beside 300 that never ask: {1000 * longest_s:.1f} ms at most, on a busy machine\n")


def test_over_tls_who_never_shakes_hands_is_ended_too(serve, tmp_path):
    from fakes.certificates import Authority

    from edge.sinks.web.address import Address

    authority = Authority(tmp_path)
    authority.issue("kit")
    files = (str(tmp_path / "kit.crt"), str(tmp_path / "kit.key"))
    bedside = serve(Address("127.0.0.1", 0, *files))
    bedside.sink._callers.patience_s = 0.3
    with call(bedside, b"\x16\x03\x01") as visitor:
        assert visitor.recv(4096) == b""
