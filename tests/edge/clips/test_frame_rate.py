from __future__ import annotations

import numpy as np
import pytest

from edge.clips.frame_rate import RateLimits, RateMeter, StreamRate

S = 1_000_000_000


def measured(stamps_s: np.ndarray) -> StreamRate:
    meter = RateMeter()
    for t in stamps_s:
        meter.add(round(t * S))
    assert meter.rate is not None
    return meter.rate


@pytest.mark.parametrize("fps", [8.7, 29.97, 60.0])
def test_a_steady_stream_has_its_own_rate_and_no_jitter(fps: float) -> None:
    rate = measured(np.arange(200) / fps)
    assert rate.fps == pytest.approx(fps, rel=1e-4)
    assert rate.period_ns == pytest.approx(S / fps, rel=1e-4)
    assert rate.jitter_ms < 0.01


def test_a_drop_is_a_gap_not_jitter() -> None:
    rate = measured(np.delete(np.arange(60) / 30.0, [40, 41]))
    assert rate.max_gap_s == pytest.approx(0.1)
    assert rate.jitter_ms < 0.01
    assert rate.fps == pytest.approx(57 / (59 / 30), rel=1e-3)


def test_only_the_last_two_seconds_count() -> None:
    assert measured(np.concatenate((np.arange(50) / 10.0, 5.0 + np.arange(90) / 30.0))).fps == pytest.approx(30.0)


def test_nothing_is_measured_before_three_stamps() -> None:
    meter = RateMeter()
    meter.add(0)
    meter.add(S)
    assert meter.rate is None


def test_limits_name_the_published_reason() -> None:
    limits = RateLimits()
    assert limits.broken_by(measured(np.arange(90) / 30.0)) == ()
    assert limits.broken_by(measured(np.arange(90) / 10.0)) == ("low_fps",)
    assert limits.broken_by(measured(np.arange(900) / 300.0)) == ("jitter",)
    assert limits.broken_by(measured(np.delete(np.arange(60) / 30.0, np.arange(40, 48)))) == ("gap",)
