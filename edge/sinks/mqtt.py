"""``mqtt://`` and ``mqtts://``: MQTT to a broker that may be away. ``mqtt_topics.py`` says what goes where.

Numerics and events are on disk when ``write`` returns, and go from there when the broker has confirmed them
(``outbox.py``); waves and health are worth nothing later and stay in memory. A measurement is never retained, and an
old one never goes out as live. That is why every connection gets a client of its own: the library would resend
unacknowledged messages of the last connection by itself, to the live topic, however old.
Delivery is at least once; receivers dedupe on ``(device, boot, seq)``. There is no topic for commands: nothing is
subscribed to but, with ``ha=1``, the word that Home Assistant has started.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator

from edge.errors import MmrphysError
from edge.sinks import Sink, SinkContext
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
from edge.sinks.mqtt_link import POLL_S, Link, Version
from edge.sinks.mqtt_topics import device_topic, message_from_record
from edge.sinks.outbox import Message, Outbox
from edge.sinks.outbox_place import outbox_file
from edge.sinks.outbox_store import Store
from edge.sinks.records import Health, Meta, Numerics, Record, Status, encode
from edge.uri import Uri

__all__ = ["MqttSink", "from_uri"]

log = logging.getLogger(__name__)

_RECONNECT_S = (1.0, 5.0)
_AT_ONCE_S = 0.1
_STALL_S = 5.0
"""A confirmation later than this ends the connection: the half of a numerics record's time that is for its way."""
_FLUSH_S = 3.0
_FAREWELL_S = 1.0


