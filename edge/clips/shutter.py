"""A closed shutter (FFC) seen from the pixels, for thermal sources that do not tell of it.

While its shutter is closed a camera repeats its last picture, for half a second to two. Two new pictures are never
equal, since each pixel carries noise. So a picture that stays the same for longer than a stream repeats frames to fill
its rate is a shutter; one that stays for longer than any shutter is a stream that hangs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from edge.frames import Frame

__all__ = ["FROZEN_AFTER_NS", "SETTLING_S", "SHUTTER_AFTER_NS", "ShutterWatch"]

SETTLING_S = 1.0
"""So long after the time that a camera names for its last FFC, at most, is the shutter open and the picture calm."""

SHUTTER_AFTER_NS = 350_000_000
"""Equal pictures for longer are a shutter: three periods at 8.7 /s. Until then nobody can know."""
SHUTTER_FRAMES = 3
"""So many equal pictures at least: a slow stream is no shutter."""
FROZEN_AFTER_NS = 5_000_000_000
"""No shutter stays closed for longer."""


class ShutterWatch:
    """``step`` it with every thermal frame in stamp order."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._new_ns = 0  # stamp of the newest picture that differed
        self._equal = 0  # pictures since then that did not

    def step(self, frame: Frame) -> Literal["", "shutter", "frozen"]:
        """Why the frame shows nothing: its source says that the shutter is closed, or its picture stays as it was."""
        last, self._last = self._last, frame
        if last is None or not np.array_equal(last.image, frame.image):
            self._new_ns, self._equal = frame.pts_ns, 0
        else:
            self._equal += 1
        same_ns = frame.pts_ns - self._new_ns
        if self._equal >= SHUTTER_FRAMES and same_ns > FROZEN_AFTER_NS:
            return "frozen"
        return "shutter" if frame.shutter or (self._equal >= SHUTTER_FRAMES and same_ns > SHUTTER_AFTER_NS) else ""
