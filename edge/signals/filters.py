"""Band-pass filters and spectra that the whole project shares. Pure: arrays and rates in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import signal as sps

from edge.vitals import Band

__all__ = ["Array", "Spectrum", "band_pass", "spectrum"]

Array = npt.NDArray[np.float64]

_RESOLUTION_PER_MIN = 0.5
"""Spacing of spectrum bins; far below a window's own resolution, so that a parabola finds the peak well."""


@lru_cache(maxsize=32)
def _sections(band: Band, fs: float) -> Array:
    return np.asarray(sps.butter(2, [band.low_hz, band.high_hz], "bandpass", fs=fs, output="sos"), dtype=np.float64)


def band_pass(x: npt.ArrayLike, band: Band, fs: float) -> Array:
    """Zero-phase Butterworth band-pass of order 2 along axis 0 of ``[T]`` or ``[T, N]`` at ``fs`` Hz.

    Raises
    ------
    ValueError
        Fewer than 4 samples, or a band at or above half the sampling rate.
    """
    data = np.asarray(x, dtype=np.float64)
    if len(data) < 4:
        raise ValueError(f"a filter needs at least 4 samples; seen {len(data)}")
    padding = min(len(data) - 1, int(2.0 * fs / band.low_hz))
    return np.asarray(sps.sosfiltfilt(_sections(band, fs), data, axis=0, padlen=padding))


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Power of a Hann-windowed signal on a fine grid of rates inside a band.

    Both ``[K]``, sum of ``power`` is 1 (or all 0).
    """

    per_min: Array
    power: Array

    def near(self, rate_per_min: float, half_width_per_min: float) -> float:
        """Share of the band's power (0..1) within ``rate +- half_width``."""
        inside = np.abs(self.per_min - rate_per_min) <= half_width_per_min
        return float(self.power[inside].sum())

    def at(self, rate_per_min: npt.ArrayLike) -> Array:
        """Power density at the given rates, interpolated; 0 outside the band."""
        return np.interp(np.asarray(rate_per_min, dtype=np.float64), self.per_min, self.power, left=0.0, right=0.0)

    def dimmed(self, factor: Array) -> Spectrum:
        """The spectrum with its power at each rate times ``factor`` ``[K]``, sum 1 again (or all 0)."""
        power = self.power * factor
        return Spectrum(self.per_min, power / max(float(power.sum()), 1e-30))


def transform(x: npt.ArrayLike, band: Band, fs: float) -> tuple[Array, npt.NDArray[np.complex128]]:
    """Rates per minute ``[K]`` inside ``band``, and the Fourier transform ``[K, ...]`` of ``x`` along axis 0.

    The mean is taken off and a Hann window put on first.
    """
    data = np.asarray(x, dtype=np.float64)
    data = data - data.mean(axis=0)
    bins = max(len(data), int(np.ceil(60.0 * fs / _RESOLUTION_PER_MIN)))
    taper, (rates, inside) = _taper(len(data)), _rates(bins, band, fs)
    return rates, np.fft.rfft(data * taper.reshape(-1, *[1] * (data.ndim - 1)), bins, axis=0)[inside]


@lru_cache(maxsize=32)
def _taper(count: int) -> Array:
    """Hann window ``[count]``, read-only."""
    taper: Array = np.hanning(count + 2)[1:-1]
    taper.flags.writeable = False
    return taper


@lru_cache(maxsize=32)
def _rates(bins: int, band: Band, fs: float) -> tuple[Array, slice]:
    """Rates per minute inside ``band`` of a transform of ``bins`` samples, read-only, and where in it they stand."""
    rates = np.asarray(np.fft.rfftfreq(bins, 1.0 / fs) * 60.0, dtype=np.float64)
    places = np.flatnonzero((rates >= band.low_per_min) & (rates <= band.high_per_min))
    inside = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
    rates = rates[inside].copy()
    rates.flags.writeable = False
    return rates, inside


def spectrum(x: npt.ArrayLike, band: Band, fs: float) -> Spectrum:
    """Power spectrum of ``x`` ``[T]`` inside ``band``, normalised to sum 1; all zero for a constant signal."""
    rates, values = transform(x, band, fs)
    power = np.abs(values) ** 2
    total = float(power.sum())
    return Spectrum(rates, power / total if total > 0.0 else np.zeros_like(power))
