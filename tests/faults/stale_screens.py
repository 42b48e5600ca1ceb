"""Rows of the table of sinks whose reader looks at what stands there, and takes it for the present."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from faults.stale_world import S, Seen, World
from rich.console import Console

from edge.fleet.roll import Roll, row_from_kit
from edge.measure import Measurement
from edge.measure_report import dict_from_report, newest_text, report_from_measurement
from edge.sinks import SinkContext
from edge.sinks.console import ConsoleSink
from edge.sinks.console_view import draw
from edge.sinks.freshness import shown
from edge.sinks.home_assistant import EXPIRE_S, LIFETIME_S, ZoneState
from edge.sinks.records import Health, Numerics, Rate, Record, encode
from edge.sinks.web.address import Address
from edge.sinks.web.sink import WebSink
from edge.vitals import Estimate, Vitals

__all__ = [
    "ConsoleLines",
    "ConsoleTable",
    "Fleet",
    "HomeAssistant",
    "MeasureBar",
    "MeasureReport",
    "Page",
    "PageMetrics",
]


class _Screen:
    """What most rows share: nothing happens by itself, and there is no other end."""

    def __init__(self, world: World, _folder: Path) -> None:
        self.world = world

    def tick(self) -> None: ...

    def peer(self, fault: str) -> None: ...

    def seen(self) -> Iterator[Seen]:
        yield from ()

    def close(self) -> Iterator[Seen]:
        yield from self.seen()

    def now(self, rate: str, value: float | str) -> Seen:
        return Seen(rate, float(value), self.world.now_ns)


class ConsoleTable(_Screen):
    """The table on a terminal, as it would be drawn at this moment; at the end it says when that was."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self._out = Console(file=io.StringIO(), force_terminal=True, width=100)
        self._sink = ConsoleSink(SinkContext("kit-7", live=True), self._out, world.clock)
        self._sink.open()

    def write(self, record: Record, pts_ns: int) -> None:
        self._sink.write(record, pts_ns)

    def seen(self) -> Iterator[Seen]:
        screen = Console(file=io.StringIO(), width=100)
        with screen.capture() as captured:
            screen.print(draw(self._sink._screen, self.world.now_ns, 100))
        for line in captured.get().splitlines():
            found = re.match(r"\S* +(HR|RR) +(\d+\.\d) ", line)
            if found:
                yield self.now(found[1].lower(), found[2])

    def close(self) -> Iterator[Seen]:
        self._sink.close()
        assert "the run ended at" in self._out.file.getvalue()  # type: ignore[attr-defined]
        yield from ()


class ConsoleLines(_Screen):
    """Plain lines: the last stands for the present, until a line says that it is old, or says its age itself."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self._file = io.StringIO()
        self._sink = ConsoleSink(SinkContext("kit-7", live=True), Console(file=self._file, width=200), world.clock)
        self._sink._open = True  # without the thread: `tick` is what it calls
        self._read = 0
        self._standing: list[tuple[str, float]] = []

    def write(self, record: Record, pts_ns: int) -> None:
        self._sink.write(record, pts_ns)

    def tick(self) -> None:
        self._sink.tick()

    def seen(self) -> Iterator[Seen]:
        lines = self._file.getvalue().splitlines()
        new, self._read = lines[self._read :], len(lines)
        for line in new:
            if "main/0  HR" in line:
                self._standing = []
                for name, value, rest in re.findall(r"(HR|RR) +(---|\d+\.\d) /min ([^\[]*?)(?=  |$)", line):
                    if value != "---":
                        yield self.now(name.lower(), value)
                        self._standing += [] if "s old" in rest else [(name.lower(), float(value))]
            elif "the numbers above are more than" in line:
                self._standing = []
        for name, number in self._standing:
            yield self.now(name, number)


class Page(_Screen):
    """What the page's server sends, judged as the browser judges it; the browser itself is in test_web_browser.py."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self.sink = WebSink(Address("127.0.0.1", 0), SinkContext("kit-7"), world.clock)

    def write(self, record: Record, pts_ns: int) -> None:
        self.sink.write(record, pts_ns)

    def seen(self) -> Iterator[Seen]:
        snapshot, _ = self.sink._snapshot(-1, False)  # noqa: FBT003 - as its own pages ask
        for card in snapshot["cards"]:
            for name in ("hr", "rr"):
                rate = card[name]
                value = shown(rate["value"], rate["state"], rate["age_ms"], card["silent_ms"]).value
                if value is not None:
                    yield self.now(name, value)


