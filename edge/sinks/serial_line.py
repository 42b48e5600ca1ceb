"""``serial:/dev/ttyX?baud=115200&profile=line&zone=NAME``: records over a serial port, the newest first.

``profile`` is ``line`` or ``csv`` (numerics as text), or ``frame`` (numerics, events and, without ``waves=0``, waves).
Text has no room for its zone: where several are watched, such a port carries one of them. The port is opened
exclusively and without resetting a board; one that is absent or unplugged is looked for every 0.5 to 2 s, by its
``/dev/serial/by-id`` name once that is known. What could not be sent is counted, never sent late.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import msgspec

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext
from edge.sinks.records import Event, Numerics, Record, Wave
from edge.sinks.serial_link import SerialLink
from edge.sinks.serial_port import SerialPort
from edge.sinks.serial_profiles import profile_by_name
from edge.uri import Uri, query_as

__all__ = ["SerialSink", "from_uri"]

log = logging.getLogger(__name__)

_WRITE_S = 0.5
_CLOSE_S = 0.5
_BUSY_S = 0.005
_IDLE_S = 0.05
_AFTER_FAULT_S = 1.0


class SerialSink:
    """Runs a link on a thread of its own, for hellos, acks and new attempts go on without records.

    ``write`` waits for at most 0.5 s until the port has taken the record, so that a file that is played faster than the
    port can carry does not outrun it; it never waits for a port that is away or for a reader who has stalled.
    ``zone``: only what is about this one or about the device; None: all.
    """

    def __init__(
        self, path: str, link: SerialLink, zone: str | None = None, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._path = path
        self._link = link
        self._zone = zone
        self._clock = clock
        self._turn = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return f"serial:{self._path}"

    @property
    def connected(self) -> bool:
        """True while the port is open."""
        return self._link.connected

    @property
    def dropped(self) -> int:
        """Records that no reader got."""
        return self._link.dropped

    def open(self) -> None:
        """Try the port once, then go on in the background."""
        self._link.step(self._clock())
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; a record carries its own time
        """Send a record of a kind and zone that this port carries, or drop and count it."""
        zone = record.zone if isinstance(record, (Numerics, Wave, Event)) else None
        if None not in {self._zone, zone} and zone != self._zone:
            return
        with self._turn:
            self._link.put(record)
            self._turn.notify_all()
            self._turn.wait_for(self._calm, _WRITE_S)

    def close(self) -> int:
        """Let what waits out for at most 0.5 s; gives what did not get out, everything when the port never opened."""
        thread, self._thread = self._thread, None
        if thread is None:
            return 0
        with self._turn:
            self._turn.wait_for(lambda: not self._link.connected or self._link.flushed, _CLOSE_S)
            self._closing = True
            self._turn.notify_all()
        thread.join()
        late = self._link.close()
        return late + self._link.lost if self._link.opened else self._link.dropped

    def _calm(self) -> bool:
        link = self._link
        return self._closing or not link.connected or link.stalled or not link.busy

    def _run(self) -> None:
        with self._turn:
            while not self._closing:
                pause_s = _BUSY_S if self._link.connected and not self._link.flushed else _IDLE_S
                try:
                    self._link.step(self._clock())
                except Exception:  # the thread's edge: a fault here must not end the sink
                    log.exception("%s: failed unexpectedly", self.name)
                    pause_s = _AFTER_FAULT_S
                self._turn.notify_all()
                self._turn.wait(pause_s)


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    baud: Annotated[int, msgspec.Meta(ge=1_200, le=4_000_000)] = 115_200  # slower, a line takes more than a second
    profile: Literal["line", "csv", "frame"] = "line"
    zone: str | None = None
    waves: bool = True


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``serial:PORT``."""
    query = query_as(uri, _Query)
    if not uri.target:
        raise UsageError("serial: names no port; write serial:/dev/ttyUSB0?baud=115200&profile=line")
    _check_zone(query, context.zones)
    profile = profile_by_name(query.profile, context.device, waves=query.waves)
    link = SerialLink(uri.target, partial(SerialPort, baud=query.baud), profile, min(128, query.baud // 100))
    return SerialSink(uri.target, link, query.zone)


def _check_zone(query: _Query, zones: tuple[str, ...]) -> None:
    unknown = query.zone is not None and query.zone not in zones
    mixed = query.zone is None and query.profile != "frame" and len(zones) > 1
    if unknown or mixed:
        seen = f"serial: zone {query.zone}" if unknown else "serial: a line does not say which zone it is about"
        frames = "" if unknown else ", or profile=frame"
        raise UsageError(f"{seen}; the zones are {', '.join(zones) or 'none'}: add zone=NAME, one port a zone{frames}")
