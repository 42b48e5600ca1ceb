"""The reference device's CSV: a header with ``time``, ``hr`` and optionally ``rr``; whatever else is ignored.

``time`` is ISO 8601 (without an offset it is UTC), unix seconds, or seconds since any start. Cells that hold no rate
(empty, ``nan``, ``--``, a 0 or another value that no body has) mean that there is no reference at that moment.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.errors import InputError
from edge.validation.source import Source, SourceLines

__all__ = ["Clock", "Reference", "reference_from_csv"]

Floats = npt.NDArray[np.float64]
Clock = Literal["absolute", "relative"]

_NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "---"})
_POSSIBLE: dict[str, tuple[float, float]] = {"hr": (20.0, 300.0), "rr": (2.0, 100.0)}
"""Rates outside come from devices that write 0, 255 or 511 when they have no reading."""
_UNIX_S = (1e9, 1e10)
"""Seconds in this range are unix time (2001 to 2286); smaller ones count from a start, larger ones are no seconds."""
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.IGNORECASE,
)
_WANTED = "want a CSV with a header time,hr[,rr]"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Rows in order of time, each time once: ``time_s`` ``[M]`` and per minute ``hr``, ``rr`` ``[M]`` (NaN: none).

    ``absolute`` times are seconds since 1970, ``relative`` ones as the file has them. ``has_rr``: the file has the
    column. ``notices`` say what was assumed or left out.
    """

    source: Source
    clock: Clock
    time_s: Floats
    hr: Floats
    rr: Floats
    has_rr: bool
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Rows:
    times: list[float] = field(default_factory=list)
    rates: dict[str, list[float]] = field(default_factory=lambda: {"hr": [], "rr": []})
    clocks: set[Clock] = field(default_factory=set)
    impossible: int = 0
    zoneless: bool = False


def reference_from_csv(path: Path) -> Reference:
    """Read and check the file; InputError names the line that cannot be used."""
    read = SourceLines(path, _WANTED)
    try:
        lines = [line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(read)]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; {_WANTED}, saved as UTF-8") from error
    rows = _rows(path, lines)
    if not rows.times:
        raise InputError(f"{path} has a header and no rows; {_WANTED} and rows below it")
    columns = [np.array(column, dtype=np.float64) for column in (rows.times, rows.rates["hr"], rows.rates["rr"])]
    time_s, hr, rr = _each_time_once(*columns)
    clock: Clock = "absolute" if "absolute" in rows.clocks else "relative"
    has_rr = "rr" in _header(path, lines)[1]
    return Reference(read.source(), clock, time_s, hr, rr, has_rr, tuple(_notices(rows)))


def _notices(rows: _Rows) -> Iterator[str]:
    if rows.zoneless:
        yield "The reference's times have no time zone and were read as UTC."
    if rows.impossible:
        limits = ", ".join(f"{rate.upper()} {low:g} to {high:g}" for rate, (low, high) in _POSSIBLE.items())
        yield f"{rows.impossible} reference cells hold no possible rate ({limits} per minute) and count as empty."


def _header(path: Path, lines: Sequence[str]) -> tuple[str, dict[str, int], int]:
    """The delimiter, where each wanted column is, and the index of the header's line."""
    start = next(i for i, line in enumerate(lines) if line.strip())
    delimiter = max(",;\t", key=lines[start].count)
    names = [name.strip().lower() for name in next(csv.reader([lines[start]], delimiter=delimiter))]
    seen = ", ".join(name for name in names if name) or "nothing"
    for name in ("time", "hr"):
        if name not in names:
            raise InputError(f"{path} has no column {name}; seen {seen[:80]}; {_WANTED}, delimited by , ; or tab")
    for name in ("time", "hr", "rr"):
        if names.count(name) > 1:
            raise InputError(f"{path} has {names.count(name)} columns {name}; want one; rename or remove the others")
    return delimiter, {name: names.index(name) for name in ("time", "hr", "rr") if name in names}, start


def _rows(path: Path, lines: Sequence[str]) -> _Rows:
    delimiter, columns, start = _header(path, lines)
    rows = _Rows()
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
        cells += [""] * (max(columns.values()) + 1 - len(cells))
        place = f"{path}:{number}"
        _add_time(rows, cells[columns["time"]], delimiter, place)
        for rate, values in rows.rates.items():
            cell = cells[columns[rate]] if rate in columns else ""
            values.append(_rate(rows, rate, cell, delimiter, place))
    return rows


def _add_time(rows: _Rows, cell: str, delimiter: str, place: str) -> None:
    clock, seconds = _time(rows, cell, delimiter, place)
    rows.clocks.add(clock)
    if len(rows.clocks) > 1:
        raise InputError(f"{place}: time {_short(cell)} is of another kind than the rows above; write all in one way")
    if rows.times and seconds < rows.times[-1]:
        raise InputError(
            f"{place}: time goes back by {rows.times[-1] - seconds:g} s; want rows in order of time; sort them"
        )
    rows.times.append(seconds)


def _time(rows: _Rows, cell: str, delimiter: str, place: str) -> tuple[Clock, float]:
    seconds = _number(cell, delimiter)
    if seconds is None:
        return "absolute", _unix_from_iso(rows, cell, place)
    if seconds >= _UNIX_S[1]:
        raise InputError(
            f"{place}: time {_short(cell)} is too large for seconds; want ISO 8601 or seconds, not ms or ns"
        )
    return ("absolute" if seconds >= _UNIX_S[0] else "relative"), seconds


def _unix_from_iso(rows: _Rows, cell: str, place: str) -> float:
    match = _ISO.fullmatch(cell)
    wanted = "want ISO 8601 as 2026-11-22T10:15:07Z, or seconds"
    if match is None:
        raise InputError(f"{place}: time {_short(cell)} cannot be read; {wanted}")
    *parts, fraction, utc, sign, hours, minutes = match.groups()
    shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    rows.zoneless |= utc is None and sign is None
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc) - shift
    except (ValueError, OverflowError) as error:
        raise InputError(f"{place}: time {_short(cell)} does not exist: {error}; {wanted}") from error
    return moment.timestamp() + float(f"0.{fraction or 0}")


def _rate(rows: _Rows, rate: str, cell: str, delimiter: str, place: str) -> float:
    if cell.lower() in _NOTHING:
        return math.nan
    value = _number(cell, delimiter)
    if value is None:
        raise InputError(
            f"{place}: {rate} {_short(cell)} is no number; want a rate per minute, or an empty cell for none"
        )
    low, high = _POSSIBLE[rate]
    if low <= value <= high:
        return value
    rows.impossible += 1
    return math.nan


def _number(cell: str, delimiter: str) -> float | None:
    """A finite number; with another delimiter than the comma, a comma may be the decimal sign."""
    try:
        value = float(cell if delimiter == "," else cell.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else f"{cell[:57]}...")


def _each_time_once(time_s: Floats, *rates: Floats) -> tuple[Floats, ...]:
    """Rows of the same time become one, with the mean of what they hold."""
    unique, place = np.unique(time_s, return_inverse=True)
    means = []
    for rate in rates:
        known = np.isfinite(rate)
        count = np.bincount(place[known], minlength=len(unique))
        total = np.bincount(place[known], weights=rate[known], minlength=len(unique))
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return unique, *means
