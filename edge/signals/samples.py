"""A running waveform of bounded length, joined from pieces that follow each other without a seam."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SampleRing"]


class SampleRing:
    """The newest ``length`` samples of a stream; read like :class:`edge.signals.overlap.OverlapAdd`."""

    def __init__(self, length: int) -> None:
        self._held = np.zeros(length, np.float32)
        self.begin(0)

    def begin(self, index: int) -> None:
        """Forget everything; the next sample has index ``index``."""
        self.start = self.end = index

    def clear(self) -> None:
        """Forget everything."""
        self.begin(0)

    def add(self, piece: npt.NDArray[np.float32]) -> None:
        """The next samples ``[n]``, ``n`` at most the length held."""
        kept = self.end - self.start
        together = np.concatenate((self._held[len(self._held) - kept :], piece))[-len(self._held) :]
        self._held[len(self._held) - len(together) :] = together
        self.end += len(piece)
        self.start = self.end - len(together)

    def newest(self, count: int) -> npt.NDArray[np.float32]:
        """The newest ``count`` samples (fewer when fewer exist)."""
        return self.between(self.end - count, self.end)

    def between(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """Samples ``start <= index < end`` as far as they are held; a copy."""
        offset = len(self._held) - self.end
        a, b = max(start, self.start) + offset, max(0, min(end, self.end) + offset)
        samples: npt.NDArray[np.float32] = self._held[a:b].copy()
        return samples
