"""One measurement: the looks of some seconds become one number for each rate, or the reasons why there is none.

The number is the median of the looks, one a second, in which the rate was ``ok``; no other look takes part. Its
standard uncertainty joins that of a look (the median) and the standard deviation of the looks. Windows of neighbouring
looks overlap, so that more looks do not make it smaller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.frames import FrameKind
from edge.pipeline import Output, Presence
from edge.svg_plot import with_gaps
from edge.vitals import REASONS, STATES, Estimate, State, Vitals

__all__ = ["FORMED", "LONGEST_S", "Course", "Measured", "Measurement", "RateName", "Why"]

Floats = npt.NDArray[np.float64]
RateName = Literal["hr", "rr"]
LONGEST_S = 3600.0
"""All looks and waveforms of a measurement are held until its end."""
CHANGED_PER_MIN: Mapping[RateName, float] = {"hr": 10.0, "rr": 5.0}
"""Looks that range over more than this are no longer of one rate."""
FORMED = (
    "Each number is the median of the looks, one a second, in which the rate was ok. Its standard uncertainty joins "
    "that of a look with the standard deviation of the looks; it was calibrated on synthetic scenes, and assumes that "
    "the right peak was read."
)


@dataclass(frozen=True, slots=True)
class Why:
    """A reason that kept a rate from ``ok`` in ``looks`` looks, with the number that was measured last, and the fix."""

    code: str
    looks: int
    sentence: str
    fix: str


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One rate over the measurement.

    ``t_s`` ``[N]`` is the time of each look since the start, ``states`` its state. The waveform is ``wave`` ``[T]`` at
    ``wave_t_s`` ``[T]``, with NaN in gaps; empty where none was shown. ``per_min`` ``[K]`` and ``power`` ``[K]`` are
    the mean spectrum behind the looks that were ``ok``, else that of the newest look; empty where none was looked at.
    """

    t_s: Floats
    states: tuple[State, ...]
    wave_t_s: Floats
    wave: Floats
    per_min: Floats
    power: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a measurement says of one rate; the numbers are per minute and None where no look was ``ok``.

    ``low`` and ``high`` are the range of the looks that were ``ok``, ``sqi`` the median of their quality (else 0),
    ``sources`` what they were read from, ``source_sqi`` the median quality of each modality; ``state`` is that of the
    newest look. ``why`` is what kept looks from ``ok``, the most frequent first; warming up is left out where the rate
    became ``ok``. ``ok_age_s`` is how long before the newest look the last one was that was ok.
    """

    value: float | None
    uncertainty: float | None
    low: float | None
    high: float | None
    sqi: float
    sources: tuple[FrameKind, ...]
    source_sqi: Mapping[FrameKind, float]
    state: State
    looks: int
    states: Mapping[State, int]
    why: tuple[Why, ...]
    course: Course
    ok_age_s: float | None = None

    @property
    def ok_looks(self) -> int:
        """How many looks the number is made of."""
        return self.states.get("ok", 0)

    def changed(self, name: RateName) -> bool:
        """Whether the looks range so far that one number does not stand for all of them."""
        return self.low is not None and self.high is not None and self.high - self.low > CHANGED_PER_MIN[name]


@dataclass(slots=True)
class _Seen:
    """All that was shown of one person."""

    looks: list[Vitals] = field(default_factory=list)
    waves: dict[RateName, list[tuple[int, float, npt.NDArray[np.float32]]]] = field(
        default_factory=lambda: {"hr": [], "rr": []}
    )

    @property
    def weight(self) -> tuple[int, int]:
        ok = sum(estimate.state == "ok" for look in self.looks for estimate in (look.hr, look.rr))
        return ok, len(self.looks)


class Measurement:
    """Takes the outputs of a run; whoever was ``ok`` most often, then seen most often, is who was measured."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._begin_ns: int | None = None
        self.newest: Vitals | None = None

    def take(self, output: Output) -> None:
        """Add a look, or a piece of waveform; who comes and goes does not matter here."""
        if isinstance(output, Presence):
            return
        seen = self._seen.setdefault((output.zone, output.person), _Seen())
        if isinstance(output, Vitals):
            if self._begin_ns is None:
                self._begin_ns = output.pts_ns - 1_000_000_000  # the first look comes a second after the first frame
            self.newest = output
            seen.looks.append(output)
            return
        for name, wave in (("hr", output.signals.bvp), ("rr", output.signals.rsp)):
            if wave is not None:
                seen.waves["hr" if name == "hr" else "rr"].append((output.signals.t0_ns, output.signals.fs, wave))

    @property
    def seconds(self) -> float:
        """Stream time that was looked at."""
        return 0.0 if self.newest is None or self._begin_ns is None else (self.newest.pts_ns - self._begin_ns) / 1e9

    @property
    def others(self) -> int:
        """How many people beside the one who was measured."""
        return max(0, sum(bool(seen.looks) for seen in self._seen.values()) - 1)

    def result(self, name: RateName) -> Measured:
        """What the measurement says of HR or RR so far."""
        seen = max(self._seen.values(), key=lambda one: one.weight, default=_Seen())
        estimates = [look.hr if name == "hr" else look.rr for look in seen.looks]
        ok = [one for one in estimates if one.state == "ok" and one.value is not None]
        values = np.array([one.value for one in ok], np.float64)
        counted = Counter(one.state for one in estimates)
        low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
        return Measured(
            value=float(np.median(values)) if len(values) else None,
            uncertainty=_uncertainty(ok, values),
            low=low,
            high=high,
            sqi=float(np.median([one.sqi for one in ok])) if ok else 0.0,
            sources=tuple(dict.fromkeys(kind for one in ok for kind in one.sources)),
            source_sqi=_source_sqi(ok),
            state=estimates[-1].state if estimates else "starting",
            looks=len(estimates),
            states={state: counted[state] for state in STATES if counted[state]},
            why=tuple(_reasons(seen.looks, name, warming_up=not ok)),
            course=self._course(seen, name, estimates),
            ok_age_s=self._ok_age_s(seen.looks, estimates),
        )

    def _ok_age_s(self, looks: list[Vitals], estimates: list[Estimate]) -> float | None:
        when = [look.pts_ns for look, one in zip(looks, estimates, strict=True) if one.state == "ok"]
        return (self.newest.pts_ns - when[-1]) / 1e9 if when and self.newest else None

    def _course(self, seen: _Seen, name: RateName, estimates: list[Estimate]) -> Course:
        begin_ns = self._begin_ns or 0
        t_s = np.array([(look.pts_ns - begin_ns) / 1e9 for look in seen.looks], np.float64)
        states = tuple(one.state for one in estimates)
        blocks = seen.waves[name]
        per_min, power = _spectrum(seen.looks, name, states)
        if not blocks:
            return Course(t_s, states, np.empty(0), np.empty(0), per_min, power)
        fs = blocks[0][1]
        times = [(t0_ns - begin_ns) / 1e9 + np.arange(len(wave)) / fs for t0_ns, _, wave in blocks]
        waves = [wave.astype(np.float64) for _, _, wave in blocks]
        drawn = with_gaps(np.concatenate(times), np.concatenate(waves), 1.5 / fs)
        return Course(t_s, states, *drawn, per_min, power)


