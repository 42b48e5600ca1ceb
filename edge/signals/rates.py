"""Rates from spectra, aware of harmonics: a doubled or halved peak must not win.

Waveforms of pulse and breath are not sines, and a network's gain may fall towards low rates, so the highest peak is
often a harmonic. Every peak is therefore scored with the support of its own second harmonic, and a peak near the rate
tracked so far gets a small bonus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.signals.filters import Spectrum
from edge.vitals import Band

__all__ = ["Reading", "fused", "read_rate"]

_HARMONIC_SUPPORT = 0.6
"""Weight of the second harmonic in a candidate's score.

A doubled peak wins only when it is > 1.7 times the fundamental.
"""
_PRIOR_GAIN = 0.5
"""Largest bonus (share of the score) for a candidate at the tracked rate."""
_PRIOR_WIDTH = 0.08
"""Standard deviation of the bonus, as a share of the tracked rate."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A rate read from one window.

    ``snr_db`` compares power at the rate and its harmonic with the rest of the band. ``bound_per_min`` is the least
    standard deviation that the frequency of a steady sine in white noise of this SNR can be read with.
    """

    rate_per_min: float
    snr_db: float
    bound_per_min: float
    window_s: float


def fused(spectra: Sequence[Spectrum], weights: Sequence[float]) -> Spectrum:
    """Weighted mean of normalised spectra on one grid of rates."""
    total = sum(weights)
    power = (
        sum(w * s.power for w, s in zip(weights, spectra, strict=True)) / total if total > 0 else 0 * spectra[0].power
    )
    return Spectrum(spectra[0].per_min, np.asarray(power))


def _peaks(spec: Spectrum) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    p = spec.power
    return np.flatnonzero((p[1:-1] >= p[:-2]) & (p[1:-1] > p[2:])) + 1


def _refined(spec: Spectrum, k: int) -> float:
    """Peak position by a parabola through the logarithms of three bins."""
    a, b, c = np.log(spec.power[k - 1 : k + 2] + 1e-300)
    shift = 0.5 * (a - c) / (a - 2.0 * b + c) if a - 2.0 * b + c < 0.0 else 0.0
    return float(spec.per_min[k] + shift * (spec.per_min[1] - spec.per_min[0]))


def read_rate(spec: Spectrum, band: Band, window_s: float, prior_per_min: float | None = None) -> Reading | None:
    """The rate a spectrum shows best, or None when it has no peak inside ``band``.

    ``window_s`` is the true length behind the spectrum; it sets the width of a peak. ``prior_per_min`` is the rate
    tracked so far. The bound (Rife and Boorstyn 1974) assumes that the right peak was chosen.
    """
    peaks = _peaks(spec)
    if not len(peaks):
        return None
    rates = spec.per_min[peaks]
    score = spec.power[peaks] + _HARMONIC_SUPPORT * spec.at(2.0 * rates)
    if prior_per_min is not None:
        score *= 1.0 + _PRIOR_GAIN * np.exp(-0.5 * ((rates - prior_per_min) / (_PRIOR_WIDTH * prior_per_min)) ** 2)
    rate = float(np.clip(_refined(spec, int(peaks[score.argmax()])), band.low_per_min, band.high_per_min))
    return Reading(rate, snr_db(spec, rate, window_s), _bound_per_min(spec, rate, window_s), window_s)


def half_width_per_min(window_s: float) -> float:
    """Half the width of a peak (per minute) of a Hann-windowed sine seen for ``window_s``: 1.5 bins."""
    return 90.0 / window_s


def _shares(spec: Spectrum, rate_per_min: float, window_s: float) -> tuple[float, float]:
    width = half_width_per_min(window_s)
    inside = np.abs(spec.per_min - rate_per_min) <= width
    inside |= np.abs(spec.per_min - 2.0 * rate_per_min) <= width
    signal = float(spec.power[inside].sum())
    return signal, max(float(spec.power.sum()) - signal, 1e-9)


def snr_db(spec: Spectrum, rate_per_min: float, window_s: float) -> float:
    """Power (unsquared) at the rate and its second harmonic against the rest of the band, in dB, within +-60."""
    signal, noise = _shares(spec, rate_per_min, window_s)
    return float(np.clip(10.0 * np.log10(max(signal, 1e-9) / noise), -60.0, 60.0))


def _bound_per_min(spec: Spectrum, rate_per_min: float, window_s: float) -> float:
    signal, noise = _shares(spec, rate_per_min, window_s)
    band_hz = (spec.per_min[-1] - spec.per_min[0]) / 60.0
    ratio = max(signal, 1e-9) / noise * band_hz * window_s  # signal energy over noise density
    return float(60.0 * np.sqrt(6.0 / max(ratio, 1e-9)) / (2.0 * np.pi * window_s))
