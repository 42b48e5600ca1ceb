"""``mqtt://`` and ``mqtts://``: MQTT 5 to a broker that may be away, under ``vitals/1/<site>/<device>/``.

========================  ===  ========  =======================================================
topic                     QoS  retained
========================  ===  ========  =======================================================
``status``                1    yes       ``online`` / ``offline``; ``offline`` is the last will
``meta``                  1    yes       JSON, as all that follow
``health``                1    no        expires after 20 s
``<zone>/numerics``       1    no        expires after 10 s
``<zone>/wave/<name>``    0    no        expires after 5 s
``<zone>/event``          1    no        without ``<zone>`` when about the device
``<zone>/history``        1    no        numerics older than 10 s when they could be sent
========================  ===  ========  =======================================================

A measurement is never retained, and an old one never goes out as live. That is why every connection gets a client of
its own: the library would resend unacknowledged messages of the last connection by itself, to the live topic, however
old.
Delivery is at least once; receivers dedupe on ``(device, boot, seq)``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edge.errors import MmrphysError
from edge.sinks import Sink, SinkContext
from edge.sinks.broker import Broker, broker_from_uri, topic_level
from edge.sinks.mqtt_link import Link
from edge.sinks.outbox import Message, Outbox
from edge.sinks.records import Event, Health, Meta, Numerics, Record, Status, Wave, encode
from edge.uri import Uri

__all__ = ["MqttSink", "from_uri", "message_from_record"]

log = logging.getLogger(__name__)

_RECONNECT_S = (1.0, 5.0)
_FLUSH_S = 3.0
_FAREWELL_S = 1.0
_LIFETIME_S: dict[type[Record], int] = {Numerics: 10, Wave: 5, Health: 20}


class MqttSink:
    """Sends records to a broker, now or when it is back. ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    The network needs somebody who answers its pings, so this sink has one thread of its own; ``write`` only queues.
    """

    def __init__(self, broker: Broker, device: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._broker = broker
        self._client_id = f"mmrphys-{device}"
        self._root = f"vitals/1/{broker.site}/{topic_level(device, 'device id')}"
        self._clock = clock
        self._outbox = Outbox()
        self._status_topic = f"{self._root}/status"
        self._announced = {self._status_topic: b"online"}
        self._refused = 0
        self._complaint: str | None = ""  # why there is no connection; None while there is one
        self._wait_s = _RECONNECT_S[0]
        self._close_by_ns: int | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

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
        """Records given up: late waves, the oldest of a full backlog, and what the broker refused to take."""
        return self._outbox.dropped + self._refused

    def open(self) -> None:
        """Check the secrets and start connecting in the background."""
        self._broker.password()
        self._broker.tls()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; the record holds it
        """Queue one record; UsageError when its zone cannot be a part of a topic.

        A status is left out: connecting says ``online``, and only closing knows when all is sent and says ``offline``.
        """
        if isinstance(record, Status):
            return
        if isinstance(record, Meta):
            self._announced[f"{self._root}/meta"] = encode(record)
        else:
            self._outbox.put(message_from_record(record, self._root))

    def close(self) -> int:
        """Send what waits for at most 3 s when the broker is there, then ``offline``."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._close_by_ns = self._clock() + int(_FLUSH_S * 1e9)
            self._closing.set()
            thread.join(_FLUSH_S + 2 * _FAREWELL_S)
        self._outbox.clear()
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
            self._wait_s = min(2 * self._wait_s, _RECONNECT_S[1])

    def _serve(self) -> bool:
        """One connection; True when it ended because all was said."""
        try:
            link = Link(self._broker, self._client_id, self._status_topic)
        except (OSError, ValueError, MmrphysError) as error:
            self._complain(str(error))
            return False
        try:
            while link.step():
                self._advance(link)
                if self._finished(link):
                    link.disconnect()
                    return True
        finally:
            self._outbox.give_back(m for m in link.unacknowledged.values() if m is not None)
        self._complain(link.reason)
        return False

    def _advance(self, link: Link) -> None:
        if not link.accepted:
            return
        self._settle()
        for topic, payload in self._announced.copy().items():
            link.announce(topic, payload)
        while link.free:
            message = self._outbox.take(now_ns := self._clock())
            if message is None:
                break
            link.publish(message, now_ns)
        self._count_refused(link)

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

    def _count_refused(self, link: Link) -> None:
        while link.refused:
            message, reason = link.refused.pop()
            if not self._refused:
                log.error("%s: the broker refuses %s (%s); check its access list", self.name, message.topic, reason)
            self._refused += 1

    def _settle(self) -> None:
        if self._complaint is not None:
            log.info("%s: connected", self.name)
        self._complaint, self._wait_s = None, _RECONNECT_S[0]

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            log.warning("%s: no connection (%s); records wait, trying again", self.name, reason)
        self._complaint = reason


def message_from_record(record: Numerics | Wave | Event | Health, root: str) -> Message:
    """The message for a record under the device's topic ``root``; UsageError when its zone cannot be in a topic."""
    zone = None if isinstance(record, Health) else record.zone
    place = root if zone is None else f"{root}/{topic_level(zone, 'zone')}"
    leaf = f"wave/{record.wave}" if isinstance(record, Wave) else type(record).__name__.lower()
    lifetime_s = _LIFETIME_S.get(type(record))
    return Message(
        f"{place}/{leaf}",
        encode(record),
        record.mono_ns,
        qos=0 if isinstance(record, Wave) else 1,
        lifetime_ns=None if lifetime_s is None else lifetime_s * 10**9,
        history=f"{place}/history" if isinstance(record, Numerics) else None,
    )


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``mqtt://`` and ``mqtts://``."""
    return MqttSink(broker_from_uri(uri, allow_plaintext=context.allow_plaintext), context.device)
