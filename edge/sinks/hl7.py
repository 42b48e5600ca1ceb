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

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

import msgspec

from edge.errors import MmrphysError
from edge.sinks import Sink, SinkContext
from edge.sinks.hl7_message import Answer, Origin, Processing, Routing, control_id, text_from_numerics
from edge.sinks.mllp_link import MllpLink
from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_place import outbox_named
from edge.sinks.outbox_store import Store
from edge.sinks.peer import address_from_uri, check_encrypted, check_tls_files, tls_from_files
from edge.sinks.records import Health, Meta, Numerics, Record, decode, encode
from edge.uri import Uri, query_as

__all__ = ["Hl7Sink", "Receiver", "from_uri"]

log = logging.getLogger(__name__)

_PORT = 2575
"""IANA's for HL7."""
_FORM = "hl7s://host:2575 or hl7://127.0.0.1:2575"
_RECONNECT_S = (1.0, 5.0)
_ANSWER_S = 10.0
_FLUSH_S = 3.0
_FAREWELL_S = 6.0
"""A connection that is being made is given up before that."""
_IDLE_S = 0.5
_LATE_NS = 10 * 10**9
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go. It names the files that hold secrets, never a secret."""

    scheme: str
    host: str
    port: int
    routing: Routing
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    outbox: str | None = None

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def tls(self) -> ssl.SSLContext | None:
        """None for plain MLLP; UsageError: unusable file."""
        return None if self.scheme == "hl7" else tls_from_files(self.name, self.ca, self.cert, self.key)


class Hl7Sink:
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
        self._receiver = receiver
        self._clock = clock
        self._answer_s = answer_s
        self._waits_s = wait_s
        self._wait_s = wait_s[0]
        self._outbox = Outbox(Store(outbox_named(f"hl7-{receiver.host}-{receiver.port}-{device}", receiver.outbox)))
        self._origin: Origin = "played"  # until a live source says otherwise: its first look has no value anyway
        self._link: MllpLink | None = None
        self._complaint: str | None = ""  # why there is no connection; None while there is one
        self._errors = self._refused = 0
        self._aside: Message | None = None  # refused again and again, until the next one shows whose fault that is
        self._work = threading.Event()
        self._closing = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return self._receiver.name

    @property
    def connected(self) -> bool:
        """True while the receiver is there and takes what it is sent."""
        return self._complaint is None

    @property
    def dropped(self) -> int:
        """Records given up: the oldest of a full outbox, and what the receiver refused for its content."""
        return self._outbox.dropped + self._refused

    def open(self) -> None:
        """Check the files, open the outbox and start connecting in the background."""
        self._receiver.tls()
        self._outbox.open()
        self._thread = threading.Thread(target=self._run, name=f"sink {self.name}", daemon=True)
        self._thread.start()

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

    def close(self) -> int:
        """Send what waits for at most 3 s; the rest stays in the outbox for the next run."""
        if self._thread is None:
            return self._refused
        self._closing.set()
        self._work.set()
        self._thread.join(_FLUSH_S)
        self._over.set()
        if (link := self._link) is not None:
            link.abort()
        self._thread.join(_FAREWELL_S)
        self._thread = None
        waiting = self._outbox.close()
        if waiting:
            log.warning("%s: %d records wait for the next run with this sink", self.name, waiting)
        return self._outbox.lost + self._refused

    def _run(self) -> None:
        while True:
            last_chance = self._closing.is_set()
            try:
                if self._serve() or last_chance:
                    return
            except Exception as error:  # the thread's edge: a fault here must not end the sink
                log.exception("%s: connection failed unexpectedly", self.name)
                self._complaint = str(error)
            self._closing.wait(self._wait_s)
            self._wait_s = min(2 * self._wait_s, self._waits_s[1])

    def _serve(self) -> bool:
        """One connection; True when it ended because all was said."""
        try:
            link = MllpLink(self._receiver.host, self._receiver.port, self._receiver.tls(), self._answer_s)
        except (OSError, MmrphysError) as error:
            self._complain(str(error))
            return False
        self._link = link
        try:
            return self._send_all(link)
        finally:
            self._link = None
            link.close()

    def _send_all(self, link: MllpLink) -> bool:
        while not self._over.is_set() and not link.gone():
            message = self._outbox.take_backlog() or self._outbox.take_fresh(self._clock())
            if message is not None:
                if not self._deliver(link, message):
                    return False
                continue
            self._take_up([])
            self._outbox.settle(self._clock())
            if self._closing.is_set():
                return True
            self._work.wait(_IDLE_S)
            self._work.clear()
        if not self._over.is_set():
            self._complain("the receiver closed the connection")
        return False

    def _deliver(self, link: MllpLink, message: Message) -> bool:
        """Send one message; False when the connection is to end, and what was not taken waits."""
        answer = self._ask(link, message)
        if answer is None:
            return False
        if answer.code == "AA":
            self._took(message)
            return self._aside is None or self._judge(link, self._aside)
        self._errors += answer.code == "AE"
        if self._aside is None and self._errors >= _TRIES:
            self._aside, self._errors = message, 0
            return True
        return self._refused_for_now(message, answer)

    def _judge(self, link: MllpLink, message: Message) -> bool:
        """The one after it was taken: ask of the message that was set aside for the last time."""
        self._aside = None
        answer = self._ask(link, message)
        if answer is None:
            return False
        if answer.code == "AR":
            return self._refused_for_now(message, answer)
        if answer.code == "AE":
            if not self._refused:
                log.error("%s: one record is refused for its content and given up (%s)", self.name, answer.reason)
            self._refused += 1
        self._took(message)
        return True

    def _ask(self, link: MllpLink, message: Message) -> Answer | None:
        """What the receiver says of a message; None when the connection failed, and the message waits."""
        record = cast("Numerics", decode(message.payload))
        late = not message.live or self._clock() - message.made_ns > _LATE_NS
        text = text_from_numerics(record, self._receiver.routing, cast("Origin", message.topic), late=late)
        try:
            return link.ask(text, control_id(record))
        except (OSError, ValueError) as error:
            self._take_up([message])
            self._complain(str(error))
            return None

    def _took(self, message: Message) -> None:
        """The receiver has it, or never will."""
        if self._complaint is not None:
            log.info("%s: connected", self.name)
        self._complaint, self._wait_s, self._errors = None, self._waits_s[0], 0
        self._outbox.confirm(message, self._clock())

    def _refused_for_now(self, message: Message, answer: Answer) -> bool:
        self._take_up([message])
        self._complain(f"the receiver answers {answer.code} {answer.reason}".strip())
        return False

    def _take_up(self, waiting: list[Message]) -> None:
        """Put back what was not taken, in its order."""
        aside, self._aside = self._aside, None
        self._outbox.give_back([*([aside] if aside is not None else []), *waiting])

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            log.warning("%s: nothing is taken (%s); records wait, trying again", self.name, reason)
        self._complaint = reason


class _Query(msgspec.Struct):
    plaintext: bool = False
    application: str = ""
    facility: str = ""
    processing: Processing = "T"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    outbox: Annotated[str, msgspec.Meta(min_length=1)] | None = None


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``hl7[s]://host[:port]?application=&facility=&processing=T&ca=&cert=&key=&plaintext=1&outbox=``."""
    address = address_from_uri(uri, "receiver", _FORM, "; MLLP has none: use hl7s:// with cert and key")
    query = query_as(uri, _Query)
    check_tls_files(uri, "hl7", query.ca, query.cert, query.key)
    host = address.hostname or ""
    if uri.scheme == "hl7":
        check_encrypted(uri, host, allowed=context.allow_plaintext or query.plaintext)
    routing = Routing(query.application, query.facility, query.processing)
    receiver = Receiver(uri.scheme, host, address.port or _PORT, routing, query.ca, query.cert, query.key, query.outbox)
    return Hl7Sink(receiver, context.device)
