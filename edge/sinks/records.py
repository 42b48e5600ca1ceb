"""Records: what every sink sends, version 1.

``edge/sinks/factory.py`` stamps and counts them, :func:`encode` makes the JSON, :func:`json_schema` is the published
contract, generated from these types (``edge/sinks/schema.json`` is its committed copy). Two runs over the same file
give identical records but for ``boot``, ``time``, ``mono_ns`` and ``age_ms`` (:func:`comparable`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from edge.frames import FrameKind
from edge.vitals import REASONS, STATES, VALUE_STATES, Mode, State

__all__ = [
    "CODES",
    "EVENTS",
    "NOTICE",
    "Code",
    "Event",
    "EventCode",
    "Health",
    "Ibi",
    "Meta",
    "Numerics",
    "Rate",
    "Record",
    "Severity",
    "Status",
    "Wave",
    "WaveName",
    "comparable",
    "decode",
    "encode",
    "json_schema",
]

NOTICE = "research use, not a medical device"

Severity = Literal["info", "notice", "warning"]
WaveName = Literal["pleth", "resp"]
EventCode = Literal[
    "hr_state",
    "rr_state",
    "person_came",
    "person_left",
    "input_ended",
    "input_broken",
    "runtime_fault",
    "recording_ended",
    "pace",
    "identify",
    "command",
]
EVENTS: dict[EventCode, str] = {
    "hr_state": "the state of HR changed",
    "rr_state": "the state of RR changed",
    "person_came": "a face came into a zone (told with several zones or people)",
    "person_left": "a face left a zone, or was lost",
    "input_ended": "a camera came to its regular end",
    "input_broken": "a camera broke or its file ended early",
    "runtime_fault": "inference failed",
    "pace": "a live run looks less often for want of time or for heat, or as often again",
    "recording_ended": "the recording ended before the run: its quota, or the disk",
    "identify": "somebody asked by MQTT which kit this is",
    "command": "another MQTT command was obeyed, or one was refused",
}
"""Published event codes."""


def _published(codes: Mapping[str, str]) -> dict[str, Any]:
    return {"oneOf": [{"const": code, "description": text} for code, text in codes.items()]}


_Count = Annotated[int, msgspec.Meta(ge=0)]
_StreamNs = Annotated[int, msgspec.Meta(description="stream time in ns: the clock of the frames' stamps")]
_Zone = Annotated[str, msgspec.Meta(min_length=1, description="a configured bed")]
_Person = Annotated[int, msgspec.Meta(ge=0, description="track id")]
_Reason = Annotated[
    str,
    msgspec.Meta(extra_json_schema=_published({code: f"{r.sentence}; {r.fix}" for code, r in REASONS.items()})),
]


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How clinical systems name a quantity: LOINC, ISO/IEEE 11073-10101 (MDC) and the UCUM unit."""

    loinc: str
    mdc: int
    ucum: str


CODES: dict[str, Code] = {"hr": Code("8867-4", 149530, "/min"), "rr": Code("9279-1", 151562, "/min")}
"""``hr`` is the pulse rate of an optical device (MDC_PULS_OXIM_PULS_RATE), never the ECG's heart rate."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rate. ``value`` is a number exactly in the states ok, low_quality, hold; ``why`` is empty exactly in ok."""

    value: Annotated[float, msgspec.Meta(gt=0)] | None
    unit: Literal["/min"]
    sqi: Annotated[float, msgspec.Meta(ge=0, le=1, description="signal quality, 1 is best")]
    state: State
    why: tuple[_Reason, ...]
    window_s: Annotated[float, msgspec.Meta(ge=0, description="seconds of signal looked at")]
    age_ms: Annotated[int, msgspec.Meta(ge=0, description="age of the newest frame behind the value")]
    uncertainty: Annotated[float, msgspec.Meta(ge=0, description="standard uncertainty per minute")] | None
    sources: (
        Annotated[tuple[FrameKind, ...], msgspec.Meta(description="modalities the value was read from; of rr")]
        | UnsetType
    ) = UNSET
    source_sqi: (
        Annotated[
            dict[FrameKind, Annotated[float, msgspec.Meta(ge=0, le=1)]],
            msgspec.Meta(
                description="how well each modality that is there shows breath at this rate by itself, 1 is best; of rr"
            ),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.state in VALUE_STATES):
            raise ValueError(f"value {self.value} does not go with state {self.state}")
        if self.value is None and (self.sources, self.source_sqi) != (UNSET, UNSET):
            raise ValueError(f"sources {self.sources}, {self.source_sqi} do not go without a value")
        if (self.state == "ok") != (not self.why):
            raise ValueError(f"reasons {list(self.why)} do not go with state {self.state}")


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    v: Literal[1]
    device: Annotated[str, msgspec.Meta(min_length=1)]
    boot: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$", description="new at every process start")]
    seq: Annotated[int, msgspec.Meta(ge=0, description="one counter over all records of a process")]
    time: Annotated[
        str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="wall clock, UTC")
    ]
    clock: Annotated[
        Literal["synced", "free"], msgspec.Meta(description="whether the wall clock follows a time server")
    ]
    mono_ns: Annotated[int, msgspec.Meta(ge=0, description="CLOCK_MONOTONIC when the record was made")]


