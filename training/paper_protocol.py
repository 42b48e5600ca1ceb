"""Protocol ``paper``: how the MMRPhys reference evaluation (arXiv 2505.07013) compares a waveform with its label.

Pure: arrays and rates in, numbers out. Bands, filter and estimators belong to this protocol alone and serve comparison
with the tables of papers; what a device reads is made in ``edge/signals`` (protocol ``deployed``).

The clips of a recording are z-scored one by one and joined (:func:`joined`); the recording is one window. Prediction
and label are band-passed alike, and one estimator reads the rate of both (:func:`read`): the true rate of this protocol
is what it reads from the label. Figures over recordings come with a standard error (:func:`summary`).

A prediction is *unread*, and counted as such, where it is not finite or constant, or where its window is too short for
the estimator: no bin of the spectrum in the band or at the label's rate, fewer than two maxima.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import signal as sps

__all__ = [
    "BANDS", "ESTIMATORS", "MIN_SAMPLES", "SNR_POWERS", "Estimator", "Measured", "PaperTask", "Reading", "Summary",
    "TaskBands", "band_passed", "fft_rate_per_min", "joined", "macc", "peak_rate_per_min", "read", "snr_db", "summary",
    "windows_of", "z_scored",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
PaperTask = Literal["bvp", "rsp"]
Estimator = Literal["fft", "peak"]

ESTIMATORS: Mapping[Estimator, str] = {"fft": "FFT", "peak": "Peak"}
"""How a rate is read: from the highest bin of the spectrum, or from the mean distance of the waveform's maxima."""
SNR_POWERS: Mapping[int, str] = {2: "SNR MMRPhys", 1: "SNR rPPG-Toolbox"}
"""The power of the spectral density that SNR sums, and whose definition that is; the two do not compare."""


@dataclass(frozen=True, slots=True)
class TaskBands:
    """``rate_hz``: what the filter passes and where a rate is looked for; ``snr_hz``: where power counts as noise."""

    rate_hz: tuple[float, float]
    snr_hz: tuple[float, float]


