"""The soak's verdict, its cameras, and, by night, an hour of it."""

from __future__ import annotations

import numpy as np
import pytest

from edge.benchmarks.live_scene import there_and_back
from edge.benchmarks.soak import Limits, Sample, failures_of, slope_per_h, soak


def samples(mb_per_h: float = 0.0, threads: tuple[int, int] = (8, 8), fds: tuple[int, int] = (7, 7)) -> list[Sample]:
    """20 minutes; memory swings by some MB, as arenas do."""
    swing = np.random.default_rng(3)
    return [
        Sample(
            s=float(s),
            rss_mb=300.0 + mb_per_h * s / 3600.0 + float(swing.uniform(0.0, 7.0)),
            threads=threads[s >= 600],
            fds=fds[s >= 600],
            waiting=0.0,
            cpu_s=0.2 * s,
        )
        for s in range(0, 1200, 5)
    ]


@pytest.mark.parametrize("mb_per_h", [0.0, 20.0, -20.0])
def test_the_slope_is_found_beneath_the_swings(mb_per_h: float) -> None:
    assert slope_per_h(samples(mb_per_h)) == pytest.approx(mb_per_h, abs=6.0)


def test_what_grows_is_named() -> None:
    assert failures_of(samples(), Limits()) == []
    (memory,) = failures_of(samples(mb_per_h=40.0), Limits())
    (threads,) = failures_of(samples(threads=(8, 9)), Limits())
    (descriptors,) = failures_of(samples(fds=(7, 9)), Limits())
    assert memory.startswith("memory grows by")
    assert threads == "threads grew from 8 to 9"
    assert descriptors == "descriptors grew from 7 to 9"


def test_a_scene_is_played_there_and_back() -> None:
    assert [there_and_back(k, 4) for k in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(5, 1) == 0


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_an_hour_holds_memory_threads_and_descriptors() -> None:
    assert soak(60.0, "stream").failures == []
