"""Beats of waves with known ones: how exactly they are timed, and when they are withheld."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge.cameras.scene_params import SceneParams
from edge.cameras.scene_physiology import Physiology
from edge.signals.beats import MAX_UNCERTAINTY_MS, timed_beats
from edge.vitals import Beats

SECONDS = 30.0


def wave(body: Physiology, fs: float, noise: float, seed: int) -> npt.NDArray[np.float32]:
    t_s = np.arange(round(SECONDS * fs)) / fs
    pulse = body.bvp(t_s)
    rng = np.random.default_rng(seed)
    return (pulse + noise * pulse.std() * rng.standard_normal(len(t_s))).astype(np.float32)


def beats_of(
    noise: float, *, hr: float = 66.0, fs: float = 30.0, variability: float = 1.0, sign: float = 1.0
) -> tuple[Beats | None, Physiology]:
    body = Physiology(SceneParams(hr=hr, seconds=SECONDS + 2.0, variability=variability, seed=5))
    first, second = (wave(body, fs, noise, seed) for seed in (1, 2))
    missing = np.zeros(len(first), np.bool_)
    return timed_beats(first, sign * second, missing, hr, fs, 0), body


def true_ms(beats: Beats, body: Physiology) -> npt.NDArray[np.float64]:
    """From the beginning of each interval to the same phase of the next beat."""
    known = body.beats_s(-1.0, SECONDS + 1.0)
    number = np.arange(len(known))
    starts = np.array(beats.ends_ns) * 1e-9 - np.array(beats.intervals_ms) * 1e-3
    return np.asarray((np.interp(np.interp(starts, known, number) + 1.0, number, known) - starts) * 1e3)


@pytest.mark.parametrize(("hr", "rms_ms"), [(45.0, 16.0), (66.0, 10.0), (110.0, 6.0), (150.0, 6.0)])
def test_intervals_of_a_clean_wave_are_right_to_a_hundredth(hr: float, rms_ms: float) -> None:
    beats, body = beats_of(0.02, hr=hr)
    assert beats is not None
    assert len(beats.intervals_ms) > 0.8 * (SECONDS - 2.0) * hr / 60.0
    errors = np.array(beats.intervals_ms) - true_ms(beats, body)
    assert np.sqrt(np.mean(errors**2)) < rms_ms
    assert beats.uncertainty_ms < rms_ms


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_the_stated_uncertainty_is_about_the_error(noise: float) -> None:
    beats, body = beats_of(noise)
    assert beats is not None
    rms = float(np.sqrt(np.mean((np.array(beats.intervals_ms) - true_ms(beats, body)) ** 2)))
    assert 0.5 * rms < beats.uncertainty_ms < 3.0 * rms


def test_a_second_wave_of_the_other_sign_times_as_well() -> None:
    up, down = beats_of(0.1)[0], beats_of(0.1, sign=-1.0)[0]
    assert up is not None
    assert down is not None
    assert down.uncertainty_ms < 3.0 * up.uncertainty_ms


def test_noise_withholds_intervals() -> None:
    assert beats_of(2.0)[0] is None


def test_two_waves_that_do_not_share_beats_withhold_them() -> None:
    one, other = (Physiology(SceneParams(hr=hr, seconds=SECONDS + 2.0, seed=5)) for hr in (66.0, 83.0))
    first, second = wave(one, 30.0, 0.05, 1), wave(other, 30.0, 0.05, 2)
    assert timed_beats(first, second, np.zeros(len(first), np.bool_), 66.0, 30.0, 0) is None


def test_rmssd_is_given_where_it_stands_out_of_the_noise_and_right() -> None:
    beats, body = beats_of(0.05, variability=3.0)
    assert beats is not None
    assert beats.rmssd_ms is not None
    known = body.beats_s(1.0, SECONDS - 1.0)
    assert beats.rmssd_ms == pytest.approx(float(np.sqrt(np.mean(np.diff(known, 2) ** 2)) * 1e3), rel=0.25)


def test_rmssd_that_is_mostly_noise_is_withheld() -> None:
    beats, _ = beats_of(0.3, variability=0.0)
    assert beats is not None
    assert beats.uncertainty_ms <= MAX_UNCERTAINTY_MS
    assert beats.rmssd_ms is None


def test_intervals_over_missing_frames_are_left_out() -> None:
    body = Physiology(SceneParams(hr=66.0, seconds=SECONDS + 2.0, seed=5))
    first, second = (wave(body, 30.0, 0.05, seed) for seed in (1, 2))
    missing = np.zeros(len(first), np.bool_)
    missing[400:415] = True
    whole = timed_beats(first, second, np.zeros_like(missing), 66.0, 30.0, 0)
    holed = timed_beats(first, second, missing, 66.0, 30.0, 0)
    assert whole is not None
    assert holed is not None
    assert 1 <= len(whole.ends_ns) - len(holed.ends_ns) <= 2
    for end_ns, interval_ms in zip(holed.ends_ns, holed.intervals_ms, strict=True):
        start_s, end_s = end_ns * 1e-9 - interval_ms * 1e-3, end_ns * 1e-9
        assert end_s < 400 / 30.0 + 0.04 or start_s > 415 / 30.0 - 0.04


def test_new_intervals_are_those_that_ended_later() -> None:
    beats, _ = beats_of(0.05)
    assert beats is not None
    new = beats.after(beats.ends_ns[-3])
    assert new.ends_ns == beats.ends_ns[-2:]
    assert new.intervals_ms == beats.intervals_ms[-2:]
    assert (new.rmssd_ms, new.window_s) == (beats.rmssd_ms, beats.window_s)


def test_a_short_wave_has_none() -> None:
    short = np.zeros(60, np.float32)
    assert timed_beats(short, short, np.zeros(60, np.bool_), 66.0, 30.0, 0) is None
