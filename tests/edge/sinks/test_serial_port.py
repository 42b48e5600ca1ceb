"""The port itself, on pseudo-terminals: as far as they can show what a real one does."""

from __future__ import annotations

import fcntl
import os
import select
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.serial_ports import Pty

from edge.sinks.serial_port import NOT_THERE, PORT_ERRORS, SerialPort, lasting_name, open_error

CFLAG = 2
LOWERS_A_LINE = {termios.TIOCMBIC, termios.TIOCMSET}


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.unplug()


def flags(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        found: int = termios.tcgetattr(fd)[CFLAG]
    finally:
        os.close(fd)
    return found


def test_neither_opening_nor_closing_lowers_dtr_or_rts(pty, monkeypatch):
    """A pty has no such lines: seen are the flag that would lower them at closing, and every call that could."""
    assert flags(pty.path) & termios.HUPCL == 0  # a new pty has it cleared, so set it first
    fd = os.open(pty.path, os.O_RDWR | os.O_NOCTTY)
    attributes = termios.tcgetattr(fd)
    attributes[CFLAG] |= termios.HUPCL
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    assert flags(pty.path) & termios.HUPCL
    asked: list[int] = []
    ioctl = fcntl.ioctl

    def watched(fd: int, request: int, *rest: Any) -> Any:
        asked.append(request)
        return ioctl(fd, request, *rest)

    monkeypatch.setattr(fcntl, "ioctl", watched)
    port = SerialPort(pty.path, 115_200)
    assert flags(pty.path) & termios.HUPCL == 0
    port.write(b"x")
    port.close()
    assert flags(pty.path) & termios.HUPCL == 0
    assert termios.TIOCMBIS in asked  # the spy sees what pyserial does with the lines: it keeps them up
    assert not LOWERS_A_LINE & {*asked}
    os.close(fd)


def test_a_port_is_held_by_one(pty):
    port = SerialPort(pty.path, 9_600)
    with pytest.raises(PORT_ERRORS) as refused:
        SerialPort(pty.path, 9_600)
    assert f"({os.getpid()}) holds {pty.path}" in open_error(pty.path, refused.value)
    assert "another program holds" in open_error("/dev/none", OSError(16, "Device or resource busy"))
    port.close()
    SerialPort(pty.path, 9_600).close()


def test_nothing_waits_and_a_full_driver_takes_nothing(pty):
    port = SerialPort(pty.path, 115_200)
    assert port.read() == b""
    pty.write(b"\0\x01ack\r\n\0")
    assert select.select([port], [], [], 10.0)[0]
    assert port.read() == b"\0\x01ack\r\n\0"
    taken = 0
    while got := port.write(b"a" * 512):
        taken += got
    assert port.write(b"b") == 0
    assert 4_000 < taken < 200_000
    port.discard()
    assert port.write(b"new") == 3
    assert pty.read().endswith(b"new")
    port.close()


def test_an_unplugged_port_is_told_by_every_call_and_can_be_closed(pty):
    port = SerialPort(pty.path, 115_200)
    pty.unplug()
    for call in (port.pending, port.read, port.discard, lambda: port.write(b"x")):
        with pytest.raises(PORT_ERRORS):
            call()
    port.close()
    port.close()


def test_an_absent_port_and_a_forbidden_one_are_told_apart(tmp_path):
    with pytest.raises(PORT_ERRORS) as absent:
        SerialPort(str(tmp_path / "ttyUSB7"), 9_600)
    assert open_error(str(tmp_path / "ttyUSB7"), absent.value) == NOT_THERE
    assert "dialout" in open_error("/dev/ttyUSB0", PermissionError(13, "Permission denied"))
    with pytest.raises(PORT_ERRORS) as no_port:
        SerialPort("/dev/null", 9_600)
    assert "Inappropriate ioctl" in open_error("/dev/null", no_port.value)


def test_an_adapter_is_known_by_its_id_from_then_on(tmp_path):
    node, by_id = tmp_path / "ttyUSB0", tmp_path / "by-id"
    node.touch()
    assert lasting_name(str(node), by_id) == str(node)
    by_id.mkdir()
    (by_id / "usb-Other-if00").symlink_to(tmp_path / "ttyUSB1")
    assert lasting_name(str(node), by_id) == str(node)
    name = by_id / "usb-FTDI_FT232R_A50285BI-if00-port0"
    name.symlink_to(Path("../ttyUSB0"))
    assert lasting_name(str(node), by_id) == str(name)
    assert lasting_name(str(name), by_id) == str(name)
    alias = tmp_path / "display"  # as udev rules make them
    alias.symlink_to(node)
    assert lasting_name(str(alias), by_id) == str(name)
    assert lasting_name(str(tmp_path / "none"), by_id) == str(tmp_path / "none")
