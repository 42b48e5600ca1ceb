"""MQTT brokers of the kit: whether they answer and let this device in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.doctor.peers import of_each_peer
from edge.sinks.broker import Broker, broker_from_uri
from edge.sinks.mqtt_link import Link, Version
from edge.uri import Uri

__all__ = ["look", "refusal"]

PATIENCE_S = 6.0


def look(subject: Subject) -> Iterator[Finding]:
    """One finding for each broker."""

    def judge(uri: Uri) -> Finding:
        broker = broker_from_uri(uri, allow_plaintext=subject.kit.allow_plaintext)
        return judged(broker, refusal(broker))

    return of_each_peer(subject, "broker", ("mqtt", "mqtts"), judge)


def judged(broker: Broker, reason: str | None) -> Finding:
    """What the broker's answer means, and what to do about it."""
    if reason is None:
        who = f"as {broker.user}" if broker.user else "without a user"
        return ok(f"{broker.name} lets this device in, {who}, {'TLS' if broker.scheme == 'mqtts' else 'plain'}")
    low = reason.lower()
    if any(word in low for word in ("authoriz", "authoris", "password", "banned")):
        fix = "check user and password_file, and the broker's access list"
    elif "certificate" in low or "ssl" in low or "tls" in low:
        fix = "check ca= (the file that signed the broker's certificate) and the host's name in it"
    else:
        fix = "check host, port, firewall, and that the broker runs; a run would keep its records and try again"
    return poor(f"{broker.name}: {reason}", fix, needed=True)


def refusal(broker: Broker, patience_s: float = PATIENCE_S, version: Version = "5") -> str | None:
    """Why ``broker`` does not let us in, None when it does.

    The name is one of its own and there is no last will, so that a run that is connected stays so and nobody is told
    that the device went away. UsageError for secrets that cannot be read.
    """
    try:
        link = Link(broker, f"mmrphys-doctor-{secrets.token_hex(4)}", None, version)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    end_s = time.monotonic() + patience_s
    while not link.accepted and not link.reason and time.monotonic() < end_s:
        if not link.step():
            break
    if link.too_new:  # as a run would
        return refusal(broker, patience_s, "3.1.1")
    if not link.accepted:
        return link.reason or f"no answer within {patience_s:.0f} s"
    link.disconnect()
    return None


_: Check = look
