from __future__ import annotations

import math

import numpy as np
import pytest

from edge.signals.filters import spectrum
from edge.signals.rates import Reading, read_rate
from edge.signals.uncertainty import BREATH, PULSE, Calibration, standard_uncertainty
from edge.vitals import HR_BAND

FS = 30.0
T = np.arange(300) / FS


def reading(rate: float = 80.0, bound: float = 0.2) -> Reading:
    return Reading(rate, 3.0, bound, 10.0)


def test_noise_unsteadiness_and_spread_join_as_independent_errors() -> None:
    found = standard_uncertainty(reading(), Calibration(noise=2.0, unsteady=0.01, spread=0.5), spread_per_min=2.0)
    assert found == pytest.approx(math.hypot(0.4, 0.8, 1.0))


@pytest.mark.parametrize("calibration", [PULSE, BREATH])
def test_more_noise_and_a_quicker_rate_are_less_certain_and_none_is_surer_than_a_steady_sine(
    calibration: Calibration,
) -> None:
    plain = standard_uncertainty(reading(), calibration)
    assert plain > 0.2
    assert standard_uncertainty(reading(bound=0.4), calibration) > plain
    assert standard_uncertainty(reading(rate=150.0), calibration) > plain


def test_a_pulse_that_wanders_is_within_what_is_stated() -> None:
    """Beats vary by 2 % from one to the next, as a resting heart's do; the truth is the mean rate of the window."""
    rng = np.random.default_rng(8)
    errors, stated = [], []
    for _ in range(200):
        beats = np.cumsum(rng.normal(1.0, 0.02, 40) * 60.0 / rng.uniform(50.0, 110.0))
        phase = np.interp(T, beats - beats[0], np.arange(40.0))
        noisy = np.sin(2.0 * np.pi * phase) + 0.5 * rng.standard_normal(len(T))
        found = read_rate(spectrum(noisy, HR_BAND, FS), HR_BAND, 10.0)
        assert found is not None
        errors.append(found.rate_per_min - 60.0 * (phase[-1] - phase[0]) / (T[-1] - T[0]))
        stated.append(standard_uncertainty(found, PULSE))
    ratio = np.abs(np.array(errors)) / np.array(stated)
    assert 0.6 < np.quantile(ratio, 0.68) < 1.4
    assert 1.2 < np.quantile(ratio, 0.95) < 2.8
