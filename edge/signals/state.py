"""From evidence to an estimate with a state: the life gate, the hold, and one order in which states win.

A value is published only after three consecutive looks at new evidence agree (overlapping windows count) and
independent cues agree in each. Once a rate was ``ok`` and its evidence fails, the last value stays visible as ``hold``,
older by the second, for at most 10 s; a situation that forbids values ends that too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

from edge.signals.evidence import Evidence
from edge.vitals import STATES, Estimate, State

__all__ = ["GATE_LOOKS", "GateRules", "RateTracker", "Situation", "first_named"]


GATE_LOOKS = 3


@dataclass(frozen=True, slots=True)
class GateRules:
    """How one rate is gated.

    ``step_per_min``: consecutive looks agree within it. ``ok_window_s``: shortest window for ``ok``. ``fresh_s``:
    evidence older than this counts as failed. ``hold_s``: how long the last ``ok`` value stays. ``lamp_s``: how long a
    rate at which the light was seen to change is suspected.
    """

    step_per_min: float
    looks: int = GATE_LOOKS
    ok_sqi: float = 0.5
    ok_window_s: float = 0.0
    fresh_s: float = 2.0
    hold_s: float = 10.0
    lamp_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What stands above any evidence: a state that forbids a value, with its reasons.

    With ``state`` None a value is allowed, and reasons, if any, keep it from being ``ok``.
    """

    state: State | None = None
    why: tuple[str, ...] = ()


def first_named(*situations: Situation) -> Situation:
    """The situation whose state stands first in ``STATES``, with the reasons of all, its own first."""
    ordered = sorted(situations, key=lambda one: len(STATES) if one.state is None else STATES.index(one.state))
    why = dict.fromkeys(code for one in ordered for code in one.why)
    return Situation(ordered[0].state, tuple(why))


class _Held(NamedTuple):
    """The last ``ok`` value, all that was said of it, and the stamp of its newest frame."""

    value: float
    estimate: Estimate
    stamp_ns: int


class RateTracker:
    """The state of one rate (HR or RR) of one person."""

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules
        self.fresh_s = rules.fresh_s  # may change with the pace of the model's runs
        self._looks: deque[float] = deque(maxlen=rules.looks)
        self._looked_ns: int | None = None
        self._held: _Held | None = None
        self._lamps: deque[tuple[int, float]] = deque(maxlen=64)  # stamps and rates of light that changes

    @property
    def rate_per_min(self) -> float | None:
        """The rate tracked so far, as a prior for the next look."""
        return self._looks[-1] if self._looks else (self._held.value if self._held else None)

    @property
    def passed(self) -> bool:
        """True while the life gate is open."""
        return len(self._looks) == self._rules.looks

    def forget(self) -> None:
        """Start over: another face, another place, a state that forbids values."""
        self._looks.clear()
        self._held = None

    def step(self, tick_ns: int, newest_ns: int | None, situation: Situation, evidence: Evidence | None) -> Estimate:
        """The estimate at ``tick_ns`` from evidence whose newest frame has stamp ``newest_ns`` (None: none yet)."""
        age_ns = 0 if newest_ns is None else max(0, tick_ns - newest_ns)
        if evidence is None or newest_ns is None:
            situation = first_named(situation, Situation("starting", ("warming_up",)))
        if situation.state is not None or evidence is None or newest_ns is None:
            self.forget()
            window_s = evidence.window_s if evidence else 0.0
            return _without_value(situation.state or "starting", situation.why, window_s, age_ns)
        evidence = replace(evidence, why=situation.why + evidence.why)
        if age_ns > self.fresh_s * 1e9:
            self._looks.clear()
            return self._failed(replace(evidence, why=("gap", *evidence.why)), tick_ns, age_ns)
        evidence = self._without_lamps(evidence, newest_ns)
        self._look(evidence, newest_ns)
        return self._judged(evidence, tick_ns, newest_ns)

    def _without_lamps(self, evidence: Evidence, newest_ns: int) -> Evidence:
        """A lamp does not go when one window shows it less clearly: its rate is no pulse's for a while."""
        if evidence.lamp_per_min is not None:
            self._lamps.append((newest_ns, evidence.lamp_per_min))
        rate, oldest_ns = evidence.rate_per_min, newest_ns - round(self._rules.lamp_s * 1e9)
        near = self._rules.step_per_min / 2.0
        if rate is None or not any(ns >= oldest_ns and abs(lamp - rate) < near for ns, lamp in self._lamps):
            return evidence
        return replace(evidence, alive=False, why=tuple(dict.fromkeys((*evidence.why, "light_change"))))

    def _look(self, evidence: Evidence, newest_ns: int) -> None:
        """Count evidence once, however often it is looked at."""
        if newest_ns == self._looked_ns:
            return
        self._looked_ns = newest_ns
        rate = evidence.rate_per_min
        if rate is None or not evidence.alive:
            self._looks.clear()
            return
        if self._looks and abs(self._looks[-1] - rate) > self._rules.step_per_min:
            self._looks.clear()
        self._looks.append(rate)

    def _judged(self, evidence: Evidence, tick_ns: int, newest_ns: int) -> Estimate:
        rate, age_ns = evidence.rate_per_min, tick_ns - newest_ns
        if not self.passed or rate is None:
            return self._failed(evidence, tick_ns, age_ns)
        why = evidence.why if evidence.sqi >= self._rules.ok_sqi else (evidence.why or ("weak_signal",))
        if evidence.window_s < self._rules.ok_window_s:
            why = (*why, "warming_up")
        if why:
            if self._held is not None and abs(self._held.value - rate) > self._rules.step_per_min:
                self._held = None  # newer, if weaker, evidence says otherwise
            return _with_value("low_quality", rate, evidence, why, age_ns)
        estimate = _with_value("ok", rate, evidence, (), age_ns)
        self._held = _Held(rate, estimate, newest_ns)
        return estimate

    def _failed(self, evidence: Evidence, tick_ns: int, age_ns: int) -> Estimate:
        why = evidence.why or ("weak_signal",)
        if self._looks:  # alive so far, and not yet for long enough
            why = ("warming_up", *evidence.why)
        held = self._held
        if held is not None and tick_ns - held.stamp_ns <= self._rules.hold_s * 1e9:
            age_ms = (tick_ns - held.stamp_ns) // 1_000_000
            return replace(held.estimate, state="hold", why=why, window_s=evidence.window_s, age_ms=age_ms)
        self._held = None
        return _without_value("starting" if self._looks else "lost", why, evidence.window_s, age_ns)


def _with_value(state: State, rate: float, evidence: Evidence, why: tuple[str, ...], age_ns: int) -> Estimate:
    return Estimate(
        rate, evidence.sqi, state, why, evidence.window_s, age_ns // 1_000_000, evidence.uncertainty_per_min,
        sources=evidence.sources, source_sqi=evidence.source_sqi,
    )  # fmt: skip


def _without_value(state: State, why: tuple[str, ...], window_s: float, age_ns: int) -> Estimate:
    return Estimate(None, 0.0, state, why, window_s, age_ns // 1_000_000, None)
