"""From rows to figures: what ``mmrphys evaluate`` prints, and the parts they are split by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np
import numpy.typing as npt

from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN, Agreement, Published, agreement, published, splits
from training.yardstick.measure import Row
from training.yardstick.perturbed import WITHIN_PER_MIN

__all__ = ["REAL", "Figure", "figures_from_rows", "limit_per_min", "narrow_per_min"]

REAL = "real"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one part of the data.

    ``split`` and ``part`` name the part: ``all``, ``rate`` (a band of true rates per minute), ``tone`` (a third of skin
    tones), ``codec`` or ``change``. ``every`` counts every look that was due; ``published`` is None for methods that
    publish nothing. ``recordings`` tells from how many recordings the looks that were due come (on the real clip:
    cases, all of one recording).
    """

    data: str
    rate: str
    method: str
    split: str
    part: str
    recordings: int
    limit_per_min: float
    narrow_per_min: float | None
    every: Agreement
    published: Published | None


def limit_per_min(data: str, rate: str) -> float:
    """Within what an estimate counts as right; that of the part ``real`` is narrower."""
    return WITHIN_PER_MIN if data == REAL else LIMITS_PER_MIN[rate]


def narrow_per_min(data: str, rate: str) -> float | None:
    """The second, narrower limit; None where there is none, as on the part ``real``."""
    return None if data == REAL else NARROW_PER_MIN.get(rate)


def figures_from_rows(rows: Sequence[Row]) -> list[Figure]:
    """Figures of every data set, rate and method, over all looks and by part, in the order of the rows."""
    order, methods = (list(dict.fromkeys(names)) for names in ((r.data for r in rows), (r.method for r in rows)))

    def key(row: Row) -> tuple[int, str, int]:
        return order.index(row.data), row.rate, methods.index(row.method)

    made: list[Figure] = []
    for _, group in groupby(sorted(rows, key=key), key):
        made += _figures(list(group))
    return made


def _figures(rows: list[Row]) -> Iterator[Figure]:
    everything = np.ones(len(rows), np.bool_)
    yield _figure(rows, everything, "all", "")
    truth = np.array([row.truth for row in rows])
    for part, inside in splits(rows[0].rate, truth):
        yield _figure(rows, inside, "rate", part)
    for name in rows[0].groups:
        parts = np.array([row.groups[name] for row in rows])
        for part in dict.fromkeys(parts.tolist()):
            yield _figure(rows, parts == part, name, part)


def _figure(rows: list[Row], inside: npt.NDArray[np.bool_], split: str, part: str) -> Figure:
    chosen = [row for row, is_in in zip(rows, inside, strict=True) if is_in]
    first = chosen[0]
    limits = limit_per_min(first.data, first.rate), narrow_per_min(first.data, first.rate)
    truth = np.array([row.truth for row in chosen])
    due = np.array([row.is_due for row in chosen])
    estimate = np.array([np.nan if row.estimate is None else row.estimate for row in chosen])
    shown = None
    if any(row.state is not None for row in chosen):
        value = np.array([np.nan if row.value is None else row.value for row in chosen])
        shown = published(truth, value, np.array([row.state == "ok" for row in chosen]), due, *limits)
    return Figure(
        data=first.data, rate=first.rate, method=first.method, split=split, part=part,
        recordings=len({row.recording for row in chosen if row.is_due}), limit_per_min=limits[0],
        narrow_per_min=limits[1], every=agreement(truth[due], estimate[due], *limits), published=shown,
    )  # fmt: skip
