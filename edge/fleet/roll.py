"""Who is on a site, from status, meta and health; with rates where they are asked for. Pure: time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from edge.sinks.records import Health, Meta, Numerics, Record, decode
from edge.vitals import OLDEST_MS

__all__ = ["DEAD_S", "SILENT_S", "Kit", "Roll", "State", "row_from_kit", "topics"]

State = Literal["online", "silent", "unheard", "offline"]
"""``silent``: says online, but its health has not come for 25 s. ``unheard``: it has not come yet since we look."""

SILENT_S = 25.0
"""Health comes every 10 s and lives for 20 at the broker."""
DEAD_S = OLDEST_MS * 1e-3
"""No rate is shown that is older."""


def topics(site: str, *, vitals: bool) -> tuple[str, ...]:
    """What to subscribe to. Measurements only with ``vitals``."""
    known = tuple(f"vitals/1/{site}/+/{leaf}" for leaf in ("status", "meta", "health"))
    return (*known, f"vitals/1/{site}/+/+/numerics") if vitals else known


@dataclass(slots=True)
class Kit:
    """The newest of each kind; times are monotonic seconds. ``status`` is empty while the broker has none.

    ``ahead_s`` is how far our clock is ahead of the kit's, by the quickest message since its start (``boot``): what
    came later than that was on its way for longer, and is as old as that. ``rates`` holds when a record was made.
    """

    device: str
    since_s: float
    status: str = ""
    meta: Meta | None = None
    health: Health | None = None
    heard_s: float | None = None
    rates: dict[str, tuple[float, Numerics]] = field(default_factory=dict)
    boot: str = ""
    ahead_s: float = math.inf

    def made_s(self, record: Record, now_s: float) -> float:
        """When a record that comes at ``now_s`` was made, on our clock."""
        if record.boot != self.boot:
            self.boot, self.ahead_s = record.boot, math.inf
            self.rates.clear()
        self.ahead_s = min(self.ahead_s, now_s - record.mono_ns * 1e-9)
        return record.mono_ns * 1e-9 + self.ahead_s

    def state(self, now_s: float) -> State:
        """How it does."""
        if self.status != "online":
            return "offline"
        if self.heard_s is None:
            return "unheard" if now_s - self.since_s <= SILENT_S else "silent"
        return "online" if now_s - self.heard_s <= SILENT_S else "silent"

    def fresh(self, now_s: float) -> list[Numerics]:
        """The newest rates of each zone that are not too old to be shown."""
        newest = sorted(self.rates.items())
        return [record for _, (made_s, record) in newest if now_s - made_s + record.oldest_ms * 1e-3 <= DEAD_S]


@dataclass(slots=True)
class Roll:
    """All kits of a site, by name."""

    kits: dict[str, Kit] = field(default_factory=dict)
    strange: int = 0

    def hear(self, topic: str, payload: bytes, now_s: float) -> None:
        """Take one message; what is no record is counted."""
        _, _, _, device, *rest = topic.split("/")
        kit = self.kits.setdefault(device, Kit(device, now_s))
        if rest == ["status"]:
            self._hear_status(kit, payload)
        elif not payload:  # a retained message was taken back
            kit.meta = None if rest == ["meta"] else kit.meta
        else:
            self._hear_record(kit, payload, now_s)

    def settled(self, now_s: float) -> bool:
        """True when it is known of every kit whether it is there."""
        return all(kit.state(now_s) != "unheard" for kit in self.kits.values())

    def well(self, now_s: float) -> bool:
        """True when there are kits and all are online and heard."""
        return bool(self.kits) and all(kit.state(now_s) == "online" for kit in self.kits.values())

    def _hear_status(self, kit: Kit, payload: bytes) -> None:
        kit.status = payload.decode("ascii", "replace")
        if not payload:
            del self.kits[kit.device]

    def _hear_record(self, kit: Kit, payload: bytes, now_s: float) -> None:
        try:
            record = decode(payload)
        except msgspec.DecodeError:
            self.strange += 1
            return
        if record.device != kit.device:
            self.strange += 1
        elif isinstance(record, Meta):
            kit.meta = record
        elif isinstance(record, Health):
            kit.health, kit.heard_s = record, now_s
            kit.made_s(record, now_s)
        elif isinstance(record, Numerics):
            kit.rates[record.zone] = kit.made_s(record, now_s), record
            kit.heard_s = now_s


def row_from_kit(kit: Kit, now_s: float) -> dict[str, Any]:
    """One kit, JSON-ready: null for what it does not tell."""
    meta, health = kit.meta, kit.health
    return {
        "device": kit.device,
        "state": kit.state(now_s),
        "seen_s": None if kit.heard_s is None else round(now_s - kit.heard_s, 1),
        "uptime_s": health and health.uptime_s,
        "temperature_degc": health and health.temperature_degc,
        "frames_dropped": health and sum(health.dropped.values()),
        "records_dropped": health and sum(health.sink_dropped.values()),
        "waiting": health and sum(health.sink_waiting.values()),
        "software": meta and meta.software,
        "bundle": meta and meta.bundle,
        "signature": meta and meta.signature,
        "runtime": meta and meta.runtime,
        "mode": meta and meta.mode,
        "zones": list(meta.zones) if meta else None,
        "vitals": {record.zone: _rates(record) for record in kit.fresh(now_s)},
    }


def _rates(record: Numerics) -> dict[str, Any]:
    return {
        name: {"value": rate.value, "unit": rate.unit, "state": rate.state, "sqi": rate.sqi}
        for name, rate in (("hr", record.hr), ("rr", record.rr))
    }
