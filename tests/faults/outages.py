"""Outages of the broker while records are written: nothing that the sink took may be missing in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from fakes.broker import until
from fakes.door import Door
from faults.finding import Finding
from faults.ward import NO_BROKER, Key, broker, numerics, sink

from edge.sinks.factory import RecordFactory

__all__ = ["run"]

_LATE_S = 10.5
"""A measurement leaves within 5 s and is at most 5 s on its way; the rest is the broker and the witness."""


def run(folder: Path, *, full: bool) -> Finding:
    """100 outages of seeded lengths, as many of each kind; short: three. Each meets a link that works again."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    chance = random.Random(1)
    kinds = [*_KINDS] * 20 if full else ["hung", "refusing", "cut within a packet"]
    chance.shuffle(kinds)
    taken: list[Key] = []
    factory = RecordFactory("kit-7")
    door = Door()
    with broker(folder) as (server, witness):
        door.open(server.port)
        kit = sink(door.port, folder / "outbox")
        until(lambda: kit.connected, "the first connection")
        for kind in kinds:
            _KINDS[kind](door, server.port, chance)
            end_s = time.monotonic() + _length_s(kind, chance, full=full)
            while time.monotonic() < end_s:
                for record in (numerics(factory, chance), factory.event("rr_state", "notice", "x", zone="bed-3")):
                    kit.write(record, 0)
                    taken.append((record.boot, record.seq))
                time.sleep(0.05)
            door.shut()
            door.open(server.port)
            until(lambda: not len(kit._outbox), "the link to work again", 30.0)
        until(lambda: len(set(witness.keys("numerics", "history", "event"))) >= len(taken), "all records", 60.0)
        unflushed = kit.close()
        door.shut()
        came = witness.keys("numerics", "history", "event")
        live_s = [one.age_s for one in witness.heard() if one.topic.endswith("numerics") and one.age_s is not None]
    lost = len(set(taken) - set(came))
    figures = {
        **{f"outages, {kind}": kinds.count(kind) for kind in _KINDS},
        "records taken": len(taken), "lost": lost, "sent twice": len(came) - len(set(came)),
        "oldest live measurement, s": round(max(live_s), 2),
    }  # fmt: skip
    failures = [f"{lost} of {len(taken)} records lost"] * bool(lost)
    failures += [f"{kit.dropped} counted as dropped, {unflushed} not delivered"] * bool(kit.dropped or unflushed)
    failures += [f"a measurement of {max(live_s):.1f} s came as live"] * (max(live_s) > _LATE_S)
    return Finding(len(kinds), figures, tuple(failures))


def _length_s(kind: str, chance: random.Random, *, full: bool) -> float:
    """Every fourth hang is longer than the keepalive, so that the kit itself gives the connection up."""
    if full and kind == "hung" and chance.random() < 0.25:
        return chance.uniform(8.0, 12.0)
    return chance.uniform(0.1, 3.0 if full else 0.4)


def _down(door: Door, _port: int, _chance: random.Random) -> None:
    door.shut()


def _hung(door: Door, _port: int, _chance: random.Random) -> None:
    door.hang()


def _slow(door: Door, _port: int, chance: random.Random) -> None:
    door.slow(chance.uniform(2_000, 50_000))


def _refusing(door: Door, _port: int, _chance: random.Random) -> None:
    door.refuse()


def _cut(door: Door, _port: int, chance: random.Random) -> None:
    door.cut_after(chance.randrange(1, 3_000))


_KINDS: dict[str, Callable[[Door, int, random.Random], None]] = {
    "down": _down, "hung": _hung, "slow": _slow, "refusing": _refusing, "cut within a packet": _cut,
}  # fmt: skip
