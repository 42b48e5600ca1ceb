"""Looks at a site through the broker, until it is known how every kit does, for a given time, or until stopped."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack

from rich.console import Console
from rich.live import Live

from edge.fleet.reader import read
from edge.fleet.roll import SILENT_S, Roll, row_from_kit, topics
from edge.fleet.table import draw
from edge.sinks.broker import Broker

__all__ = ["watch"]

_AT_LEAST_S = 1.0
"""Retained messages come at once after subscribing."""
_NOBODY_S = 12.0
"""A site without retained messages may still have kits whose health comes every 10 s."""


def watch(
    broker: Broker, stop: threading.Event, *, seconds: float | None, vitals: bool, as_json: bool, live: bool
) -> int:
    """Show the kits of the broker's site; gives 0 when all are well, 1 when not.

    Raises
    ------
    InputError, UsageError
        As :func:`edge.fleet.reader.read`.
    """
    roll, trouble = Roll(), ""
    screen = Console(highlight=False, markup=False, emoji=False)

    def hear(topic: str, payload: bytes, at_ns: int) -> None:
        roll.hear(topic, payload, at_ns * 1e-9)

    steps = read(broker, topics(broker.site, vitals=vitals), hear)
    next(steps)  # an unreachable broker ends here, before anything is drawn
    start_s = time.monotonic()
    with ExitStack() as opened:
        drawn = opened.enter_context(Live(console=screen, auto_refresh=False)) if live else None
        shown_s = 0.0
        for trouble in steps:
            now_s = time.monotonic()
            if drawn is not None and now_s - shown_s >= 1.0:
                shown_s = now_s
                drawn.update(draw(roll, broker.site, now_s, trouble, vitals=vitals, width=screen.width), refresh=True)
            if stop.is_set() or _enough(roll, now_s, now_s - start_s, seconds, live=live):
                break
    now_s = time.monotonic()
    if as_json:
        kits = [row_from_kit(kit, now_s) for _, kit in sorted(roll.kits.items())]
        print(json.dumps({"site": broker.site, "kits": kits, "strange": roll.strange}, indent=2))  # noqa: T201 - asked for
    elif drawn is None:
        screen.print(draw(roll, broker.site, now_s, trouble, vitals=vitals, width=screen.width))
    return 0 if roll.well(now_s) and not trouble else 1


def _enough(roll: Roll, now_s: float, looked_s: float, seconds: float | None, *, live: bool) -> bool:
    if seconds is not None:
        return looked_s >= seconds
    if live:
        return False
    if not roll.kits:
        return looked_s >= _NOBODY_S
    return looked_s >= SILENT_S or (looked_s >= _AT_LEAST_S and roll.settled(now_s))
