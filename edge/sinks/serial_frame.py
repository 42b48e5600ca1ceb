"""Records as serial frames, and what frames tell; pure, no port.

A sender maps zones to small numbers and tells their names in hello frames. Ages are those at the moment of sending:
:func:`numerics_payload` adds what a record waited.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from edge.sinks.frame_layout import (
    EVENT_CODES,
    MAX_PAYLOAD,
    NO_PERSON,
    NO_RATE,
    NO_SAMPLE,
    NO_ZONE,
    PAYLOADS,
    REASON_CODES,
    SEVERITIES,
    SOURCES,
    TYPES,
    WAVES,
    FrameType,
    format_of,
    size_of,
)
from edge.sinks.framing import Frame
from edge.sinks.records import Event, Numerics, Rate, Wave
from edge.vitals import STATES, VALUE_STATES, State

__all__ = [
    "AckSeen",
    "EventSeen",
    "HelloSeen",
    "NumericsSeen",
    "PingSeen",
    "RateSeen",
    "Seen",
    "WaveSeen",
    "event_payload",
    "hello_payload",
    "numerics_payload",
    "pack",
    "seen_from_frame",
    "wave_payloads",
]

_STRUCTS = {name: struct.Struct(format_of(payload.fields)) for name, payload in PAYLOADS.items()}
_WAVE_SAMPLES = (MAX_PAYLOAD - size_of(PAYLOADS["wave"].fields)) // 2
_RATE_FIELDS = 7
_FULL_SCALE = 0x7FFF
_FLAT = 1e-30  # float32 has no exact scale for less


@dataclass(frozen=True, slots=True)
class RateSeen:
    """One rate as a frame carries it: per minute or None, ``sqi_percent`` 0..100, ``why`` one reason code or None."""

    value: float | None
    uncertainty: float | None
    window_s: float
    age_ms: int
    sqi_percent: int
    state: State
    why: str | None


@dataclass(frozen=True, slots=True)
class HelloSeen:
    """Who sends: ``boot`` in full; one zone of ``zones`` and its name."""

    boot: str
    device: str
    zones: int
    zone: int
    zone_name: str


@dataclass(frozen=True, slots=True)
class NumericsSeen:
    """HR and RR of one person in one zone."""

    zone: int
    person: int
    hr: RateSeen
    rr: RateSeen


@dataclass(frozen=True, slots=True)
class WaveSeen:
    """Samples in arbitrary units, None for a gap; sample i belongs to ``t0_ms + 1000 * (first + i) / fs``."""

    zone: int
    person: int
    wave: str
    source: str
    t0_ms: int
    first: int
    fs: float
    samples: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A change of state or a notice; ``zone`` and ``person`` None when it is about the device."""

    zone: int | None
    person: int | None
    code: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class AckSeen:
    """The peer has the frame of this type and seq."""

    of_type: int
    of_seq: int


@dataclass(frozen=True, slots=True)
class PingSeen:
    """The peer asks for an ack."""


Seen = HelloSeen | NumericsSeen | WaveSeen | EventSeen | AckSeen | PingSeen


def pack(kind: FrameType, *values: float, tail: bytes = b"") -> bytes:
    """A payload from its fields in the order of the table."""
    return _STRUCTS[kind].pack(*values) + tail


