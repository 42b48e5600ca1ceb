"""Files of a kit and of a reference device whose courses, errors and clocks are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.sinks.factory import RecordFactory
from edge.sinks.records import encode
from edge.vitals import Estimate, State, Vitals

WALL0_S = 1_795_342_507.0
"""2026-11-22T10:15:07Z"""

Course = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


class Lab:
    """Writes ``kit.jsonl`` and ``reference.csv`` into a folder. Kit seconds count from 2026-11-22T10:15:07Z."""

    def __init__(self, folder: Path) -> None:
        self.records, self.reference = folder / "kit.jsonl", folder / "reference.csv"
        self._now_s = 0.0
        self._pace = 1.0
        self._clock_s = 0.0

    def ok(self, value: float, *, window_s: float = 1.0, age_ms: int = 0) -> Estimate:
        return Estimate(value, 0.8, "ok", (), window_s, age_ms, 0.5)

    def bad(self, value: float, state: State = "low_quality", *, age_ms: int = 0, window_s: float = 1.0) -> Estimate:
        return Estimate(value, 0.3, state, ("dark", "motion"), window_s, age_ms, 2.0)

    def lost(self, *why: str, window_s: float = 1.0) -> Estimate:
        return Estimate(None, 0.0, "lost", why or ("motion",), window_s, 0, None)

    def run(
        self,
        looks: Iterable[tuple[float, Estimate, Estimate]],
        *,
        pace: float = 1.0,
        clock_s: float = 0.0,
        boot: str | None = None,
        device: str = "kit-7",
        **changes: Any,
    ) -> None:
        """Append one run of the program: kit second, HR and RR of each look.

        ``pace``: how many stream seconds pass in a second; ``clock_s``: how far the wall clock is off.
        """
        self._pace, self._clock_s = pace, clock_s
        factory = RecordFactory(
            device, boot, synced=lambda: True,
            wall_clock=lambda: round((WALL0_S + self._clock_s + self._now_s / self._pace) * 1e9),
            mono_clock=lambda: round((5000.0 + self._now_s / self._pace) * 1e9),
        )  # fmt: skip
        plain: dict[str, Any] = {"zone": "main", "person": 0, "mode": "exact", "bundle_id": "sha256:ab"} | changes
        with self.records.open("ab") as file:
            for second, hr, rr in looks:
                self._now_s = second
                stamp_ns = round((5000.0 + second) * 1e9)
                vitals = Vitals(hr=hr, rr=rr, pts_ns=stamp_ns, fps={"rgb": 30.0}, dropped={"rgb": 0}, **plain)
                file.write(encode(factory.numerics(vitals)) + b"\n")

    def follow(self, course: Course, seconds: npt.NDArray[np.float64], *, window_s: float = 10.0, **run: Any) -> None:
        """A run whose HR is the mean of ``course`` over its window, with an error of 0.5 per minute; RR is lost."""
        noise = np.random.default_rng(1).normal(0.0, 0.5, len(seconds))
        within = np.linspace(-window_s, 0.0, 101)
        means = course(seconds[:, None] + within).mean(axis=1) + noise
        looks = zip(seconds.tolist(), means.tolist(), strict=True)
        self.run(((s, self.ok(v, window_s=window_s), self.lost()) for s, v in looks), **run)

    def refer(
        self,
        seconds: npt.NDArray[np.float64],
        hr: npt.NDArray[np.float64] | float,
        rr: npt.NDArray[np.float64] | float = 15.0,
        *,
        ahead_s: float = 0.0,
        relative: bool = False,
    ) -> None:
        """Write the reference: rates at kit seconds, as a clock that is ahead by ``ahead_s`` shows them."""
        zero_s = ahead_s if relative else WALL0_S + ahead_s
        hr, rr = np.broadcast_to(hr, seconds.shape), np.broadcast_to(rr, seconds.shape)
        lines = ["time,hr,rr"]
        for second, *rates in zip(seconds, hr, rr, strict=True):
            at = zero_s + second
            text = f"{at:.3f}" if relative else iso(at)
            lines.append(",".join([text, *("" if np.isnan(rate) else f"{rate:.2f}" for rate in rates)]))
        self.reference.write_text("\n".join(lines) + "\n")


def iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"


def lively(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A heart rate that rises and falls in no regular way."""
    s = np.asarray(seconds, dtype=np.float64)
    wave = 6.0 * np.sin(s / 37.0) + 4.0 * np.sin(s / 13.7 + 1.0) + 8.0 * np.exp(-(((s - 310.0) / 60.0) ** 2))
    return 72.0 + wave


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def lively_course() -> Course:
    return lively
