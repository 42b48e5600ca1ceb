"""One connection to an MQTT broker, from connect to disconnect: version 5, or 3.1.1 where the broker knows no other."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections import deque
from typing import Any, Literal, NamedTuple

from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.sinks.broker import Broker
from edge.sinks.mqtt_commands import Heard
from edge.sinks.outbox import Message
from edge.sinks.outbox_sink import POLL_S

__all__ = ["Answer", "Link", "Version"]

Version = Literal["5", "3.1.1"]

_KEEPALIVE_S = 5
_UNACKNOWLEDGED = 100
_UNACKNOWLEDGED_311 = 20
"""Version 3.1.1 has no word for how many the broker takes at once; this is the default of common brokers."""
_RESERVED = 4
"""Of those, kept free for what is new."""
_FAREWELL_STEPS = 50
_ANSWER_EXPIRES_S = 60
_DISCARD, _DELIVER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""What becomes of unsent bytes when the socket is closed, socket(7). A broken connection must not deliver them: the
kernel would go on trying for minutes, and old measurements would come as live."""
_UNSUPPORTED_VERSION = 0x84
_QUOTA = {0x80, 0x83, 0x97}
"""Unspecified, implementation specific, quota exceeded: not the message's fault, so it may go through later."""


class Answer(NamedTuple):
    """The broker's word on one message: ``refusal`` is empty when it took it, ``passing`` when it may take it later."""

    message: Message
    refusal: str
    passing: bool
    took_ns: int


