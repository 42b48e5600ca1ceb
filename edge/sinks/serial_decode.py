"""The reference decoder of the serial link: any of the three profiles, found by what the bytes are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from edge.sinks.frame_layout import EVENT_CODES, HEADER, PAYLOADS, REASON_CODES, TYPES, Field, Tail, size_of
from edge.sinks.framing import Deframer, Frame
from edge.sinks.line import LineNumerics, LineRate, LineReader
from edge.sinks.serial_frame import (
    AckSeen,
    EventSeen,
    HelloSeen,
    NumericsSeen,
    RateSeen,
    Seen,
    WaveSeen,
    seen_from_frame,
)
from edge.vitals import STATES

__all__ = ["Heard", "ProfileName", "SerialDecoder", "layout_lines", "words_from_heard"]

ProfileName = Literal["line", "csv", "frame"]
_REPEATS = 64
_TAILS: dict[Tail, str] = {"": "", "text": "utf-8", "samples": "i16..."}


@dataclass(frozen=True, slots=True)
class Heard:
    """One line or frame. ``seq``, ``boot`` (low bits) and ``t_ms`` as sent; ``zone`` its name, where that is known."""

    profile: ProfileName
    t_ms: int
    seq: int
    what: Seen | LineNumerics
    boot: int | None = None
    zone: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        kind = type(self.what).__name__.removesuffix("Seen").removeprefix("Line").lower()
        head = {"profile": self.profile, "type": kind, "t_ms": self.t_ms, "seq": self.seq}
        own = {} if self.boot is None else {"boot_low": f"{self.boot:04x}", "zone_name": self.zone}
        return head | own | asdict(self.what)


class SerialDecoder:
    """Feed it bytes as they come. Of ``profiles`` the first that gives something sound is kept for the rest.

    Events that were sent again are told once.
    """

    def __init__(self, profiles: tuple[ProfileName, ...] = get_args(ProfileName)) -> None:
        self._frames = Deframer()
        self._lines: dict[ProfileName, LineReader] = {name: LineReader(csv=name == "csv") for name in profiles}
        self._profiles = profiles
        self._zones: dict[int, str] = {}
        self._boot: int | None = None
        self._events: list[tuple[int, int]] = []
        self._impossible = 0

    @property
    def profile(self) -> ProfileName | None:
        """The one that was found."""
        return self._profiles[0] if len(self._profiles) == 1 else None

    @property
    def counts(self) -> dict[str, int]:
        """What was ``good``, ``damaged`` and ``skipped`` (newer or unknown) so far, of the profile that was found."""
        if self.profile is None:
            return {"good": 0, "damaged": 0, "skipped": 0}
        if self.profile == "frame":
            good = self._frames.good - self._impossible
            damaged = self._frames.damaged + self._impossible
            return {"good": good, "damaged": damaged, "skipped": self._frames.skipped}
        lines = self._lines[self.profile]
        return {"good": lines.good, "damaged": lines.damaged, "skipped": 0}

    def feed(self, data: bytes) -> Iterator[Heard]:
        """What ends in ``data``."""
        for name in self._profiles:
            if name not in self._profiles:  # another was found meanwhile
                return
            heard = self._framed(data) if name == "frame" else self._lined(name, data)
            for item in heard:
                self._profiles = (name,)
                yield item

    def _lined(self, name: ProfileName, data: bytes) -> Iterator[Heard]:
        for line in self._lines[name].feed(data):
            yield Heard(name, line.t_ms, line.seq, line)

    def _framed(self, data: bytes) -> Iterator[Heard]:
        for frame in self._frames.feed(data):
            try:
                seen = seen_from_frame(frame)
            except ValueError:
                self._impossible += 1
                continue
            if not self._told_before(frame, seen):
                yield self._heard(frame, seen)

    def _heard(self, frame: Frame, seen: Seen) -> Heard:
        if frame.boot != self._boot:  # another process: its zones have other numbers
            self._boot = frame.boot
            self._zones.clear()
        if isinstance(seen, HelloSeen) and seen.zones:
            self._zones[seen.zone] = seen.zone_name
        number = getattr(seen, "zone", None)
        zone = None if number is None else self._zones.get(number)
        return Heard("frame", frame.t_ms, frame.seq, seen, frame.boot, zone)

    def _told_before(self, frame: Frame, seen: Seen) -> bool:
        if not isinstance(seen, EventSeen):
            return False
        name = (frame.boot, frame.seq)
        if name in self._events:
            return True
        self._events = [*self._events[1 - _REPEATS :], name]
        return False


def words_from_heard(heard: Heard) -> str:
    """One line for people."""
    return f"{heard.t_ms / 1000:12.3f} s  {_words(heard, heard.what)}"


def _words(heard: Heard, what: Seen | LineNumerics) -> str:
    if isinstance(what, LineNumerics):
        return f"person {what.person}  HR {_rate_words(what.hr)}  RR {_rate_words(what.rr)}"
    if isinstance(what, NumericsSeen):
        place = f"{heard.zone or what.zone}/{what.person}"
        return f"{place}  HR {_rate_words(what.hr)}  RR {_rate_words(what.rr)}"
    if isinstance(what, WaveSeen):
        gaps = what.samples.count(None)
        return f"{heard.zone or what.zone}/{what.person}  {what.wave}: {len(what.samples)} samples, {gaps} missing"
    if isinstance(what, EventSeen):
        return f"{heard.zone or 'device'}  {what.severity}: {what.code}: {what.text}"
    if isinstance(what, HelloSeen):
        return f"hello from {what.device}, boot {what.boot}, zone {what.zone + 1} of {what.zones}: {what.zone_name}"
    return f"ack of {TYPES.get(what.of_type)} {what.of_seq}" if isinstance(what, AckSeen) else "ping"


def _rate_words(rate: RateSeen | LineRate) -> str:
    value = "---" if rate.value is None else f"{rate.value:.1f}"
    return f"{value:>5} {rate.state} {rate.sqi_percent} %{_reason(rate)}"


def _reason(rate: RateSeen | LineRate) -> str:
    return f" ({rate.why})" if isinstance(rate, RateSeen) and rate.why else ""


def layout_lines() -> Iterator[str]:
    """The tables of ``frame_layout`` as text: offset, type and meaning of every field, and the numbers of names."""
    yield "00 | COBS( header, payload, CRC-32 u32 ) | 00, all little-endian; CRC-32 of header and payload as in zlib"
    yield from ("", "header", *_rows(HEADER))
    for name, payload in PAYLOADS.items():
        yield from ("", f"{name}: type {payload.number}", *_rows(payload.fields))
        if payload.note:
            yield f"        {_TAILS[payload.tail]:8}  {payload.note}"
    for what, names in (("states", STATES), ("reasons", REASON_CODES), ("events", EVENT_CODES)):
        yield from ("", what, "  " + ", ".join(f"{number} {name}" for number, name in enumerate(names)))


def _rows(fields: tuple[Field, ...]) -> Iterator[str]:
    for number, field in enumerate(fields):
        yield f"  {size_of(fields[:number]):4}  {field.wire:8}  {field.name:15} {field.note}"
