"""What goes over a serial port in each profile: ``line`` and ``csv`` are text, ``frame`` talks with its reader.

Pure: bytes in and out, time passed in (ns on CLOCK_MONOTONIC).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from edge.sinks.frame_layout import NO_ZONE, PAYLOADS, VERSION, FrameType
from edge.sinks.framing import Deframer, Frame, encode_frame
from edge.sinks.line import csv_from_numerics, line_from_numerics
from edge.sinks.records import Event, Meta, Numerics, Record, Wave
from edge.sinks.serial_frame import (
    AckSeen,
    HelloSeen,
    PingSeen,
    event_payload,
    hello_payload,
    numerics_payload,
    pack,
    seen_from_frame,
    wave_payloads,
)
from edge.sinks.serial_queue import Sendable, waited_ms

__all__ = ["FrameProfile", "Profile", "TextProfile", "profile_by_name"]

_MS = 1_000_000
_HELLO_EVERY_NS = 500 * _MS
_HELLO_BURST_NS = 3_000 * _MS
_HELLO_LATER_NS = 10_000 * _MS
_RESEND_NS = 200 * _MS
_RESENDS = 3
_UNACKNOWLEDGED = 64
_SEQ = 1 << 16


class Profile(Protocol):
    """How records become bytes, and what is said and answered besides."""

    @property
    def separator(self) -> bytes:
        """What makes a reader start afresh after half a line or frame."""

    @property
    def given_up(self) -> int:
        """Records that a reader who acknowledges never acknowledged."""

    def wants(self, record: Record) -> Sendable | None:
        """The record when this profile sends such; takes note of what it tells."""

    def encode(self, record: Sendable, now_ns: int) -> Iterable[bytes]:
        """The pieces of one record, as of now."""

    def opened(self, now_ns: int) -> None:
        """The port was opened."""

    def due(self, now_ns: int) -> Iterable[bytes]:
        """What has to be said now beside records."""

    def heard(self, data: bytes, now_ns: int) -> None:
        """The reader says something."""


class TextProfile:
    """One line for each numerics record; listens to nobody."""

    separator = b"\r\n"
    given_up = 0

    def __init__(self, encode: Callable[[Numerics], bytes]) -> None:
        self._encode = encode

    def wants(self, record: Record) -> Sendable | None:
        """Numerics."""
        return record if isinstance(record, Numerics) else None

    def encode(self, record: Sendable, now_ns: int) -> Iterable[bytes]:  # noqa: ARG002 - the protocol's; a line has no age
        """The line."""
        return [self._encode(record)] if isinstance(record, Numerics) else []

    def opened(self, now_ns: int) -> None:
        """Nothing to say."""

    def due(self, now_ns: int) -> Iterable[bytes]:  # noqa: ARG002 - the protocol's
        """Nothing to say."""
        return ()

    def heard(self, data: bytes, now_ns: int) -> None:
        """Ignored."""


@dataclass(slots=True)
class _Sent:
    data: bytes
    due_ns: int
    left: int = _RESENDS


class FrameProfile:
    """Frames: hello (for 3 s after each opening and when a zone is new, then every 10 s), numerics, waves, events.

    Once the reader has sent a sound frame, events that it does not acknowledge are sent again, three times 200 ms
    later, and after the port was opened anew. Pings are answered; a hello is, with ours.
    """

    separator = b"\0"

    def __init__(self, device: str, *, waves: bool = True) -> None:
        self._device = device
        self._kinds = (Numerics, Wave, Event) if waves else (Numerics, Event)
        self._boot = ""
        self._zones: list[str] = []
        self._deframer = Deframer()
        self._own_seq = 0
        self._hello_ns: int | None = None
        self._burst_until_ns = 0
        self._peer = False
        self._answers: deque[bytes] = deque(maxlen=_UNACKNOWLEDGED)
        self._sent: dict[int, _Sent] = {}
        self.given_up = 0

    def wants(self, record: Record) -> Sendable | None:
        """Numerics, waves (where they are wanted) and events; learns the boot number and the zones."""
        self._boot = record.boot
        if isinstance(record, Meta):
            for zone in record.zones:
                self._index(zone)
        return record if isinstance(record, self._kinds) else None

    def encode(self, record: Sendable, now_ns: int) -> Iterable[bytes]:
        """A frame, of a long wave several."""
        zone = None if record.zone is None else self._index(record.zone)
        if isinstance(record, Event):
            frame = self._frame("event", record, event_payload(record, zone))
            self._expect_ack(record.seq % _SEQ, frame, now_ns)
            return [frame]
        assert zone is not None, "only events may be about the device"
        if isinstance(record, Numerics):
            return [self._frame("numerics", record, numerics_payload(record, zone, waited_ms(record, now_ns)))]
        return [self._frame("wave", record, payload) for payload in wave_payloads(record, zone)]

    def opened(self, now_ns: int) -> None:
        """Say hello anew, and once more the events that nobody has acknowledged."""
        self._peer = False
        self._deframer = Deframer()
        self._greet(now_ns)
        for sent in self._sent.values():
            sent.due_ns, sent.left = now_ns, _RESENDS

    def due(self, now_ns: int) -> Iterable[bytes]:
        """Answers, hellos and events to repeat."""
        out = list(self._answers)
        self._answers.clear()
        if self._boot and self._hello_ns is not None and now_ns >= self._hello_ns:
            out += self._hellos(now_ns)
            self._hello_ns = now_ns + (_HELLO_EVERY_NS if now_ns < self._burst_until_ns else _HELLO_LATER_NS)
        for seq in [seq for seq, sent in self._sent.items() if now_ns >= sent.due_ns]:
            out += self._again(seq, now_ns)
        return out

    def heard(self, data: bytes, now_ns: int) -> None:
        """Acks, pings and hellos; what is not sound is ignored."""
        for frame in self._deframer.feed(data):
            try:
                seen = seen_from_frame(frame)
            except ValueError:
                continue
            self._peer = True
            if isinstance(seen, AckSeen) and seen.of_type == PAYLOADS["event"].number:
                self._sent.pop(seen.of_seq, None)
            elif isinstance(seen, PingSeen):
                self._answers.append(self._own("ack", pack("ack", frame.type, frame.seq), now_ns))
            elif isinstance(seen, HelloSeen):
                self._greet(now_ns)

    def _expect_ack(self, seq: int, frame: bytes, now_ns: int) -> None:
        if not self._peer:
            return
        if len(self._sent) >= _UNACKNOWLEDGED:
            del self._sent[next(iter(self._sent))]
            self.given_up += 1
        self._sent[seq] = _Sent(frame, now_ns + _RESEND_NS)

    def _again(self, seq: int, now_ns: int) -> list[bytes]:
        sent = self._sent[seq]
        if sent.left == 0:
            del self._sent[seq]
            self.given_up += 1
            return []
        sent.left -= 1
        sent.due_ns = now_ns + _RESEND_NS
        return [sent.data]

    def _greet(self, now_ns: int) -> None:
        self._hello_ns, self._burst_until_ns = now_ns, now_ns + _HELLO_BURST_NS

    def _hellos(self, now_ns: int) -> list[bytes]:
        numbers = range(max(1, len(self._zones)))
        payloads = [hello_payload(self._boot, self._device, self._zones, number) for number in numbers]
        return [self._own("hello", payload, now_ns) for payload in payloads]

    def _index(self, zone: str) -> int:
        """The zone's number; a new zone is told at the next occasion. Beyond 254 all share the last number."""
        if zone not in self._zones:
            if len(self._zones) == NO_ZONE:
                return NO_ZONE - 1
            self._zones.append(zone)
            if self._hello_ns is not None:
                self._hello_ns = 0
        return self._zones.index(zone)

    def _frame(self, kind: FrameType, record: Sendable, payload: bytes) -> bytes:
        return self._bytes(kind, record.seq % _SEQ, record.mono_ns, payload)

    def _own(self, kind: FrameType, payload: bytes, now_ns: int) -> bytes:
        self._own_seq = (self._own_seq + 1) % _SEQ
        return self._bytes(kind, self._own_seq, now_ns, payload)

    def _bytes(self, kind: FrameType, seq: int, at_ns: int, payload: bytes) -> bytes:
        boot = int(self._boot, 16) % _SEQ if self._boot else 0
        return encode_frame(Frame(PAYLOADS[kind].number, seq, boot, at_ns // _MS % 2**32, payload, VERSION))


def profile_by_name(name: str, device: str, *, waves: bool = True) -> Profile:
    """The profile ``line``, ``csv`` or ``frame``; only the last has ``waves``."""
    if name == "frame":
        return FrameProfile(device, waves=waves)
    return TextProfile({"line": line_from_numerics, "csv": csv_from_numerics}[name])