class Ibi(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Beat intervals of one person. Interval i ends with the beat at ``ends_ns[i]``.

    One that holds a missed beat is left out, so neighbours in this list need not be neighbours in time.
    """

    intervals_ms: Annotated[
        tuple[Annotated[float, msgspec.Meta(gt=0)], ...],
        msgspec.Meta(description="of the beats since the record before; each comes once"),
    ]
    ends_ns: tuple[_StreamNs, ...]
    uncertainty_ms: Annotated[float, msgspec.Meta(ge=0, description="standard uncertainty of one interval")]
    rmssd_ms: (
        Annotated[
            float,
            msgspec.Meta(ge=0, description="of the whole window, without timing noise; null where that is most of it"),
        ]
        | None
    )
    window_s: Annotated[float, msgspec.Meta(gt=0, description="seconds of signal looked at")]


class Numerics(_Envelope, frozen=True, kw_only=True):
    """HR and RR of one person in one zone, once a second of stream time."""

    zone: _Zone
    person: _Person
    mode: Mode
    bundle: str
    pts_ns: _StreamNs
    hr: Rate
    rr: Rate
    fps: Annotated[dict[FrameKind, float], msgspec.Meta(description="measured, per camera")]
    dropped: Annotated[dict[FrameKind, _Count], msgspec.Meta(description="frames lost per camera since the start")]
    skew_ms: Annotated[float, msgspec.Meta(ge=0, description="median distance of paired stamps")] | None
    ibi: (
        Annotated[Ibi, msgspec.Meta(description="only while HR is ok and beats are timed to 20 ms or better")]
        | UnsetType
    ) = UNSET

    @property
    def oldest_ms(self) -> int:
        """The age of the older of its values when it was made; 0 where it carries none."""
        return max((rate.age_ms for rate in (self.hr, self.rr) if rate.value is not None), default=0)


class Wave(_Envelope, frozen=True, kw_only=True):
    """About one second of a waveform: sample i belongs to ``t0_ns + i / fs``. null is a gap, never to be bridged."""

    zone: _Zone
    person: _Person
    wave: WaveName
    source: FrameKind
    fs: Annotated[float, msgspec.Meta(gt=0, description="samples per second")]
    t0_ns: _StreamNs
    samples: Annotated[tuple[float | None, ...], msgspec.Meta(description="arbitrary units")]
    mode: Annotated[Mode, msgspec.Meta(description="which path gave it; in runs of mode stream")] | UnsetType = UNSET
    state: (
        Annotated[
            State,
            msgspec.Meta(
                description="the state of its rate when it was sent; starting: not judged yet, it may be no pulse or "
                "breath at all; in runs of mode stream"
            ),
        ]
        | UnsetType
    ) = UNSET


class Event(_Envelope, frozen=True, kw_only=True):
    """A change of state or a technical notice; never a physiological alarm."""

    code: Annotated[EventCode, msgspec.Meta(extra_json_schema=_published({**EVENTS}))]
    severity: Severity
    text: str
    zone: _Zone | None
    person: _Person | None
    pts_ns: _StreamNs | None


class Health(_Envelope, frozen=True, kw_only=True):
    """How the device does, every 10 s. Counts are since the start.

    What only a live source tells is null or absent otherwise.
    """

    pts_ns: _StreamNs
    frames: dict[FrameKind, _Count]
    dropped: dict[FrameKind, _Count]
    late: dict[FrameKind, _Count]
    duplicate: Annotated[dict[FrameKind, _Count], msgspec.Meta(description="frames with the stamp of the one before")]
    reordered: Annotated[dict[FrameKind, _Count], msgspec.Meta(description="frames older than the one before")]
    detections: Annotated[int, msgspec.Meta(ge=0, description="runs of the face detector")]
    windows: Annotated[int, msgspec.Meta(ge=0, description="runs of the model")]
    sink_dropped: Annotated[dict[str, _Count], msgspec.Meta(description="records given up, by sink")]
    sink_waiting: Annotated[
        dict[str, _Count], msgspec.Meta(description="records kept on disk for a peer that is away, by sink")
    ]
    skew_p95_ms: Annotated[float, msgspec.Meta(ge=0, description="95 % of paired stamps are nearer")] | None
    drift_ppm: Annotated[
        dict[FrameKind, float], msgspec.Meta(description="our clock against a live camera's own, where it has one")
    ]
    uptime_s: float | None
    cpu_share: Annotated[float, msgspec.Meta(ge=0, description="processor seconds per second")] | None
    memory_mb: float | None
    temperature_degc: float | None
    hop_s: (
        Annotated[float, msgspec.Meta(gt=0, description="seconds between two runs of the model; of live sources")]
        | UnsetType
    ) = UNSET


class Status(_Envelope, frozen=True, kw_only=True):
    """Whether the device sends. MQTT carries only the word ``state``."""

    state: Literal["online", "offline"]
    reason: str


class Meta(_Envelope, frozen=True, kw_only=True):
    """What runs here: sent at the start and when it changes."""

    software: str
    bundle: str
    signature: Annotated[str, msgspec.Meta(description="who vouches for the bundle, or none")]
    graph: str
    graph_why: Annotated[str, msgspec.Meta(description="why this graph and runtime were chosen")]
    runtime: str
    mode: Mode
    zones: tuple[_Zone, ...]
    cameras: Annotated[dict[FrameKind, str], msgspec.Meta(description="URIs without secrets")]
    rig: Annotated[str, msgspec.Meta(description="hash of the camera geometry")] | None
    codes: dict[str, Code]
    notice: str


Record = Numerics | Wave | Event | Health | Status | Meta

_VOLATILE = frozenset({"boot", "time", "mono_ns", "age_ms"})
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """One line of JSON, without the newline.

    Raises
    ------
    ValueError
        A number is NaN or infinite: such a record must not leave.
    """
    if not _finite(msgspec.to_builtins(record)):
        raise ValueError(f"{type(record).__name__} {record.seq} holds a number that is not finite")
    return _ENCODER.encode(record)


def _finite(node: Any) -> bool:
    if isinstance(node, dict):
        return all(_finite(item) for item in node.values())
    if isinstance(node, (list, tuple)):
        return all(_finite(item) for item in node)
    return not isinstance(node, float) or math.isfinite(node)


def decode(line: bytes) -> Record:
    """The record in a line of JSON; ``msgspec.ValidationError`` when it breaks the contract."""
    return _DECODER.decode(line)


def comparable(record: Any) -> Any:
    """A decoded JSON record without the fields that differ between two runs over the same file."""
    if isinstance(record, dict):
        return {key: comparable(item) for key, item in record.items() if key not in _VOLATILE}
    return [comparable(item) for item in record] if isinstance(record, list) else record


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one record, with the rule that other states than VALUE_STATES hold null."""
    (root,), definitions = msgspec.json.schema_components([Record])
    with_value = [state for state in STATES if state in VALUE_STATES]
    definitions["Rate"] |= {
        "if": {"properties": {"state": {"enum": with_value}}},
        "then": {"properties": {"value": {"type": "number"}}},
        "else": {
            "properties": {
                "value": {"type": "null"},
                "uncertainty": {"type": "null"},
                "sources": False,
                "source_sqi": False,
            }
        },
        "allOf": [
            {
                "if": {"properties": {"state": {"const": "ok"}}},
                "then": {"properties": {"why": {"maxItems": 0}}},
                "else": {"properties": {"why": {"minItems": 1}}},
            }
        ],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mmrphys:record:1",
        "title": "mmrphys record, version 1",
        "description": f"One line of JSON. {NOTICE}.",
        "oneOf": root["anyOf"],
        "$defs": definitions,
    }