def hello_payload(boot: str, device: str, zones: Iterable[str], zone: int) -> bytes:
    """Who sends (``boot`` 16 hex digits), and the name of zone number ``zone``; names are cut to fit."""
    names = list(zones)
    room = MAX_PAYLOAD - size_of(PAYLOADS["hello"].fields) - 1
    first = _cut(device, room // 2)
    second = _cut(names[zone] if names else "", room - len(first))
    return pack("hello", int(boot, 16), min(len(names), NO_ZONE), zone, tail=first + b"\0" + second)


def numerics_payload(record: Numerics, zone: int, waited_ms: int) -> bytes:
    """HR and RR; ``waited_ms`` since the record was made counts as age."""
    rates = (*_rate_fields(record.hr, waited_ms), *_rate_fields(record.rr, waited_ms))
    return pack("numerics", zone, record.person % NO_PERSON, *rates)


def wave_payloads(record: Wave, zone: int) -> Iterator[bytes]:
    """A block in as many payloads as it takes; within half a count, of which the block's maximum has 32767."""
    peak = max((abs(x) for x in record.samples if x is not None), default=0.0)
    scale = _float32(peak / _FULL_SCALE) if peak > _FLAT else 1.0
    counts = [NO_SAMPLE if x is None else _count(x / scale) for x in record.samples]
    t0_ms = record.t0_ns // 10**6 % 2**32
    for first in range(0, len(counts), _WAVE_SAMPLES):
        part = counts[first : first + _WAVE_SAMPLES]
        yield pack(
            "wave", zone, record.person % NO_PERSON, WAVES.index(record.wave), SOURCES.index(record.source), t0_ms,
            first, record.fs, scale, tail=struct.pack(f"<{len(part)}h", *part),
        )  # fmt: skip


def event_payload(record: Event, zone: int | None) -> bytes:
    """A change of state or a notice; its text is cut to fit."""
    person = NO_PERSON if record.person is None else record.person % NO_PERSON
    code = EVENT_CODES.index(record.code) if record.code in EVENT_CODES else 0
    text = _cut(record.text, MAX_PAYLOAD - size_of(PAYLOADS["event"].fields))
    severity = SEVERITIES.index(record.severity)
    return pack("event", NO_ZONE if zone is None else zone, person, code, severity, tail=text)


def seen_from_frame(frame: Frame) -> Seen:
    """What a frame of a known type tells; ValueError when that cannot be."""
    kind = TYPES[frame.type]
    fields = _STRUCTS[kind].unpack_from(frame.payload)
    tail = frame.payload[_STRUCTS[kind].size :]
    if kind == "numerics":
        rates = fields[2:]
        return NumericsSeen(fields[0], fields[1], _rate(rates[:_RATE_FIELDS]), _rate(rates[_RATE_FIELDS:]))
    if kind == "hello":
        device, _, name = tail.partition(b"\0")
        return HelloSeen(f"{fields[0]:016x}", _text(device), fields[1], fields[2], _text(name))
    if kind == "wave":
        return _wave(fields, tail)
    if kind == "event":
        zone, person, code, severity = fields
        return EventSeen(
            None if zone == NO_ZONE else zone, None if person == NO_PERSON else person,
            _at(EVENT_CODES, code, default="other"), _at(SEVERITIES, severity), _text(tail),
        )  # fmt: skip
    return AckSeen(*fields) if kind == "ack" else PingSeen()


def _wave(fields: tuple[int | float, ...], tail: bytes) -> WaveSeen:
    zone, person, wave, source, t0_ms, first = (int(field) for field in fields[:6])
    fs, scale = fields[6:]
    if not (math.isfinite(fs) and math.isfinite(scale) and fs > 0 and scale > 0):
        raise ValueError(f"a wave with fs {fs} and scale {scale}")
    samples = tuple(None if count == NO_SAMPLE else count * scale for (count,) in struct.iter_unpack("<h", tail))
    return WaveSeen(zone, person, _at(WAVES, wave), _at(SOURCES, source), t0_ms, first, fs, samples)


def _rate_fields(rate: Rate, waited_ms: int) -> tuple[int, ...]:
    why = rate.why[0] if rate.why else "none"
    return (
        _tenths(rate.value), _tenths(rate.uncertainty), min(round(10 * rate.window_s), NO_RATE),
        min(rate.age_ms + waited_ms, 0xFFFF), round(100 * rate.sqi), STATES.index(rate.state),
        REASON_CODES.index(why if why in REASON_CODES else "other"),
    )  # fmt: skip


def _rate(fields: tuple[int, ...]) -> RateSeen:
    value, uncertainty, window, age_ms, sqi, state, why = fields
    name = cast("State", _at(STATES, state))
    if (value == NO_RATE) == (name in VALUE_STATES) or sqi > 100 or (why == 0) != (name == "ok"):
        raise ValueError(f"a rate that cannot be: {value},{sqi},{name}")
    reason = None if why == 0 else _at(REASON_CODES, why, default="other")
    return RateSeen(_from_tenths(value), _from_tenths(uncertainty), window / 10, age_ms, sqi, name, reason)


def _tenths(value: float | None) -> int:
    return NO_RATE if value is None else min(round(10 * value), NO_RATE - 1)


def _from_tenths(value: int) -> float | None:
    return None if value == NO_RATE else value / 10


def _count(counts: float) -> int:
    return max(-_FULL_SCALE, min(_FULL_SCALE, round(counts)))


def _float32(value: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _at(names: tuple[str, ...], number: int, default: str | None = None) -> str:
    if number < len(names):
        return names[number]
    if default is None:
        raise ValueError(f"number {number} where there are {len(names)}")
    return default


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _cut(text: str, room: int) -> bytes:
    """UTF-8 without zero bytes, at most ``room`` bytes, no character cut in two."""
    sizes = itertools.accumulate(len(sign.encode("utf-8", errors="replace")) for sign in text)
    fits = sum(size <= room for size in sizes)
    return text[:fits].replace("\0", " ").encode("utf-8", errors="replace")