class Link:
    """Connects when made, and is driven by one thread through :meth:`step`.

    Without ``will_topic`` nobody is told of its loss. A step waits for at most ``poll_s`` for something to happen.
    Of packets of more than ``largest`` bytes the broker is told to send none (version 5), None for no limit.
    ``accepted`` is True once the broker let us in, ``reason`` says why not or why no longer, ``too_new`` whether it was
    for the version. ``unacknowledged`` maps packet id to the message not yet confirmed (None for an announcement) and
    when it was sent, ``answers`` and ``heard`` collect what the broker said; ``subscribed`` counts the subscriptions
    that it granted, ``deaf`` says why it refused one that the connection can do without.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        will_topic: str | None,
        version: Version = "5",
        poll_s: float = POLL_S,
        largest: int | None = None,
    ) -> None:
        self._poll_s = poll_s
        self.accepted = self.too_new = self._given_up = False
        self.reason = ""
        self.subscribed = 0
        self.answers: list[Answer] = []
        self.heard: deque[Heard] = deque()
        self.deaf = ""
        self._needless: dict[int | None, str] = {}  # by the packet id of their subscriptions
        self.unacknowledged: dict[int, tuple[Message | None, int]] = {}
        self.most = _UNACKNOWLEDGED_311
        self._modern = version == "5"
        self._announced: dict[str, bytes] = {}
        protocol = MQTTv5 if self._modern else MQTTv311
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False
        )  # the library would step down to 3.1 by itself
        self._client.max_inflight_messages_set(_UNACKNOWLEDGED)
        if will_topic is not None:
            self._client.will_set(will_topic, b"offline", qos=1, retain=True)
        self._client.username_pw_set(broker.user, broker.password())
        context = broker.tls()
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.connect(broker.host, broker.port, keepalive=_KEEPALIVE_S, properties=self._limits(largest))
        self._linger(_DISCARD)

    def _limits(self, largest: int | None) -> Properties | None:
        if largest is None or not self._modern:
            return None
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's, untyped
        limits.MaximumPacketSize = largest
        return limits

    def step(self) -> bool:
        """Move bytes for a moment; False when the connection is gone."""
        if self._given_up:
            self._given_up = False
            self.disconnect()
            return False
        code = self._move_bytes()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and not self.reason:
            self.reason = error_string(code).rstrip(".").lower()
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _move_bytes(self) -> MQTTErrorCode:
        """What the library's ``loop`` does, but by poll(2): its select(2) fails from the 1024th open file on."""
        connection = self._client.socket()
        if connection is None or connection.fileno() < 0:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        decrypted = connection.pending() if isinstance(connection, ssl.SSLSocket) else 0
        ready = select.poll()
        ready.register(connection, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        for _, events in ready.poll(0 if decrypted else round(self._poll_s * 1e3)) or ((0, 0),):
            if events & ~select.POLLOUT or decrypted:
                code = self._client.loop_read()
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return code
            if events & select.POLLOUT:
                code = self._client.loop_write()
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return code
        return self._client.loop_misc()

    @property
    def free(self) -> bool:
        """True when one more new message may be sent."""
        return self._ready and len(self.unacknowledged) < self.most

    @property
    def free_for_backlog(self) -> bool:
        """True when one more of the backlog may be sent and room is left for what is new."""
        return self._ready and len(self.unacknowledged) < max(1, self.most - _RESERVED)

    @property
    def _ready(self) -> bool:
        return self.accepted and not self._client.want_write()

    def announce(self, topic: str, payload: bytes) -> None:
        """Make the broker retain ``payload``, once per connection and change."""
        if not self.has_announced(topic, payload):
            self._announced[topic] = payload
            sent = self._client.publish(topic, payload, qos=1, retain=True)
            self.unacknowledged[sent.mid] = (None, time.monotonic_ns())

    def has_announced(self, topic: str, payload: bytes) -> bool:
        """Whether that was the last to be sent on this connection."""
        return self._announced.get(topic) == payload

    def forget_announcements(self, beginning: str = "") -> None:
        """Let the next :meth:`announce` of topics that begin so be sent even when nothing changed."""
        self._announced = {topic: said for topic, said in self._announced.items() if not topic.startswith(beginning)}

    def subscribe(self, topic: str, *, needed: bool = True) -> None:
        """Hear what is said on ``topic``; where the broker refuses that, a ``needed`` one ends the connection.

        With version 5 what is heard says whether its sender wanted it retained, else only whether it is old.
        """
        how = {"options": SubscribeOptions(qos=1, retainAsPublished=True)} if self._modern else {"qos": 1}
        _, packet = self._client.subscribe(topic, **how)
        if not needed:
            self._needless[packet] = topic

    def answer(self, topic: str, payload: bytes, correlation: bytes) -> None:
        """Send an answer to somebody; it is not kept, and sent again by nobody."""
        properties = None
        if self._modern:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library's, untyped
            properties.MessageExpiryInterval = _ANSWER_EXPIRES_S
            if correlation:
                properties.CorrelationData = correlation
        sent = self._client.publish(topic, payload, qos=1, properties=properties)
        self.unacknowledged[sent.mid] = (None, time.monotonic_ns())

    def publish(self, message: Message, now_ns: int) -> None:
        """Send one message, which expires at the broker when it would be late (version 5)."""
        properties = None
        left_ns = message.left_ns(now_ns)
        if self._modern and left_ns is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library's, untyped
            properties.MessageExpiryInterval = max(1, left_ns // 10**9)
        sent = self._client.publish(message.topic, message.payload, message.qos, properties=properties)
        if message.qos or sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.unacknowledged[sent.mid] = (message, time.monotonic_ns())

    def give_up(self, reason: str) -> None:
        """End the connection: the next :meth:`step` is the last."""
        self._given_up, self.reason = True, reason

    def abandon_when_stalled(self, now_ns: int, limit_s: float) -> None:
        """Break the connection off when a confirmation is due for longer than ``limit_s``."""
        oldest_ns = next((sent_ns for _, sent_ns in self.unacknowledged.values()), now_ns)
        if now_ns - oldest_ns > limit_s * 1e9:
            self.abandon()
            self.reason = f"no confirmation for {limit_s:.0f} s"

    def abandon(self) -> None:
        """Close the connection without a word, as a crash does: the next :meth:`step` is the last."""
        connection = self._client.socket()
        if connection is not None:
            connection.close()

    def disconnect(self) -> None:
        """Say good-bye, so that the broker does not publish the last will."""
        self._linger(_DELIVER)
        self._client.disconnect()
        for _ in range(_FAREWELL_STEPS):
            if not self.step():
                return

    def _linger(self, how: bytes) -> None:
        port: Any = self._client.socket()
        if port is not None and port.fileno() >= 0:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, properties: Any) -> None:
        self.accepted = not code.is_failure
        self.reason = str(code) if code.is_failure else ""
        self.too_new = self._modern and code.value == _UNSUPPORTED_VERSION
        if self._modern:
            self.most = min(_UNACKNOWLEDGED, getattr(properties, "ReceiveMaximum", _UNACKNOWLEDGED))

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, code: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.reason = str(code)

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        message, sent_ns = self.unacknowledged.pop(mid, (None, 0))
        if message is not None:
            refusal = str(code) if code.is_failure else ""
            self.answers.append(Answer(message, refusal, code.value in _QUOTA, time.monotonic_ns() - sent_ns))

    def _on_subscribe(self, _client: Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        refused = [code for code in codes if code.is_failure]
        self.subscribed += len(codes) - len(refused)
        if refused and mid in self._needless:
            self.deaf = f"{self._needless[mid]} cannot be subscribed to: {refused[0]}"
        elif refused:
            self.give_up(f"subscription refused: {refused[0]}")

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        said = message.properties
        answer_to, correlation = getattr(said, "ResponseTopic", ""), getattr(said, "CorrelationData", b"")
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, answer_to, correlation))
