"""Which record goes to which MQTT topic, under ``vitals/1/<site>/<device>/``.

========================  ===  ========  =======================================================
topic                     QoS  retained
========================  ===  ========  =======================================================
``status``                1    yes       ``online`` / ``offline``; ``offline`` is the last will
``meta``                  1    yes       JSON, as all that follow
``health``                1    no        expires after 20 s
``<zone>/numerics``       1    no        expires after 10 s
``<zone>/wave/<name>``    0    no        expires after 5 s
``<zone>/event``          1    no        without ``<zone>`` when about the device; however old
``<zone>/history``        1    no        numerics older than 5 s when they could be sent
``<zone>/ha``             0    no        with ``ha=1``: expires after 2 s
``command``               1    no        with ``commands=1``: heard, never written
``command/result``        1    no        answers to it, or a topic below: expires after 60 s
========================  ===  ========  =======================================================

What expires leaves in the first half of its time; the second is for its way. Numerics expire when the older of their
values is 10 s old: a held one has less time.
"""

from __future__ import annotations

from edge.sinks.broker import topic_level
from edge.sinks.outbox import Message
from edge.sinks.records import Event, Health, Numerics, Record, Wave, encode
from edge.vitals import OLDEST_MS

__all__ = ["device_topic", "message_from_record"]

_LIFETIME_S: dict[type[Record], int] = {Wave: 5, Health: 20}


def device_topic(site: str, device: str) -> str:
    """What all topics of a device begin with; UsageError when its id cannot be in a topic."""
    return f"vitals/1/{site}/{topic_level(device, 'device id')}"


def message_from_record(record: Numerics | Wave | Event | Health, root: str) -> Message:
    """The message for a record under the device's topic ``root``; UsageError when its zone cannot be in a topic."""
    zone = None if isinstance(record, Health) else record.zone
    place = root if zone is None else f"{root}/{topic_level(zone, 'zone')}"
    leaf = f"wave/{record.wave}" if isinstance(record, Wave) else type(record).__name__.lower()
    return Message(
        f"{place}/{leaf}",
        encode(record),
        record.mono_ns,
        qos=0 if isinstance(record, Wave) else 1,
        lifetime_ns=_lifetime_ns(record),
        history=f"{place}/history" if isinstance(record, Numerics) else None,
    )


def _lifetime_ns(record: Record) -> int | None:
    """For how long it is worth delivering as live, None for ever."""
    if isinstance(record, Numerics):
        return max(0, OLDEST_MS - record.oldest_ms) * 10**6
    lifetime_s = _LIFETIME_S.get(type(record))
    return None if lifetime_s is None else lifetime_s * 10**9
