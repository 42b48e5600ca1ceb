"""What the page shows: the newest of everything, and the last seconds of the waves. Pure: records in, snapshots out.

Only the newest counts, so nothing here grows: a snapshot holds all there is to show now, and a visitor who was away
gets the present, not what was missed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from edge.sight import Sight
from edge.sinks import Kept
from edge.sinks.console_text import reasons_text
from edge.sinks.freshness import DEAD_MS, LIMITS, quality_word
from edge.sinks.records import NOTICE, Event, Health, Meta, Numerics, Rate, Record, Status, Wave
from edge.sinks.web.aiming import aiming_from

__all__ = ["Board", "Card"]

_BLOCKS = 40
"""Blocks of about a second that are kept of a wave."""
_EVENTS = 4
_GONE_NS = 2 * 10**9
"""Who was left out of the looks at a zone for so long of stream time is not there any more."""
_MOST_CARDS = 16
_MS = 1e6


@dataclass(slots=True)
class Card:
    """One person in one zone: the newest record, and of each wave the last blocks with their modality."""

    numerics: Numerics
    waves: dict[str, deque[Wave]] = field(default_factory=dict)


class Board:
    """Takes records in the order they are sent. Times are CLOCK_MONOTONIC in ns, as in ``record.mono_ns``."""

    def __init__(self, device: str, kept: Kept = "nothing", *, recording: bool = False) -> None:
        self.device = device
        self._kept, self._recording = kept, recording
        self.cards: dict[tuple[str, int], Card] = {}
        self.health: Health | None = None
        self._meta: Meta | None = None
        self._status: Status | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._sight: Sight | None = None
        self._sight_ns = 0

    @property
    def online(self) -> bool:
        """Whether the device says that it measures."""
        return self._status is not None and self._status.state == "online"

    @property
    def newest_ns(self) -> int | None:
        """When the newest numerics were made."""
        return max((card.numerics.mono_ns for card in self.cards.values()), default=None)

    def take(self, record: Record) -> None:
        """Keep what is to be shown of a record."""
        if isinstance(record, Numerics):
            self._take_numerics(record)
        elif isinstance(record, Wave):
            card = self.cards.get((record.zone, record.person))
            if card is not None:
                card.waves.setdefault(record.wave, deque(maxlen=_BLOCKS)).append(record)
        elif isinstance(record, Event):
            self._take_event(record)
        elif isinstance(record, Health):
            self.health = record
        elif isinstance(record, Status):
            self._status = record
        else:
            self._meta = record

    def see(self, sight: Sight | None, now_ns: int) -> None:
        """What the cameras see; the same again does not make it newer."""
        if sight is not self._sight:
            self._sight, self._sight_ns = sight, now_ns

    def snapshot(self, now_ns: int, after_seq: int, *, aim: bool = False) -> dict[str, Any]:
        """All there is to show, and the waves of records after ``after_seq``; ``aim`` adds what the cameras see."""
        cards = sorted(self.cards.values(), key=lambda card: card.numerics.zone)
        return {
            "limits": LIMITS,
            "notice": NOTICE,
            "device": self.device,
            "kept": "pictures" if self._recording else self._kept,
            "status": None if self._status is None else {"state": self._status.state, "reason": self._status.reason},
            "about": self._about(),
            "zones": list(self._meta.zones) if self._meta else [],
            "cards": [_card(card, now_ns) for card in cards],
            "waves": [_wave(wave) for card in cards for wave in _after(card, after_seq)],
            "events": [_event(event, now_ns) for event in self._events],
            "sight": self._seen(now_ns) if aim else None,
        }

    def newest_seq(self) -> int:
        """The number of the newest wave block; -1 without any."""
        blocks = (wave[-1].seq for card in self.cards.values() for wave in card.waves.values())
        return max(blocks, default=-1)

    def _take_event(self, event: Event) -> None:
        self._events.append(event)
        if event.code == "recording_ended":
            self._recording = False
        if event.code == "person_left" and sum(zone == event.zone for zone, _ in self.cards) > 1:
            self.cards.pop((str(event.zone), event.person or 0), None)

    def _take_numerics(self, record: Numerics) -> None:
        key = (record.zone, record.person)
        card = self.cards.get(key)
        if card is None:
            self.cards[key] = Card(record)
        else:
            card.numerics = record
        for other, held in list(self.cards.items()):
            left = other[0] == record.zone and record.pts_ns - held.numerics.pts_ns >= _GONE_NS
            if left or record.mono_ns - held.numerics.mono_ns > 6 * DEAD_MS * _MS:
                del self.cards[other]
        while len(self.cards) > _MOST_CARDS:
            del self.cards[min(self.cards, key=lambda one: self.cards[one].numerics.mono_ns)]

    def _about(self) -> dict[str, Any]:
        if self._meta is None:
            return {}
        meta = self._meta
        names = {"software": meta.software, "mode": meta.mode, "runtime": meta.runtime, "signature": meta.signature}
        return {**names, "cameras": dict(meta.cameras)}

    def _seen(self, now_ns: int) -> dict[str, Any] | None:
        if self._sight is None:
            return None
        skew_ms = next((card.numerics.skew_ms for card in self.cards.values()), None)
        return {**aiming_from(self._sight, skew_ms), "silent_ms": (now_ns - self._sight_ns) / _MS}


def _card(card: Card, now_ns: int) -> dict[str, Any]:
    record = card.numerics
    sources = {name: blocks[-1].source for name, blocks in card.waves.items()}
    return {
        "zone": record.zone,
        "person": record.person,
        "silent_ms": max(0, now_ns - record.mono_ns) / _MS,
        "pts_ms": record.pts_ns / _MS,
        "hr": _rate(record.hr, record, sources.get("pleth")),
        "rr": _rate(record.rr, record, sources.get("resp")),
        "fps": record.fps,
        "dropped": record.dropped,
        "skew_ms": record.skew_ms,
    }


def _rate(rate: Rate, record: Numerics, source: str | None) -> dict[str, Any]:
    return {
        "value": rate.value,
        "state": rate.state,
        "sqi": rate.sqi,
        "quality": quality_word(rate.sqi),
        "age_ms": rate.age_ms,
        "window_s": rate.window_s,
        "uncertainty": rate.uncertainty,
        "source": source,
        "why": reasons_text(rate, record),
    }


def _after(card: Card, seq: int) -> list[Wave]:
    return [block for blocks in card.waves.values() for block in blocks if block.seq > seq]


def _wave(wave: Wave) -> dict[str, Any]:
    return {
        "zone": wave.zone,
        "person": wave.person,
        "wave": wave.wave,
        "fs": wave.fs,
        "t0_ms": wave.t0_ns / _MS,
        "samples": wave.samples,
    }


def _event(event: Event, now_ns: int) -> dict[str, Any]:
    where = "" if event.zone is None else event.zone if event.person is None else f"{event.zone}/{event.person}"
    ago_ms = max(0, now_ns - event.mono_ns) / _MS
    return {"severity": event.severity, "where": where, "text": event.text, "ago_ms": ago_ms}