class PageMetrics(Page):
    """``/metrics``."""

    def seen(self) -> Iterator[Seen]:
        for name, value in re.findall(r"^mmrphys_(hr|rr)_per_minute\{.*\} (\S+)$", self.sink._metrics(), re.MULTILINE):
            yield self.now(name, value)


class Fleet(_Screen):
    """``fleet --vitals`` behind a network that is 8 s late at times, or loses messages; its clock is another one."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self._roll = Roll()
        self._how = "well"
        self._under_way: list[tuple[int, str, bytes]] = []

    def write(self, record: Record, pts_ns: int) -> None:
        if isinstance(record, (Numerics, Health)) and self._how != "away":
            topic = "main/numerics" if isinstance(record, Numerics) else "health"
            due_ns = self.world.now_ns + (8 * S if self._how == "stalls" else 0)
            self._under_way.append((due_ns, f"vitals/1/ward/kit-7/{topic}", encode(record)))
        self.tick()

    def tick(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.world.now_ns:
            _, topic, payload = self._under_way.pop(0)
            self._roll.hear(topic, payload, self._now_s)

    def peer(self, fault: str) -> None:
        self._how = fault

    def seen(self) -> Iterator[Seen]:
        for kit in self._roll.kits.values():
            for rates in row_from_kit(kit, self._now_s)["vitals"].values():
                for name in ("hr", "rr"):
                    if rates[name]["value"] is not None:
                        yield self.now(name, rates[name]["value"])

    @property
    def _now_s(self) -> float:
        return self.world.now_ns / S + 1_234.5


class HomeAssistant(_Screen):
    """The state of a zone: what left is on its way for up to 2 s, and stands until it expires."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self._zones = ZoneState()
        self._shown: dict[str, Any] = {}
        self._until_ns = 0

    def write(self, record: Record, pts_ns: int) -> None:
        leaves_in_time = self.world.now_ns - record.mono_ns < S * LIFETIME_S // 2  # a late one is given up
        if isinstance(record, Numerics) and leaves_in_time and (state := self._zones.state(record)) is not None:
            self._shown = msgspec.json.decode(state)
            self._until_ns = self.world.now_ns + (EXPIRE_S + LIFETIME_S) * S

    def seen(self) -> Iterator[Seen]:
        for name in ("hr", "rr"):
            value = self._shown.get(name)
            if value is not None and self.world.now_ns <= self._until_ns:
                yield self.now(name, value)


def _vitals(record: Numerics) -> Vitals:
    """The look behind a record, as ``measure`` is shown it."""

    def estimate(rate: Rate) -> Estimate:
        return Estimate(rate.value, rate.sqi, rate.state, rate.why, rate.window_s, rate.age_ms, rate.uncertainty)

    return Vitals(estimate(record.hr), estimate(record.rr), record.pts_ns, "main", 0, "exact", "", {}, {})


class MeasureBar(_Screen):
    """The line under the bar while ``measure`` looks."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self.measurement = Measurement()
        self._came_ns = 0

    def write(self, record: Record, pts_ns: int) -> None:
        if isinstance(record, Numerics):
            self.measurement.take(_vitals(record))
            # looks come to `measure` as they are made; what a queue would hold back counts as made then
            self._came_ns = record.mono_ns

    def seen(self) -> Iterator[Seen]:
        look = self.measurement.newest
        text = newest_text(look, (self.world.now_ns - self._came_ns) / 1e6)
        for name, rate in (("hr", look and look.hr), ("rr", look and look.rr)):
            if rate is not None and rate.value is not None and f"{name.upper()} {rate.value:.0f} " in text:
                yield self.now(name, rate.value)


class MeasureReport(MeasureBar):
    """The result, had it ended now: the newest look that was ok has the highest rate here, and its age is told."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        self._looks = itertools.count()

    def seen(self) -> Iterator[Seen]:
        if next(self._looks) % 10:  # it is read over all looks
            return
        report = dict_from_report(report_from_measurement(self.measurement, "x"))
        newest = self.measurement.newest
        for name in ("hr", "rr"):
            if newest is not None and report[name]["value"] is not None:
                at_ns = newest.pts_ns - round(report[name]["ok_age_s"] * S)
                yield Seen(name, report[name]["high"], at_ns, at_ns)
