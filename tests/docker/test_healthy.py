"""What a container's health check asks."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fakes.broker import free_port

from edge.sinks import SinkContext
from edge.sinks.web.address import Address
from edge.sinks.web.sink import WebSink

PATH = Path(__file__).resolve().parents[2] / "docker/healthy.py"
SPEC = importlib.util.spec_from_file_location("healthy", PATH)
assert SPEC is not None
assert SPEC.loader is not None
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)


@contextmanager
def page(code: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/healthz"
    server.shutdown()
    server.server_close()


def test_a_well_kit_is_healthy() -> None:
    with page(200) as address:
        assert MODULE.healthy(address) == ""


@pytest.mark.parametrize("code", [503, 401, 421])
def test_any_other_answer_is_not(code: int) -> None:
    with page(code) as address:
        assert str(code) in MODULE.healthy(address)


def test_where_the_page_asks_for_its_token_the_check_brings_it(tmp_path: Path) -> None:
    token = tmp_path / "page.token"
    token.write_text("sixteen-letters-or-more\n", encoding="ascii")
    token.chmod(0o600)
    sink = WebSink(Address("127.0.0.1", 0, token_file=str(token)), SinkContext("kit-7"))
    sink.open()
    address = f"http://127.0.0.1:{sink.port}/healthz"
    assert "503" in MODULE.healthy(address, str(token)), "let in, and there are no numbers yet"
    assert "401" in MODULE.healthy(address, str(tmp_path / "none"))
    token.write_text("", encoding="ascii")
    assert str(token) in MODULE.healthy(address, str(token))
    sink.close()


def test_no_answer_names_the_sink_that_is_missing() -> None:
    assert "the sink web: at port 8080" in MODULE.healthy(f"http://127.0.0.1:{free_port()}/healthz")