BANDS: Mapping[PaperTask, TaskBands] = {
    "bvp": TaskBands(rate_hz=(0.6, 3.3), snr_hz=(0.6, 3.3)),
    "rsp": TaskBands(rate_hz=(0.13, 0.5), snr_hz=(0.1, 0.54)),
}
MIN_SAMPLES = 9
"""Shorter windows are skipped."""
_PADDING = 15
"""What ``filtfilt`` adds at both ends by default for this filter; as many samples as there are, less one, if fewer."""
_MIN_STD = 0.001
"""A clip that varies less is not scaled."""
_WHOLE_S = 30.0
"""Up to this length the spectrum for a rate is one periodogram, else Welch's mean over windows of half the length."""
_WHOLE_SAMPLES = 255
"""The same border for the spectrum behind SNR, which does not depend on the sampling rate."""
_BESIDE_HZ = 0.1
"""Power so near to the label's rate or its second harmonic is signal."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one window shows. ``label_per_min`` is None where the label itself has no rate.

    The other figures are of the prediction, and None where it is unread; SNR also where no bin of the spectrum is
    beside the rate. ``snr_mmrphys_db`` sums the squared spectral density, ``snr_toolbox_db`` the density.
    """

    label_per_min: float | None
    rate_per_min: float | None = None
    snr_mmrphys_db: float | None = None
    snr_toolbox_db: float | None = None
    macc: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure over recordings with the reference's standard error; None where there is none."""

    value: float | None
    error: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over the ``read`` of ``read + unread`` windows: errors per minute, ``mape`` in %, SNR in dB.

    ``rho`` is the correlation of the rates with those of the label.
    """

    read: int
    unread: int
    mae: Measured
    rmse: Measured
    mape: Measured
    rho: Measured
    snr_mmrphys_db: Measured
    snr_toolbox_db: Measured
    macc: Measured


# ----------------------------------------------------------------------------------------------------------- waveforms


def z_scored(clip: npt.ArrayLike) -> Floats:
    """A clip ``[T]`` less its mean, over its sample standard deviation; as it is where that is 0.001 or less."""
    wave = np.asarray(clip, np.float64)
    spread = wave.std(ddof=1)
    return (wave - wave.mean()) / spread if spread > _MIN_STD else wave


def joined(clips: Sequence[npt.ArrayLike]) -> Floats:
    """The clips ``[T]`` of a recording in their order, z-scored each, one after the other: ``[N * T]``."""
    return np.concatenate([z_scored(clip) for clip in clips]) if len(clips) else np.zeros(0)


def band_passed(wave: Floats, task: PaperTask, fs: float, *, derivative: bool = False) -> Floats:
    """``wave`` ``[N]`` at ``fs`` Hz through a Butterworth band-pass of order 2, forward and backward.

    ``derivative``: it is the derivative of the signal, which is summed up first. ValueError where there are fewer than
    9 samples, or the band reaches half the sampling rate.
    """
    if len(wave) < MIN_SAMPLES:
        raise ValueError(f"a window has at least {MIN_SAMPLES} samples; seen {len(wave)}")
    b, a = sps.butter(2, BANDS[task].rate_hz, "bandpass", fs=fs)
    whole = np.cumsum(wave) if derivative else wave
    return np.asarray(sps.filtfilt(b, a, whole, padlen=min(_PADDING, len(wave) - 1)), np.float64)


def _is_wave(wave: Floats) -> bool:
    return bool(np.isfinite(wave).all() and np.ptp(wave) > 0.0)


# ------------------------------------------------------------------------------------------------------------- figures


def fft_rate_per_min(filtered: Floats, task: PaperTask, fs: float) -> float | None:
    """The highest bin of the spectrum of ``filtered`` ``[N]`` in the band; None where no bin lies in it."""
    low_hz, high_hz = BANDS[task].rate_hz
    wave = (filtered - filtered.mean()) / filtered.std() if task == "rsp" else filtered
    hz, density = _spectrum(wave, fs, whole=len(wave) <= _WHOLE_S * fs)
    inside = (hz >= low_hz) & (hz <= high_hz)
    return 60.0 * float(hz[inside][density[inside].argmax()]) if inside.any() else None


def peak_rate_per_min(filtered: Floats, _task: PaperTask, fs: float) -> float | None:
    """From the mean distance of all local maxima of ``filtered`` ``[N]``, however small; None for fewer than two."""
    maxima, _ = sps.find_peaks(filtered)
    return 60.0 * fs / float(np.diff(maxima).mean()) if len(maxima) > 1 else None


_READERS = {"fft": fft_rate_per_min, "peak": peak_rate_per_min}


def macc(prediction: Floats, label: Floats) -> float:
    """Maximum amplitude of cross-correlation: the largest absolute Pearson correlation of two filtered waves ``[N]``.

    The label is shifted in a circle by 0 to N - 2 samples. A circular shift changes neither mean nor norm, so that all
    correlations are one product of Fourier transforms.
    """
    a, b = prediction - prediction.mean(), label - label.mean()
    products = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), len(a))
    return float(np.abs(products[: len(a) - 1]).max() / np.sqrt((a @ a) * (b @ b)))


def snr_db(filtered: Floats, label_per_min: float, task: PaperTask, fs: float, snr_power: int) -> float | None:
    """Power of ``filtered`` ``[N]`` near the label's rate and its second harmonic against the rest of the SNR band.

    Sums the spectral density to the power ``snr_power`` (1 or 2). 0 where the rest has no power; None where no power is
    near either rate, as when the bins of a short window miss both.
    """
    low_hz, high_hz = BANDS[task].snr_hz
    wave = (filtered - filtered.mean()) / filtered.std()
    hz, density = _spectrum(wave, fs, whole=len(wave) <= _WHOLE_SAMPLES)
    first, second = (_near(hz, harmonic * label_per_min / 60.0) for harmonic in (1.0, 2.0))
    rest = (hz >= low_hz) & (hz <= high_hz) & ~first & ~second
    power = density**snr_power
    near, noise = float(power[first].sum() + power[second].sum()), float(power[rest].sum())
    if near <= 0.0:
        return None
    return 10.0 * float(np.log10(near / noise)) if noise > 0.0 else 0.0


def _near(hz: Floats, rate_hz: float) -> Flags:
    return (hz >= rate_hz - _BESIDE_HZ) & (hz <= rate_hz + _BESIDE_HZ)


def _spectrum(wave: Floats, fs: float, *, whole: bool) -> tuple[Floats, Floats]:
    """Frequencies in Hz and spectral density, ``[K]`` each, of ``wave`` ``[N]``.

    ``whole``: one periodogram of at least N bins, a power of two; else Welch's with Hann windows of half the length.
    """
    count = len(wave)
    if whole:
        hz, density = sps.periodogram(wave, fs, nfft=1 << (count - 1).bit_length(), detrend=False)
    else:
        hz, density = sps.welch(wave, fs, nperseg=count // 2, detrend=False)
    return np.asarray(hz, np.float64), np.asarray(density, np.float64)


def windows_of(count: int, fs: float, window_s: float | None) -> list[slice]:
    """The evaluation windows of ``count`` samples at ``fs`` Hz: all of them, or one after the other of ``window_s``.

    The last one holds what is left over.
    """
    length = count if window_s is None else round(window_s * fs)
    return [slice(start, min(start + length, count)) for start in range(0, max(count, 1), max(length, 1))]


def read(
    prediction: Floats, label: Floats, task: PaperTask, fs: float, estimator: Estimator, *, derivative: bool = False
) -> Reading | None:
    """Compare one window of ``prediction`` with ``label``, ``[N]`` each at ``fs`` Hz; None for fewer than 9 samples.

    ``derivative``: both are derivatives of their signals.
    """
    if len(prediction) < MIN_SAMPLES:
        return None
    if not _is_wave(label):
        return Reading(None)
    truth = band_passed(label, task, fs, derivative=derivative)
    label_per_min = _READERS[estimator](truth, task, fs)
    if label_per_min is None or not _is_wave(prediction):
        return Reading(label_per_min)
    wave = band_passed(prediction, task, fs, derivative=derivative)
    rate_per_min = _READERS[estimator](wave, task, fs)
    of_squares, of_density = (snr_db(wave, label_per_min, task, fs, power) for power in (2, 1))
    if rate_per_min is None:
        return Reading(label_per_min)
    return Reading(label_per_min, rate_per_min, of_squares, of_density, macc(wave, truth))


# ----------------------------------------------------------------------------------------------------- over recordings


def summary(readings: Sequence[Reading]) -> Summary:
    """Figures over ``readings``; those that are unread count as that and in nothing else.

    Standard errors are those of the reference, with population standard deviations. That of the RMSE,
    ``sqrt(std(e^2) / n)`` with the root of the deviation, is its formula and not a proper one; that of ``rho`` needs
    three recordings. All figures are None where nothing is read, ``rho`` also where rates do not differ.
    """
    done = [one for one in readings if one.rate_per_min is not None]
    truth = np.array([one.label_per_min for one in done], np.float64)
    error = np.array([one.rate_per_min for one in done], np.float64) - truth
    return Summary(
        len(done),
        len(readings) - len(done),
        mae=_mean(np.abs(error)),
        rmse=_rmse(error**2),
        mape=_mean(100.0 * np.abs(error) / truth),
        rho=_rho(truth, truth + error),
        snr_mmrphys_db=_mean(_known(one.snr_mmrphys_db for one in done)),
        snr_toolbox_db=_mean(_known(one.snr_toolbox_db for one in done)),
        macc=_mean(np.array([one.macc for one in done], np.float64)),
    )


def _known(values: Iterable[float | None]) -> Floats:
    return np.array([value for value in values if value is not None], np.float64)


def _mean(values: Floats) -> Measured:
    if not len(values):
        return Measured(None, None)
    return Measured(float(values.mean()), float(values.std() / np.sqrt(len(values))))


def _rmse(squared: Floats) -> Measured:
    if not len(squared):
        return Measured(None, None)
    return Measured(float(np.sqrt(squared.mean())), float(np.sqrt(squared.std()) / np.sqrt(len(squared))))


def _rho(truth: Floats, estimate: Floats) -> Measured:
    count = len(truth)
    if count < 2 or not (np.ptp(truth) > 0.0 and np.ptp(estimate) > 0.0):
        return Measured(None, None)
    rho = float(np.corrcoef(truth, estimate)[0, 1])
    return Measured(rho, float(np.sqrt(max(1.0 - rho**2, 0.0) / (count - 2))) if count > 2 else None)
