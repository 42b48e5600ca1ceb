"""``hl7://host:port`` and ``hl7s://``: numerics as HL7 v2.6 ORU^R01 over MLLP, each kept until it is acknowledged.

One message is under way at a time, so that the receiver gets them in the order of their making, what waited before what
is new. A record is on disk when ``write`` returns (``outbox.py``) and leaves it

=========================  ==========================================================================================
on ``AA``                  it was taken
on ``AE``                  said five times of it, and again once the next one was taken: then the fault is its own, and
                           it is logged and counted. While all are refused, the fault is the receiver's: all are kept
on ``AR``, silence, a cut  not: it is sent again, after 1 to 5 s, under the same control id
=========================  ==========================================================================================

Delivery is at least once; receivers dedupe on MSH-10 within a device. Events, waves and health are not sent. The
message is made when it is sent, so that it can say whether it is late.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import cast

from edge.sinks import Sink, SinkContext
from edge.sinks.hl7_message import Answer, Origin, Processing, Routing, control_id, text_from_numerics
from edge.sinks.mllp_link import MllpLink
from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_place import outbox_named
from edge.sinks.outbox_sink import OutboxSink
from edge.sinks.outbox_store import Store
from edge.sinks.peer import (
    NO_FILES,
    PeerQuery,
    TlsFiles,
    address_from_uri,
    check_encrypted,
    peer_name,
    tls_files_from_query,
)
from edge.sinks.records import Health, Meta, Numerics, Record, decode, encode
from edge.uri import Uri, query_as
from edge.vitals import OLDEST_MS

__all__ = ["PORT", "Hl7Sink", "Receiver", "from_uri", "receiver_from_uri"]

PORT = 2575
"""IANA's for HL7."""
_FORM = "hl7s://host:2575 or hl7://127.0.0.1:2575"
_RECONNECT_S = (1.0, 5.0)
_ANSWER_S = 10.0
_FAREWELL_S = 6.0
"""A connection that is being made is given up before that."""
_IDLE_S = 0.5
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go. It names the files that hold secrets, never a secret."""

    scheme: str
    host: str
    port: int
    routing: Routing
    files: TlsFiles = NO_FILES
    outbox: str | None = None

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return peer_name(self.scheme, self.host, self.port)

    def tls(self) -> ssl.SSLContext | None:
        """None for plain MLLP; UsageError: unusable file."""
        return None if self.scheme == "hl7" else self.files.context(self.name)


class Hl7Sink(OutboxSink[MllpLink]):
    """Sends numerics to a receiver, now or when it is back. ``clock`` is CLOCK_MONOTONIC in ns, as ``record.mono_ns``.

    A receiver may take its time to answer, so this sink has one thread of its own; ``write`` only stores. ``answer_s``
    is how long an acknowledgement is waited for, ``wait_s`` the shortest and longest pause between attempts.
    """

    def __init__(
        self,
        receiver: Receiver,
        device: str,
        clock: Callable[[], int] = time.monotonic_ns,
        answer_s: float = _ANSWER_S,
        wait_s: tuple[float, float] = _RECONNECT_S,
    ) -> None:
        outbox = Outbox(Store(outbox_named(f"hl7-{receiver.host}-{receiver.port}-{device}", receiver.outbox)))
        super().__init__(receiver.name, outbox, clock, farewell_s=_FAREWELL_S, waits_s=wait_s)
        self._receiver = receiver
        self._answer_s = answer_s
        self._origin: Origin = "played"  # until a live source says otherwise: its first look has no value anyway
        self._link: MllpLink | None = None
        self._errors = 0
        self._hand: list[Message] = []  # taken from the outbox, neither acknowledged nor given up
        self._aside: Message | None = None  # of those, refused again and again: the next shows whose fault that is
        self._work = threading.Event()

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; the record holds its time
        """Store a numerics record; the other kinds tell what it is about, and are not sent."""
        if isinstance(record, Meta) and any(uri.startswith("synthetic:") for uri in record.cameras.values()):
            self._origin = "scene"
        elif isinstance(record, Health) and self._origin != "scene":
            self._origin = "played" if record.uptime_s is None else "live"
        elif isinstance(record, Numerics):
            # With a topic for history it may make room for newer ones; without a lifetime it is sent however old.
            self._outbox.put(Message(self._origin, encode(record), record.mono_ns, history=self._origin))
            self._work.set()

    def _check(self) -> None:
        self._receiver.tls()

    def _connect(self) -> MllpLink:
        return MllpLink(self._receiver.host, self._receiver.port, self._receiver.tls(), self._answer_s)

    def _hurry(self) -> None:
        self._work.set()
        if (link := self._link) is not None:
            link.abort()

    def _converse(self, link: MllpLink) -> Generator[float, None, bool]:
        self._link = link
        with contextlib.closing(link):
            try:
                return (yield from self._send_all(link))
            finally:
                self._link = None
                self._take_up()

    def _send_all(self, link: MllpLink) -> Generator[float, None, bool]:
        if not self._complaint:  # nothing was refused yet
            self._gets_through()
        while not self._hurried.is_set() and not (end := link.ended()):
            message = self._outbox.take_backlog() or self._outbox.take_fresh(self._clock())
            if message is None:
                self._take_up()
                if self._closing.is_set():
                    return True
                self._work.wait(_IDLE_S)
                self._work.clear()
            elif not self._deliver(link, message):
                return False
            self._outbox.settle(self._clock())
            yield 0.0
        if not self._hurried.is_set():
            self._complain(end)
        return False

    def _deliver(self, link: MllpLink, message: Message) -> bool:
        """Send one message; False when the connection is to end, and what was not taken waits."""
        self._hand.append(message)
        try:
            record = _record_of(message)
        except ValueError as error:  # of another version of this program: it would stop all that follow, for ever
            self._hand.remove(message)
            self._give_up(message, f"one record that waited cannot be read and is given up ({error})")
            return True
        answer = self._ask(link, message, record)
        if answer is None:
            return False
        if answer.code == "AA":
            self._took(message)
            return self._aside is None or self._judge(link, self._aside)
        self._errors += answer.code == "AE"
        if self._aside is None and self._errors >= _TRIES:
            self._aside, self._errors = message, 0
            return True
        return self._refused_for_now(answer)

    def _judge(self, link: MllpLink, message: Message) -> bool:
        """The one after it was taken: ask of the message that was set aside for the last time."""
        self._aside = None
        answer = self._ask(link, message, _record_of(message))
        if answer is None:
            return False
        if answer.code == "AR":
            return self._refused_for_now(answer)
        if answer.code == "AE":
            self._hand.remove(message)
            self._give_up(message, f"one record is refused for its content and given up ({answer.reason})")
        else:
            self._took(message)
        return True

    def _ask(self, link: MllpLink, message: Message, record: Numerics) -> Answer | None:
        """What the receiver says of a message; None when the connection failed."""
        late = not message.live or self._clock() - record.mono_ns > (OLDEST_MS - record.oldest_ms) * 10**6
        text = text_from_numerics(record, self._receiver.routing, cast("Origin", message.topic), late=late)
        try:
            return link.ask(text, control_id(record))
        except (OSError, ValueError) as error:
            self._complain(str(error))
            return None

    def _took(self, message: Message) -> None:
        """The receiver has it."""
        self._gets_through()
        self._errors = 0
        self._hand.remove(message)
        self._let_go(message)

    def _refused_for_now(self, answer: Answer) -> bool:
        self._complain(f"the receiver answers {answer.code} {answer.reason}".strip())
        return False

    def _take_up(self) -> None:
        """Put back what was not taken, in its order."""
        hand, self._hand, self._aside = self._hand, [], None
        self._outbox.give_back(hand)


def _record_of(message: Message) -> Numerics:
    record = decode(message.payload)
    if not isinstance(record, Numerics):
        raise ValueError(f"it is {type(record).__name__}")  # noqa: TRY004 - what a file holds is a value
    return record


class _Query(PeerQuery):
    application: str = ""
    facility: str = ""
    processing: Processing = "T"


def receiver_from_uri(uri: Uri, *, allow_plaintext: bool) -> Receiver:
    """Read ``hl7[s]://host[:port]?application=&facility=&processing=T&ca=&cert=&key=&plaintext=1&outbox=``.

    Raises
    ------
    UsageError
        A malformed address, parameters that do not go together, or plain MLLP to another machine without leave.
    """
    address = address_from_uri(uri, "receiver", _FORM, "; MLLP has none: use hl7s:// with cert and key")
    query = query_as(uri, _Query)
    files = tls_files_from_query(uri, "hl7", query)
    host = address.hostname or ""
    if uri.scheme == "hl7":
        check_encrypted(uri, host, allowed=allow_plaintext or query.plaintext)
    routing = Routing(query.application, query.facility, query.processing)
    return Receiver(uri.scheme, host, address.port or PORT, routing, files, query.outbox)


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``hl7://`` and ``hl7s://``."""
    return Hl7Sink(receiver_from_uri(uri, allow_plaintext=context.allow_plaintext), context.device)
