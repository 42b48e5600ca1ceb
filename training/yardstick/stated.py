"""What the uncertainty that is published with a rate is worth.

Every value of the whole chain that is ``ok`` states a standard uncertainty; here its error is known. The constants of
:mod:`edge.signals.uncertainty` are chosen by such lines, and never on the test recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from edge.metrics import Stated, stated
from training.yardstick.layout import METHODS, RATES, number, share
from training.yardstick.measure import Row

__all__ = ["STATED", "STATED_HEAD", "STATED_LEGEND", "StatedLine", "stated_cells", "stated_from_rows"]

ALL = "all"
THIRDS = ("least stated", "middle", "most stated")


class StatedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One method's ``ok`` values of one data set, or of ``all``; ``part``: all of them, or a third by what they state.

    ``recordings``: how many they come from.
    """

    data: str
    rate: str
    method: str
    part: str
    recordings: int
    figures: Stated


def stated_from_rows(rows: Sequence[Row]) -> list[StatedLine]:
    """Lines of every rate and method that publishes, by data set, then of all data together and by thirds."""
    order = [*dict.fromkeys(row.data for row in rows), ALL]
    lines = [line for rate in RATES for method in METHODS for line in _of_method(rows, rate, method)]
    return sorted(lines, key=lambda line: (line.rate, order.index(line.data)))


def _of_method(rows: Sequence[Row], rate: str, method: str) -> Iterator[StatedLine]:
    shown = [row for row in rows if (row.rate, row.method) == (rate, method) and row.state == "ok" and row.uncertainty]
    for data in dict.fromkeys(row.data for row in shown):
        yield _line(data, ALL, [row for row in shown if row.data == data])
    if shown:
        yield _line(ALL, ALL, shown)
    ordered = sorted(shown, key=lambda row: row.uncertainty or 0.0)
    if len(ordered) >= len(THIRDS):
        borders = [len(ordered) * k // len(THIRDS) for k in range(len(THIRDS) + 1)]
        for part, first, end in zip(THIRDS, borders[:-1], borders[1:], strict=True):
            yield _line(ALL, part, ordered[first:end])


def _line(data: str, part: str, rows: Sequence[Row]) -> StatedLine:
    error = np.array([(row.value or 0.0) - row.truth for row in rows])
    figures = stated(error, np.array([row.uncertainty for row in rows], np.float64))
    recordings = len({row.recording for row in rows})
    first = rows[0]
    return StatedLine(
        data=data, rate=first.rate, method=first.method, part=part, recordings=recordings, figures=figures
    )


STATED = "What the stated uncertainty is worth"
STATED_HEAD = (
    "data", "rate", "method", "part", "ok values", "recordings", "stated, RMS", "error, RMS", "within 1", "within 2",
    "68 % within", "95 % within",
)  # fmt: skip
STATED_LEGEND = (
    "Of the values published as ok: the root of the mean square of their stated standard uncertainties and of their "
    "errors, per minute; the shares whose error is at most one and two times what was stated with them (68 and 95 % of "
    "normally distributed errors); and within how many times it 68 and 95 % of the errors are (then 1 and 2). Thirds "
    "by what is stated show whether values that claim less uncertainty have less."
)
"""What the columns of :data:`STATED_HEAD` say."""


def stated_cells(lines: Sequence[StatedLine]) -> Iterator[list[str]]:
    """The cells of each line under :data:`STATED_HEAD`."""
    for line in lines:
        of = line.figures
        yield [
            line.data, RATES[line.rate], METHODS[line.method], line.part, str(of.values), str(line.recordings),
            number(of.stated_rms), number(of.error_rms), share(of.within_one), share(of.within_two),
            number(of.times_68), number(of.times_95),
        ]  # fmt: skip
