"""``mqtt://`` and ``mqtts://``: MQTT to a broker that may be away. ``mqtt_topics.py`` says what goes where.

Numerics and events are on disk when ``write`` returns, and go from there when the broker has confirmed them
(``outbox.py``); waves and health are worth nothing later and stay in memory. A measurement is never retained, and an
old one never goes out as live. That is why every connection gets a client of its own: the library would resend
unacknowledged messages of the last connection by itself, to the live topic, however old.
Delivery is at least once; receivers dedupe on ``(device, boot, seq)``. Nothing is subscribed to but, with ``ha=1``, the
word that Home Assistant has started and, with ``commands=1``, the few commands of ``mqtt_commands.py``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator

from edge.sinks import Sink, SinkContext, Tell
from edge.sinks.broker import Broker, broker_from_uri, topic_level
from edge.sinks.drain import Drain
from edge.sinks.home_assistant import (
    LIFETIME_S,
    ZoneState,
    birth_topic,
    config_from_meta,
    config_topic,
    state_topic,
)
from edge.sinks.mqtt_commands import CommandDesk, Heard, command_topic
from edge.sinks.mqtt_link import Link, Version
from edge.sinks.mqtt_topics import device_topic, message_from_record
from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_place import outbox_file
from edge.sinks.outbox_sink import POLL_S, OutboxSink
from edge.sinks.outbox_store import Store
from edge.sinks.records import EventCode, Health, Meta, Numerics, Record, Severity, Status, encode
from edge.uri import Uri

__all__ = ["MqttSink", "from_uri"]

log = logging.getLogger(__name__)

_AT_ONCE_S = 0.1
_LARGEST = 4096
"""Bytes of a packet that anybody may send us."""
_STALL_S = 5.0
"""A confirmation later than this ends the connection: the half of a numerics record's time that is for its way."""
_FAREWELL_S = 1.0
"""For the word ``offline`` and its confirmation."""


