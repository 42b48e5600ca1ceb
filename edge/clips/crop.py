"""From a box in the camera's picture to model cells: the exact area mean, in float32, never through 8 bits.

The picture is taken as constant over each pixel. A cell's value is the mean of the picture over the cell's rectangle,
whose borders may cut pixels: a box may have any sub-pixel place and size, and one that moves by a fraction of a pixel
changes the cells by that fraction, not in steps. The mean is separable, so it is two products with sparse weights.
A cell smaller than a pixel (a face smaller than the model's grid) takes the mean of the one to four pixels it lies on:
nothing is invented, and nothing is averaged either, so the caller reports ``face_small``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from edge.frames import Frame

__all__ = [
    "ENLARGED",
    "MIN_FACE_PX",
    "Box",
    "area_mean",
    "celsius_cells",
    "model_cells",
    "square_enlarged",
    "thermal_box",
]

ENLARGED = 1.5
"""Sides of the region that a model sees, in sides of the face box."""
MIN_FACE_PX = 80.0
"""Smallest side of a face box: below, a cell of the 9x9 grid averages fewer than 180 pixels."""

Image: TypeAlias = "npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its picture; ``x, y`` is the upper left corner, pixel ``i`` spans ``i`` to ``i + 1``."""

    x: float
    y: float
    w: float
    h: float

    def __post_init__(self) -> None:
        if not (self.w > 0.0 and self.h > 0.0 and all(map(math.isfinite, (self.x, self.y, self.w, self.h)))):
            raise ValueError(f"a box has a finite place and a positive size; seen {self}")

    @property
    def centre(self) -> tuple[float, float]:
        """``(x, y)`` of the middle."""
        return self.x + 0.5 * self.w, self.y + 0.5 * self.h

    def cut(self, shape: tuple[int, ...]) -> Box:
        """The part inside a picture ``[H, W, ...]``. ValueError when nothing lies inside."""
        left, top = max(0.0, self.x), max(0.0, self.y)
        right, bottom = min(float(shape[1]), self.x + self.w), min(float(shape[0]), self.y + self.h)
        return Box(left, top, right - left, bottom - top)


def square_enlarged(box: Box, shape: tuple[int, ...], factor: float = ENLARGED) -> Box:
    """The region a model sees around a face box: a square about its centre, enlarged, cut to the picture ``[H, W]``.

    The square has side ``max(w, h)``. Its upper left corner moves out by ``(factor - 1) / 2`` sides and stops at 0; its
    side becomes ``factor`` sides whether it stopped or not; the right and lower borders of the picture cut it. The
    training data of the published checkpoints was made so. ValueError when nothing lies inside.
    """
    side = max(box.w, box.h)
    (x, y), margin = box.centre, 0.5 * factor * side
    return Box(max(0.0, x - margin), max(0.0, y - margin), factor * side, factor * side).cut(shape)


def thermal_box(box: Box, rgb_shape: tuple[int, ...], thermal_shape: tuple[int, ...]) -> Box:
    """The same relative rectangle in the thermal picture: the identity rig (both cameras see the same field)."""
    fx, fy = thermal_shape[1] / rgb_shape[1], thermal_shape[0] / rgb_shape[0]
    return Box(box.x * fx, box.y * fy, box.w * fx, box.h * fy)


def area_mean(image: Image, size: int, box: Box | None = None) -> npt.NDArray[np.float32]:
    """Means over ``size`` x ``size`` equal cells of ``box`` (the whole picture when None), cut at the picture's border.

    ``image`` is ``[H, W, ...]`` of uint8, uint16 or float32; gives float32 ``[size, size, ...]`` in the image's unit.
    ValueError when the box lies outside.
    """
    height, width = image.shape[:2]
    part = Box(0.0, 0.0, width, height) if box is None else box.cut(image.shape)
    top, down = _weights(part.y, part.h, size, height)
    left, across = _weights(part.x, part.w, size, width)
    view = image[top : top + down.shape[1], left : left + across.shape[1]]
    rows, columns = view.shape[:2]
    by_row = down @ view.astype(np.float32).reshape(rows, -1)
    by_column = across @ by_row.reshape(size, columns, -1).swapaxes(0, 1).reshape(columns, -1)
    means = by_column.reshape(size, size, -1).swapaxes(0, 1)
    return np.ascontiguousarray(means, np.float32).reshape(size, size, *image.shape[2:])


def model_cells(frame: Frame, box: Box, size: int) -> npt.NDArray[np.float32]:
    """The model's view of ``box``: float32 ``[3, size, size]`` 0..255 for RGB, ``[1, size, size]`` degC for thermal."""
    means = area_mean(frame.image, size, box)
    if frame.kind == "rgb":
        return np.ascontiguousarray(means.transpose(2, 0, 1))
    return celsius_cells(frame, means)


def celsius_cells(frame: Frame, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means ``[size, size]`` of a thermal frame's numbers as degC ``[1, size, size]``."""
    degc: npt.NDArray[np.float32] = np.float32(frame.scale_degc) * means[None] + np.float32(frame.offset_degc)
    return degc


@lru_cache(maxsize=64)
def _weights(start: float, length: float, size: int, limit: int) -> tuple[int, csr_array]:
    """First pixel and sparse ``[size, pixels]`` float32 weights of cells that split ``start .. start + length`` evenly.

    Each row holds the overlap of its cell with each pixel, divided so that it sums to 1. Pixels end at ``limit``.
    """
    edges = np.minimum(start + length * np.arange(size + 1) / size, limit)
    first = np.minimum(np.floor(edges[:-1]), limit - 1).astype(np.int32)
    counts = np.maximum(np.ceil(edges[1:]).astype(np.int32) - first, 1)
    ends = np.cumsum(counts, dtype=np.int32)
    rows = np.repeat(np.arange(size), counts)
    pixels = np.arange(ends[-1], dtype=np.int32) - (ends - counts)[rows] + first[rows]
    overlap = np.minimum(edges[1:][rows], pixels + 1) - np.maximum(edges[:-1][rows], pixels)
    weights = overlap / np.add.reduceat(overlap, ends - counts)[rows]
    origin = int(first[0])
    starts = np.concatenate(([0], ends)).astype(np.int32)
    table = csr_array((weights.astype(np.float32), pixels - origin, starts), shape=(size, int(pixels[-1]) + 1 - origin))
    return origin, table
