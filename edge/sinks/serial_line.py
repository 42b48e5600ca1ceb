"""``serial:/dev/ttyX?baud=115200&profile=line&zone=NAME``: numerics as text, once a second; the newest wins.

A line has no room for its zone, so where several are watched the port carries one of them.

Opened exclusively and with DTR low where the driver allows it, so that an Arduino is not reset. A port that is absent
or unplugged is opened again after 0.5 to 5 s; one whose reader stalls costs at most 0.5 s a record, and lines still in
the driver are thrown away rather than delivered late. What could not be sent is counted.
"""

from __future__ import annotations

import contextlib
import logging
import termios
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import serial

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext
from edge.sinks.line import csv_from_numerics, line_from_numerics
from edge.sinks.records import Numerics, Record
from edge.uri import Uri, query_as

__all__ = ["SerialSink", "from_uri"]

log = logging.getLogger(__name__)

_ENCODERS: dict[str, Callable[[Numerics], bytes]] = {"line": line_from_numerics, "csv": csv_from_numerics}
_WRITE_TIMEOUT_S = 0.5
_DRAIN_LOOKS = 50
_BACKOFF_NS = (500_000_000, 5_000_000_000)
_PENDING_BYTES = 256
"""More than this unsent (about four lines) means that nobody reads."""
_PORT_ERRORS = (serial.SerialException, OSError, termios.error)
"""An unplugged port raises each of these, depending on the call."""


class SerialSink:
    """Writes numerics to a serial port; the other kinds of record are not sent. ``clock`` is monotonic, in ns.

    ``zone``: only this one; None: all.
    """

    def __init__(
        self, path: str, baud: int, profile: str, clock: Callable[[], int] = time.monotonic_ns, zone: str | None = None
    ) -> None:
        self._zone = zone
        self._path = path
        self._baud = baud
        self._encode = _ENCODERS[profile]
        self._clock = clock
        self._port: Any = None
        self._retry_ns = 0
        self._backoff_ns = _BACKOFF_NS[0]
        self._warned = False
        self._torn = False
        self._dropped = 0
        self._opened = False

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return f"serial:{self._path}"

    @property
    def connected(self) -> bool:
        """True while the port is open."""
        return self._port is not None

    @property
    def dropped(self) -> int:
        """Lines that no reader got."""
        return self._dropped

    def open(self) -> None:
        """Try the port once; when it is absent, ``write`` keeps trying."""
        self._connect()

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; a line carries its own time
        """Send a numerics record as one line, or drop and count it."""
        if not isinstance(record, Numerics) or self._zone not in (None, record.zone):
            return
        if self._port is None and self._clock() >= self._retry_ns:
            self._connect()
        if self._port is None:
            self._dropped += 1
        else:
            self._send(self._encode(record))

    def close(self) -> int:
        """Let the last line out for at most 0.5 s; gives 1 when it did not get out, all when the port never opened."""
        if self._port is None:
            return 0 if self._opened else self._dropped
        waiting = 0
        try:
            waiting = int(not self._drained())
            self._port.reset_output_buffer()  # else the kernel may hold the close for half a minute
        except _PORT_ERRORS:
            waiting = 1
        self._release()
        self._dropped += waiting
        return waiting

    def _connect(self) -> None:
        port = serial.Serial()
        port.port, port.baudrate, port.exclusive = self._path, self._baud, True
        port.write_timeout = _WRITE_TIMEOUT_S
        port.dtr = port.rts = False
        try:
            port.open()
        except (*_PORT_ERRORS, ValueError) as error:  # ValueError: a baud rate the driver cannot make
            self._lost(error)
            return
        self._port, self._opened = port, True
        self._backoff_ns = _BACKOFF_NS[0]
        log.info("%s: open at %d baud", self.name, self._baud)

    def _send(self, line: bytes) -> None:
        try:
            if self._port.out_waiting > _PENDING_BYTES:
                self._discard(len(line))
            try:
                self._port.write(b"\r\n" + line if self._torn else line)
                self._warned = self._torn = False
            except serial.SerialTimeoutException as error:
                self._warn(error)
                self._discard(len(line))
        except _PORT_ERRORS as error:
            self._dropped += 1
            self._lost(error)

    def _discard(self, line_bytes: int) -> None:
        pending_bytes: int = self._port.out_waiting
        self._port.reset_output_buffer()
        self._torn = True  # the reader may hold the first half of a line: the next one starts afresh
        self._dropped += max(1, pending_bytes // line_bytes)

    def _drained(self) -> bool:
        for _ in range(_DRAIN_LOOKS):
            if not self._port.out_waiting:
                return True
            time.sleep(0.01)
        return False

    def _lost(self, error: Exception) -> None:
        self._warn(error)
        self._release()
        self._retry_ns = self._clock() + self._backoff_ns
        self._backoff_ns = min(2 * self._backoff_ns, _BACKOFF_NS[1])

    def _release(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(*_PORT_ERRORS):
                port.close()

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            log.warning("%s: %s; lines are dropped until it takes them again", self.name, error)
        self._warned = True


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    baud: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 115_200
    profile: Literal["line", "csv", "frame"] = "line"
    zone: str | None = None


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``serial:PORT``."""
    query = query_as(uri, _Query)
    if not uri.target:
        raise UsageError("serial: names no port; write serial:/dev/ttyUSB0?baud=115200&profile=line")
    if query.profile not in _ENCODERS:
        raise UsageError(
            f"serial: profile {query.profile} is planned and not built yet; use profile=line or profile=csv"
        )
    if (query.zone is None and len(context.zones) > 1) or (query.zone and query.zone not in context.zones):
        seen = f"serial: zone {query.zone}" if query.zone else "serial: a line does not say which zone it is about"
        raise UsageError(f"{seen}; the zones are {', '.join(context.zones) or 'none'}: add zone=NAME, one port a zone")
    return SerialSink(uri.target, query.baud, query.profile, zone=query.zone)
