"""Looks of a kit against a reference: one offset between the clocks, and the figures of each rate at it.

Every look that has a reference counts. The truth of a value is the mean of the reference over the window it was made
from, which ended ``age_ms`` before the look; a ``hold`` is shown as the present, so its truth is that of the present.
All figures come from ``edge/metrics.py``; those that a report leads with are of the values that were ``ok``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.errors import InputError
from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN, Agreement, Published, agreement, published, splits
from edge.validation.clock_offset import MIN_PAIRS, Found, Windows, search
from edge.validation.course import Course
from edge.validation.record_file import Looks, RateLooks
from edge.validation.reference_csv import Reference
from edge.vitals import STATES

__all__ = [
    "MIN_PAIRS",
    "RATES",
    "Comparison",
    "Offset",
    "OffsetRules",
    "Part",
    "RateFigures",
    "StateFigures",
    "Trace",
    "compare",
]

Floats = npt.NDArray[np.float64]

RATES = ("hr", "rr")
_MAX_OFFSET_S = 120.0
"""How far two clocks that both claim to be right may differ, unless more is allowed."""
_BESIDE_S = (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class OffsetRules:
    """``fixed_s``: the offset is known. ``max_s``: search no further than this from where the clocks should agree.

    With None the search goes 120 s far where both clocks are absolute, else over every overlap.
    """

    fixed_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """The mean absolute error of HR, per minute, at the offset plus ``beside_s``; None where nothing is paired."""

    beside_s: float
    mae: float | None


@dataclass(frozen=True, slots=True)
class Offset:
    """The reference's clock less the kit's, as used: ``found``, ``given`` by the user, or ``assumed``.

    ``related``: both clocks count from 1970. Else the kit counts from its first look, and the reference from its own
    start or, where its times are absolute, from its first row; what is assumed then is that both began together.
    ``search`` is the search's best even when it was not used; ``beside`` how the error grows next to the offset used.
    """

    used_s: float
    origin: Literal["found", "given", "assumed"]
    related: bool
    search: Found | None
    searched_s: tuple[float, float] | None
    beside: tuple[Beside, ...]


@dataclass(frozen=True, slots=True)
class StateFigures:
    """One state of a rate: its looks, their share of all looks, and how far its values were from the reference."""

    state: str
    looks: int
    share: float
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """In how many looks a reason was given, and their share of all looks."""

    code: str
    looks: int
    share: float


@dataclass(frozen=True, slots=True)
class Part:
    """Some looks of a rate: ``due`` of them have a reference, and ``published`` tells what was ``ok`` of these."""

    due: int
    published: Published

    @property
    def paired(self) -> int:
        """Looks with a reference and a value that was ``ok``."""
        return self.published.agreement.read


@dataclass(frozen=True, slots=True)
class RateFigures:
    """What one rate did in ``looks``: ``overall``, and by band of its true rate.

    ``at_zero`` is ``overall`` as it would be if both clocks were right, None unless these are related and differ.
    ``reference_step_s`` is the usual time between two rows of the reference that hold the rate, 0 without.
    """

    looks: int
    overall: Part
    bands: dict[str, Part]
    at_zero: Part | None
    states: tuple[StateFigures, ...]
    reasons: tuple[ReasonCount, ...]
    reference_step_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a plot shows: looks ``[N]`` with their truth (NaN: none), and reference rows ``[M]`` on the kit's clock."""

    time_s: Floats
    value: Floats
    state: npt.NDArray[np.str_]
    truth: Floats
    reference_s: Floats
    reference: Floats
    reference_reach_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The result. ``traces`` are times on the kit's clock: seconds since 1970 where ``live``, else since its start."""

    offset: Offset
    rates: dict[str, RateFigures]
    live: bool
    start_s: float
    end_s: float
    traces: dict[str, Trace] = field(repr=False)

    @property
    def paired(self) -> int:
        """How many values that were ``ok``, of either rate, have a reference."""
        return sum(figures.overall.paired for figures in self.rates.values())


def compare(looks: Looks, reference: Reference, rules: OffsetRules) -> Comparison:
    """Compare; InputError when kit and reference have no moment in common."""
    related = looks.live and reference.clock == "absolute"
    kit_s = looks.time_s if related else looks.time_s - looks.time_s[0]
    apart = not related and reference.clock == "absolute"
    reference_s = reference.time_s - reference.time_s[0] if apart else reference.time_s
    courses = {rate: Course(reference_s, getattr(reference, rate)) for rate in RATES}
    offset = _offset(kit_s, looks.rates["hr"], courses["hr"], reference_s, related, rules)
    rates, traces = {}, {}
    for rate in RATES:
        truth = _truth(kit_s, looks.rates[rate], courses[rate], offset.used_s)
        at_zero = _truth(kit_s, looks.rates[rate], courses[rate], 0.0) if related and offset.used_s else None
        rates[rate] = _figures(rate, looks.rates[rate], truth, at_zero, courses[rate].step_s)
        traces[rate] = _trace(looks, rate, truth, courses[rate], kit_s[0] + offset.used_s)
    shown_s = traces["hr"].time_s
    return Comparison(offset, rates, looks.live, float(shown_s[0]), float(shown_s[-1]), traces)


def _windows(kit_s: Floats, looks: RateLooks) -> tuple[Floats, Floats]:
    """Where the window of each look starts and ends; a look without a window is asked about its own second."""
    end_s = kit_s - np.where(looks.state == "hold", 0.0, looks.age_s)
    return end_s - np.maximum(looks.window_s, 1.0), end_s


