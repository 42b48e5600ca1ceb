"""CSV from numerics (RFC 4180): one row for each person and second, the same columns always, empty for null.

Cells of text that a spreadsheet would run as a formula (CWE-1236) begin with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from edge.health.survey import Choice, Run
from edge.sinks.reading import reading_from_rate
from edge.sinks.records import Numerics, Rate, Record

__all__ = ["COLUMNS", "row_from_cells", "rows"]

_OF_RATE = (
    "{0} [/min]",
    "{0} doubtful [/min]",
    "{0} state",
    "{0} sqi [0-1]",
    "{0} why",
    "{0} window [s]",
    "{0} age [ms]",
    "{0} standard uncertainty [/min]",
)
COLUMNS: tuple[str, ...] = (
    "time [UTC]", "clock", "stream time [s]", "device", "boot", "seq", "zone", "person",
    *(column.format(name) for name in ("hr", "rr") for column in _OF_RATE),
    "mode", "rgb [frames/s]", "thermal [frames/s]", "rgb dropped [frames]", "thermal dropped [frames]", "skew [ms]",
    "bundle",
)  # fmt: skip
"""``hr [/min]`` holds a number only when it was ok; ``doubtful`` those of low_quality and hold. ``time`` is empty where
the clock followed no time server or a recording was played: ``clock`` is then ``free`` or ``played``."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(record: Record, run: Run, choice: Choice) -> list[bytes]:
    """The row of a numerics record; none for others and for those that were not chosen."""
    if not isinstance(record, Numerics) or not choice.takes(record):
        return []
    clock = record.clock if run.live else "played"
    cells = [
        record.time if clock == "synced" else None, clock, record.pts_ns / 1e9,
        record.device, record.boot, record.seq, record.zone, record.person,
        *_rate_cells(record.hr), *_rate_cells(record.rr),
        record.mode, record.fps.get("rgb"), record.fps.get("thermal"),
        record.dropped.get("rgb"), record.dropped.get("thermal"), record.skew_ms, record.bundle,
    ]  # fmt: skip
    return [row_from_cells(cells)]


def row_from_cells(cells: Sequence[str | float | None]) -> bytes:
    """One line, quoted where needed, with CRLF."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return line.getvalue().encode()


def _rate_cells(rate: Rate) -> list[str | float | None]:
    reading = reading_from_rate(rate)
    return [
        reading.value, reading.doubtful, rate.state, rate.sqi, " ".join(rate.why),
        rate.window_s, rate.age_ms, rate.uncertainty,
    ]  # fmt: skip


def _harmless(cell: str | float | None) -> str | float | None:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
