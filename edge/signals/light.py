"""Is it the light? A lamp changes wall, hair and cloth as it changes skin; a pulse changes skin alone.

At each rate the modulation of what surrounds the face is compared with that of the skin. Where the surroundings may be
skin too (a crop that is tight: they have about its colour) they would show the pulse, so they then count only where
they change in red about as in green: blood absorbs green two to three times as much as red.

Surroundings that the light does not reach tell nothing: the room around a small lit screen. But light changes all
places of a picture by the same share, lips, eyes and hair as the forehead, and blood does not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.signals.filters import Array, band_pass, transform
from edge.signals.references import SKIN_CELLS, skin_mean, surround_mean
from edge.vitals import Band

__all__ = ["light_share", "unevenness"]

_WHITE = (0.45, 0.7)
"""Red modulation in phase with green, as a share of it, from which and at which a change is surely that of a light."""
_OTHER = (0.12, 0.2)
"""How far the surroundings' ratio of red to green is from the skin's (logarithm), from which and at which they are
surely something else. In a tight crop of a real face it is 0.11, beside drawn faces 0.2 to 0.4."""
_STANDS_OUT = (3.0, 6.0)
"""How far the surroundings' amplitude at a rate stands above its median, from which and at which it counts."""


def light_share(cells: npt.NDArray[np.float32], band: Band, fs: float) -> Array:
    """For each rate of :func:`edge.signals.filters.transform`, how much of the skin's modulation is the light's (0..1).

    ``cells`` is RGB ``[T, 3, 9, 9]``, 0..255, at ``fs`` Hz.
    """
    means = skin_mean(cells), surround_mean(cells)
    skin, around = (_modulation(mean, band, fs) for mean in means)
    green = around[:, 1]
    power = np.abs(green) ** 2
    common = np.real(skin[:, 1] * np.conj(green)) / np.maximum(np.abs(skin[:, 1]) ** 2, 1e-30)
    white = np.real(around[:, 0] * np.conj(green)) / np.maximum(power, 1e-30)
    stands_out = power / max(float(np.median(power)), 1e-30)
    lamp = np.maximum(_ramp(white, *_WHITE), _ramp(_colour_distance(*means), *_OTHER))
    return np.asarray(np.clip(common, 0.0, 1.0) * lamp * _ramp(np.sqrt(stands_out), *_STANDS_OUT))


def unevenness(cells: npt.NDArray[np.float32], rate_per_min: float, band: Band, fs: float) -> float:
    """How much the skin cells differ in their share of change at a rate: standard deviation over mean of amplitudes.

    ``cells`` is RGB ``[T, 3, 9, 9]``, 0..255, at ``fs`` Hz. A flickering screen 0.002 to 0.01, drawn living faces 0.2
    and more at their pulse (19 of 20 windows, the others in changing light), the real clip 0.23 to 0.25.
    """
    rows, columns = SKIN_CELLS
    green = cells[:, 1, rows, columns].reshape(len(cells), -1).astype(np.float64)
    rates, z = transform(band_pass(green / np.maximum(green.mean(axis=0), 1.0), band, fs), band, fs)
    amplitudes = np.abs(z[np.abs(rates - rate_per_min).argmin()])
    return float(amplitudes.std() / max(float(amplitudes.mean()), 1e-30))


def _colour_distance(skin: Array, around: Array) -> Array:
    """How far two mean colours ``[T, 3]`` are apart in red against green, as a logarithm of the ratio."""
    ratios = [np.log(max(float(c[:, 0].mean()), 1.0) / max(float(c[:, 1].mean()), 1.0)) for c in (skin, around)]
    return np.asarray(abs(ratios[0] - ratios[1]))


def _modulation(colour: Array, band: Band, fs: float) -> npt.NDArray[np.complex128]:
    """Spectrum ``[K, 3]`` of relative changes of a mean colour ``[T, 3]``."""
    relative = colour / np.maximum(colour.mean(axis=0), 1.0)
    return transform(band_pass(relative, band, fs), band, fs)[1]


def _ramp(x: Array, zero: float, one: float) -> Array:
    return np.clip((x - zero) / (one - zero), 0.0, 1.0)
