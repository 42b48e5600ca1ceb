"""Is there a pulse that many places of the face share? What a photograph, a wall and noise do not have.

A pulse changes colour (green more than red) at the same time everywhere on the skin. Motion changes a picture's cells
with the sign of the local texture, and sensor noise at random, so both cancel over the face. The cue is the coherence
of the colour difference over cells: the power of the sum against the sum of the powers. For K cells of pure noise its
mean is 1/K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.signals.filters import Array, Spectrum, band_pass, transform
from edge.signals.rates import half_width_per_min
from edge.signals.references import SKIN_CELLS, skin_mean
from edge.vitals import Band

__all__ = ["SharedPulse", "shared_pulse", "stands_out"]


_BLUE = 0.85
_QUICK_PER_MIN = 240.0
"""No pulse and no harmonic of note is above this rate."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedPulse:
    """What the cells share.

    ``spectrum`` is that of their aligned sum, ``coherence`` ``[K]`` (0..1) stands at the same rates, ``colour``
    ``[3, K]`` is the relative amplitude of R, G, B in phase with green.
    """

    spectrum: Spectrum
    coherence: Array
    colour: Array

    @property
    def weighted(self) -> Spectrum:
        """The spectrum where it is coherent: power times coherence, sum 1."""
        power = self.spectrum.power * self.coherence
        return Spectrum(self.spectrum.per_min, power / max(float(power.sum()), 1e-12))

    def coherence_at(self, rate_per_min: float) -> float:
        """Coherence (0..1) at a rate."""
        return float(np.interp(rate_per_min, self.spectrum.per_min, self.coherence))

    def green_leads_at(self, rate_per_min: float) -> bool:
        """Blood absorbs green most: red and blue follow it with a smaller relative amplitude.

        Blue may look a little larger: cameras see it noisiest, and codecs spoil it first.
        """
        k = int(np.abs(self.spectrum.per_min - rate_per_min).argmin())
        red, green, blue = self.colour[:, k]
        return bool(green > red and green > _BLUE * blue)


def shared_pulse(cells: npt.NDArray[np.float32], band: Band, fs: float) -> SharedPulse:
    """Look at ``[T, 3, 9, 9]`` (R, G, B, 0..255) at ``fs`` Hz; ``T`` at least one second."""
    rows, columns = SKIN_CELLS
    skin = cells[:, :, rows, columns].astype(np.float64)
    relative = skin / np.maximum(skin.mean(axis=0), 1.0)
    difference = (relative[:, 1] - relative[:, 0]).reshape(len(cells), -1)
    rates, z = transform(band_pass(difference, band, fs), band, fs)
    z = z / np.maximum(np.sqrt((np.abs(z) ** 2).mean(axis=0)), 1e-12)  # no noisy cell may speak louder
    power = _smooth((np.abs(z.sum(axis=1)) ** 2), rates, len(cells) / fs)
    coherence = power / np.maximum(z.shape[1] * _smooth((np.abs(z) ** 2).sum(axis=1), rates, len(cells) / fs), 1e-12)
    total = float(power.sum())
    shared = Spectrum(rates, power / total if total > 0.0 else power)
    return SharedPulse(shared, coherence, _colour(relative, band, fs))


def stands_out(cells: npt.NDArray[np.float32], rate_per_min: float, fs: float) -> float:
    """How far the face's colour difference at a rate stands above what is quicker than any pulse: a ratio of powers.

    Frames of a living face in another order have the same colours and share them over all cells, and a window of them
    often shows a rate. But their spectrum is as high above the pulse's band as in it: on the real clip, shuffled, the
    ratio is at most 6, on living faces that pass it is 20 to 2800. Infinite where frames are too few to tell.
    """
    relative = skin_mean(cells)
    relative = relative / np.maximum(relative.mean(axis=0), 1.0)
    difference = relative[:, 1] - relative[:, 0]
    power = np.abs(np.fft.rfft((difference - difference.mean()) * np.hanning(len(difference)))) ** 2
    rates = np.fft.rfftfreq(len(difference), 1.0 / fs) * 60.0
    quick = power[(rates > _QUICK_PER_MIN) & (rates < 0.9 * 30.0 * fs)]
    near = power[np.abs(rates - rate_per_min) <= 60.0 * fs / len(difference)]
    return float(near.max(initial=0.0) / max(float(quick.mean()), 1e-30)) if len(quick) else np.inf


def _smooth(x: Array, rates: Array, window_s: float) -> Array:
    """Mean over a third of a peak's width: neighbours within it carry the same information."""
    n = max(1, int(half_width_per_min(window_s) / 3.0 / (rates[1] - rates[0])))
    return np.asarray(np.convolve(x, np.ones(n) / n, "same"))


def _colour(relative: Array, band: Band, fs: float) -> Array:
    mean = relative.mean(axis=(2, 3))  # [T, 3]
    _, z = transform(band_pass(mean, band, fs), band, fs)
    return np.asarray(np.real(z * np.conj(z[:, 1:2])).T)
