from __future__ import annotations

import numpy as np
import pytest

from edge.signals.filters import band_pass, spectrum
from edge.vitals import HR_BAND, RR_BAND

FS = 29.97


def tone(rate_per_min: float, seconds: float, fs: float = FS) -> np.ndarray:
    return np.sin(2 * np.pi * rate_per_min / 60 * np.arange(round(seconds * fs)) / fs)


@pytest.mark.parametrize(("rate", "gain"), [(50, 0.9), (72, 1.0), (120, 0.97), (170, 0.73)])
def test_a_tone_inside_the_band_passes_in_phase(rate: float, gain: float) -> None:
    x = tone(rate, 20)
    middle = slice(len(x) // 4, -len(x) // 4)
    kept, passed = x[middle], band_pass(x, HR_BAND, FS)[middle]
    assert np.dot(kept, passed) / np.dot(kept, kept) == pytest.approx(gain, abs=0.03)
    assert np.corrcoef(kept, passed)[0, 1] > 0.999


@pytest.mark.parametrize("rate", [6, 12, 400])
def test_a_tone_outside_the_band_is_weak(rate: float) -> None:
    middle = slice(150, -150)
    assert band_pass(tone(rate, 30), HR_BAND, FS)[middle].std() < 0.12


def test_columns_are_filtered_each_on_its_own() -> None:
    x = np.stack([tone(60, 10), tone(90, 10)], axis=1)
    np.testing.assert_allclose(band_pass(x, HR_BAND, FS)[:, 1], band_pass(x[:, 1], HR_BAND, FS))


def test_too_short_a_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 samples"):
        band_pass([1.0, 2.0, 3.0], HR_BAND, FS)


@pytest.mark.parametrize(("rate", "band", "seconds"), [(72, HR_BAND, 10), (44, HR_BAND, 8), (14, RR_BAND, 30)])
def test_a_spectrum_has_its_peak_at_the_tone_and_sums_to_one(rate: float, band: object, seconds: float) -> None:
    spec = spectrum(tone(rate, seconds), band, FS)
    assert spec.power.sum() == pytest.approx(1.0)
    assert spec.per_min[spec.power.argmax()] == pytest.approx(rate, abs=1.5)
    assert spec.near(rate, 90 / seconds) > 0.95
    assert spec.at([rate, 5000.0])[1] == 0.0


def test_a_constant_has_an_empty_spectrum() -> None:
    assert spectrum(np.full(300, 7.0), HR_BAND, FS).power.sum() == 0.0
