"""A kit in virtual time whose every value is one of a kind, so that whoever sees one knows how old it really is.

The states, the publisher and the records are the program's; what the windows show, and what goes wrong, is scripted. A
row of the table in ``stale_table.py`` is a sink with somebody who reads it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.pipeline import Counts
from edge.publish import Publisher
from edge.signals.evidence import Evidence
from edge.signals.state import GateRules, RateTracker, Situation
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record
from edge.vitals import OLDEST_MS, Estimate, Vitals

__all__ = ["Played", "Row", "Seen", "Step", "World", "play", "schedule"]

S = 10**9
_WALL_NS = 1_795_000_000 * S
_BEHIND_NS = 240_000_000
"""From a look's newest frame to the look."""
_HALF_NS = S // 2
FAULTS = ("run", "evidence fails", "camera silent", "loop stands still", "nothing", "queue", "jump")
PEERS = ("well", "well", "stalls", "away")
ROUNDED_NS = 1_500_000_000
"""Formats tell a moment to the second; what they say of it may be off by that and a look's own lateness."""


@dataclass(frozen=True)
class Step:
    """``seconds`` of one fault, and how the other end does meanwhile.

    ``nothing``: no record at all; ``queue``: records come late, all at once.
    """

    fault: str
    seconds: int
    peer: str = "well"


@dataclass(frozen=True)
class Seen:
    """A rate that a reader takes for valid ``at_ns`` (the kit's monotonic clock).

    ``frame_ns`` is when its newest frame was, as the reader is told; None where that is not told.
    """

    rate: str
    value: float
    at_ns: int
    frame_ns: int | None = None


class Row(Protocol):
    """One sink and one reader. All calls come from one thread."""

    def write(self, record: Record, pts_ns: int) -> None:
        """A record goes to the sink."""

    def tick(self) -> None:
        """Half a second has passed: what threads and networks do by themselves."""

    def peer(self, fault: str) -> None:
        """What the other end does from now on: ``stalls``, is ``away``, or ``well``."""

    def seen(self) -> Iterator[Seen]:
        """What the reader sees at this moment, or has got since the last call."""

    def close(self) -> Iterator[Seen]:
        """The end; what is seen only then."""


class World:
    """Clocks that stand until a schedule moves them, and the truth about every value."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * S
        self.ahead_ns = _WALL_NS
        self.synced = True
        self.born: dict[tuple[str, float], int] = {}
        factory = RecordFactory(
            "kit-7", mono_clock=self.clock, wall_clock=lambda: self.now_ns + self.ahead_ns, synced=lambda: self.synced
        )
        self.begin = [factory.meta(software="x", bundle="sha256:ab", signature="none", graph="g", graph_why="w",
                                   runtime="onnxrt", mode="exact", zones=("main",), cameras={}),
                      factory.status("online", "started")]  # fmt: skip
        self._publisher = Publisher(factory, Counts, dict, lambda: {"uptime_s": 1.0}, now=self.clock)
        self._hr, self._rr = RateTracker(GateRules(8.0)), RateTracker(GateRules(3.0))
        self._newest_ns = self.now_ns
        self._rates = 0

    def clock(self) -> int:
        return self.now_ns

    def mono_ns(self, wall_ns: int) -> int:
        """The kit's monotonic time at a moment of its synchronised wall clock."""
        return wall_ns - _WALL_NS

    def records(self, fault: str, tick_ns: int) -> list[tuple[Record, int]]:
        """Those of the look at ``tick_ns``, made now."""
        if fault not in ("camera silent", "loop stands still"):
            self._newest_ns = tick_ns - _BEHIND_NS
            self._rates += 1
        alive = fault != "evidence fails"
        hr, rr = 45.0 + 0.1 * self._rates, 6.0 + 0.1 * self._rates
        vitals = Vitals(
            hr=self._estimate(self._hr, "hr", hr, tick_ns, alive=alive),
            rr=self._estimate(self._rr, "rr", rr, tick_ns, alive=alive),
            pts_ns=tick_ns, zone="main", person=0, mode="exact", bundle_id="sha256:ab", fps={"rgb": 29.97},
            dropped={"rgb": 0}, skew_ms=None,
        )  # fmt: skip
        return list(self._publisher.records(vitals))

    def _estimate(self, tracker: RateTracker, name: str, rate: float, tick_ns: int, *, alive: bool) -> Estimate:
        self.born.setdefault((name, round(rate, 1)), self._newest_ns)
        why = () if alive else ("motion",)
        evidence = Evidence(rate, 0.5, 0.8, alive, why, 30.0)
        return tracker.step(tick_ns, self._newest_ns, Situation(), evidence)


