from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from fakes.serial_ports import Pty

from edge.cli import main
from edge.sinks.factory import RecordFactory
from edge.sinks.line import line_from_numerics
from edge.vitals import Estimate, Vitals


@pytest.fixture
def line() -> bytes:
    lost = Estimate(None, 0.21, "lost", ("motion",), 30.0, 240, None)
    sure = Estimate(71.83, 0.82, "ok", (), 10.0, 240, 0.9)
    factory = RecordFactory("kit-7", mono_clock=lambda: 1_500_000_000)
    return line_from_numerics(factory.numerics(Vitals(sure, lost, 0, "main", 3, "exact", "", {}, {})))


def test_a_file_is_decoded_to_words_and_the_damage_in_it_counted(tmp_path: Path, capsys, line):
    file = tmp_path / "sent"
    file.write_bytes(line + line.replace(b"71.8", b"17.8") + line)
    assert main(["serial", "decode", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == "       1.500 s  person 3  HR  71.8 ok 82 %  RR   --- lost 21 %\n" * 2
    assert err == "line: 2 good, 1 damaged, 0 skipped\n"


def test_json_is_one_object_a_line(tmp_path: Path, capsys, line):
    file = tmp_path / "sent"
    file.write_bytes(line)
    assert main(["serial", "decode", str(file), "--json", "--profile", "line"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["profile"], told["type"], told["t_ms"], told["person"]) == ("line", "numerics", 1_500, 3)
    assert (told["hr"]["value"], told["rr"]["value"]) == (71.8, None)


def test_a_port_is_decoded_while_it_is_there(capsys, line):
    """A kit that sends all the time, for opening a port throws away what came before."""
    pty, enough = Pty(), threading.Event()

    def send() -> None:
        while not enough.wait(0.05):
            pty.write(line)

    kit = threading.Thread(target=send)
    kit.start()
    assert main(["serial", "decode", pty.path, "--seconds", "1"]) == 0
    enough.set()
    kit.join()
    assert "HR  71.8 ok" in capsys.readouterr().out
    gone = threading.Timer(0.2, pty.unplug)
    gone.start()
    assert main(["serial", "decode", pty.path, "--seconds", "30"]) == 3
    gone.join()
    assert "a port that is plugged in" in capsys.readouterr().err


@pytest.mark.parametrize(("data", "profile"), [(b"", "auto"), (b"hello\r\n", "auto"), (b"$PMMR,1\r\n", "line")])
def test_a_file_without_anything_sound_is_input_that_cannot_be_used(tmp_path: Path, capsys, data, profile):
    file = tmp_path / "sent"
    file.write_bytes(data)
    assert main(["serial", "decode", str(file), "--profile", profile]) == 3
    assert "gave nothing sound" in capsys.readouterr().err


def test_a_source_that_is_not_there_is_said(tmp_path: Path, capsys):
    assert main(["serial", "decode", str(tmp_path / "none")]) == 3
    assert "No such file" in capsys.readouterr().err


def test_the_layout_is_printed(capsys):
    assert main(["serial", "layout"]) == 0
    assert "00 | COBS( header, payload, CRC-32 u32 ) | 00" in capsys.readouterr().out


def test_the_arduino_library_is_copied_whole(tmp_path: Path, capsys):
    assert main(["serial", "arduino"]) == 0
    here = Path(capsys.readouterr().out.strip())
    assert main(["serial", "arduino", "--out", str(tmp_path)]) == 0
    there = Path(capsys.readouterr().out.strip())
    files = sorted(file.relative_to(here) for file in here.rglob("*") if file.is_file())
    assert Path("library.properties") in files
    assert files == sorted(file.relative_to(there) for file in there.rglob("*") if file.is_file())
    blocked = tmp_path / "file"
    blocked.touch()
    assert main(["serial", "arduino", "--out", str(blocked)]) == 2
