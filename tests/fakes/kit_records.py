"""Records as a live kit makes them, on clocks that a test sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from edge.sinks.factory import RecordFactory
from edge.sinks.records import Record
from edge.vitals import STATES, VALUE_STATES, Estimate, Vitals

BEGIN_WALL_NS = 1_795_000_000_000_000_000
BEGIN_MONO_NS = 5_000_000_000
FS = 30.0

__all__ = ["BEGIN_WALL_NS", "Kit", "night"]


def estimate(state: str, value: float, window_s: float) -> Estimate:
    why = () if state == "ok" else ("motion",)
    number = value if state in VALUE_STATES else None
    return Estimate(number, 0.82, state, why, window_s, 240, None if number is None else 0.9)  # type: ignore[arg-type]


class Kit:
    """Makes the records of one process, whose clocks are told by ``second``."""

    def __init__(self, boot: str, begin_s: int = 0, *, synced: bool = True, zone: str = "main") -> None:
        self.second: float = begin_s
        self.zone = zone
        self.late_ns = 240_000_000
        self.factory = RecordFactory(
            "kit-7", boot,
            wall_clock=lambda: BEGIN_WALL_NS + round(self.second * 10**9) + self.late_ns,
            mono_clock=lambda: BEGIN_MONO_NS + round(self.second * 10**9),
            synced=lambda: synced,
        )  # fmt: skip

    def health(self, uptime_s: float | None = 1.0) -> Record:
        counts = {name: {"rgb": 0} for name in ("frames", "dropped", "late", "duplicate", "reordered")}
        return self.factory.health(0, **counts, detections=1, windows=1, sink_dropped={}, uptime_s=uptime_s)

    def look(self, hr: str = "ok", rr: str = "ok", person: int = 0) -> Record:
        vitals = Vitals(
            hr=estimate(hr, 71.83, 10.0), rr=estimate(rr, 14.2, 30.0),
            pts_ns=round(self.second * 10**9), zone=self.zone, person=person, mode="exact", bundle_id="sha256:ab",
            fps={"rgb": 29.97}, dropped={"rgb": 0}, skew_ms=None,
        )  # fmt: skip
        return self.factory.numerics(vitals)

    def wave(self, name: str = "pleth") -> Record:
        samples = [float(i % 10) / 8 - 0.5 for i in range(30)]
        if not self.second:
            samples[3] = float("nan")
        return self.factory.wave(
            name, samples, fs=FS, t0_ns=round(self.second * 10**9), zone=self.zone, person=0, source="rgb"
        )


def night(kit: Kit, seconds: int) -> Iterator[Record]:
    """Every state of each rate against the next, a wave but for two seconds."""
    yield kit.health()
    for hr, rr in itertools.islice(itertools.cycle(zip(STATES, (*STATES[1:], STATES[0]), strict=True)), seconds):
        yield kit.look(hr, rr)
        if kit.second % 10 not in (4, 5):
            yield kit.wave()
        kit.second += 1
