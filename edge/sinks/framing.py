"""Serial frames from and to bytes, without I/O: COBS between zero bytes, CRC-32, a length cap.

COBS is Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7(2), 1999. A zero byte
stands before *and* after each frame, so that garbage between two frames costs neither.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edge.sinks.frame_layout import (
    CRC_BYTES,
    HEADER,
    HEADER_BYTES,
    MAX_BODY,
    MAX_PAYLOAD,
    PAYLOADS,
    TYPES,
    VERSION,
    format_of,
    size_of,
)

__all__ = ["Deframer", "Frame", "body_from_frame", "cobs_decode", "cobs_encode", "encode_frame", "frame_from_body"]

_HEADER = struct.Struct(format_of(HEADER))
_CRC = struct.Struct("<I")
_FIXED = {payload.number: (size_of(payload.fields), payload.tail) for payload in PAYLOADS.values()}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as sent; ``frame_layout.PAYLOADS`` tells what ``payload`` holds for each ``type``."""

    type: int
    seq: int
    boot: int
    t_ms: int
    payload: bytes
    version: int = VERSION

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD:
            raise ValueError(f"a frame's payload has at most {MAX_PAYLOAD} bytes; seen {len(self.payload)}")

    @property
    def known(self) -> bool:
        """Whether this version can read it: no newer version, a type of ours."""
        return self.version <= VERSION and self.type in TYPES


def cobs_encode(body: bytes) -> bytes:
    """At most 254 bytes as one more byte than they are, none of them zero."""
    if len(body) > MAX_BODY:
        raise ValueError(f"at most {MAX_BODY} bytes; seen {len(body)}")
    return b"".join(bytes([len(run) + 1]) + run for run in body.split(b"\0"))


def cobs_decode(code: bytes) -> bytes:
    """What :func:`cobs_encode` made ``code`` from; ValueError when it made no such thing."""
    if not 1 <= len(code) <= MAX_BODY + 1:
        raise ValueError(f"COBS of 1 to {MAX_BODY + 1} bytes wanted; seen {len(code)}")
    runs, place = [], 0
    while place < len(code):
        end = place + code[place]
        run = code[place + 1 : end]
        if end > len(code) or b"\0" in run or end == place:
            raise ValueError("no COBS")
        runs.append(run)
        place = end
    return b"\0".join(runs)


def body_from_frame(frame: Frame) -> bytes:
    """Header, payload and CRC."""
    body = _HEADER.pack(frame.version, frame.type, frame.seq, frame.boot, frame.t_ms) + frame.payload
    return body + _CRC.pack(zlib.crc32(body))


def frame_from_body(body: bytes) -> Frame:
    """The frame; ValueError when it is too short, its CRC is another, or its length does not fit its type."""
    if not HEADER_BYTES + CRC_BYTES <= len(body) <= MAX_BODY:
        raise ValueError(f"a frame has {HEADER_BYTES + CRC_BYTES} to {MAX_BODY} bytes; seen {len(body)}")
    if zlib.crc32(body[:-CRC_BYTES]) != _CRC.unpack(body[-CRC_BYTES:])[0]:
        raise ValueError("a damaged frame")
    version, kind, seq, boot, t_ms = _HEADER.unpack_from(body)
    frame = Frame(kind, seq, boot, t_ms, body[HEADER_BYTES:-CRC_BYTES], version)
    if frame.known and not _fits(frame):
        raise ValueError(f"a {TYPES[kind]} frame with {len(frame.payload)} bytes of payload")
    return frame


def encode_frame(frame: Frame) -> bytes:
    """The bytes for the wire, with a zero byte at both ends."""
    return b"\0" + cobs_encode(body_from_frame(frame)) + b"\0"


class Deframer:
    """Finds frames in a stream that may be cut anywhere and damaged; holds at most 255 bytes.

    ``good``, ``damaged`` and ``skipped`` (sound, but of a newer version or an unknown type) count since the start.
    """

    def __init__(self) -> None:
        self.good = self.damaged = self.skipped = 0
        self._held = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The sound frames that end in ``data`` and that this version can read."""
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._hold(piece)
            yield from self._ended()
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._overlong = self._overlong or len(self._held) + len(piece) > MAX_BODY + 1
        if self._overlong:
            self._held.clear()
        else:
            self._held += piece

    def _ended(self) -> Iterator[Frame]:
        code, overlong = bytes(self._held), self._overlong
        self._held.clear()
        self._overlong = False
        if not code and not overlong:  # between two zero bytes
            return
        try:
            frame = frame_from_body(cobs_decode(code))
        except ValueError:
            self.damaged += 1
            return
        self.good += frame.known
        self.skipped += not frame.known
        if frame.known:
            yield frame


def _fits(frame: Frame) -> bool:
    fixed, tail = _FIXED[frame.type]
    more = len(frame.payload) - fixed
    return {"": more == 0, "text": more >= 0, "samples": more >= 0 and more % 2 == 0}[tail]
