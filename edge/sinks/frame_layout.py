"""What a serial frame is made of, as tables: the only place that says it.

``struct`` formats (:func:`format_of`) and the C library (``edge/sinks/frame_c.py``) come from here. All numbers are
little-endian and packed. A frame on the wire is ``00 | COBS(header, payload, CRC-32) | 00``, the CRC (that of zlib)
over header and payload. At most ``MAX_BODY`` bytes go through COBS, so that it adds exactly one.

Numbers of states, reasons and events are part of the format: what is new goes to the end of its table, and none is
ever used again. A reader skips frames of a newer version and of a type that it does not know.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CRC_BYTES",
    "EVENT_CODES",
    "HEADER",
    "HEADER_BYTES",
    "MAX_BODY",
    "MAX_PAYLOAD",
    "NO_PERSON",
    "NO_RATE",
    "NO_SAMPLE",
    "NO_ZONE",
    "PAYLOADS",
    "REASON_CODES",
    "SEVERITIES",
    "SOURCES",
    "TYPES",
    "VERSION",
    "WAVES",
    "Field",
    "FrameType",
    "Payload",
    "Tail",
    "Wire",
    "format_of",
    "size_of",
]

Wire = Literal["u8", "u16", "u32", "u64", "f32"]
FrameType = Literal["hello", "numerics", "wave", "event", "ack", "ping"]
Tail = Literal["", "text", "samples"]

_CODES: dict[Wire, str] = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f"}


@dataclass(frozen=True, slots=True)
class Field:
    """One number in a frame."""

    name: str
    wire: Wire
    note: str


@dataclass(frozen=True, slots=True)
class Payload:
    """Fields, then a tail that fills the frame: ``text`` is UTF-8, ``samples`` are int16."""

    number: int
    fields: tuple[Field, ...]
    tail: Tail = ""
    note: str = ""


VERSION = 0x10
"""Major version in the high four bits, minor in the low ones."""

CRC_BYTES = 4
MAX_BODY = 254
NO_RATE = 0xFFFF
NO_PERSON = 0xFFFF
NO_ZONE = 0xFF
NO_SAMPLE = -0x8000

HEADER = (
    Field("version", "u8", "0x10"),
    Field("type", "u8", "see below"),
    Field("seq", "u16", "low bits of the record's seq; of hello, ack and ping a count of their own"),
    Field("boot", "u16", "low bits of the device's boot number; hello has all"),
    Field("t_ms", "u32", "the sender's monotonic clock, modulo 2^32 ms; of records, when the record was made"),
)


def _rate(name: str) -> tuple[Field, ...]:
    return (
        Field(f"{name}_value", "u16", "0.1 per minute; 65535: none"),
        Field(f"{name}_uncertainty", "u16", "standard uncertainty in 0.1 per minute; 65535: none"),
        Field(f"{name}_window", "u16", "seconds of signal looked at, in 0.1 s"),
        Field(f"{name}_age_ms", "u16", "age of the newest frame behind the value when this was sent; 65535: or older"),
        Field(f"{name}_sqi", "u8", "0 to 100"),
        Field(f"{name}_state", "u8", "number of the state; only ok, low_quality and hold have a value"),
        Field(f"{name}_why", "u8", "number of the first reason, 0 in ok"),
    )


_ZONE = Field("zone", "u8", "index of the zone, which hello names")
_PERSON = Field("person", "u16", "low bits of the track id")

PAYLOADS: dict[FrameType, Payload] = {
    "hello": Payload(
        1,
        (
            Field("boot", "u64", "the whole boot number"),
            Field("zones", "u8", "how many zones there are; each has a hello of its own"),
            Field("zone", "u8", "index of the zone named here"),
        ),
        "text",
        "name of the device, a zero byte, name of the zone",
    ),
    "numerics": Payload(2, (_ZONE, _PERSON, *_rate("hr"), *_rate("rr"))),
    "wave": Payload(
        3,
        (
            _ZONE,
            _PERSON,
            Field("wave", "u8", "0 pleth, 1 resp"),
            Field("source", "u8", "camera: 0 rgb, 1 thermal"),
            Field("t0_ms", "u32", "stream time of the block's first sample, modulo 2^32 ms"),
            Field("first", "u16", "index in the block of the first sample here, at t0_ms + 1000 first / fs"),
            Field("fs", "f32", "samples per second"),
            Field("scale", "f32", "arbitrary units per count"),
        ),
        "samples",
        "-32768 is a gap, never to be bridged",
    ),
    "event": Payload(
        4,
        (
            Field("zone", "u8", "255: about the device"),
            Field("person", "u16", "65535: nobody"),
            Field("code", "u8", "number of the event, 0: another one"),
            Field("severity", "u8", "0 info, 1 notice, 2 warning"),
        ),
        "text",
        "in words, cut to fit",
    ),
    "ack": Payload(5, (Field("of_type", "u8", "type that is acknowledged"), Field("of_seq", "u16", "its seq"))),
    "ping": Payload(6, (), note="answered by an ack"),
}

TYPES: dict[int, FrameType] = {payload.number: name for name, payload in PAYLOADS.items()}
WAVES = ("pleth", "resp")
SOURCES = ("rgb", "thermal")
SEVERITIES = ("info", "notice", "warning")
EVENT_CODES = (
    "other", "hr_state", "rr_state", "input_ended", "input_broken", "runtime_fault", "person_came", "person_left",
    "recording_ended", "pace", "identify", "command",
)  # fmt: skip
REASON_CODES = (
    "none", "warming_up", "no_face", "face_small", "face_moved", "motion", "dark", "overexposed", "exposure_auto",
    "light_change", "low_fps", "jitter", "gap", "frozen", "compressed", "ffc", "no_thermal", "thermal_gap",
    "cues_disagree", "weak_signal", "not_alive", "rate_out_of_band", "camera_ended", "runtime", "not_in_model",
    "other", "cold_face", "draught",
)  # fmt: skip
"""``none`` in ok; ``other`` (25) for a reason that this table does not know yet. New ones follow it."""


def format_of(fields: tuple[Field, ...]) -> str:
    """The format for :mod:`struct`."""
    return "<" + "".join(_CODES[field.wire] for field in fields)


def size_of(fields: tuple[Field, ...]) -> int:
    """Bytes on the wire."""
    return struct.calcsize(format_of(fields))


HEADER_BYTES = size_of(HEADER)
MAX_PAYLOAD = MAX_BODY - HEADER_BYTES - CRC_BYTES
