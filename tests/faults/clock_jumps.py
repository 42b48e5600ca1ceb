"""Wall clocks that jump by hours and years, and a monotonic clock that starts anew: live stays live, old stays old."""

from __future__ import annotations

import random
import time
from pathlib import Path

from fakes.broker import until
from fakes.door import Door
from faults.finding import Finding
from faults.ward import NO_BROKER, broker, numerics, sink

from edge.sinks.factory import RecordFactory
from edge.sinks.records import decode

__all__ = ["run"]

_HOUR_NS = 3600 * 10**9
_JUMPS_NS = (0, _HOUR_NS, -_HOUR_NS, 0, -(10**9) * 1_760_000_000, 20 * 365 * 24 * _HOUR_NS)
"""An hour forth and back, to the years around 1970, twenty years ahead."""


def run(folder: Path, *, full: bool) -> Finding:
    """Each jump: five records through a broker. Then records of another monotonic clock, left by the process before."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    rounds = 20 if full else 1
    chance, jump_ns = random.Random(6), [0]
    factory = RecordFactory("kit-7", wall_clock=lambda: max(0, time.time_ns() + jump_ns[0]))
    door = Door()
    with broker(folder) as (server, witness):
        door.open(server.port)
        kit = sink(door.port, folder / "outbox")
        until(lambda: kit.connected, "the connection")
        sent = set()
        for number in range(rounds * len(_JUMPS_NS)):
            jump_ns[0] = _JUMPS_NS[number % len(_JUMPS_NS)]
            for _ in range(5):
                record = numerics(factory, chance)
                kit.write(record, 0)
                sent.add((record.boot, record.seq))
        until(lambda: set(witness.keys("numerics", "history")) >= sent, "all records")
        live = set(witness.keys("numerics"))
        kit.close()
        door.shut()
        left = _left_by_another_boot(door, folder, chance)
        door.open(server.port)
        again = sink(door.port, folder / "outbox")
        until(lambda: set(witness.keys("numerics", "history")) >= left, "those of the boot before")
        again.close()
        door.shut()
        old_as_live = len(left & set(witness.keys("numerics")))
        texts = [one.text for one in witness.heard() if one.key is not None]
    for text in texts:
        decode(text.encode())
    figures = {
        "jumps": rounds * len(_JUMPS_NS), "records sent": len(sent), "of these live": len(sent & live),
        "left by another boot": len(left), "of those live": old_as_live,
    }  # fmt: skip
    failures = [f"{len(sent - live)} records of the present came as history"] * bool(sent - live)
    failures += [f"{old_as_live} records of another boot came as live"] * bool(old_as_live)
    return Finding(rounds, figures, tuple(failures))


def _left_by_another_boot(door: Door, folder: Path, chance: random.Random) -> set[tuple[str, int]]:
    """Records whose monotonic time lies ahead of ours, as after a restart of the machine."""
    before = RecordFactory("kit-7", mono_clock=lambda: time.monotonic_ns() + 10**15)
    kit, left = sink(door.port, folder / "outbox"), set()
    for _ in range(5):
        record = numerics(before, chance)
        kit.write(record, 0)
        left.add((record.boot, record.seq))
    kit.close()
    return left