@dataclass
class Played:
    """What a schedule showed: how many values were seen, and a sentence for each that was too old, or told wrongly."""

    seen: int = 0
    wrong: tuple[str, ...] = ()

    def judge(self, world: World, seen: Iterator[Seen], fault: str) -> None:
        for one in seen:
            born_ns = world.born[one.rate, round(one.value, 1)]
            self.seen += 1
            rounded_ns = 0 if one.frame_ns is None else ROUNDED_NS
            age_s = (one.at_ns - born_ns) / S
            told = f"{fault}: {one.rate} {one.value:.1f}"
            if one.at_ns - born_ns > OLDEST_MS * 10**6 + rounded_ns:
                self.wrong += (f"{told} is {age_s:.1f} s old",)
            if one.frame_ns is not None and one.frame_ns - born_ns > ROUNDED_NS:
                self.wrong += (f"{told} is told {(one.frame_ns - born_ns) / S:.1f} s younger than it is",)


def schedule(seed: int, seconds: int = 240) -> list[Step]:
    """Faults for about ``seconds``, at most as many values as there are digits for.

    All begin alike: with sound looks, then a held value that waits for the other end until it is too old.
    """
    chance = random.Random(seed)
    steps = [Step("run", 10), Step("evidence fails", 12, "away"), Step("run", 3)]
    while sum(step.seconds for step in steps) < seconds:
        steps.append(Step(chance.choice(FAULTS), chance.randint(1, 30), chance.choice(PEERS)))
        steps.append(Step("run", chance.randint(1, 8), chance.choice(PEERS)))
    return steps


def play(world: World, row: Row, steps: list[Step]) -> Played:
    """Write what the kit makes, half second by half second, and look at what is seen."""
    played = Played()
    for record in world.begin:
        row.write(record, 0)
    for step in steps:
        waiting: list[tuple[Record, int]] = []
        if step.fault == "jump":
            world.ahead_ns += random.Random(step.seconds).choice((-1, 1)) * 3_600 * S
            world.synced = False
        row.peer(step.peer)
        for _ in range(step.seconds):
            for half in (1, 2):
                world.now_ns += _HALF_NS
                if half == 2 and step.fault not in ("loop stands still", "nothing"):
                    waiting += world.records(step.fault, world.now_ns)
                if step.fault != "queue":
                    _write(row, waiting)
                row.tick()
                played.judge(world, row.seen(), step.fault)
        if step.fault == "loop stands still":  # the looks that are made up for
            for second in range(step.seconds - 1, -1, -1):
                waiting += world.records(step.fault, world.now_ns - second * S)
        _write(row, waiting)
        row.tick()
        played.judge(world, row.seen(), step.fault)
    played.judge(world, row.close(), "at the end")
    return played


def _write(row: Row, waiting: list[tuple[Record, int]]) -> None:
    for record, pts_ns in waiting:
        row.write(record, pts_ns)
    waiting.clear()


def folder_for(folder: Path, name: str) -> Path:
    """A new folder for a row."""
    place = folder / "".join(sign if sign.isalnum() else "-" for sign in name)
    place.mkdir()
    return place
