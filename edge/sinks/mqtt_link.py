"""One connection to an MQTT 5 broker, from connect to disconnect."""

from __future__ import annotations

from typing import Any

from paho.mqtt.client import Client, DisconnectFlags, MQTTv5, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.sinks.broker import Broker
from edge.sinks.outbox import Message

__all__ = ["Link"]

_KEEPALIVE_S = 5
_POLL_S = 0.02
_UNACKNOWLEDGED = 20
_FAREWELL_STEPS = 50


class Link:
    """Connects when made, and is driven by one thread through :meth:`step`.

    Without ``will_topic`` nobody is told of its loss.
    ``accepted`` is True once the broker let us in, ``reason`` says why not or why no longer. ``unacknowledged`` maps
    packet id to the message not yet confirmed (None for an announcement), ``refused`` lists what the broker would not
    take.
    """

    def __init__(self, broker: Broker, client_id: str, will_topic: str | None) -> None:
        self.accepted = False
        self.reason = ""
        self.refused: list[tuple[Message, str]] = []
        self.unacknowledged: dict[int, Message | None] = {}
        self._announced: dict[str, bytes] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5)
        if will_topic is not None:
            self._client.will_set(will_topic, b"offline", qos=1, retain=True)
        self._client.username_pw_set(broker.user, broker.password())
        context = broker.tls()
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect(broker.host, broker.port, keepalive=_KEEPALIVE_S)

    def step(self) -> bool:
        """Move bytes for a moment; False when the connection is gone."""
        code = self._client.loop(_POLL_S)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and not self.reason:
            self.reason = error_string(code).rstrip(".").lower()
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS

    @property
    def free(self) -> bool:
        """True when one more message may be sent."""
        return self.accepted and not self._client.want_write() and len(self.unacknowledged) < _UNACKNOWLEDGED

    def announce(self, topic: str, payload: bytes) -> None:
        """Make the broker retain ``payload``, once per connection and change."""
        if self._announced.get(topic) != payload:
            self._announced[topic] = payload
            self.unacknowledged[self._client.publish(topic, payload, qos=1, retain=True).mid] = None

    def publish(self, message: Message, now_ns: int) -> None:
        """Send one message, which expires at the broker when it would be late."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library leaves it untyped
        left_ns = message.left_ns(now_ns)
        if left_ns is not None:
            properties.MessageExpiryInterval = -(-left_ns // 10**9)
        sent = self._client.publish(message.topic, message.payload, message.qos, properties=properties)
        if message.qos or sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.unacknowledged[sent.mid] = message

    def disconnect(self) -> None:
        """Say good-bye, so that the broker does not publish the last will."""
        self._client.disconnect()
        for _ in range(_FAREWELL_STEPS):
            if not self.step():
                return

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self.accepted = not code.is_failure
        self.reason = str(code) if code.is_failure else ""

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, code: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.reason = str(code)

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        message = self.unacknowledged.pop(mid, None)
        if message is not None and code.is_failure:
            self.refused.append((message, str(code)))
