"""Pictures of cameras that are mounted turned, set upright: quarter turns, which move pixels and change none."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Turn", "turned"]

Turn = Literal[0, 90, 180, 270]
"""Degrees clockwise by which a picture is turned so that faces stand upright."""

Pixel = TypeVar("Pixel", bound=np.generic)


def turned(image: npt.NDArray[Pixel], degrees_clockwise: Turn) -> npt.NDArray[Pixel]:
    """RGB ``[H, W, 3]`` or thermal ``[H, W]``, turned clockwise; contiguous, and the very image for 0."""
    quarters = degrees_clockwise // 90
    return np.ascontiguousarray(np.rot90(image, -quarters)) if quarters else image
