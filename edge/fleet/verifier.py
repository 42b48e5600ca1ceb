"""What arrived of what was sent: losses, duplicates, lateness, and whether a number is anywhere near its patient's.

A record is who sent it: ``(device, boot, seq)``. Numerics and events must arrive, once or more often; waves and health
are sent once, and may go by design. Pure: it is told what was sent and what was heard, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from edge.sinks.records import Event, Health, Numerics, Record, Wave, decode
from edge.vitals import Truth

__all__ = ["Ledger", "Verdict", "percentile"]

Key = tuple[str, str, int]

LATE_MS = 2_000.0
_WRONG_PER_MIN = 8.0
"""Further than any scripted error from the truth: another patient's number."""


def percentile(sorted_values: list[float], share: float) -> float | None:
    """The value that ``share`` of them do not exceed (nearest rank); None of none."""
    if not sorted_values:
        return None
    return sorted_values[max(0, -(-int(share * 1000) * len(sorted_values) // 1000) - 1)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the records, JSON-ready.

    ``kept``: not delivered, and still in outboxes. ``lost``: numerics and events that are nowhere. ``live_ms`` and
    ``history_ms``: from making a numerics record to hearing it, by topic; ``late_share``: of live ones, over 2 s.
    ``strange``: heard and never sent, no record at all, or a number of another patient.
    """

    numerics: int
    events: int
    lost: int
    kept: int
    duplicates: int
    history: int
    waves: int
    waves_lost: int
    strange: int
    late_share: float
    live_ms: dict[str, float | None]
    history_ms: dict[str, float | None]
    messages: int
    payload_bytes: int
    topic_bytes: int

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing strange."""
        return not self.lost and not self.strange


@dataclass(slots=True)
class Ledger:
    """``truth`` gives the true rates of a device at one second of its stream; None for a device that is not ours."""

    truth: Callable[[str, float], Truth | None]
    _must: set[Key] = field(default_factory=set)
    _may: set[Key] = field(default_factory=set)
    _waves: set[Key] = field(default_factory=set)
    _heard: set[Key] = field(default_factory=set)
    _live_ms: list[float] = field(default_factory=list)
    _history_ms: list[float] = field(default_factory=list)
    _numerics: int = 0
    _duplicates: int = 0
    _strange: int = 0
    _messages: int = 0
    _payload_bytes: int = 0
    _topic_bytes: int = 0

    def sent(self, record: Record) -> None:
        """A sink has taken this record."""
        if isinstance(record, Numerics | Event):
            self._numerics += isinstance(record, Numerics)
            self._must.add(_key(record))
        elif isinstance(record, Wave):
            self._waves.add(_key(record))
        elif isinstance(record, Health):
            self._may.add(_key(record))

    def heard(self, topic: str, payload: bytes, at_ns: int) -> None:
        """A subscriber got this message at ``at_ns``, on the clock of ``record.mono_ns``."""
        self._messages += 1
        self._payload_bytes += len(payload)
        self._topic_bytes += len(topic)
        if topic.endswith(("/status", "/meta")):
            return
        try:
            record = decode(payload)
        except msgspec.DecodeError:
            self._strange += 1
            return
        self._duplicates += _key(record) in self._heard
        self._heard.add(_key(record))
        if topic.split("/")[3] != record.device or self._wrong(record):
            self._strange += 1
        if isinstance(record, Numerics):
            ages = self._history_ms if topic.endswith("/history") else self._live_ms
            ages.append((at_ns - record.mono_ns) * 1e-6)

    @property
    def missing(self) -> int:
        """Numerics and events that were taken and not heard yet."""
        return len(self._must - self._heard)

    def verdict(self, kept: int) -> Verdict:
        """What became of all; ``kept`` are in outboxes still."""
        live, history = sorted(self._live_ms), sorted(self._history_ms)
        late = sum(age_ms > LATE_MS for age_ms in live)
        foreign = len(self._heard - self._must - self._may - self._waves)
        return Verdict(
            numerics=self._numerics,
            events=len(self._must) - self._numerics,
            lost=max(0, self.missing - kept),
            kept=kept,
            duplicates=self._duplicates,
            history=len(history),
            waves=len(self._waves),
            waves_lost=len(self._waves - self._heard),
            strange=self._strange + foreign,
            late_share=late / len(live) if live else 0.0,
            live_ms=_percentiles(live),
            history_ms=_percentiles(history),
            messages=self._messages,
            payload_bytes=self._payload_bytes,
            topic_bytes=self._topic_bytes,
        )

    def _wrong(self, record: Record) -> bool:
        if not isinstance(record, Numerics) or record.hr.state != "ok" or record.hr.value is None:
            return False
        truth = self.truth(record.device, record.pts_ns * 1e-9)
        return truth is not None and abs(truth.hr_per_min - record.hr.value) > _WRONG_PER_MIN


def _key(record: Record) -> Key:
    return record.device, record.boot, record.seq


def _percentiles(ages_ms: list[float]) -> dict[str, float | None]:
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    found = {name: percentile(ages_ms, share) for name, share in shares.items()}
    return {name: None if age is None else round(age, 1) for name, age in found.items()}
