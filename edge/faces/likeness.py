"""Whether the face in a box is still the one that was there a moment ago, where several are about.

Cells of two moments are compared as logarithms of their ratio, less a plane for each colour: neither the brightness
nor its fall across the face counts. What is left, in the mean over cells and colours, is above the limit for 19 of 20
pairs of drawn faces, and below it within a second for a face that moves, talks and blinks, but in the hardest scenes
(``tests/edge/faces/test_likeness.py``). There windows begin anew without need, which costs values and mixes nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Likeness", "unlikeness"]

_ANOTHER = 0.06
_APART_NS = 500_000_000
"""A face is compared with that of half a second to a second ago: who steps in takes some time."""
_DARK = 8.0
"""Added to the values, so that noise in dark cells does not count."""


class Likeness:
    """``step`` it with the cells of every frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another face is expected."""
        self._then: tuple[int, npt.NDArray[np.float32]] | None = None
        self._newer: tuple[int, npt.NDArray[np.float32]] | None = None

    def step(self, pts_ns: int, cells: npt.NDArray[np.float32]) -> bool:
        """Take RGB cells ``[3, S, S]`` in 0..255; True where they show another face, which is then the one to be."""
        if self._newer is None or pts_ns - self._newer[0] >= _APART_NS:
            self._then, self._newer = self._newer, (pts_ns, cells)
        if self._then is None or unlikeness(cells, self._then[1]) <= _ANOTHER:
            return False
        self._then, self._newer = None, (pts_ns, cells)
        return True


def unlikeness(cells: npt.NDArray[np.float32], then: npt.NDArray[np.float32]) -> float:
    """How unlike two faces are, as cells ``[3, S, S]``: 0 is the same."""
    ratio = np.log((cells + _DARK) / (then + _DARK)).reshape(3, -1)
    fit, basis = _planes(cells.shape[1])
    return float(np.mean(np.abs(ratio - (ratio @ fit) @ basis)))


@lru_cache(maxsize=4)
def _planes(size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What gives the coefficients of a plane over the cells ``[S * S, 3]``, and the planes ``[3, S * S]``."""
    line = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    across, down = np.meshgrid(line, line)
    basis = np.stack([np.ones(size * size, np.float32), across.ravel(), down.ravel()])
    return np.linalg.pinv(basis), basis
