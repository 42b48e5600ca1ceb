"""A serial port: exclusive, never waiting, and opened so that the board at its other end goes on running.

Boards of the Arduino kind reset when DTR goes up. The kernel raises DTR and RTS whenever a port is opened; nothing in
user space prevents that. What is prevented are the edges: both stay up (lowering DTR while RTS is up would reset an
ESP32, and a board with USB of its own sends only while DTR is up), and HUPCL is cleared, so that they stay up when the
port is closed and the next opening finds nothing to raise. Only the first opening after plugging in may reset a board,
which has just started anyway.
"""

from __future__ import annotations

import errno
import os
import termios
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import serial

from edge.errors import first_line
from edge.holders import holders_of

__all__ = ["NOT_THERE", "PORT_ERRORS", "Port", "SerialPort", "lasting_name", "open_error"]

PORT_ERRORS = (serial.SerialException, OSError, termios.error)
"""An unplugged port raises each of these, depending on the call."""

NOT_THERE = "not plugged in"
BY_ID = Path("/dev/serial/by-id")
_READ_BYTES = 4096
_CFLAG = 2


class Port(Protocol):
    """What a link needs of a port. No call waits; each raises one of ``PORT_ERRORS`` once the port is gone."""

    def pending(self) -> int:
        """Bytes taken by ``write`` that have not left yet, as far as the driver tells."""

    def write(self, data: bytes) -> int:
        """How many bytes of ``data`` were taken; 0 when there is no room."""

    def read(self) -> bytes:
        """What has come in, perhaps nothing."""

    def discard(self) -> None:
        """Throw away what is pending."""

    def close(self) -> None:
        """Release the port at once, pending or not; no error."""


class SerialPort:
    """An open port; the constructor opens it and raises one of ``PORT_ERRORS``, or ValueError for its baud rate."""

    def __init__(self, path: str, baud: int) -> None:
        port: Any = serial.Serial()
        port.port, port.baudrate, port.exclusive = path, baud, True
        port.dtr = port.rts = True
        port.open()
        self._port = port
        try:
            attributes = termios.tcgetattr(port.fileno())
            attributes[_CFLAG] &= ~termios.HUPCL
            termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
        except PORT_ERRORS:
            self.close()
            raise

    def fileno(self) -> int:
        """For ``select``."""
        number: int = self._port.fileno()
        return number

    def pending(self) -> int:
        """Bytes in the driver; always 0 for a pseudo-terminal."""
        count: int = self._port.out_waiting
        return count

    def write(self, data: bytes) -> int:
        """Give the driver what it has room for (pyserial opens with O_NONBLOCK)."""
        try:
            return os.write(self._port.fileno(), data)
        except BlockingIOError:
            return 0

    def read(self) -> bytes:
        """Up to 4 kB that are there. Asking first tells an unplugged port from a silent one."""
        return os.read(self._port.fileno(), _READ_BYTES) if self._port.in_waiting else b""

    def discard(self) -> None:
        """Throw away what the driver holds for output."""
        self._port.reset_output_buffer()

    def close(self) -> None:
        """Close at once: the kernel would hold the close for half a minute while bytes are pending."""
        for call in (self._port.reset_output_buffer, self._port.close):
            try:
                call()
            except PORT_ERRORS:
                continue


def lasting_name(path: str, by_id: Path = BY_ID) -> str:
    """The name in ``/dev/serial/by-id`` of the adapter at ``path``; ``path`` where it has none.

    ``ttyUSB0`` is whoever was plugged in first; the other name follows the adapter.
    """
    try:
        node = Path(path).resolve()
        if Path(path).parent == by_id or not node.exists():
            return path
        return next((str(link) for link in _links(by_id) if link.resolve() == node), path)
    except OSError:
        return path


def open_error(path: str, error: BaseException) -> str:
    """Why a port did not open, and what to do about it; ``NOT_THERE`` when it is not plugged in."""
    number = getattr(error, "errno", None)
    if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}:
        return NOT_THERE
    if number in {errno.EACCES, errno.EPERM}:
        return f"no permission for {path}; add the user to the group that owns it (dialout)"
    if "exclusively lock" in str(error) or number == errno.EBUSY:
        names = ", ".join(f"{holder.name} ({holder.pid})" for holder in holders_of(path)[0])
        return f"{names or 'another program'} holds {path}; edge/arduino/README.md says how to stop it"
    return first_line(error)


def _links(by_id: Path) -> Iterable[Path]:
    return sorted(by_id.iterdir()) if by_id.is_dir() else []
