"""A made-up patient: true rates that wander, and what a kit's windows would say of them, mishaps included.

Everything is a function of seed and second, so that whoever knows the seed knows the truth of every record.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge.signals.evidence import Evidence
from edge.signals.state import Situation
from edge.vitals import Signals, Truth

__all__ = ["Patient"]

FS = 30.0
_HR_WINDOW_S = (6.0, 10.0)
_RR_WINDOW_S = (15.0, 30.0)
_QUIET_S = (15.0, 120.0)
_MISHAP_S = (2.0, 20.0)


_NOTHING = Situation()


@dataclass(frozen=True, slots=True)
class _Mishap:
    """``situation`` stands above evidence; without one the evidence itself fails."""

    name: str
    hr: Situation = _NOTHING
    rr: Situation = _NOTHING
    sqi: float = 0.8
    alive: bool = True
    why: tuple[str, ...] = ()


_QUIET = _Mishap("quiet")
_MISHAPS = (
    _Mishap("leaves", Situation("no_face", ("no_face",)), Situation("no_face", ("no_face",))),
    _Mishap("moves", alive=False, sqi=0.1, why=("motion",)),
    _Mishap("weak", sqi=0.3, why=("weak_signal",)),
    _Mishap("thermal", rr=Situation("thermal_lost", ("no_thermal",))),
    _Mishap("camera", Situation("camera_lost", ("gap",)), Situation("camera_lost", ("gap",))),
)


class Patient:
    """``number`` and ``seed`` make one of its own. Ask for its seconds in order, from 0."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._hr, self._rr = self._random.uniform(55.0, 110.0), self._random.uniform(9.0, 24.0)
        self._phase = self._random.uniform(0.0, math.tau)
        self._mishaps = self._schedule()
        self._until_s, self._mishap = next(self._mishaps)

    def truth(self, second: float) -> Truth:
        """The rates at one moment."""
        slow, slower = math.sin(second / 40.0 + self._phase), math.sin(second / 170.0 + 2.0 * self._phase)
        return Truth(self._hr + 3.0 * slow + 4.0 * slower, self._rr + 0.6 * slow - 0.8 * slower)

    def seen(self, second: int) -> tuple[Situation, Evidence, Situation, Evidence]:
        """What stands above HR, evidence for HR; the same for RR."""
        while second >= self._until_s:
            self._until_s, self._mishap = next(self._mishaps)
        truth, mishap = self.truth(second), self._mishap
        hr = self._evidence(truth.hr_per_min, 0.7, min(_HR_WINDOW_S[1], max(_HR_WINDOW_S[0], second)))
        rr = self._evidence(truth.rr_per_min, 0.3, min(_RR_WINDOW_S[1], max(_RR_WINDOW_S[0], second)))
        return mishap.hr, hr, mishap.rr, rr

    def waves(self, second: int) -> Signals:
        """One second of both waveforms, clean sines of the true rates."""
        truth = self.truth(second)
        times_s = second + np.arange(round(FS)) / FS
        bvp = np.sin(math.tau * times_s * truth.hr_per_min / 60.0).astype(np.float32)
        rsp = np.sin(math.tau * times_s * truth.rr_per_min / 60.0).astype(np.float32)
        return Signals(bvp, rsp, FS, second * 10**9)

    def _evidence(self, rate_per_min: float, spread_per_min: float, window_s: float) -> Evidence:
        read = rate_per_min + self._random.gauss(0.0, spread_per_min)
        mishap = self._mishap
        return Evidence(read, spread_per_min, mishap.sqi, mishap.alive, mishap.why, window_s)

    def _schedule(self) -> Iterator[tuple[float, _Mishap]]:
        """Until which second what happens."""
        second = 0.0
        while True:
            second += self._random.uniform(*_QUIET_S)
            yield second, _QUIET
            second += self._random.uniform(*_MISHAP_S)
            yield second, self._random.choice(_MISHAPS)
