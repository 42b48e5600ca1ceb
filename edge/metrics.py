"""How far estimates are from the truth: the figures that every report of this project prints, defined once.

A *look* is one second at which a rate could be read. It has a truth, at most one estimate, and is either published
(state ``ok``) or not. Everything here is arrays in, numbers out; where truth and estimates come from is the caller's.

Bias and limits of agreement: Bland and Altman, Lancet 327, 1986. A_RMS (accuracy root mean square) is how pulse
oximeters state accuracy (ISO 80601-2-61): the root of the mean squared error. Standard uncertainty: JCGM
100:2008 (GUM); a normally distributed error is within one of it in 68 % of cases and within two in 95 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = [
    "BANDS_PER_MIN",
    "LIMITS_PER_MIN",
    "NARROW_PER_MIN",
    "Agreement",
    "Published",
    "Stated",
    "agreement",
    "band_names",
    "published",
    "splits",
    "stated",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LIMITS_PER_MIN: Mapping[str, float] = {"hr": 5.0, "rr": 3.0}
"""An estimate is right when it is within this of the truth."""
NARROW_PER_MIN: Mapping[str, float] = {"rr": 2.0}
"""A second, narrower limit, where reports give the share within it too; no state or verdict depends on it."""
TENTH = 0.1
"""The share of the truth that ``within_tenth`` allows."""
BANDS_PER_MIN: Mapping[str, tuple[float, ...]] = {"hr": (60.0, 90.0, 120.0), "rr": (12.0, 20.0)}
"""Borders of the bands of true rates by which figures are split; a rate on a border belongs to the upper band."""
_AGREE = 1.96
"""Limits of agreement hold 95 % of differences when these are normally distributed."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Estimates against truth, per minute. Figures that need an estimate are None where there is none.

    ``looks`` were to be read, ``read`` of them have an estimate. ``within`` is the share of all looks that are read and
    right: a missing estimate counts as wrong. ``within_narrow`` is the same for the narrower limit, None where the rate
    has none, and ``within_tenth`` for a tenth of the truth. ``bias`` is estimate less truth; ``loa_low`` and
    ``loa_high`` are the limits of agreement; ``rmse`` is also A_RMS.
    """

    looks: int
    read: int
    mae: float | None
    rmse: float | None
    bias: float | None
    loa_low: float | None
    loa_high: float | None
    within: float | None
    within_narrow: float | None
    within_tenth: float | None


@dataclass(frozen=True, slots=True)
class Published:
    """What was published as ``ok``. ``coverage`` is its share of the looks that were due.

    ``false_confidence`` is the share of published values that are wrong by more than the limit.
    """

    coverage: float | None
    agreement: Agreement
    false_confidence: float | None


@dataclass(frozen=True, slots=True)
class Stated:
    """What stated standard uncertainties are worth: ``values`` estimates whose errors are known.

    ``stated_rms`` and ``error_rms`` (per minute) are equal when what is stated is right. ``within_one`` and
    ``within_two`` are the shares of errors of at most one and two stated uncertainties; ``times_68`` and ``times_95``
    tell by how much what is stated must be multiplied for 68 and 95 % to be within it (1 and 2 when it is right).
    """

    values: int
    stated_rms: float
    error_rms: float
    within_one: float
    within_two: float
    times_68: float
    times_95: float


def stated(error: Floats, uncertainty: Floats) -> Stated:
    """Compare errors ``[N]``, N at least 1, with the standard uncertainties ``[N]`` (positive) stated for them."""
    ratio = np.abs(error) / uncertainty
    times_68, times_95 = np.quantile(ratio, (0.68, 0.95))
    return Stated(
        values=len(error),
        stated_rms=float(np.sqrt((uncertainty**2).mean())),
        error_rms=float(np.sqrt((error**2).mean())),
        within_one=float((ratio <= 1.0).mean()),
        within_two=float((ratio <= 2.0).mean()),
        times_68=float(times_68),
        times_95=float(times_95),
    )


def agreement(truth: Floats, estimate: Floats, limit_per_min: float, narrow_per_min: float | None = None) -> Agreement:
    """Compare ``estimate`` ``[N]`` (NaN: none) with ``truth`` ``[N]`` (finite), both per minute."""
    read = np.isfinite(estimate)
    error = estimate[read] - truth[read]
    looks, count = len(truth), len(error)
    shares = (
        _share_within(error, limit_per_min, looks),
        None if narrow_per_min is None else _share_within(error, narrow_per_min, looks),
        _share_within(error, TENTH * truth[read], looks),
    )
    if not count:
        return Agreement(looks, 0, None, None, None, None, None, *shares)
    bias = float(error.mean())
    half = _AGREE * float(error.std(ddof=1)) if count > 1 else None
    low, high = (None, None) if half is None else (bias - half, bias + half)
    rmse = float(np.sqrt((error**2).mean()))
    return Agreement(looks, count, float(np.abs(error).mean()), rmse, bias, low, high, *shares)


def _share_within(error: Floats, limit: float | Floats, looks: int) -> float | None:
    """The share of ``looks`` whose ``error`` ``[n]`` is within a limit; None for no looks."""
    return float((np.abs(error) <= limit).sum()) / looks if looks else None


def published(
    truth: Floats,
    value: Floats,
    is_ok: Flags,
    is_due: Flags,
    limit_per_min: float,
    narrow_per_min: float | None = None,
) -> Published:
    """What the states did: ``value`` ``[N]`` was published where ``is_ok``, and a value was due where ``is_due``.

    Every published value counts for accuracy, also one that came before it was due.
    """
    due = int(is_due.sum())
    shown = agreement(truth[is_ok], value[is_ok], limit_per_min, narrow_per_min)
    coverage = float((is_ok & is_due).sum()) / due if due else None
    return Published(coverage, shown, None if shown.within is None else 1.0 - shown.within)


def band_names(rate: str) -> tuple[str, ...]:
    """Names of the bands of ``hr`` or ``rr``, low to high: ``<60``, ``60-90``, ``90-120``, ``>120``."""
    borders = BANDS_PER_MIN[rate]
    between = (f"{low:g}-{high:g}" for low, high in pairwise(borders))
    return f"<{borders[0]:g}", *between, f">{borders[-1]:g}"


def splits(rate: str, truth: Floats) -> Iterator[tuple[str, Flags]]:
    """Each band of true rates that has looks, by name, with the mask of its looks."""
    which = np.searchsorted(BANDS_PER_MIN[rate], truth, side="right")
    return ((name, which == i) for i, name in enumerate(band_names(rate)) if (which == i).any())
