"""The roll of a site as a table for 80 columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge.fleet.roll import Roll, State, row_from_kit
from edge.sinks.records import NOTICE

__all__ = ["draw"]

_STYLES: dict[State, str] = {"online": "green", "unheard": "dim", "silent": "bold red", "offline": "red"}
_WIDTH = 80
_NAME_ROOM, _ZONE_ROOM, _VERSION_ROOM = 14, 11, 8
"""Characters, at 80 columns; the rest has a width of its own."""
_NAMES = ("kit", "state", "seen", "°C", "frames", "lost", "waits")
_RIGHT = ("seen", "°C", "frames", "lost", "waits", "HR", "RR")


def draw(roll: Roll, site: str, now_s: float, trouble: str, *, vitals: bool, width: int = _WIDTH) -> RenderableType:
    """The whole view for ``width`` characters, 80 at least; ``trouble`` is why there is no connection, else empty."""
    rows = [row_from_kit(kit, now_s) for _, kit in sorted(roll.kits.items())]
    there = sum(row["state"] == "online" for row in rows)
    head = Text(f"{site}: {there} of {len(rows)} kits online")
    lines: list[RenderableType] = [head]
    if trouble:
        lines.append(Text(f"no connection to the broker ({trouble}); what follows is old", style="bold red"))
    if not rows:
        lines.append(Text("no kit was heard of yet; check the site's name and what this user may read", style="dim"))
    else:
        lines.append(_table(rows, max(0, width - _WIDTH), vitals=vitals))
    if roll.strange:
        lines.append(Text(f"{roll.strange} messages were no records", style="yellow"))
    foot = "seen: seconds since its last health (every 10 s). frames, lost: frames and records dropped since its start."
    return Group(*lines, Text(foot, style="dim"), *([Text(NOTICE, style="dim")] if vitals else []))


def _table(rows: Iterable[dict[str, Any]], spare: int, *, vitals: bool) -> Table:
    name_room, zone_room = _NAME_ROOM + spare // 3, _ZONE_ROOM + spare // 2
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    names = _NAMES if vitals else (*_NAMES, "version", "bundle")
    last = ("zone", "HR", "RR") if vitals else ("zones",)
    for name in (*names, *last):
        table.add_column(
            name, justify="right" if name in _RIGHT else "left", no_wrap=True, overflow="ellipsis",
            min_width={"state": 7}.get(name, len(name) if name in _RIGHT else None),
        )  # fmt: skip
    for row in rows:
        for number, place in enumerate(_places(row, zone_room, vitals=vitals)):
            table.add_row(*(_cells(row, name_room)[: len(names)] if number == 0 else [""] * len(names)), *place)
    return table


def _cells(row: dict[str, Any], name_room: int) -> list[str | Text]:
    return [
        _cut(row["device"], name_room),
        Text(row["state"], style=_STYLES[row["state"]]),
        _whole(row["seen_s"]),
        _whole(row["temperature_degc"]),
        _whole(row["frames_dropped"]),
        _whole(row["records_dropped"]),
        _whole(row["waiting"]),
        _cut(row["software"] or "-", _VERSION_ROOM),
        (row["bundle"] or "-").removeprefix("sha256:")[:8],
    ]


def _places(row: dict[str, Any], room: int, *, vitals: bool) -> list[list[str]]:
    """The last columns: all zones in one, or with rates one line a zone."""
    zones = row["zones"] or []
    if not vitals:
        return [[_cut(" ".join(zones) or "-", room)]]
    rates = row["vitals"]
    names = sorted({*zones, *rates}) or ["-"]
    return [
        [_cut(zone, 2 * room), *(_rate(rates[zone][rate]) if zone in rates else "--" for rate in ("hr", "rr"))]
        for zone in names
    ]


def _rate(rate: dict[str, Any]) -> str:
    """A number alone is ``ok``; any other value bears a mark."""
    if rate["value"] is None:
        return "--"
    return f"{rate['value']:.0f}" + ("" if rate["state"] == "ok" else "?")


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
