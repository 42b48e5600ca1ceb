"""``kill -9`` of a process while it writes, with and without a broker: what ``write`` had taken still arrives."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import time
from pathlib import Path

from fakes.broker import until
from fakes.door import Door
from faults.finding import Finding
from faults.ward import NO_BROKER, Key, broker, environment, sink

__all__ = ["run"]


def run(folder: Path, *, full: bool) -> Finding:
    """100 processes killed at seeded moments; short: 3."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    chance = random.Random(2)
    rounds = 100 if full else 3
    taken: list[Key] = []
    door = Door()
    with broker(folder) as (server, witness):
        for number in range(rounds):
            if number % 3 != 1:  # every third process has no broker, and leaves all to the next
                door.open(server.port)
            taken += _killed(door.port, folder / "outbox", chance)
            door.shut()
        door.open(server.port)
        last = sink(door.port, folder / "outbox")
        until(lambda: set(taken) <= set(witness.keys("numerics", "history", "event")), "all records", 60.0)
        last.close()
        door.shut()
        came = witness.keys("numerics", "history", "event")
        offline = [one for one in witness.heard() if one.text == "offline"]
    lost = len(set(taken) - set(came))
    damaged = len(list((folder / "outbox").glob("*.damaged*")))
    figures = {
        "records taken before the kill": len(taken), "lost": lost, "sent twice": len(came) - len(set(came)),
        "last wills heard": len(offline), "files damaged": damaged,
    }  # fmt: skip
    failures = [f"{lost} of {len(taken)} records lost"] * bool(lost) + [f"{damaged} files damaged"] * bool(damaged)
    return Finding(rounds, figures, tuple(failures))


def _killed(port: int, outbox: Path, chance: random.Random) -> list[Key]:
    """Start a writer, kill it some time after its first record; gives what it said was taken."""
    words = [sys.executable, __file__, str(port), str(outbox), str(chance.randrange(10**6))]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment())
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(chance.uniform(0.0, 0.4))
    child.kill()
    lines = (first + child.stdout.read()).decode().splitlines(keepends=True)
    child.wait()
    return [(boot, int(seq)) for boot, seq in (line.split() for line in lines if line.endswith("\n"))]


def _write_for_ever(port: int, outbox: Path, seed: int) -> None:
    """The process that is killed: says ``boot seq`` of a record once ``write`` has returned."""
    from faults.ward import numerics

    from edge.sinks.factory import RecordFactory

    logging.disable()
    kit, factory, chance = sink(port, outbox), RecordFactory("kit-7"), random.Random(seed)
    while True:
        for record in (numerics(factory, chance), factory.event("rr_state", "notice", "x", zone="bed-3")):
            kit.write(record, 0)
            sys.stdout.write(f"{record.boot} {record.seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _write_for_ever(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
