"""What a live run does when it is short of time or too hot: look less often, before frames are lost. Pure.

The model's runs and the face detector are what can wait; frames cannot. A strained device runs the model every second,
third hop and looks for faces every 1.5 s instead of every second, so that a face that left is still missed within 2 s.
It goes back when it was at ease for a while, and each time that turns out too soon it waits twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BudgetRules", "LoadBudget", "LoadSample", "Pace"]

_MAX_HOP_S = 6.0
"""Longest hop: a window; what lies between two of them would never be seen."""


@dataclass(frozen=True, slots=True)
class LoadSample:
    """How a run did since the last sample.

    ``waiting``: largest share (0..1) of a camera's queue that was full. ``dropped``: frames that found no room.
    ``busy``: share of the time spent on frames. ``temperature_degc``: the hottest sensor, None where nothing tells.
    """

    waiting: float
    dropped: int
    busy: float
    temperature_degc: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the model runs and the face is looked for, and why it is so."""

    hop_s: float
    face_every_s: float
    why: str


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """When a run is strained (any of them), and when at ease (all of them).

    Boards throttle at 95 to 100 degC. ``patience`` strained samples in a row lengthen the hop, a lost frame does at
    once; after a change ``settle_s`` are given it to show. ``ease_s`` at ease in a row shorten it again.
    """

    waiting: tuple[float, float] = (0.5, 0.25)
    busy: tuple[float, float] = (0.85, 0.6)
    temperature_degc: tuple[float, float] = (90.0, 85.0)
    patience: int = 2
    settle_s: float = 5.0
    ease_s: float = 30.0
    longest_ease_s: float = 600.0


class LoadBudget:
    """:meth:`step` it about once a second with what was measured."""

    def __init__(self, hop_s: float, face_every_s: float = 1.0, rules: BudgetRules | None = None) -> None:
        hops = [min(hop_s * times, max(_MAX_HOP_S, hop_s)) for times in (1.0, 2.0, 3.0)]
        self._steps = list(zip(hops, (face_every_s, 1.5 * face_every_s, 1.5 * face_every_s), strict=True))
        self._rules = rules or BudgetRules()
        self._level = self._strained = 0
        self._changed_s = self._fell_s = float("-inf")
        self._eased_since_s: float | None = None
        self._ease_s = self._rules.ease_s

    @property
    def hop_s(self) -> float:
        """The hop in force."""
        return self._steps[self._level][0]

    def step(self, now_s: float, sample: LoadSample) -> Pace | None:
        """The pace from now on, where it changes."""
        why = self._strain(sample)
        self._strained = self._strained + 1 if why else 0
        if not self._at_ease(sample):
            self._eased_since_s = None
        elif self._eased_since_s is None:
            self._eased_since_s = now_s
        if now_s - self._changed_s < self._rules.settle_s:
            return None
        if why and (self._strained >= self._rules.patience or sample.dropped) and self._level < len(self._steps) - 1:
            return self._rise(now_s, why)
        if self._level and self._eased_since_s is not None and now_s - self._eased_since_s >= self._ease_s:
            return self._fall(now_s)
        return None

    def _rise(self, now_s: float, why: str) -> Pace:
        too_soon = now_s - self._fell_s < 2.0 * self._ease_s
        self._ease_s = min(2.0 * self._ease_s, self._rules.longest_ease_s) if too_soon else self._rules.ease_s
        return self._change(now_s, 1, why)

    def _fall(self, now_s: float) -> Pace:
        self._fell_s = now_s
        return self._change(now_s, -1, f"at ease for {self._ease_s:.0f} s")

    def _change(self, now_s: float, by: int, why: str) -> Pace:
        self._level += by
        self._changed_s, self._eased_since_s, self._strained = now_s, None, 0
        return Pace(*self._steps[self._level], why)

    def _strain(self, sample: LoadSample) -> str:
        """What is too much, in words; nothing when all is well."""
        rules, heat = self._rules, sample.temperature_degc
        found = {
            f"{sample.dropped} frames found no room": sample.dropped > 0,
            f"{100 * sample.waiting:.0f} % of a camera's queue is full": sample.waiting >= rules.waiting[0],
            f"frames take {100 * sample.busy:.0f} % of the time": sample.busy >= rules.busy[0],
            f"{heat} degC": heat is not None and heat >= rules.temperature_degc[0],
        }
        return next((words for words, holds in found.items() if holds), "")

    def _at_ease(self, sample: LoadSample) -> bool:
        rules, heat = self._rules, sample.temperature_degc
        cool = heat is None or heat <= rules.temperature_degc[1]
        return cool and not sample.dropped and sample.waiting <= rules.waiting[1] and sample.busy <= rules.busy[1]
