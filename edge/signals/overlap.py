"""Overlap-add of whole-window outputs into one running waveform.

The first and last samples of a window are its worst, and one window's newest second alone measured 12 times worse under
light change than the average of all windows that saw it. Each window is z-scored and added with a raised-cosine weight.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["OverlapAdd"]

_FLOOR = 1e-3
"""Weight of a window's very ends: only counts where no better window has looked yet."""


class OverlapAdd:
    """A running waveform of bounded length, built from windows of ``window`` samples that start at any sample index."""

    def __init__(self, window: int, length: int) -> None:
        self._weights = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2 + _FLOOR
        self._sum = np.zeros(length)
        self._weight = np.zeros(length)
        self._start = 0  # sample index of _sum[0]
        self._end = 0  # one past the newest sample

    def add(self, start: int, wave: npt.NDArray[np.float32]) -> None:
        """Add a window's output whose first sample has index ``start`` (not before the previous window's)."""
        spread = float(wave.std())
        normal = (wave - wave.mean()) / spread if spread > 0.0 else np.zeros(len(wave))
        if not self._end:
            self._start = start
        self._end = max(self._end, start + len(wave))
        self._slide(max(0, self._end - self._start - len(self._sum)))
        place = slice(start - self._start, start - self._start + len(wave))
        self._sum[place] += self._weights * normal
        self._weight[place] += self._weights

    def _slide(self, shift: int) -> None:
        if shift > 0:
            for ring in (self._sum, self._weight):
                ring[:-shift] = ring[shift:]
                ring[-shift:] = 0.0
            self._start += shift

    def newest(self, count: int) -> npt.NDArray[np.float32]:
        """The newest ``count`` samples (fewer when fewer exist), about unit variance."""
        return self.between(self._end - count, self._end)

    def between(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """Samples ``start <= index < end`` as far as they are held."""
        a, b = max(start, self._start) - self._start, max(0, min(end, self._end) - self._start)
        weight = np.maximum(self._weight[a:b], 1e-12)
        return np.asarray(self._sum[a:b] / weight, dtype=np.float32)

    @property
    def start(self) -> int:
        """Index of the oldest sample held."""
        return self._start

    @property
    def end(self) -> int:
        """One past the index of the newest sample; 0 before the first window."""
        return self._end

    def clear(self) -> None:
        """Forget everything."""
        self._sum[:] = 0.0
        self._weight[:] = 0.0
        self._start = self._end = 0
