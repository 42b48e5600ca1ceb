r"""The serial ``line`` and ``csv`` profiles: pure text from and to bytes, no port.

``$PMMR,1,<person>,<seq>,<t_ms>,<HR>,<sqi>,<state>,<RR>,<sqi>,<state>,<crc>*<xor>\r\n`` is a valid proprietary NMEA
sentence: ``xor`` is NMEA's own check over everything between ``$`` and ``*``. For those who check more, ``crc`` is
CRC-16/IBM-3740 over everything from ``P`` to the comma before it, that comma included. ``t_ms`` is ``mono_ns`` in ms
modulo 2^32, a missing rate is ``---``, ``sqi`` is 0..100. A sentence keeps within NMEA's 82 characters while ``person``
has one digit and ``seq`` at most eight (a year at three records a second). ``csv`` is the fields from ``1`` to the last
state, which nothing checks.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import cast

from edge.sinks.records import Numerics, Rate
from edge.vitals import STATES, VALUE_STATES, State

__all__ = [
    "LineNumerics",
    "LineRate",
    "LineReader",
    "crc16",
    "csv_from_numerics",
    "line_from_numerics",
    "numerics_from_csv",
    "numerics_from_line",
]

_MISSING = "---"
_STATE = "|".join(STATES)
_RATE = rf"(\d{{1,3}}\.\d|{_MISSING}),(\d{{1,3}}),({_STATE})"
_FIELDS = rf"1,(\d{{1,10}}),(\d{{1,10}}),(\d{{1,10}}),{_RATE},{_RATE}"
_SENTENCE = re.compile(rf"\$(PMMR,{_FIELDS},([0-9A-F]{{4}}))\*([0-9A-F]{{2}})\r\n")
_CSV = re.compile(rf"{_FIELDS}\r?\n")
_LONGEST = 100
_U32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class LineRate:
    """One rate as a line carries it: per minute or None, ``sqi_percent`` 0..100."""

    value: float | None
    sqi_percent: int
    state: State


@dataclass(frozen=True, slots=True)
class LineNumerics:
    """What a line tells. ``t_ms`` is the device's monotonic clock modulo 2^32 ms."""

    person: int
    seq: int
    t_ms: int
    hr: LineRate
    rr: LineRate


def crc16(data: bytes) -> int:
    """CRC-16/IBM-3740: polynomial 0x1021, initial 0xFFFF, not reflected; 0x29B1 for ``b"123456789"``."""
    return binascii.crc_hqx(data, 0xFFFF)


def csv_from_numerics(record: Numerics) -> bytes:
    """One ``csv`` line of ASCII with its line end."""
    return _fields(record).encode("ascii") + b"\r\n"


def line_from_numerics(record: Numerics) -> bytes:
    """One sentence of ASCII with its line end."""
    text = f"PMMR,{_fields(record)},".encode("ascii")
    text += b"%04X" % crc16(text)
    return b"$%b*%02X\r\n" % (text, reduce(xor, text))


def numerics_from_line(line: bytes) -> LineNumerics:
    """Read one sentence back.

    Raises
    ------
    ValueError
        It is no such sentence, a check fails, or a value stands in a state that has none.
    """
    match = _SENTENCE.fullmatch(line.decode("ascii", errors="replace"))
    if match is None:
        raise ValueError(f"not a $PMMR,1 sentence: {line[:100]!r}")
    text, person, seq, t_ms, *rates, crc, check = match.groups()
    body = text.encode("ascii")
    if int(check, 16) != reduce(xor, body) or int(crc, 16) != crc16(body[: -len(crc)]):
        raise ValueError(f"a damaged sentence: {line[:100]!r}")
    return _line_numerics(person, seq, t_ms, *rates)


def numerics_from_csv(line: bytes) -> LineNumerics:
    """Read one ``csv`` line back; ValueError when it is none."""
    match = _CSV.fullmatch(line.decode("ascii", errors="replace"))
    if match is None:
        raise ValueError(f"not a csv line: {line[:100]!r}")
    return _line_numerics(*match.groups())


class LineReader:
    """Finds lines (of ``csv`` instead, where said) in a stream that may be cut anywhere and damaged.

    Holds at most 100 bytes. ``good`` and ``damaged`` count since the start; what does not begin as a line of ours
    counts as neither.
    """

    def __init__(self, *, csv: bool = False) -> None:
        self.good = self.damaged = 0
        self._read = numerics_from_csv if csv else numerics_from_line
        self._start = b"" if csv else b"$"
        self._held = b""

    def feed(self, data: bytes) -> Iterator[LineNumerics]:
        """The sound lines that end in ``data``."""
        *ended, rest = (self._held + data).split(b"\n")
        self._held = rest[-_LONGEST:]
        for text in ended:
            *before, last = text.split(b"$") if self._start else (b"", text)  # "$" begins a line, whatever was before
            self.damaged += sum(1 for piece in before[1:] if piece)
            if before:
                yield from self._line(self._start + last + b"\n")

    def _line(self, line: bytes) -> Iterator[LineNumerics]:
        try:
            numerics = self._read(line)
        except ValueError:
            self.damaged += self._start == b"$" or line.startswith(b"1,")
            return
        self.good += 1
        yield numerics


def _line_numerics(person: str, seq: str, t_ms: str, *rates: str) -> LineNumerics:
    if max(int(person), int(seq), int(t_ms)) > _U32:
        raise ValueError(f"a number beyond 32 bits: {person},{seq},{t_ms}")
    return LineNumerics(int(person), int(seq), int(t_ms), _line_rate(*rates[:3]), _line_rate(*rates[3:]))


def _fields(record: Numerics) -> str:
    t_ms = record.mono_ns // 10**6 % 2**32
    return f"1,{record.person},{record.seq},{t_ms},{_rate_fields(record.hr)},{_rate_fields(record.rr)}"


def _rate_fields(rate: Rate) -> str:
    value = _MISSING if rate.value is None else f"{rate.value:.1f}"
    return f"{value},{round(100 * rate.sqi)},{rate.state}"


def _line_rate(value: str, sqi: str, state: str) -> LineRate:
    if (value == _MISSING) == (state in VALUE_STATES) or int(sqi) > 100:
        raise ValueError(f"a rate that cannot be: {value},{sqi},{state}")
    return LineRate(None if value == _MISSING else float(value), int(sqi), cast("State", state))