class MqttSink(OutboxSink[Link]):
    """Sends records to a broker, now or when it is back. ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    The network needs somebody who answers its pings, so this sink has one thread of its own; ``write`` only stores.
    ``outbox`` by default is that of the broker and device. With ``drive``, where one thread serves many sinks, no step
    waits, and closing the iterator leaves no word to the broker. ``tell`` takes the events of commands.
    """

    def __init__(
        self,
        broker: Broker,
        device: str,
        clock: Callable[[], int] = time.monotonic_ns,
        outbox: Outbox | None = None,
        drive: Callable[[Iterator[float]], None] | None = None,
        tell: Tell | None = None,
    ) -> None:
        root = device_topic(broker.site, device)
        outbox = Outbox(Store(outbox_file(broker, device))) if outbox is None else outbox  # an empty one is falsy
        super().__init__(broker.name, outbox, clock, farewell_s=2 * _FAREWELL_S, drive=drive)
        self._broker = broker
        self._client_id = f"mmrphys-{device}"
        self._root = root
        self._zones = ZoneState()
        self._version: Version = "5"
        self._status_topic = f"{root}/status"
        self._announced = {self._status_topic: b"online"}
        self._gone_by_ns: int | None = None
        self._tell = tell
        self._desk = CommandDesk(root, self._told)
        self._deaf = ""
        self._poll_s = 0.0 if drive else POLL_S

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; the record holds it
        """Take one record; UsageError when its zone cannot be a part of a topic.

        A status is left out: connecting says ``online``, and only closing knows when all is sent and says ``offline``.
        """
        if isinstance(record, Status):
            return
        if isinstance(record, Meta):
            self._announced[f"{self._root}/meta"] = encode(record)
            self._discover(record)
            return
        self._outbox.put(message_from_record(record, self._root))
        if self._broker.home_assistant is not None:
            self._tell_home_assistant(record)

    def _discover(self, meta: Meta) -> None:
        prefix = self._broker.home_assistant
        if prefix is not None:
            for zone in meta.zones:
                topic = config_topic(prefix, meta.device, topic_level(zone, "zone"))
                self._announced[topic] = config_from_meta(meta, zone, self._root)

    def _tell_home_assistant(self, record: Record) -> None:
        if isinstance(record, Health):
            self._zones.hear(record)
        if isinstance(record, Numerics) and (state := self._zones.state(record)) is not None:
            topic = state_topic(self._root, record.zone)
            self._outbox.put(Message(topic, state, record.mono_ns, qos=0, lifetime_ns=LIFETIME_S * 10**9))

    def _check(self) -> None:
        self._broker.password()
        self._broker.tls()

    def _hurry(self) -> None:
        """Its steps look by themselves."""

    def _connect(self) -> Link:
        return Link(self._broker, self._client_id, self._status_topic, self._version, self._poll_s, _LARGEST)

    def _converse(self, link: Link) -> Generator[float, None, bool]:
        drain: Drain | None = None
        try:
            while link.step():
                if link.accepted:
                    drain = drain or self._welcomed(link)
                    self._advance(link, drain)
                if self._finished(link):
                    if link.has_announced(self._status_topic, b"offline"):
                        link.disconnect()
                    else:
                        link.abandon()  # there was no room for it: the last will says it
                    return True
                yield POLL_S
        except BaseException:  # closed from outside, which is a crash, or a fault of ours: no connection is left behind
            link.abandon()
            raise
        finally:
            self._hear_answers(link, drain)
            self._outbox.give_back(message for message, _ in link.unacknowledged.values() if message is not None)
        if link.too_new:
            self._step_down()
        else:
            self._complain(link.reason)
        return False

    def _welcomed(self, link: Link) -> Drain:
        """The broker let us in."""
        self._gets_through()
        if self._broker.home_assistant is not None:
            link.subscribe(birth_topic(self._broker.home_assistant), needed=False)
        if self._broker.commands:
            link.subscribe(command_topic(self._root), needed=False)
        return Drain(link.most)

    def _step_down(self) -> None:
        log.warning(
            "%s: the broker does not know MQTT 5; going on with 3.1.1, where it neither lets late messages expire "
            "nor says what its access list refuses",
            self.name,
        )
        self._version, self._wait_s = "3.1.1", _AT_ONCE_S

    def _advance(self, link: Link, drain: Drain) -> None:
        """Send what is new, then of the backlog what leaves room for it."""
        self._hear_answers(link, drain)
        link.abandon_when_stalled(time.monotonic_ns(), _STALL_S)
        self._outbox.settle(self._clock())
        self._listen(link)
        for topic, payload in self._announced.copy().items():
            if link.free:
                link.announce(topic, payload)
        while link.free and (message := self._outbox.take_fresh(now_ns := self._clock())) is not None:
            link.publish(message, now_ns)
        while link.free_for_backlog and drain.allows(len(link.unacknowledged), self._clock()):
            message = self._outbox.take_backlog()
            if message is None:
                break
            drain.sent()
            link.publish(message, self._clock())

    def _listen(self, link: Link) -> None:
        """What the broker passed on, and what it does not let us hear."""
        if link.deaf and link.deaf != self._deaf:
            self._deaf = link.deaf
            log.error("%s: %s; check its access list", self.name, link.deaf)
        while link.heard:
            heard = link.heard.popleft()
            if heard.topic == command_topic(self._root):
                if not self._closing.is_set():  # nobody makes events any more
                    self._obey(link, heard)
            elif heard.payload == b"online":  # Home Assistant has started and asks who is there
                link.forget_announcements(f"{self._broker.home_assistant}/")

    def _obey(self, link: Link, heard: Heard) -> None:
        verdict = self._desk.judge(heard, self._clock())
        if verdict is None:
            return
        if verdict.command == "republish":
            link.forget_announcements()
        link.answer(verdict.answer_to, verdict.answer, verdict.correlation)

    def _told(self, code: EventCode, severity: Severity, text: str) -> None:
        log.warning("%s: %s", self.name, text)
        if self._tell is not None:
            self._tell(code, severity, text)

    def _finished(self, link: Link) -> bool:
        """True when closing, and nothing waits or time is up, and ``offline`` is said."""
        if not self._closing.is_set():
            return False
        busy = bool(len(self._outbox) or link.unacknowledged or not link.accepted)
        if self._gone_by_ns is not None:
            return not busy or self._clock() >= self._gone_by_ns
        if not busy or self._hurried.is_set():
            self._announced[self._status_topic] = b"offline"
            self._gone_by_ns = self._clock() + int(_FAREWELL_S * 1e9)
        return False

    def _hear_answers(self, link: Link, drain: Drain | None) -> None:
        """Let go what the broker took or never will take; what it may take later goes back and ends the connection."""
        later = []
        for answer in link.answers:
            if answer.refusal and answer.passing:
                later.append(answer.message)
                link.give_up(answer.refusal)
                continue
            if answer.refusal:
                topic, why = answer.message.topic, answer.refusal
                self._give_up(answer.message, f"the broker refuses {topic} ({why}); check its access list")
            else:
                self._let_go(answer.message)
            if drain is not None and not answer.message.live:
                drain.confirmed(answer.took_ns)
        link.answers.clear()
        self._outbox.give_back(later)


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``mqtt://`` and ``mqtts://``."""
    return MqttSink(broker_from_uri(uri, allow_plaintext=context.allow_plaintext), context.device, tell=context.tell)
