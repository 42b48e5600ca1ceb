from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.signals.filters import Spectrum, spectrum
from edge.signals.rates import fused, read_rate
from edge.vitals import HR_BAND, RR_BAND

FS = 30.0


def wave(rate_per_min: float, seconds: float, harmonic: float = 0.0, phase: float = 0.3) -> np.ndarray:
    angle = 2 * np.pi * rate_per_min / 60 * np.arange(round(seconds * FS)) / FS
    return np.sin(angle + phase) + harmonic * np.sin(2 * angle)


@settings(deadline=None, max_examples=60)
@given(rate=st.floats(42, 170), seconds=st.floats(6, 10), phase=st.floats(0, 6.28))
def test_a_clean_pulse_is_read_within_two_per_minute(rate: float, seconds: float, phase: float) -> None:
    reading = read_rate(spectrum(wave(rate, seconds, 0.3, phase), HR_BAND, FS), HR_BAND, seconds)
    assert reading is not None
    assert reading.rate_per_min == pytest.approx(rate, abs=2.0)


@pytest.mark.parametrize("rate", [45, 52, 60, 75])
def test_a_harmonic_stronger_than_the_fundamental_does_not_win(rate: float) -> None:
    x = wave(rate, 10, harmonic=1.25)
    spec = spectrum(x, HR_BAND, FS)
    assert spec.per_min[spec.power.argmax()] == pytest.approx(2 * rate, abs=2)  # the plain peak is the wrong one
    reading = read_rate(spec, HR_BAND, 10.0)
    assert reading is not None
    assert reading.rate_per_min == pytest.approx(rate, abs=2)


@pytest.mark.parametrize("rate", [90, 120, 150])
def test_noise_at_half_the_rate_does_not_halve_it(rate: float) -> None:
    x = wave(rate, 10) + 0.35 * wave(rate / 2, 10, phase=1.0)
    reading = read_rate(spectrum(x, HR_BAND, FS), HR_BAND, 10.0)
    assert reading is not None
    assert reading.rate_per_min == pytest.approx(rate, abs=2)


def test_the_track_so_far_decides_between_equal_peaks() -> None:
    spec = spectrum(wave(65, 10) + wave(100, 10), HR_BAND, FS)
    for prior in (65.0, 100.0):
        reading = read_rate(spec, HR_BAND, 10.0, prior)
        assert reading is not None
        assert reading.rate_per_min == pytest.approx(prior, abs=2.5)


def test_more_noise_gives_a_lower_snr_and_a_larger_bound() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=300)
    readings = [read_rate(spectrum(wave(72, 10) + a * noise, HR_BAND, FS), HR_BAND, 10.0) for a in (0.1, 0.5, 2.0)]
    snr = [r.snr_db for r in readings if r]
    spread = [r.bound_per_min for r in readings if r]
    assert snr == sorted(snr, reverse=True)
    assert spread == sorted(spread)


def test_the_bound_is_that_of_repeated_readings_of_a_steady_sine() -> None:
    rng = np.random.default_rng(4)
    readings = [
        read_rate(spectrum(wave(80, 10) + rng.normal(size=300), HR_BAND, FS), HR_BAND, 10.0) for _ in range(200)
    ]
    rates = np.array([r.rate_per_min for r in readings if r])
    stated = np.median([r.bound_per_min for r in readings if r])
    assert 0.4 < stated / rates.std() < 2.5


def test_an_empty_spectrum_has_no_rate() -> None:
    assert read_rate(spectrum(np.zeros(300), HR_BAND, FS), HR_BAND, 10.0) is None


def test_fusing_weighs_spectra() -> None:
    grid = np.arange(40.0, 180.0)
    a = Spectrum(grid, np.eye(140)[10])
    b = Spectrum(grid, np.eye(140)[90])
    np.testing.assert_allclose(fused([a, b], [3.0, 1.0]).power[[10, 90]], [0.75, 0.25])


def test_slow_breathing_is_read() -> None:
    t = np.arange(900) / FS
    reading = read_rate(spectrum(np.sin(2 * np.pi * 6.5 / 60 * t), RR_BAND, FS), RR_BAND, 30.0)
    assert reading is not None
    assert reading.rate_per_min == pytest.approx(6.5, abs=0.6)
