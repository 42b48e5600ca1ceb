"""Beat intervals (IBI) and their successive differences (RMSSD) from a pulse wave, and how exactly they are known.

A beat is a maximum of the wave, filtered to a band about its rate, to a fraction of a sample by a parabola through
three samples. The same beats are looked for in a second wave of the same pulse (POS). How far the intervals of the two
differ tells how exactly they are timed. For two waves with noise of their own, the root mean square of that difference
is 1.4 times the error of one; what they have in common (frames, the head's motion) does not show. So it is taken in
full, and what beats of varying shape add is put to it: the standard uncertainty, which over scenes with known beats is
compared with the true error (``training/results/faults``).

RMSSD: Task Force of the ESC and NASPE, Circulation 93, 1996; over half a minute it stands for five (Munoz et al., PLOS
ONE 10(9), 2015). Timing noise of which ``v`` is the variance of one interval adds ``3 v`` to its square. That is taken
off, and there is no RMSSD where it is most of what was seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal as sps

from edge.signals.filters import Array
from edge.vitals import Beats

__all__ = ["MAX_UNCERTAINTY_MS", "beat_times_s", "timed_beats"]

MAX_UNCERTAINTY_MS = 20.0
"""Intervals that are known less exactly are withheld: they vary by 20 to 50 ms at rest."""
MIN_BEATS = 8
RMSSD_WINDOW_S = 20.0
"""Shortest window for RMSSD."""
_SHAPE = 0.01
"""How far, in shares of an interval, beats of varying shape move a mark in all waves alike."""
_MAX_NOISE = 0.5
"""Largest share of timing noise in the square of an RMSSD."""
_LOW, _HIGH = 0.7, 1.4
"""Pass band in multiples of the rate. A wider one, with the second harmonic, times beats worse."""
_APART = 0.6
"""Maxima nearer than this share of a beat are one."""
_STRAY = 0.3
"""An interval that differs from the median by this share or more is a beat missed, or one too many."""
_SAME = 0.25
"""Marks of two waves this near, in shares of a beat and less their usual distance, are the same beat."""
_MIN_FOUND = 0.8
"""Smallest share of beats that both waves have."""
_EDGE_S = 1.0
"""The filter rings at both ends of a wave: beats are left out that near to them."""


def beat_times_s(wave: npt.ArrayLike, rate_per_min: float, fs: float) -> Array:
    """Times ``[N]`` of the maxima of a pulse wave ``[T]`` at ``fs`` Hz, in seconds from its first sample."""
    hz = rate_per_min / 60.0
    high = min(_HIGH * hz, 0.45 * fs)
    sections = sps.butter(2, [_LOW * hz, high], "bandpass", fs=fs, output="sos")
    data = np.asarray(wave, np.float64)
    shape = sps.sosfiltfilt(sections, data, padlen=min(len(data) - 1, round(2.0 * fs / hz)))
    tops, _ = sps.find_peaks(shape, distance=max(1, int(_APART * fs / hz)), height=0.0)
    before, at, after = shape[tops - 1], shape[tops], shape[tops + 1]
    return np.asarray((tops + 0.5 * (before - after) / np.minimum(before - 2.0 * at + after, -1e-30)) / fs)


def timed_beats(
    wave: npt.NDArray[np.float32],
    second: npt.ArrayLike,
    missing: npt.NDArray[np.bool_],
    rate_per_min: float,
    fs: float,
    t0_ns: int,
) -> Beats | None:
    """Beats of a pulse wave ``[T]`` that starts at ``t0_ns``; None where they are not known well enough.

    ``second`` ``[T]`` is another wave of the same pulse, of either sign; ``missing`` ``[T]`` marks samples without a
    frame behind them: intervals over these are left out.
    """
    if len(wave) < 4.0 * 60.0 / rate_per_min * fs:
        return None
    times = beat_times_s(wave, rate_per_min, fs)
    times = times[(times > _EDGE_S) & (times < len(wave) / fs - _EDGE_S)]
    apart = _apart(times, np.asarray(second, np.float64), rate_per_min, fs)
    if apart is None or len(times) < MIN_BEATS + 1:
        return None
    intervals = np.diff(times)
    is_whole = np.abs(intervals / np.median(intervals) - 1.0) < _STRAY
    lost = np.concatenate([[0], np.cumsum(missing)])
    first, last = (np.clip(np.rint(part * fs).astype(np.int64), 0, len(missing)) for part in (times[:-1], times[1:]))
    is_whole &= (lost[last] == lost[first]) & np.isfinite(apart[1:]) & np.isfinite(apart[:-1])
    if is_whole.sum() < max(MIN_BEATS, _MIN_FOUND * len(intervals)):
        return None
    differ_ms = float(np.sqrt(np.mean(np.diff(apart)[is_whole] ** 2)) * 1e3)
    uncertainty_ms = float(np.hypot(differ_ms, _SHAPE * 1e3 * np.median(intervals)))
    if uncertainty_ms > MAX_UNCERTAINTY_MS:
        return None
    ends_ns = t0_ns + np.rint(times[1:] * 1e9).astype(np.int64)
    return Beats(
        tuple(ends_ns[is_whole].tolist()),
        tuple((intervals[is_whole] * 1e3).tolist()),
        uncertainty_ms,
        _rmssd_ms(intervals * 1e3, is_whole, 0.5 * differ_ms**2) if len(wave) / fs >= RMSSD_WINDOW_S else None,
        len(wave) / fs,
    )


def _apart(times: Array, second: Array, rate_per_min: float, fs: float) -> Array | None:
    """How far each beat's mark in ``second`` is from ``times`` ``[N]`` in seconds, less the usual distance.

    NaN where there is none; None where the other wave has no beats. Its sign is the one whose marks are nearer.
    """
    found = []
    for wave in (second, -second):
        marks = beat_times_s(wave, rate_per_min, fs)
        if len(marks) < 2 or not len(times):
            return None
        after = np.clip(np.searchsorted(marks, times), 1, len(marks) - 1)
        nearest = np.where(marks[after] - times < times - marks[after - 1], marks[after], marks[after - 1])
        found.append(nearest - times)
    apart = min(found, key=lambda distances: abs(float(np.median(distances))))
    apart = apart - np.median(apart)
    return np.where(np.abs(apart) < _SAME * 60.0 / rate_per_min, apart, np.nan)


def _rmssd_ms(intervals_ms: Array, is_whole: npt.NDArray[np.bool_], noise_ms2: float) -> float | None:
    """RMSSD of neighbours that are both whole, less timing noise of this variance; None where that is most of it."""
    both = is_whole[1:] & is_whole[:-1]
    if both.sum() < MIN_BEATS:
        return None
    seen, noise = float(np.mean(np.diff(intervals_ms)[both] ** 2)), 3.0 * noise_ms2
    return float(np.sqrt(seen - noise)) if noise < _MAX_NOISE * seen else None
