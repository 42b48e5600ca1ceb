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


def test_no_answer_names_the_sink_that_is_missing() -> None:
    assert "--sink web:127.0.0.1:8080" in MODULE.healthy(f"http://127.0.0.1:{free_port()}/healthz")