def _truth(kit_s: Floats, looks: RateLooks, course: Course, offset_s: float) -> Floats:
    start_s, end_s = _windows(kit_s, looks)
    return course.mean(start_s + offset_s, end_s + offset_s)


def _offset(
    kit_s: Floats, hr: RateLooks, course: Course, reference_s: Floats, related: bool, rules: OffsetRules
) -> Offset:
    likely_s = 0.0 if related else float(reference_s[0])
    low_s, high_s = float(reference_s[0] - kit_s[-1]), float(reference_s[-1] - kit_s[0])  # where they overlap at all
    if rules.fixed_s is not None:
        _check_overlap(low_s, high_s, rules.fixed_s, rules.fixed_s, related)
        return Offset(rules.fixed_s, "given", related, None, None, _beside(kit_s, hr, course, rules.fixed_s))
    most_s = rules.max_s or (_MAX_OFFSET_S if related else np.inf)
    _check_overlap(low_s, high_s, likely_s - most_s, likely_s + most_s, related)
    searched = max(low_s, likely_s - most_s), min(high_s, likely_s + most_s)
    found = search(_compared(kit_s, hr), course, *searched)
    identified = found is not None and found.identified
    used_s = found.offset_s if found is not None and identified else likely_s
    beside = _beside(kit_s, hr, course, used_s)
    return Offset(used_s, "found" if identified else "assumed", related, found, searched, beside)


def _check_overlap(low_s: float, high_s: float, first_s: float, last_s: float, related: bool) -> None:
    if first_s <= high_s and last_s >= low_s:
        return
    apart_s = first_s - high_s if first_s > high_s else low_s - last_s
    told = "the clocks" if related else "their starts"
    raise InputError(
        f"records and reference have no moment in common: {apart_s:.0f} s lie between them when {told} may differ by "
        f"{first_s:g} to {last_s:g} s; check dates and time zones, or allow more with --max-offset-s or --offset-s"
    )


def _compared(kit_s: Floats, hr: RateLooks) -> Windows:
    """The values that tell the time: those that were ok, or low_quality too where these are too few."""
    ok = hr.state == "ok"
    chosen = ok if ok.sum() >= MIN_PAIRS else ok | (hr.state == "low_quality")
    start_s, end_s = _windows(kit_s, hr)
    return Windows(start_s[chosen], end_s[chosen], hr.value[chosen])


def _beside(kit_s: Floats, hr: RateLooks, course: Course, used_s: float) -> tuple[Beside, ...]:
    windows = _compared(kit_s, hr)
    errors = []
    for beside_s in _BESIDE_S:
        at_s = used_s + beside_s
        error = windows.value - course.mean(windows.start_s + at_s, windows.end_s + at_s)
        known = error[np.isfinite(error)]
        errors.append(Beside(beside_s, float(np.abs(known).mean()) if len(known) else None))
    return tuple(errors)


def _figures(rate: str, looks: RateLooks, truth: Floats, at_zero: Floats | None, step_s: float) -> RateFigures:
    due = np.isfinite(truth)
    return RateFigures(
        looks=len(truth),
        overall=_part(rate, looks, truth, due),
        bands={name: _part(rate, looks, truth, inside) for name, inside in _bands(rate, truth, due)},
        at_zero=None if at_zero is None else _part(rate, looks, at_zero, np.isfinite(at_zero)),
        states=_states(rate, looks, truth),
        reasons=_reasons(looks),
        reference_step_s=step_s,
    )


def _part(rate: str, looks: RateLooks, truth: Floats, chosen: npt.NDArray[np.bool_]) -> Part:
    """The figures of chosen looks, all of which have a truth and are thereby due."""
    due = np.ones(int(chosen.sum()), dtype=bool)
    ok = looks.state[chosen] == "ok"
    limits = LIMITS_PER_MIN[rate], NARROW_PER_MIN.get(rate)
    return Part(len(due), published(truth[chosen], looks.value[chosen], ok, due, *limits))


def _bands(rate: str, truth: Floats, due: npt.NDArray[np.bool_]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    places = np.flatnonzero(due)
    named = []
    for name, inside in splits(rate, truth[due]):
        mask = np.zeros(len(truth), dtype=bool)
        mask[places[inside]] = True
        named.append((name, mask))
    return named


def _states(rate: str, looks: RateLooks, truth: Floats) -> tuple[StateFigures, ...]:
    """The states that occurred, the best first."""
    rows = []
    for state in reversed(STATES):
        here = looks.state == state
        if here.any():
            due = here & np.isfinite(truth)
            figures = agreement(truth[due], looks.value[due], LIMITS_PER_MIN[rate], NARROW_PER_MIN.get(rate))
            rows.append(StateFigures(state, int(here.sum()), float(here.mean()), figures))
    return tuple(rows)


def _reasons(looks: RateLooks) -> tuple[ReasonCount, ...]:
    """Reasons by how often they were given."""
    counts = Counter(code for why in looks.why for code in dict.fromkeys(why))
    return tuple(ReasonCount(code, count, count / len(looks.why)) for code, count in counts.most_common())


def _trace(looks: Looks, rate: str, truth: Floats, course: Course, first_s: float) -> Trace:
    """``first_s`` is the reference's moment of the first look."""
    one = looks.rates[rate]
    time_s = looks.time_s if looks.live else looks.time_s - looks.time_s[0]
    reference_s = course.time_s - first_s + time_s[0]
    return Trace(time_s, one.value, one.state, truth, reference_s, course.rate, course.reach_s)
