"""The window of the last model frames, always contiguous in time, without re-stacking: a mirrored ring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.clips.grid import Mark
from edge.frames import Clip

__all__ = ["FrameRing"]


class FrameRing:
    """The last ``frames`` model frames, each written twice, ``frames`` apart, so that a window is one slice.

    Memory is float32 ``[channels, 2 * frames, size, size]``, taken once.
    """

    def __init__(self, channels: int, frames: int, size: int) -> None:
        if min(channels, frames, size) < 1:
            raise ValueError(f"a ring has at least one of each; seen {channels} x {frames} x {size}")
        self.frames = frames
        self._data = np.zeros((channels, 2 * frames, size, size), np.float32)
        self._marks = np.zeros(2 * frames, np.uint8)
        self._stamps_ns = np.zeros(2 * frames, np.int64)
        self._next = 0
        self._count = 0

    def __len__(self) -> int:
        """Frames held, at most ``frames``."""
        return self._count

    @property
    def full(self) -> bool:
        """True when a whole window is there."""
        return self._count == self.frames

    def append(self, frame: npt.NDArray[np.float32], t_ns: int, marks: Mark = Mark.NONE) -> None:
        """Add one frame float32 ``[C, S, S]`` with its grid time; the oldest goes when full."""
        for slot in (self._next, self._next + self.frames):
            self._data[:, slot] = frame
            self._marks[slot] = marks
            self._stamps_ns[slot] = t_ns
        self._next = (self._next + 1) % self.frames
        self._count = min(self._count + 1, self.frames)

    def clear(self) -> None:
        """Forget all frames; the next window needs ``frames`` new ones."""
        self._next = self._count = 0

    def window(self) -> npt.NDArray[np.float32]:
        """The frames held, oldest first: a view ``[C, n, S, S]`` of the ring, ``n = len(self)``; nothing is copied.

        The next ``append`` writes over the oldest frame of a full window: use the view before it, or copy.
        """
        return self._data[:, self._held()]

    def stamps_ns(self) -> npt.NDArray[np.int64]:
        """Grid times of :meth:`window`, ``[n]``, a view with the same lifetime."""
        return self._stamps_ns[self._held()]

    def share(self, mark: Mark) -> float:
        """Share (0..1) of the held frames that carry ``mark`` (any of its bits); 0 when empty."""
        return float(self.marked(mark).mean()) if self._count else 0.0

    def marked(self, mark: Mark) -> npt.NDArray[np.bool_]:
        """Which frames of :meth:`window` carry ``mark`` (any of its bits), ``[n]``."""
        found: npt.NDArray[np.bool_] = (self._marks[self._held()] & mark) != 0
        return found

    def clip(self, fps: float) -> Clip:
        """The held frames (at least one) as a clip on the grid of ``fps``: a view; its gaps are those of RGB."""
        return Clip(self.window(), fps, int(self.stamps_ns()[0]), self.share(Mark.RGB_GAP))

    def _held(self) -> slice:
        """The slots of the last frames: they end at ``next + frames``, which is the mirror of the newest."""
        end = self._next + self.frames
        return slice(end - self._count, end)
