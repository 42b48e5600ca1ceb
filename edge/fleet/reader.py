"""A subscriber that only reads: one link after the other to a broker, what it hears, and when."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

from edge.errors import InputError
from edge.sinks.broker import Broker
from edge.sinks.mqtt_link import Link, Version

__all__ = ["Hear", "read"]

Hear = Callable[[str, bytes, int], None]
"""Topic, payload, and CLOCK_MONOTONIC in ns when it was read."""

_AGAIN_S = 2.0


def read(broker: Broker, topics: tuple[str, ...], hear: Hear) -> Iterator[str]:
    """Every step reads for a moment and gives why there is no connection, empty while there is one.

    It publishes nothing, has no last will and a name of its own. A connection that breaks is made again.

    Raises
    ------
    InputError
        There never was a connection: no broker there, or it does not let us in.
    UsageError
        Secrets that cannot be read.
    """
    version: Version = "5"
    was_in = False
    while True:
        try:
            link = Link(broker, f"mmrphys-reader-{secrets.token_hex(4)}", None, version)
        except (OSError, ValueError) as error:
            reason = str(error)
        else:
            for subscribed in _listen(link, topics, hear):
                was_in = was_in or subscribed
                yield "" if subscribed else "connecting"
            if link.too_new:
                version = "3.1.1"
                continue
            reason = link.reason
        if not was_in:
            raise InputError(f"{broker.name}: no connection ({reason}); check host, port, user, password_file and ca")
        yield from _rest(reason)


def _listen(link: Link, topics: tuple[str, ...], hear: Hear) -> Iterator[bool]:
    """One connection to its end; gives whether all is subscribed to."""
    asked = False
    while link.step():
        if link.accepted and not asked:
            asked = True
            for topic in topics:
                link.subscribe(topic)
        _pass_on(link, hear)
        yield link.subscribed == len(topics)
    _pass_on(link, hear)


def _pass_on(link: Link, hear: Hear) -> None:
    now_ns = time.monotonic_ns()
    for said in link.heard:
        hear(said.topic, said.payload, now_ns)
    link.heard.clear()


def _rest(reason: str) -> Iterator[str]:
    end_s = time.monotonic() + _AGAIN_S
    while time.monotonic() < end_s:
        yield reason or "cut"
        time.sleep(0.05)
