"""Is it the light? A lamp changes wall, hair and cloth as it changes skin; a pulse changes skin alone.

At each rate the modulation of what surrounds the face is compared with that of the skin. Where the surroundings are
skin too (a crop that is tight) they show the pulse, so they count only where they change in red about as in green:
blood absorbs green two to three times as much as red.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.signals.filters import Array, band_pass, transform
from edge.signals.references import skin_mean, surround_mean
from edge.vitals import Band

__all__ = ["light_share"]

_WHITE = (0.45, 0.7)
"""Red modulation in phase with green, as a share of it, from which and at which a change is surely that of a light."""
_STANDS_OUT = (3.0, 6.0)
"""How far the surroundings' amplitude at a rate stands above its median, from which and at which it counts."""


def light_share(cells: npt.NDArray[np.float32], band: Band, fs: float) -> Array:
    """For each rate of :func:`edge.signals.filters.transform`, how much of the skin's modulation is the light's (0..1).

    ``cells`` is RGB ``[T, 3, 9, 9]``, 0..255, at ``fs`` Hz.
    """
    skin, around = (_modulation(mean, band, fs) for mean in (skin_mean(cells), surround_mean(cells)))
    green = around[:, 1]
    power = np.abs(green) ** 2
    common = np.real(skin[:, 1] * np.conj(green)) / np.maximum(np.abs(skin[:, 1]) ** 2, 1e-30)
    white = np.real(around[:, 0] * np.conj(green)) / np.maximum(power, 1e-30)
    stands_out = power / max(float(np.median(power)), 1e-30)
    return np.asarray(np.clip(common, 0.0, 1.0) * _ramp(white, *_WHITE) * _ramp(np.sqrt(stands_out), *_STANDS_OUT))


def _modulation(colour: Array, band: Band, fs: float) -> npt.NDArray[np.complex128]:
    """Spectrum ``[K, 3]`` of relative changes of a mean colour ``[T, 3]``."""
    relative = colour / np.maximum(colour.mean(axis=0), 1.0)
    return transform(band_pass(relative, band, fs), band, fs)[1]


def _ramp(x: Array, zero: float, one: float) -> Array:
    return np.clip((x - zero) / (one - zero), 0.0, 1.0)
