from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edge.cli import main
from edge.config import kit_from_toml
from edge.errors import UsageError
from edge.setup.ask import Person
from edge.setup.cli import _wrapped
from edge.setup.steps import SYNTHETIC


@pytest.fixture
def nothing_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own devices and brokers stay out of the test."""
    from edge.setup import rate, steps

    empty = steps.Surroundings(cameras=list, brokers=list, ports=list, reached=lambda some: rate.reached(some, 0.5))
    monkeypatch.setattr(steps, "Surroundings", lambda: empty)


@pytest.mark.scenes
@pytest.mark.usefixtures("nothing_attached")
def test_a_kit_is_written_and_tried_and_never_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "kit.toml"
    assert main(["setup", "--yes", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert kit_from_toml(out).rgb == SYNTHETIC
    assert "ok  rgb: synthetic:" in said.err  # what run --check says
    assert "a drawn scene, no patient" in said.out
    assert f"next: mmrphys measure --config {out}" in said.out
    assert max(len(line) for line in said.out.splitlines() if "/" not in line) <= 80
    before = out.read_bytes()
    assert main(["setup", "--yes", "--out", str(out)]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.usefixtures("nothing_attached")
def test_without_anybody_to_answer_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["setup", "--out", str(tmp_path / "kit.toml")]) == 2
    assert "or with --yes, which takes the best" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_person_answers_by_number_by_address_or_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = io.StringIO("7\n2\nvideo:/x\n0\n\nbed-3\ny\n")
    monkeypatch.setattr("sys.stdin", typed)
    person = Person(Console(file=io.StringIO()))
    assert person.one_of("Camera", ["a:", "b:"], 1) == "b:"  # 7 is asked again
    assert person.one_of("Camera", ["a:", "b:"], 1) == "video:/x"
    assert person.one_of("Camera", ["a:", "b:"], 1) == ""
    assert person.one_of("Camera", ["a:", "b:"], 1) == "a:"
    assert person.text("Zone", "main") == "bed-3"
    assert person.yes("Sure?", default=False)
    with pytest.raises(UsageError):
        person.text("Zone", "main")


def test_no_address_is_broken() -> None:
    uri = "serial:/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0?baud=115200&profile=line"
    text = _wrapped(f"     {uri}, held by ModemManager (process 7)", 60)
    assert uri in text.replace("\n", "")
    assert any(uri in line for line in text.splitlines())
