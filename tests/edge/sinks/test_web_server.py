"""The site over real sockets: who is let in, what they get, and that nobody can hold anybody else up."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import resources
from typing import Any

import pytest
from fakes.bedside import Bedside, S, lost, sight
from fakes.chromium import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from edge.sinks import SinkContext
from edge.sinks.web.address import Address
from edge.sinks.web.clients import FULL, GARBAGE, MOST
from edge.sinks.web.sink import WebSink

STATIC = resources.files("edge.sinks.web").joinpath("static")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GUARDED = Address("127.0.0.1", 0, names=("kit.example",))


@pytest.fixture
def bedside(serve: Callable[..., Bedside]) -> Bedside:
    return serve()


def ask(bedside: Bedside, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", bedside.sink.port, timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


def watch(bedside: Bedside, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{bedside.sink.port}/live", open_timeout=10, max_size=None, **options)


def read(page: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(page.recv(timeout=10)))


def end_of(page: ClientConnection, take: Callable[[dict[str, Any]], object] = bool) -> int | None:
    """Read until the end; gives its code."""
    try:
        while True:
            take(read(page))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def token_of(bedside: Bedside) -> str:
    return bedside.url.partition("#token=")[2]


@pytest.mark.parametrize("path", ["/", "/page.css", "/main.js", "/icon.svg", "/metrics", "/healthz", "/no/such"])
def test_every_answer_carries_the_headers_that_keep_a_page_to_itself(bedside, path):
    answer = ask(bedside, path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] is None


def test_the_page_is_its_own_files_and_small():
    scripts = [file for file in STATIC.iterdir() if file.name.endswith(".js")]
    assert len(scripts) >= 5
    assert 5_000 < sum(len(file.read_bytes()) for file in scripts) <= 60_000
    text = "".join(file.read_text(encoding="utf-8") for file in STATIC.iterdir())
    outside = {url for url in re.findall(r"https?://[^\s\"'`]+", text) if not url.startswith("http://www.w3.org/")}
    assert outside == set()


def test_only_files_of_the_page_are_served(bedside):
    for path in ("/../sink.py", "/static/main.js", "/%2e%2e/sink.py", "/sink.py"):
        assert ask(bedside, path).status == 404


def test_under_a_foreign_name_nothing_is_told(bedside):
    for path in ("/", "/metrics", "/healthz"):
        assert ask(bedside, path, Host="evil.example").status == 421
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": KEY}
    assert ask(bedside, "/live", Host=f"127.0.0.1:{bedside.sink.port}", **upgrade).status == 101
    assert ask(bedside, "/live", Host="evil.example", **upgrade).status == 403


def test_pages_of_other_sites_are_refused(bedside):
    with pytest.raises(InvalidStatus) as refused:
        watch(bedside, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    assert ask(bedside, "/metrics", Origin="http://evil.example").status == 403
    with watch(bedside, origin=f"http://127.0.0.1:{bedside.sink.port}") as page:
        assert read(page)["device"] == "kit-7"


def test_what_a_proxy_passes_on_is_refused_unless_it_was_named(bedside, serve):
    assert ask(bedside, "/metrics", X_Forwarded_For="192.0.2.9").status == 421
    assert ask(serve(GUARDED), "/metrics", X_Forwarded_For="192.0.2.9").status == 401


@pytest.mark.parametrize("headers", [{"Host": "127.0.0.1:abc"}, {"Host": "127.0.0.1:99999"}, {"Origin": "http://["}])
def test_headers_that_are_no_addresses_are_no_errors(serve, caplog, headers):
    for path in ("/session", "/metrics/"):
        assert ask(serve(GUARDED), path, **headers).status in (401, 403, 307)
    assert "Traceback" not in caplog.text


def test_where_a_token_is_needed_nothing_is_told_without(serve):
    bedside = serve(GUARDED)
    bedside.look()
    assert ask(bedside, "/").status == 200, "the page itself holds nothing to hide"
    for path in ("/session", "/metrics", "/healthz"):
        answer = ask(bedside, path)
        assert answer.status == 401
        assert "71.8" not in answer.text
    with pytest.raises(InvalidStatus):
        watch(bedside)
    assert ask(bedside, "/session", "POST", "wrong").status == 401
    assert ask(bedside, "/session", "POST", "x" * 100_000).status == 401


def test_the_token_buys_a_cookie_and_programs_send_it_as_bearer(serve):
    bedside = serve(GUARDED)
    token = token_of(bedside)
    assert len(token) >= 32
    answer = ask(bedside, "/session", "POST", token)
    assert answer.status == 204
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert token not in cookie
    pair = cookie.partition(";")[0]
    assert ask(bedside, "/session", Cookie=pair).status == 204
    with watch(bedside, additional_headers={"Cookie": pair}) as page:
        assert read(page)["device"] == "kit-7"
    assert ask(bedside, "/metrics", Authorization=f"Bearer {token}").status == 200


def test_the_token_is_told_once_and_never_logged(serve, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "websockets.client")  # the test's own
    bedside = serve(GUARDED)
    token = token_of(bedside)
    ask(bedside, "/session", "POST", token)
    ask(bedside, f"/?token={token}", Authorization=f"Bearer {token}")
    with watch(bedside, additional_headers={"Authorization": f"Bearer {token}"}) as page:
        read(page)
    assert bedside.links.count(token) == 1
    assert token not in caplog.text


def test_tls_is_served_with_the_certificate_given(serve, tmp_path):
    files = [str(tmp_path / name) for name in ("key.pem", "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", files[0], "-out", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    bedside = serve(Address("127.0.0.1", 0, cert=files[1], key=files[0]))
    trust = ssl.create_default_context(cafile=files[1])
    assert bedside.url.startswith("https://")
    with connect(f"wss://localhost:{bedside.sink.port}/live", ssl=trust) as page:
        assert read(page)["device"] == "kit-7"
    connection = http.client.HTTPSConnection("localhost", bedside.sink.port, context=trust, timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 503


def test_health_follows_the_numbers(bedside):
    assert ask(bedside, "/healthz").status == 503
    bedside.look()
    answer = ask(bedside, "/healthz")
    assert (answer.status, json.loads(answer.text)) == (200, {"well": True, "online": True, "silent_s": 0.0})
    bedside.clock.now_ns += 11 * S
    assert ask(bedside, "/healthz").status == 503
    bedside.look()
    bedside.send(bedside.factory.status("offline", "ended"))
    assert ask(bedside, "/healthz").status == 503


def test_metrics_are_text_for_prometheus(bedside):
    bedside.look()
    answer = ask(bedside, "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'mmrphys_hr_per_minute{zone="main"} 71.8\n' in answer.text


def test_a_snapshot_carries_the_newest_question_that_came_before_it(bedside):
    with watch(bedside) as page:
        assert read(page)["echo"] == 0
        page.send("41")
        page.send("42")
        assert eventually(lambda: read(page)["echo"] == 42)


def test_only_who_aims_gets_what_the_cameras_see(serve):
    bedside = serve(sight=sight)
    with watch(bedside) as page:
        assert read(page)["sight"] is None
        page.send("1 aim")
        seen = eventually(lambda: read(page)["sight"])
        assert seen["faces"][0]["side_px"] == 205.0
        assert "pixels" not in json.dumps(seen)
        page.send("2")
        assert eventually(lambda: read(page)["sight"] is None)


@pytest.mark.parametrize("garbage", ["", "-1", "1e9", "1 aim ", "9" * 10, "x" * 60, b"1"])
def test_who_sends_anything_else_is_sent_away(bedside, garbage):
    with watch(bedside) as page:
        page.send(garbage)
        assert end_of(page) == GARBAGE


def test_a_ninth_page_is_told_that_it_is_one_too_many_and_a_place_is_free_again(bedside):
    with ExitStack() as pages:
        for _ in range(MOST):
            assert read(pages.enter_context(watch(bedside)))["device"] == "kit-7"
        with watch(bedside) as ninth, pytest.raises(ConnectionClosed) as closed:
            ninth.recv(timeout=10)
        assert closed.value.rcvd.code == FULL
    eventually(lambda: bedside.sink._clients.count == 0)
    with watch(bedside) as page:
        assert read(page)["device"] == "kit-7"


def stalled(bedside: Bedside) -> socket.socket:
    """A page that asks for everything and never reads."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", bedside.sink.port))
    plain.sendall(
        f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{bedside.sink.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return plain


def test_pages_that_stall_hold_up_neither_the_device_nor_others_and_are_given_up(bedside):
    bedside.sink._clients._stall_s = 0.5
    for person in range(16):
        bedside.look(person=person, zone=f"z{person}")
        bedside.waves(person=person, zone=f"z{person}")
    hanging = [stalled(bedside) for _ in range(MOST - 1)]
    eventually(lambda: bedside.sink._clients.count == MOST - 1)
    with watch(bedside) as page:
        longest_s, newest = 0.0, 0

        def others_go_on_until_all_are_given_up() -> bool:
            nonlocal longest_s, newest
            for client in bedside.sink._clients._open:
                client.seq = -1  # every snapshot with all waves, so that buffers fill soon
            begin_s = time.perf_counter()
            bedside.step()
            for person in range(16):
                bedside.look(person=person, zone=f"z{person}")
            longest_s = max(longest_s, time.perf_counter() - begin_s)
            newest = max(newest, *(card["pts_ms"] for card in read(page)["cards"]))
            return bedside.sink._clients.count == 1

        eventually(others_go_on_until_all_are_given_up, 60)
        assert newest >= (bedside.second - 2) * 1000
    for one in hanging:
        one.close()
    sys.stdout.write(
        f"16 records put beside {MOST - 1} stalled pages: {1000 * longest_s:.1f} ms at most, on a busy machine\n"
    )


def test_a_slow_page_gets_the_newest_and_not_what_it_missed(bedside):
    with watch(bedside, max_queue=1) as page:
        read(page)
        for _ in range(50):
            bedside.step()
            bedside.look()
        reads = 1
        while read(page)["cards"][0]["pts_ms"] < bedside.second * 1000:
            reads += 1
        assert reads <= 3


def test_at_the_end_pages_see_that_it_is_over(bedside):
    with watch(bedside) as page:
        bedside.look(lost("motion"))
        bedside.send(bedside.factory.status("offline", "ended"))
        assert bedside.sink.close() == 0
        states: list[str] = []
        end_of(page, lambda snapshot: states.append(snapshot["status"]["state"]))
        assert states[-1] == "offline"
    assert not bedside.sink.connected
    assert bedside.sink.close() == 0


def test_a_server_that_breaks_is_told(serve: Callable[..., Bedside], caplog: pytest.LogCaptureFixture) -> None:
    sink = serve().sink

    async def broken(_counter: int) -> bool:
        raise RuntimeError("a bug in the server")

    sink._server.on_tick = broken  # what it asks ten times a second
    eventually(lambda: not sink.connected)
    assert "the page is not served any more" in caplog.text
    assert "a bug in the server" in caplog.text


def test_a_check_opens_and_closes_it():
    words = ["run", "--check", "--rgb", "synthetic:?seconds=5", "--sink", "web:127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "-m", "edge", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "ok  sink: web:127.0.0.1:0" in done.stderr
    assert re.search(r"bedside page: http://127\.0\.0\.1:\d+/\n", done.stderr)


def test_the_static_sink_is_one():
    sink = WebSink(Address("127.0.0.1", 8080), SinkContext("kit-7"))
    assert (sink.name, sink.connected, sink.dropped) == ("web:127.0.0.1:8080", False, 0)
    assert sink.close() == 0
