"""Measures how a live run keeps up, and asks the budget once a second what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge.load_budget import LoadBudget, LoadSample, Pace

__all__ = ["Pacer"]

_EVERY_S = 1.0


class Pacer:
    """``waiting`` gives the share of the fullest queue, ``dropped`` the frames given up since the start."""

    def __init__(
        self,
        budget: LoadBudget,
        waiting: Callable[[], float],
        dropped: Callable[[], int],
        temperature: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._waiting, self._dropped, self._temperature, self._clock = waiting, dropped, temperature, clock
        self._begin_s = clock()
        self._busy_s = self._fullest = 0.0
        self._gone = dropped()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around all that is done for one frame."""
        start_s = self._clock()
        self._fullest = max(self._fullest, self._waiting())
        try:
            yield
        finally:
            self._busy_s += self._clock() - start_s

    def step(self) -> Pace | None:
        """Call it on every turn: once a second the budget is asked, and where the pace changes it is given."""
        now_s = self._clock()
        if now_s - self._begin_s < _EVERY_S:
            return None
        gone = self._dropped()
        busy = min(self._busy_s / (now_s - self._begin_s), 1.0)
        sample = LoadSample(self._fullest, gone - self._gone, busy, self._temperature())
        self._begin_s, self._busy_s, self._fullest, self._gone = now_s, 0.0, 0.0, gone
        return self.budget.step(now_s, sample)
