"""MQTT brokers on this machine: where one answers, and whether it lets us in."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from edge.doctor.broker import refusal
from edge.sinks.broker import Broker

__all__ = ["PORTS", "FoundBroker", "found_brokers"]

HOST = "127.0.0.1"
PORTS: dict[str, int] = {"mqtt": 1883, "mqtts": 8883}
_CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class FoundBroker:
    """A broker that answers. ``refusal``: why it does not let us in without a user; None when it does."""

    scheme: str
    port: int
    refusal: str | None

    def uri(self, site: str) -> str:
        """Its address as a sink."""
        return f"{self.scheme}://{HOST}:{self.port}/{site}"


def found_brokers(ports: dict[str, int] | None = None) -> list[FoundBroker]:
    """The brokers that answer on loopback; nothing beyond this machine is tried."""
    answering = [(scheme, port) for scheme, port in (PORTS if ports is None else ports).items() if _answers(port)]
    return [FoundBroker(scheme, port, refusal(Broker(scheme, HOST, port, "setup"))) for scheme, port in answering]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(_CONNECT_S)
        return probe.connect_ex((HOST, port)) == 0
