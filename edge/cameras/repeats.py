"""New pictures of a thermal camera told from repeated ones, by their pixels alone: for cameras without telemetry.

A thermal core sends the same picture again while it has no new one (9 a second over a link that carries 27), and for
one or two seconds while its shutter is closed. Two new pictures are never equal: each pixel carries noise. Repeated
ones are left out here, since each would be stamped later than it was taken; a shutter is told, as
``edge/clips/shutter.py`` tells it for sources that leave nothing out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge.clips.shutter import SHUTTER_AFTER_NS

__all__ = ["Repeats"]


class Repeats:
    """Pictures of one camera in order."""

    def __init__(self) -> None:
        self._last: npt.NDArray[Any] | None = None
        self._new_ns = 0

    def step(self, image: npt.NDArray[Any], stamp_ns: int) -> Literal["new", "repeat", "shutter"]:
        """What ``image`` ``[H, W]`` is: ``shutter`` from the moment on at which a repetition has lasted too long."""
        if self._last is None or not np.array_equal(image, self._last):
            self._last, self._new_ns = image, stamp_ns
            return "new"
        return "shutter" if stamp_ns - self._new_ns > SHUTTER_AFTER_NS else "repeat"
