"""A small painter for soft shapes: every edge is wider than a texel, so a drawing looks the same at any density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Canvas", "Extent", "Planes", "Shape", "lattice"]

Planes = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Extent:
    """A rectangle in the units of the thing drawn, x to the right and y down, and its texels per unit."""

    x0: float
    y0: float
    x1: float
    y1: float
    density: float

    @property
    def columns(self) -> int:
        """Texels across."""
        return max(round((self.x1 - self.x0) * self.density), 1)

    @property
    def rows(self) -> int:
        """Texels down."""
        return max(round((self.y1 - self.y0) * self.density), 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """A soft superellipse: centre, half axes, width of its edge, exponent (2 = ellipse, more = boxier), tilt."""

    cx: float
    cy: float
    rx: float
    ry: float
    edge: float = 0.02
    power: float = 2.0
    tilt_deg: float = 0.0

    def pair(self) -> tuple[Shape, Shape]:
        """The shape and its mirror image on the other side."""
        return self, Shape(-self.cx, self.cy, self.rx, self.ry, self.edge, self.power, -self.tilt_deg)


class Canvas:
    """Planes float32 ``[C, rows, columns]`` over an extent, 0 at first; one of them may be the opacity."""

    def __init__(self, extent: Extent, planes: int) -> None:
        self.extent = extent
        self.planes: Planes = np.zeros((planes, extent.rows, extent.columns), np.float32)
        self.x = (extent.x0 + (np.arange(extent.columns, dtype=np.float32) + 0.5) / extent.density)[None, :]
        self.y = (extent.y0 + (np.arange(extent.rows, dtype=np.float32) + 0.5) / extent.density)[:, None]

    def copy(self) -> Canvas:
        """The same drawing, to be continued apart."""
        twin = Canvas(self.extent, 0)
        twin.planes = self.planes.copy()
        return twin

    def paint(self, shape: Shape, values: Sequence[float], opacity: float = 1.0) -> None:
        """Lay ``values``, one a plane, over what is there."""
        (rows, columns), mask = self._mask(shape)
        for plane, value in zip(self.planes, values, strict=True):
            plane[rows, columns] += (value - plane[rows, columns]) * (opacity * mask)

    def shade(self, shape: Shape, factor: float, planes: slice) -> None:
        """Multiply some planes: 1 leaves them, less darkens, more lightens."""
        (rows, columns), mask = self._mask(shape)
        self.planes[planes, rows, columns] *= 1.0 + (factor - 1.0) * mask

    def _mask(self, shape: Shape) -> tuple[tuple[slice, slice], Planes]:
        edge = max(shape.edge, 1.5 / self.extent.density)
        rows, columns = self._window(shape, edge)
        dx, dy = self.x[:, columns] - shape.cx, self.y[rows] - shape.cy
        if shape.tilt_deg:
            cos, sin = np.cos(np.deg2rad(shape.tilt_deg)), np.sin(np.deg2rad(shape.tilt_deg))
            dx, dy = np.float32(cos) * dx + np.float32(sin) * dy, np.float32(cos) * dy - np.float32(sin) * dx
        across, down = np.abs(dx) / np.float32(shape.rx), np.abs(dy) / np.float32(shape.ry)
        if shape.power == 2.0:
            radius = np.sqrt(across * across + down * down)
        else:
            radius = (across**shape.power + down**shape.power) ** np.float32(1.0 / shape.power)
        ramp = np.clip(0.5 - (radius - 1.0) * np.float32(min(shape.rx, shape.ry) / edge), 0.0, 1.0)
        return (rows, columns), np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), np.float32)

    def _window(self, shape: Shape, edge: float) -> tuple[slice, slice]:
        """The part of the canvas that the shape can touch."""
        grow = 1.0 + 0.5 * edge / min(shape.rx, shape.ry)
        rx, ry = (max(shape.rx, shape.ry),) * 2 if shape.tilt_deg else (shape.rx, shape.ry)
        extent = self.extent
        spans = []
        for low, half, start, count in (
            (shape.cy, ry, extent.y0, extent.rows),
            (shape.cx, rx, extent.x0, extent.columns),
        ):
            first = int((low - half * grow - start) * extent.density) - 1
            last = int((low + half * grow - start) * extent.density) + 2
            spans.append(slice(min(max(first, 0), count), min(max(last, 0), count)))
        return spans[0], spans[1]


def lattice(rng: np.random.Generator, extent: Extent, per_unit: float, reach: float = 1.5) -> Planes:
    """Smooth noise of about unit rms ``[rows, columns]``: random nodes, ``per_unit`` a unit, within +-``reach``."""
    count = int(2.0 * reach * per_unit) + 3
    nodes = rng.standard_normal((count, count)).astype(np.float32)
    step = per_unit / extent.density
    start_x, start_y = ((start + reach) * per_unit + 0.5 * step for start in (extent.x0, extent.y0))
    place = np.array([[step, 0.0, start_x], [0.0, step, start_y]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (extent.columns, extent.rows)
    return np.asarray(cv2.warpAffine(nodes, place, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.float32)
