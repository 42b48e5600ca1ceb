"""The board: power mode, clocks, heat, and whether it was slowed down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.kernel_files import number_of, text_of
from edge.profile_board import Board, board

__all__ = ["look"]

HOT_DEGC = 85.0
"""Boards slow down between 95 and 105; a box in the sun is soon there."""
_OVER_CURRENT = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "instantaneous over-current"}


def look(subject: Subject) -> Iterator[Finding]:
    """What its files tell, now."""
    facts = board(subject.root)
    yield from of_power(facts)
    yield of_heat(facts)
    yield from of_throttling(subject.root)


def of_power(facts: Board) -> Iterator[Finding]:
    """Power mode and clocks; only a Jetson has something to set."""
    if not facts.is_jetson:
        yield ok(f"{facts.model or 'a machine whose board has no name'}, not a Jetson: no power mode to set")
        return
    what = f"{facts.model}, L4T {facts.l4t or 'unknown'}"
    if not facts.power_mode:
        yield poor(f"{what}: the power mode cannot be read", "sudo nvpmodel -q", needed=False)
    elif facts.power_mode.startswith("MAXN"):
        yield ok(f"{what}, power mode {facts.power_mode}")
    else:
        fix = "sudo nvpmodel -m 0 (MAXN on most boards; nvpmodel -q --verbose lists them), if the supply allows it"
        yield poor(f"{what}: power mode {facts.power_mode} limits the clocks", fix, needed=False)
    if free := [clock.name for clock in facts.clocks if not clock.locked]:
        seen = f"clocks move with load ({', '.join(free[:3])})"
        yield poor(seen, "sudo jetson_clocks, where latency has to be even", needed=False)


def of_heat(facts: Board) -> Finding:
    """The hottest zone."""
    if not facts.temperatures_degc:
        return ok("no temperature can be read here")
    zone, degc = max(facts.temperatures_degc.items(), key=lambda one: one[1])
    if degc >= HOT_DEGC:
        return poor(
            f"{zone} has {degc:.0f} degC, want < {HOT_DEGC:.0f}", "clean the fan; give the box air", needed=False
        )
    return ok(f"hottest is {zone} with {degc:.0f} degC")


def of_throttling(root: Path) -> Iterator[Finding]:
    """Over-current events of an Orin since it started, and cooling devices that slow processors down right now."""
    for place in sorted((root / "sys/class/hwmon").glob("hwmon*/oc[0-9]_event_cnt")):
        events = number_of(place)
        if events:
            kind = _OVER_CURRENT.get(place.name[:3], place.name[:3])
            fix = "use the supply and cable the board asks for, or a lower power mode"
            yield poor(f"{events:.0f} events of {kind} since the start slowed the board down", fix, needed=False)
    for place in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind = text_of(place / "type")
        if ("cpufreq" in kind or "devfreq" in kind) and number_of(place / "cur_state"):
            yield poor(f"heat slows the processor down right now ({kind})", "give the box air", needed=False)


_: Check = look
