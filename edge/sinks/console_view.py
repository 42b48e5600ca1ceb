"""The live table of ``console:``: pure, from the newest records to something rich can draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge.sinks.console_text import cameras_text, reasons_text, value_text
from edge.sinks.freshness import DEAD_MS, shown
from edge.sinks.records import NOTICE, Event, Meta, Numerics, Rate
from edge.vitals import VALUE_STATES, Truth

__all__ = ["Person", "Screen", "draw"]

_WIDE = 78
_BAR_CELLS = 5
_COLUMNS: dict[str, Literal["left", "right"]] = {
    "zone": "left", "": "left", "/min": "right", "±": "right", "state": "left", "quality": "left",
    "window": "right", "age": "right", "truth": "right", "error": "right",
}  # fmt: skip
_EVENTS = 3
_STYLES: dict[str, str] = {"ok": "bold green", "low_quality": "yellow", "hold": "yellow", "fault": "bold red"}


@dataclass(frozen=True, slots=True)
class Person:
    """The newest record of one person in one zone, and what the scene knows."""

    record: Numerics
    truth: Truth | None


@dataclass(frozen=True, slots=True)
class Screen:
    """What there is to draw: the persons seen in the last 10 s of stream time, and the last events with theirs.

    ``ended`` is when the run ended, in words: what stays on the screen then is no longer the present.
    """

    device: str
    meta: Meta | None = None
    persons: tuple[Person, ...] = ()
    events: tuple[tuple[int, Event], ...] = ()
    ended: str = ""

    def with_person(self, person: Person) -> Screen:
        """The screen with this person's newest record, sorted by zone; who was not seen for long is gone."""
        record = person.record
        others = [
            other
            for other in self.persons
            if (other.record.zone, other.record.person) != (record.zone, record.person)
            and record.pts_ns - other.record.pts_ns <= DEAD_MS * 10**6
        ]
        return replace(self, persons=tuple(sorted([*others, person], key=lambda p: (p.record.zone, p.record.person))))

    def with_event(self, event: Event, pts_ns: int) -> Screen:
        """The screen with one more event below the older ones."""
        return replace(self, events=(*self.events, (pts_ns, event))[-_EVENTS:])


def draw(screen: Screen, now_ns: int, width: int) -> RenderableType:
    """The whole view at ``now_ns`` (monotonic, as in ``record.mono_ns``), for ``width`` characters."""
    if not screen.persons:
        return Group(_header(screen), Text("waiting for the first frames", style="dim"), *_footer(screen))
    return Group(
        _header(screen),
        _rates(screen, now_ns, wide=width >= _WIDE),
        *_reasons(screen.persons),
        Text(cameras_text(screen.persons[0].record)),
        *_events(screen),
        *_footer(screen),
    )


def _header(screen: Screen) -> Table:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    row.add_column(justify="right", no_wrap=True)
    parts = ["mmrphys", screen.device]
    if screen.meta is not None:
        parts += [screen.meta.mode, screen.meta.runtime]
    newest_ns = max((person.record.pts_ns for person in screen.persons), default=0)
    row.add_row(Text("  ".join(parts), style="bold"), f"{newest_ns / 1e9:.0f} s")
    return row


def _footer(screen: Screen) -> Iterable[Text]:
    if screen.ended:
        yield Text(f"the run ended at {screen.ended}: what stands above is from then", style="yellow")
    yield Text(NOTICE, style="dim")


def _rates(screen: Screen, now_ns: int, *, wide: bool) -> Table:
    persons = screen.persons
    rows = [row for person in persons for row in _rows(person, now_ns, over=bool(screen.ended))]
    left_out = set() if wide else {"±", "window", "error"}
    if all(person.truth is None for person in persons):
        left_out |= {"truth", "error"}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    shown = [name for name in _COLUMNS if name not in left_out]
    for name in shown:
        table.add_column(name, justify=_COLUMNS[name], no_wrap=True, min_width=2)
    for row in rows:
        table.add_row(*(row[name] for name in shown))
    return table


def _rows(person: Person, now_ns: int, *, over: bool) -> Iterable[dict[str, RenderableType]]:
    record, truth = person.record, person.truth
    silent_ms = max(0, now_ns - record.mono_ns) // 10**6
    hr_truth, rr_truth = (None, None) if truth is None else (truth.hr_per_min, truth.rr_per_min)
    yield {"zone": f"{record.zone}/{record.person}", "": "HR", **_cells(record.hr, silent_ms, hr_truth, over=over)}
    yield {"zone": "", "": "RR", **_cells(record.rr, silent_ms, rr_truth, over=over)}


def _cells(rate: Rate, silent_ms: int, truth_per_min: float | None, *, over: bool) -> dict[str, RenderableType]:
    now, age_ms = shown(rate.value, rate.state, rate.age_ms, silent_ms), rate.age_ms + silent_ms
    value = now.value
    style = "dim" if over else _STYLES.get(now.state, "dim")
    error = None if value is None or truth_per_min is None else value - truth_per_min
    return {
        "/min": Text(value_text(value), style=style),
        "±": "" if value is None or rate.uncertainty is None else f"{rate.uncertainty:.1f}",
        "state": Text(now.state, style=style),
        "quality": Text.assemble((_bar(rate.sqi), style), f" {rate.sqi:.2f}"),
        "window": f"{rate.window_s:.0f} s",
        "age": f"{age_ms / 1000:.1f} s",
        "truth": "" if truth_per_min is None else f"{truth_per_min:.1f}",
        "error": "" if error is None else f"{error:+.1f}",
    }


def _events(screen: Screen) -> Iterable[Text]:
    for pts_ns, event in screen.events:
        who = f"{event.zone}/{event.person} " if len(screen.persons) > 1 and event.person is not None else ""
        yield Text(f"{pts_ns / 1e9:8.1f} s  {who}{event.code}: {event.text}", style="dim")


def _bar(share: float) -> str:
    full = round(share * _BAR_CELLS)
    return "█" * full + "░" * (_BAR_CELLS - full)


def _reasons(persons: tuple[Person, ...]) -> Iterable[Text]:
    for person in persons:
        who = f"{person.record.zone}/{person.record.person} " if len(persons) > 1 else ""
        for label, rate in (("HR", person.record.hr), ("RR", person.record.rr)):
            style = "yellow" if rate.state in VALUE_STATES else ""
            yield from (Text(f"{who}{label}: {text}", style=style) for text in reasons_text(rate, person.record))
