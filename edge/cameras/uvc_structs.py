"""The kernel's V4L2 structures as bytes, without any I/O: request codes, encoding and decoding.

Layouts are those of ``linux/videodev2.h`` on 64-bit Linux, where x86-64 and arm64 agree; all integers are in native
(little-endian) order. A test compares every size, code and offset with the header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

__all__ = [
    "BufferState",
    "Capability",
    "Control",
    "ControlInfo",
    "Fourcc",
    "PixelLayout",
    "Request",
    "fourcc_from_text",
    "text_from_fourcc",
]

CAPTURE, MMAP, FIELD_NONE = 1, 1, 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_MEMORY_MMAP, V4L2_FIELD_NONE."""
CAP_VIDEO_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
CAP_TIMEPERFRAME = 0x1000
DISCRETE = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE and V4L2_FRMIVAL_TYPE_DISCRETE; other values give a range in steps."""
USUAL_SIZES, USUAL_RATES = ((640, 480), (1280, 720), (1920, 1080)), (25, 30, 60)
"""What is looked for in a range."""
FLAG_ERROR, FLAG_CLOCK, FLAG_CLOCK_MONOTONIC = 0x40, 0xE000, 0x2000
FLAG_SOURCE, FLAG_SOURCE_SOE = 0x7_0000, 0x1_0000
CONTROL_UNUSABLE = 0x1 | 0x4
"""Disabled or read-only."""

Fourcc = int
Size = tuple[int, int]


class Request(IntEnum):
    """``_IOC(direction, 'V', number, size)``: direction in bits 30 and 31 (1 write, 2 read), size from bit 16 on."""

    QUERYCAP = 0x8068_5600
    ENUM_FMT = 0xC040_5602
    G_FMT = 0xC0D0_5604
    S_FMT = 0xC0D0_5605
    REQBUFS = 0xC014_5608
    QUERYBUF = 0xC058_5609
    QBUF = 0xC058_560F
    DQBUF = 0xC058_5611
    STREAMON = 0x4004_5612
    STREAMOFF = 0x4004_5613
    G_PARM = 0xC0CC_5615
    S_PARM = 0xC0CC_5616
    G_CTRL = 0xC008_561B
    S_CTRL = 0xC008_561C
    QUERYCTRL = 0xC044_5624
    ENUM_FRAMESIZES = 0xC02C_564A
    ENUM_FRAMEINTERVALS = 0xC034_564B

    @property
    def size(self) -> int:
        """Bytes of the structure that goes with it."""
        return (self.value >> 16) & 0x3FFF


class Control(IntEnum):
    """Control ids (V4L2_CID_*)."""

    AUTO_WHITE_BALANCE = 0x0098_090C
    AUTOGAIN = 0x0098_0912
    GAIN = 0x0098_0913
    WHITE_BALANCE_TEMPERATURE = 0x0098_091A
    EXPOSURE_AUTO = 0x009A_0901
    EXPOSURE_ABSOLUTE = 0x009A_0902
    EXPOSURE_AUTO_PRIORITY = 0x009A_0903


def fourcc_from_text(text: str) -> Fourcc:
    """``"YUYV"`` as the integer that the kernel knows it by; shorter names are padded with blanks."""
    return int.from_bytes(text.ljust(4).encode("ascii"), "little")


def text_from_fourcc(code: Fourcc) -> str:
    """``"YUYV"``; the highest bit marks big-endian formats and is left out."""
    return (code & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", "replace").rstrip()


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------ what there is


@dataclass(frozen=True, slots=True)
class Capability:
    """``v4l2_capability``: ``capabilities`` are those of this very node."""

    driver: str
    card: str
    bus: str
    capabilities: int

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Capability:
        """From the 104 bytes of QUERYCAP."""
        driver, card, bus, _, whole, node = struct.unpack_from("16s32s32sIII", data)
        return cls(_text(driver), _text(card), _text(bus), node if whole & CAP_DEVICE_CAPS else whole)

    @property
    def captures(self) -> bool:
        """True for a node that streams pictures; others carry metadata or encode."""
        wanted = CAP_VIDEO_CAPTURE | CAP_STREAMING
        return self.capabilities & wanted == wanted


def format_query(index: int) -> bytearray:
    """``v4l2_fmtdesc`` for ENUM_FMT."""
    return bytearray(struct.pack("III32sI16x", index, CAPTURE, 0, b"", 0))


def format_answer(data: bytes | bytearray) -> Fourcc:
    """The pixel format of a ``v4l2_fmtdesc``."""
    return int(struct.unpack_from("I", data, 44)[0])


def size_query(index: int, fourcc: Fourcc) -> bytearray:
    """``v4l2_frmsizeenum`` for ENUM_FRAMESIZES."""
    return bytearray(struct.pack("II36x", index, fourcc))


def size_answer(data: bytes | bytearray) -> tuple[list[Size], bool]:
    """Widths and heights, and whether more may follow: of a range, which stands alone, the usual ones and the largest.

    Capture bridges and loopback devices tell a range.
    """
    (kind,) = struct.unpack_from("I", data, 8)
    if kind == DISCRETE:
        width, height = struct.unpack_from("II", data, 12)
        return [(width, height)], True
    low_w, width, step_w, low_h, height, step_h = struct.unpack_from("6I", data, 12)
    usual = [
        (w, h) for w, h in USUAL_SIZES if _in_steps(w, low_w, width, step_w) and _in_steps(h, low_h, height, step_h)
    ]
    return [*dict.fromkeys([*usual, (width, height)])], False


def _in_steps(value: int, low: int, high: int, step: int) -> bool:
    return low <= value <= high and (value - low) % max(step, 1) == 0


def interval_query(index: int, fourcc: Fourcc, size: Size) -> bytearray:
    """``v4l2_frmivalenum`` for ENUM_FRAMEINTERVALS."""
    return bytearray(struct.pack("4I36x", index, fourcc, *size))


def interval_answer(data: bytes | bytearray) -> tuple[list[Fraction], bool]:
    """Pictures per second (none: the driver says nothing), and whether more may follow; of a range some, as above."""
    kind, *numbers = struct.unpack_from("5I", data, 16)
    fastest, slowest = _rate(*numbers[:2]), _rate(*numbers[2:])
    if kind == DISCRETE or fastest is None:
        return [rate for rate in (fastest,) if rate], kind == DISCRETE
    usual = [rate for rate in map(Fraction, USUAL_RATES) if slowest is not None and slowest <= rate <= fastest]
    return [*dict.fromkeys([*usual, fastest])], False


def _rate(numerator: int, denominator: int) -> Fraction | None:
    return Fraction(denominator, numerator) if numerator and denominator else None


# ------------------------------------------------------------------------------------------------ format and rate


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """``v4l2_pix_format``: how the bytes of one picture lie."""

    width: int
    height: int
    fourcc: Fourcc
    bytes_per_line: int = 0
    size: int = 0

    def encode(self) -> bytearray:
        """The 208 bytes of ``v4l2_format`` for S_FMT."""
        head = struct.pack("I4x", CAPTURE)
        fields = (self.width, self.height, self.fourcc, FIELD_NONE, self.bytes_per_line, self.size)
        return bytearray((head + struct.pack("6I", *fields)).ljust(Request.S_FMT.size, b"\0"))

    @classmethod
    def decode(cls, data: bytes | bytearray) -> PixelLayout:
        """From what S_FMT or G_FMT gave back."""
        width, height, fourcc, _, line, size = struct.unpack_from("6I", data, 8)
        return cls(width, height, fourcc, line, size)


def format_request() -> bytearray:
    """``v4l2_format`` for G_FMT."""
    return bytearray(struct.pack("I204x", CAPTURE))


def rate_request(rate: Fraction | None = None) -> bytearray:
    """``v4l2_streamparm`` for G_PARM, or for S_PARM with ``rate`` pictures per second."""
    interval = (rate.denominator, rate.numerator) if rate else (0, 0)
    return bytearray(struct.pack("I8xII184x", CAPTURE, *interval))


def rate_answer(data: bytes | bytearray) -> Fraction | None:
    """Pictures per second; None where the driver does not say."""
    capability, _, numerator, denominator = struct.unpack_from("4I", data, 4)
    return _rate(numerator, denominator) if capability & CAP_TIMEPERFRAME else None


# ------------------------------------------------------------------------------------------------ buffers


@dataclass(frozen=True, slots=True)
class BufferState:
    """``v4l2_buffer``: one mapped buffer, and what its picture is known by when it is full."""

    index: int
    used: int = 0
    flags: int = 0
    stamp_ns: int = 0
    sequence: int = 0
    offset: int = 0
    length: int = 0

    def encode(self) -> bytearray:
        """The 88 bytes that QUERYBUF, QBUF and DQBUF take."""
        return bytearray(struct.pack("II52xI24x", self.index, CAPTURE, MMAP))

    @classmethod
    def decode(cls, data: bytes | bytearray) -> BufferState:
        """From what QUERYBUF or DQBUF gave back; stamps are whole microseconds."""
        fields = struct.unpack("5I4xqq16xIIQI12x", data)
        index, _, used, flags, _, seconds, microseconds, sequence, _, place, length = fields
        stamp_ns = seconds * 10**9 + microseconds * 1000
        return cls(index, used, flags, stamp_ns, sequence, place & 0xFFFF_FFFF, length)

    @property
    def damaged(self) -> bool:
        """The driver knows that data of this picture is missing."""
        return bool(self.flags & FLAG_ERROR)

    @property
    def monotonic(self) -> bool:
        """The stamp is on CLOCK_MONOTONIC."""
        return self.flags & FLAG_CLOCK == FLAG_CLOCK_MONOTONIC

    @property
    def at_exposure(self) -> bool:
        """The stamp is that of the start of exposure, not of the last byte."""
        return self.flags & FLAG_SOURCE == FLAG_SOURCE_SOE


def buffers_request(count: int) -> bytearray:
    """``v4l2_requestbuffers`` for REQBUFS."""
    return bytearray(struct.pack("3I8x", count, CAPTURE, MMAP))


def buffers_answer(data: bytes | bytearray) -> int:
    """How many buffers the driver made."""
    return int(struct.unpack_from("I", data)[0])


def stream_request() -> bytearray:
    """The buffer type, for STREAMON and STREAMOFF."""
    return bytearray(struct.pack("i", CAPTURE))


# ------------------------------------------------------------------------------------------------ controls


@dataclass(frozen=True, slots=True)
class ControlInfo:
    """``v4l2_queryctrl``: a control and its range."""

    name: str
    minimum: int
    maximum: int
    default: int
    flags: int

    @classmethod
    def decode(cls, data: bytes | bytearray) -> ControlInfo:
        """From the 68 bytes of QUERYCTRL."""
        _, _, name, low, high, _, default, flags = struct.unpack_from("II32s4iI", data)
        return cls(_text(name), low, high, default, flags)

    @property
    def usable(self) -> bool:
        """True when it can be set at all; while its automatic is on it may be inactive."""
        return not self.flags & CONTROL_UNUSABLE


def control_query(control: int) -> bytearray:
    """``v4l2_queryctrl`` for QUERYCTRL."""
    return bytearray(struct.pack("I64x", control))


def control_value(control: int, value: int = 0) -> bytearray:
    """``v4l2_control`` for G_CTRL and S_CTRL."""
    return bytearray(struct.pack("Ii", control, value))


def control_answer(data: bytes | bytearray) -> int:
    """The value of a ``v4l2_control``."""
    return int(struct.unpack_from("i", data, 4)[0])