class MqttSink:
    """Sends records to a broker, now or when it is back. ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    The network needs somebody who answers its pings, so this sink has one thread of its own; ``write`` only stores.
    ``outbox`` by default is that of the broker and device. Where one thread serves many sinks, ``drive`` takes what
    the own thread would have run: an iterator whose every step does what there is to do, without waiting, and gives
    for how many seconds nothing more is likely. Closing it is what a crash is: no word to the broker.
    """

    def __init__(
        self,
        broker: Broker,
        device: str,
        clock: Callable[[], int] = time.monotonic_ns,
        outbox: Outbox | None = None,
        drive: Callable[[Iterator[float]], None] | None = None,
    ) -> None:
        self._broker = broker
        self._client_id = f"mmrphys-{device}"
        self._root = device_topic(broker.site, device)
        self._clock = clock
        self._outbox = Outbox(Store(outbox_file(broker, device))) if outbox is None else outbox  # empty is falsy
        self._zones = ZoneState()
        self._version: Version = "5"
        self._status_topic = f"{self._root}/status"
        self._announced = {self._status_topic: b"online"}
        self._refused = 0
        self._complaint: str | None = ""  # why there is no connection; None while there is one
        self._wait_s = _RECONNECT_S[0]
        self._close_by_ns: int | None = None
        self._closing = threading.Event()
        self._over = threading.Event()
        self._started = False
        self._drive = drive or self._in_own_thread
        self._poll_s = 0.0 if drive else POLL_S

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return self._broker.name

    @property
    def connected(self) -> bool:
        """True while the broker has accepted us."""
        return self._complaint is None

    @property
    def dropped(self) -> int:
        """Records given up: late waves, the oldest of a full outbox, and what the broker refused to take."""
        return self._outbox.dropped + self._refused

    @property
    def waiting(self) -> int:
        """Records that could not go out at once: the backlog, and without a connection all that is not confirmed."""
        return self._outbox.backlog if self.connected else len(self._outbox)

    def open(self) -> None:
        """Check the secrets, open the outbox and start connecting in the background."""
        self._broker.password()
        self._broker.tls()
        self._outbox.open()
        if len(self._outbox):
            log.info("%s: %d records wait from before", self.name, len(self._outbox))
        self._started = True
        self._drive(self._life())

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

    def close(self) -> int:
        """Send what waits for at most 3 s when the broker is there, then ``offline``; the rest is for the next run."""
        started, self._started = self._started, False
        if not started:
            return self._outbox.lost + self._refused
        self._close_by_ns = self._clock() + int(_FLUSH_S * 1e9)
        self._closing.set()
        self._over.wait(_FLUSH_S + 2 * _FAREWELL_S)
        waiting = self._outbox.close()
        if waiting:
            log.warning("%s: %d records wait for the next run with this sink", self.name, waiting)
        return self._outbox.lost + self._refused

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

    def _in_own_thread(self, life: Iterator[float]) -> None:
        threading.Thread(target=self._run, args=(life,), name=self.name, daemon=True).start()

    def _run(self, life: Iterator[float]) -> None:
        for rest_s in life:
            if rest_s > POLL_S:  # shorter ones were spent waiting for the network
                self._closing.wait(rest_s)

    def _life(self) -> Iterator[float]:
        """One connection after the other, until all was said; gives for how long to rest."""
        try:
            while True:
                last_chance = self._closing.is_set()
                try:
                    if (yield from self._serve()) or last_chance:
                        return
                except Exception as error:  # the thread's edge: a fault here must not end the sink
                    log.exception("%s: connection failed unexpectedly", self.name)
                    self._complaint = str(error)
                yield self._wait_s
                self._wait_s = min(2 * self._wait_s, _RECONNECT_S[1])
        finally:
            self._over.set()

    def _serve(self) -> Generator[float, None, bool]:
        """One connection; True when it ended because all was said."""
        try:
            link = Link(self._broker, self._client_id, self._status_topic, self._version, self._poll_s)
        except (OSError, ValueError, MmrphysError) as error:
            self._complain(str(error))
            return False
        drain: Drain | None = None
        try:
            while link.step():
                if link.accepted:
                    drain = drain or self._welcomed(link)
                    self._advance(link, drain)
                if self._finished(link):
                    link.disconnect()
                    return True
                yield POLL_S
        except GeneratorExit:
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
        log.info("%s: connected", self.name)
        self._complaint, self._wait_s = None, _RECONNECT_S[0]
        if self._broker.home_assistant is not None:
            link.subscribe(birth_topic(self._broker.home_assistant))
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
        self._greet_home_assistant(link)
        for topic, payload in self._announced.copy().items():
            link.announce(topic, payload)
        while link.free and (message := self._outbox.take_fresh(now_ns := self._clock())) is not None:
            link.publish(message, now_ns)
        while link.free_for_backlog and drain.allows(len(link.unacknowledged), self._clock()):
            message = self._outbox.take_backlog()
            if message is None:
                break
            drain.sent()
            link.publish(message, self._clock())

    def _greet_home_assistant(self, link: Link) -> None:
        """Home Assistant has started and asks who is there."""
        while link.heard:
            _, payload = link.heard.pop()
            if payload == b"online":
                for topic in tuple(self._announced):
                    if topic.startswith(f"{self._broker.home_assistant}/"):
                        link.forget_announcement(topic)

    def _finished(self, link: Link) -> bool:
        """True when closing, and nothing waits or time is up, and ``offline`` is said."""
        if self._close_by_ns is None:
            return False
        busy = len(self._outbox) or link.unacknowledged or not link.accepted
        if busy and self._clock() < self._close_by_ns:
            return False
        if self._announced[self._status_topic] == b"offline":
            return True
        self._announced[self._status_topic] = b"offline"
        self._close_by_ns = self._clock() + int(_FAREWELL_S * 1e9)
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
                self._count_refused(answer.message, answer.refusal)
            self._outbox.confirm(answer.message, self._clock())
            if drain is not None and not answer.message.live:
                drain.confirmed(answer.took_ns)
        link.answers.clear()
        self._outbox.give_back(later)

    def _count_refused(self, message: Message, reason: str) -> None:
        if not self._refused:
            log.error("%s: the broker refuses %s (%s); check its access list", self.name, message.topic, reason)
        self._refused += 1

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            log.warning("%s: no connection (%s); records wait, trying again", self.name, reason)
        self._complaint = reason


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``mqtt://`` and ``mqtts://``."""
    return MqttSink(broker_from_uri(uri, allow_plaintext=context.allow_plaintext), context.device)
