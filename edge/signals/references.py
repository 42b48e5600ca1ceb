"""References that run beside the network: pulse by POS, breath by the nostril region and by motion.

POS: Wang, den Brinker, Stuijk, de Haan, "Algorithmic principles of remote PPG", IEEE TBME 64(7), 2017. The nostril
region: Fei, Pavlidis, "Thermistor at a distance", IEEE TBME 57(4), 2010.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.signals.filters import Array

__all__ = [
    "CELLS",
    "SKIN_CELLS",
    "cheek_mean",
    "face_warmth_degc",
    "forehead_mean",
    "is_cold_and_even",
    "nostril_breath",
    "nostril_mean",
    "pos",
    "skin_mean",
    "surround_mean",
    "thermal_surround_mean",
]

CELLS = 9
"""References look at the enlarged face box as 9x9 area means, whatever the model's size."""
SKIN_CELLS = (slice(2, 8), slice(2, 7))
"""Rows and columns that are face, forehead to chin, when the box is 1.5 times the detector's square."""
_SURROUND_COLUMNS = [0, 8]
"""Beside the face: wall, hair, shoulders."""
_NOSTRIL_CELLS = (slice(5, 7), slice(4, 5))
"""Nostrils and mouth of an upright face."""
_CHEEK_CELLS = (slice(3, 6), [3, 5])
"""Skin beside the nose, inside the face's outline, where head motion moves no edge through a cell."""

_FOREHEAD_CELLS = (slice(2, 4), slice(3, 6))
_COLD_DEGC, _EVEN_DEGC = 30.0, 0.3
"""Mean of the skin cells and standard deviation between them, below which no face is there: drawn faces 32 and more and
1.0 and more, photographs 23 and screens 28 with 0.1 at most."""


def skin_mean(cells: npt.NDArray[np.float32]) -> Array:
    """Mean colour ``[T, 3]`` of the skin cells of ``[T, 3, 9, 9]``, 0..255."""
    rows, columns = SKIN_CELLS
    return np.asarray(cells[:, :, rows, columns].mean(axis=(2, 3), dtype=np.float64))


def surround_mean(cells: npt.NDArray[np.float32]) -> Array:
    """Mean colour ``[T, 3]`` of the cells beside the face, of ``[T, 3, 9, 9]``, 0..255."""
    return np.asarray(cells[:, :, :, _SURROUND_COLUMNS].mean(axis=(2, 3), dtype=np.float64))


def pos(rgb: Array, fs: float) -> Array:
    """Pulse ``[T]`` by plane-orthogonal-to-skin from a mean skin colour ``[T, 3]`` (0..255, positive) at ``fs`` Hz."""
    length = max(2, round(1.6 * fs))
    if len(rgb) < length:
        return np.zeros(len(rgb))
    windows = np.lib.stride_tricks.sliding_window_view(rgb, length, axis=0)  # [M, 3, L]
    normal = windows / np.maximum(windows.mean(axis=2, keepdims=True), 1e-6)
    s1 = normal[:, 1] - normal[:, 2]
    s2 = normal[:, 1] + normal[:, 2] - 2.0 * normal[:, 0]
    pulse = s1 + s1.std(axis=1, keepdims=True) / np.maximum(s2.std(axis=1, keepdims=True), 1e-12) * s2
    pulse -= pulse.mean(axis=1, keepdims=True)
    out = np.zeros(len(rgb))
    for k in range(length):  # overlap-add, one lag of all windows at a time
        out[k : k + len(pulse)] += pulse[:, k]
    return out


def nostril_breath(cells_degc: npt.NDArray[np.float32]) -> Array:
    """Breath ``[T]`` as the temperature of nostrils and mouth against the cheeks, from ``[T, 9, 9]`` in degC.

    The difference cancels what the camera does to all pixels alike (drift, shutter offsets).
    """
    return nostril_mean(cells_degc) - cheek_mean(cells_degc)


def nostril_mean(cells_degc: npt.NDArray[np.float32]) -> Array:
    """Temperature ``[T]`` of nostrils and mouth, from ``[T, 9, 9]`` in degC."""
    rows, columns = _NOSTRIL_CELLS
    return np.asarray(cells_degc[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))


def cheek_mean(cells_degc: npt.NDArray[np.float32]) -> Array:
    """Temperature ``[T]`` of the cheeks, from ``[T, 9, 9]`` in degC."""
    rows, columns = _CHEEK_CELLS
    return np.asarray(cells_degc[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))


def forehead_mean(cells_degc: npt.NDArray[np.float32]) -> Array:
    """Temperature ``[T]`` of the forehead and the root of the nose, from ``[T, 9, 9]`` in degC."""
    rows, columns = _FOREHEAD_CELLS
    return np.asarray(cells_degc[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))


def thermal_surround_mean(cells_degc: npt.NDArray[np.float32]) -> Array:
    """Temperature ``[T]`` of what is beside the face, from ``[T, 9, 9]`` in degC."""
    return np.asarray(cells_degc[:, :, _SURROUND_COLUMNS].mean(axis=(1, 2), dtype=np.float64))


def face_warmth_degc(cells_degc: npt.NDArray[np.float32]) -> float:
    """How much warmer the face is than what is beside it, from ``[T, 9, 9]`` in degC; offsets of the camera cancel.

    Skin has 32 to 36 degC; a photograph has the temperature of the room.
    """
    rows, columns = SKIN_CELLS
    return float(cells_degc[:, rows, columns].mean() - cells_degc[:, :, _SURROUND_COLUMNS].mean())


def is_cold_and_even(cells_degc: npt.NDArray[np.float32]) -> bool:
    """Whether the thermal camera sees no face there, of ``[T, 9, 9]`` in degC, but paper, a pane of glass, a screen.

    A living face is warmer even to a camera that reads 3 degC too low, and its nose, eyes, hair and cheeks differ. What
    counts is the median over time, so that some pictures of a shutter or of a camera that fails are no sign.
    """
    rows, columns = SKIN_CELLS
    places = np.median(cells_degc[:, rows, columns], axis=0)
    return bool(places.mean() < _COLD_DEGC and places.std() < _EVEN_DEGC)
