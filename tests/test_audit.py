from __future__ import annotations

import http.server
import importlib.util
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", Path(__file__).with_name("audit.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def serve() -> Iterator[Callable[[int, bytes], str]]:
    """Starts servers that answer every question alike; gives their addresses."""
    with ExitStack() as opened:

        def start(code: int, body: bytes) -> str:
            class Answer(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(code)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    pass

            made = opened.enter_context(http.server.HTTPServer(("127.0.0.1", 0), Answer))
            thread = threading.Thread(target=made.serve_forever, args=(0.01,))
            thread.start()
            opened.callback(thread.join)
            opened.callback(made.shutdown)
            return f"http://127.0.0.1:{made.server_port}/"

        yield start


def test_a_service_that_answers_at_all_is_there(audit, serve) -> None:
    assert audit.why_not_osv(serve(404, b"")) == ""


@pytest.mark.parametrize(
    ("code", "body", "why"),
    [
        (200, b'{"vulnerabilities": [{"id": "PYSEC-2021-66"}]}', ""),
        (200, b'{"vulnerabilities": []}', "knows of no weakness"),
        (200, b"{}", "knows of no weakness"),
        (200, b"<html>", "gives nothing"),
        (404, b"", "gives nothing (HTTP Error 404"),
    ],
)
def test_pypi_is_asked_only_where_it_knows_what_is_known(audit, serve, code, body, why) -> None:
    found = audit.why_not_pypi(serve(code, body))
    assert why in found
    assert bool(found) == bool(why)


def test_without_a_service_the_audit_is_skipped_aloud_with_both_reasons(audit, serve, capsys) -> None:
    assert audit.main([], NOWHERE, serve(404, b"")) == 0
    out = capsys.readouterr().out
    assert "audit skipped: http://127.0.0.1:1/ cannot be reached" in out
    assert "jinja2/2.11.2/json gives nothing" in out


def test_pins_for_every_python_are_asked_about(audit) -> None:
    text = "# a\na==1 ; python_version < '3.11'\na==2 ; python_version >= '3.11'\nb-c==3.0.post1\n"
    assert [list(part.values()) for part in audit.pins(text)] == [["a==1", "b-c==3.0.post1"], ["a==2"]]


@pytest.mark.slow
def test_pip_audit_takes_all_pins(audit, serve, capfd) -> None:
    count = sum(line[:1] not in ("#", "") for line in audit.CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    assert audit.main(["--dry-run"], serve(200, b"")) == 0
    audited = [int(found) for found in re.findall(r"would have audited (\d+) packages", capfd.readouterr().err)]
    assert (len(audited), sum(audited)) == (2, count)
