"""Sinks: vitals out. One file per kind of link behind :class:`Sink`, found by the scheme of its URI in ``SCHEMES``.

To add one: write ``edge/sinks/<name>.py`` with ``from_uri(uri: Uri, context: SinkContext) -> Sink`` and add one row to
the table. A sink formats and sends; its bounded queue and its thread live in ``edge/loop.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from edge.sight import Sight
from edge.sinks.records import EventCode, Record, Severity
from edge.uri import parse_uri
from edge.vitals import Truth

__all__ = ["RESERVED", "SCHEMES", "Keeper", "Kept", "Sink", "SinkContext", "Tell", "sink_from_uri"]

SCHEMES: dict[str, str] = {
    "console": "edge.sinks.console",
    "hl7": "edge.sinks.hl7",
    "hl7s": "edge.sinks.hl7",
    "jsonl": "edge.sinks.jsonl",
    "mcap": "edge.sinks.mcap",
    "mqtt": "edge.sinks.mqtt",
    "mqtts": "edge.sinks.mqtt",
    "serial": "edge.sinks.serial_line",
    "web": "edge.sinks.web",
}
RESERVED: tuple[str, ...] = ()

Kept = Literal["nothing", "numbers", "pictures"]
"""What of a run stays on the disk; a sink for people says so."""

Tell = Callable[[EventCode, Severity, str], None]
"""Takes an event about the device: its code, severity and text. From any thread."""


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What sinks need beside their URI.

    ``truth`` maps stream time (ns) to truth where the source knows it; ``zones`` are those that records will name.
    ``sight`` gives what the cameras see at the moment, for a sink that helps to aim them: it is not for records.
    ``tell`` makes an event of the run, which all its sinks get; None where nobody makes any.
    ``kept``: what other sinks of the run write to the disk; ``recording``: the run is recorded, pictures too.
    ``live``: cameras watch, so that what is shown is taken for the present; a recording that is played has none.
    """

    device: str
    allow_plaintext: bool = False
    truth: Callable[[int], Truth | None] | None = None
    zones: tuple[str, ...] = ()
    sight: Callable[[], Sight | None] | None = None
    tell: Tell | None = None
    kept: Kept = "nothing"
    recording: bool = False
    live: bool = False


class Sink(Protocol):
    """One way out. All calls come from one thread. An absent peer is no error: the sink keeps trying, logs once."""

    @property
    def name(self) -> str:
        """Its URI without secrets, for messages."""

    @property
    def connected(self) -> bool:
        """True while its peer is there: what is written goes out now. Always, where there is no peer."""

    @property
    def dropped(self) -> int:
        """Records accepted by ``write`` and given up since."""

    def open(self) -> None:
        """Get ready, without waiting for a peer. UsageError or InputError when it can never work."""

    def write(self, record: Record, pts_ns: int) -> None:
        """Send one record, which describes stream time ``pts_ns``. May block for moments, not for an absent peer.

        Raises
        ------
        ValueError
            This record cannot be sent; others can.
        BrokenPipeError
            Its reader has seen enough: no more records are wanted, which is no error.
        """

    def close(self) -> int:
        """Flush for a bounded time and release everything; may be called twice.

        Gives how many records should have arrived and never will; what is kept for the next run is none of them. What
        goes by design (late waves, lines that nobody reads) counts only in ``dropped``, which holds all.
        """


@runtime_checkable
class Keeper(Protocol):
    """A sink that keeps records on disk while its peer is away."""

    @property
    def waiting(self) -> int:
        """How many records could not go out at once and are not confirmed by its peer."""


def sink_from_uri(text: str, context: SinkContext) -> Sink:
    """The sink a URI names, not yet opened.

    Raises
    ------
    UsageError
        Unknown or unbuilt scheme, unknown or malformed parameter, plaintext refused.
    """
    uri = parse_uri(text, "sink", SCHEMES, RESERVED)
    sink: Sink = importlib.import_module(SCHEMES[uri.scheme]).from_uri(uri, context)
    return sink
