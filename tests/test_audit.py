from __future__ import annotations

import http.server
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", Path(__file__).with_name("audit.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server() -> Iterator[str]:
    """Answers every question with 501."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/"
        made.shutdown()
        thread.join()


def test_a_service_that_answers_at_all_is_there(audit: ModuleType, server: str) -> None:
    assert audit.why_not(server) == ""


def test_without_the_service_the_audit_is_skipped_aloud(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([], "http://127.0.0.1:1/") == 0
    assert "audit skipped: http://127.0.0.1:1/" in (out := capsys.readouterr().out)
    assert "Connection refused" in out
