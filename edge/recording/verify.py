"""The records of a replay against those inside the recording, one by one, up to the first difference.

Compared is what follows from the frames. Left out are the moment and the process of the making (``boot``, ``time``,
``mono_ns``, ``age_ms``), what tells of the machine (its clock, load and versions), and a rate that a live run withheld
because it came to tell it too late (:func:`edge.publish.aged`), which a replay is not.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from edge.sinks.records import Record, comparable, encode

__all__ = ["MACHINE", "Verifier"]

MACHINE: dict[str, frozenset[str]] = {
    "": frozenset({"clock"}),
    "meta": frozenset({"software", "graph", "graph_why", "runtime"}),
    "health": frozenset(
        {"uptime_s", "cpu_share", "memory_mb", "temperature_degc", "sink_dropped", "sink_waiting", "drift_ppm", "hop_s"}
    ),
}
"""Fields that tell of the machine, of all records and of some kinds."""


class Verifier:
    """Takes both sides as they come, each in its own order. Keeps what the other side has not reached yet."""

    def __init__(self) -> None:
        self.compared = 0
        self.difference = ""
        """The first one, in words; empty while there is none."""
        self._recorded: deque[Any] = deque()
        self._replayed: deque[Any] = deque()

    def recorded(self, line: bytes) -> None:
        """The next record of the file."""
        self._recorded.append(_judged(json.loads(line)))
        self._compare()

    def replayed(self, record: Record, _pts_ns: int = 0) -> None:
        """The next record of the replay."""
        try:
            line = encode(record)
        except ValueError:  # not finite: neither sent nor recorded
            return
        self._replayed.append(_judged(json.loads(line)))
        self._compare()

    def finish(self, *, complete: bool) -> str:
        """The first difference, or an empty text; of a recording that was cut short only what it holds counts."""
        if not self.difference and self._recorded:
            self.difference = f"the recording has {len(self._recorded)} more: {_name(self._recorded[0])}"
        if not self.difference and self._replayed and complete:
            self.difference = f"the replay has {len(self._replayed)} more: {_name(self._replayed[0])}"
        return self.difference

    def _compare(self) -> None:
        while self._recorded and self._replayed:
            before, now = self._recorded.popleft(), self._replayed.popleft()
            if self.difference:
                continue
            place = _first_difference(*_without_late(before, now))
            self.compared += not place
            self.difference = place and f"{_name(before)}: {place}"


def _judged(record: dict[str, Any]) -> Any:
    out = MACHINE[""] | MACHINE.get(str(record.get("kind")), frozenset())
    return comparable({key: value for key, value in record.items() if key not in out})


def _without_late(before: dict[str, Any], now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both records without the rates that were withheld when ``before`` was told; ``stale`` for a ``gap`` is that."""
    late = {
        name
        for name in ("hr", "rr")
        if isinstance(rate := before.get(name), dict) and rate["state"] == "stale" and rate["why"][:1] == ["gap"]
    }
    late |= {"ibi"} if "hr" in late else set()
    kept = [{key: value for key, value in record.items() if key not in late} for record in (before, now)]
    return kept[0], kept[1]


def _name(record: dict[str, Any]) -> str:
    at = record.get("pts_ns", record.get("t0_ns"))
    moment = "" if at is None else f" at {at / 1e9:.3f} s"
    return f"record {record.get('seq')} ({record.get('kind')}){moment}"


def _first_difference(before: Any, now: Any, path: str = "") -> str:
    """Where two JSON values differ first, and how; empty when they do not."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        pairs = [(f"{path}.{key}".lstrip("."), before.get(key), now.get(key)) for key in keys]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{path}[{number}]", *pair) for number, pair in enumerate(zip(before, now, strict=True))]
    else:
        return "" if before == now else f"{path} was {json.dumps(before)[:80]}, is {json.dumps(now)[:80]}"
    return next((found for place, a, b in pairs if (found := _first_difference(a, b, place))), "")
