"""Processor time by stage of the loop: the program's own functions, timed where they stand.

A stage's time is its own: what a function spends in another stage counts there. One clock is on at a time, so several
loops can run in turn in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import edge.clips.thermal_view as thermal_view_module
import edge.follower as follower_module
from edge.clips.grid import PairGrid, Resampler
from edge.clips.pairing import Pairer
from edge.faces.haar import HaarDetector
from edge.faces.motion import MotionMeter
from edge.faces.track import FaceTracker
from edge.person import Person
from edge.runtimes.onnxrt import OnnxRuntime
from edge.runtimes.onnxrt_stream import StreamSession

__all__ = ["REST", "STAGES", "StageClock", "timed_stages"]

STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "face": ((FaceTracker, "step"), (HaarDetector, "detect")),
    "crop": ((follower_module, "model_cells"), (thermal_view_module, "model_cells")),
    "motion": ((MotionMeter, "step"),),
    "grid": ((Pairer, "push"), (PairGrid, "push"), (Resampler, "push")),
    "buffers": ((Person, "take"),),
    "model": ((OnnxRuntime, "infer"), (StreamSession, "step")),
    "post": ((Person, "clip"), (Person, "accept"), (Person, "look")),
}
"""Functions by stage. ``buffers``: rings, the stream's chunks and its guard. ``post``: evidence, rates, states."""
REST = "rest"
"""What belongs to no stage: counts, seats, schedules, the records' way."""


class StageClock:
    """Processor seconds of this thread by stage."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}
        self._stage, self._since_ns = REST, 0

    @contextmanager
    def on(self, stage: str = REST) -> Iterator[None]:
        """What runs inside counts for ``stage``."""
        before = self._turn_to(stage)
        try:
            yield
        finally:
            self._turn_to(before)

    @contextmanager
    def running(self) -> Iterator[None]:
        """What runs inside is counted by this clock."""
        global _clock  # noqa: PLW0603 - the timed functions are the program's own and know nobody
        before, _clock = _clock, self
        self._since_ns = time.thread_time_ns()
        try:
            yield
        finally:
            self._turn_to(REST)
            _clock = before

    def take(self) -> dict[str, float]:
        """What was spent since the last call."""
        spent, self.spent_s = self.spent_s, {}
        return spent

    def _turn_to(self, stage: str) -> str:
        now_ns = time.thread_time_ns()
        self.spent_s[self._stage] = self.spent_s.get(self._stage, 0.0) + (now_ns - self._since_ns) / 1e9
        before, self._stage, self._since_ns = self._stage, stage, now_ns
        return before


_clock: StageClock | None = None


def _timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def timed(*arguments: Any, **named: Any) -> Any:
        if _clock is None:
            return call(*arguments, **named)
        with _clock.on(stage):
            return call(*arguments, **named)

    return timed


@contextmanager
def timed_stages() -> Iterator[None]:
    """The functions of :data:`STAGES` are timed inside."""
    places = [(stage, owner, name, getattr(owner, name)) for stage, found in STAGES.items() for owner, name in found]
    for stage, owner, name, call in places:
        setattr(owner, name, _timed(stage, call))
    try:
        yield
    finally:
        for _, owner, name, call in places:
            setattr(owner, name, call)