def _spectrum(looks: list[Vitals], name: RateName, states: tuple[State, ...]) -> tuple[Floats, Floats]:
    """The mean of what the looks that were ``ok`` read from, else what the newest look read from."""
    held = [(state, look.spectra[name]) for state, look in zip(states, looks, strict=True) if name in look.spectra]
    taken = [one for state, one in held if state == "ok"] or [one for _, one in held[-1:]]
    if not taken:
        return np.empty(0), np.empty(0)
    per_min = taken[-1][0]
    return per_min, np.mean([np.interp(per_min, *one) for one in taken], axis=0)


def _uncertainty(ok: list[Estimate], values: Floats) -> float | None:
    if not ok:
        return None
    of_a_look = float(np.median([one.uncertainty or 0.0 for one in ok]))
    return float(np.hypot(of_a_look, values.std(ddof=1) if len(values) > 1 else 0.0))


def _source_sqi(ok: list[Estimate]) -> dict[FrameKind, float]:
    """The median quality of each modality over the looks that it was there for."""
    kinds = dict.fromkeys(kind for one in ok for kind in one.source_sqi)
    return {kind: float(np.median([one.source_sqi[kind] for one in ok if kind in one.source_sqi])) for kind in kinds}


def _reasons(looks: list[Vitals], name: RateName, *, warming_up: bool) -> list[Why]:
    """Why the rate was not ``ok``, the most frequent reason first and warming up, which passes by itself, last."""
    counts: Counter[str] = Counter()
    facts: dict[str, Mapping[str, float]] = {}
    for look in looks:
        for code in (look.hr if name == "hr" else look.rr).why:
            counts[code] += 1
            facts[code] = look.facts.get(name, {})
    left_out = set() if warming_up else {"warming_up"}
    return [
        Why(code, count, REASONS[code].said(facts[code]), REASONS[code].fix)
        for code, count in sorted(counts.items(), key=lambda one: (one[0] == "warming_up", -one[1]))
        if code not in left_out
    ]
