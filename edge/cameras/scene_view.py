"""Where things are: views on the scene, poses in it, and the affine maps between texels and view pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.cameras.scene_canvas import Extent
from edge.cameras.scene_nuisance import Pose
from edge.cameras.scene_physiology import Floats

__all__ = ["PIVOT_Y", "Frustums", "Placement", "View", "to_scene"]

PIVOT_Y = 0.6
"""The head tilts and grows about this height, in head coordinates: the neck."""


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle of the scene (scene coordinates) and its size in pixels.

    ``sensor_pixels`` is how many camera pixels one pixel of this view is the mean of: noise falls with its square
    root, and the thermal blur is that many pixels narrower. 1 for a camera's own view.
    """

    x: float
    y: float
    width: float
    height: float
    columns: int
    rows: int
    sensor_pixels: float = 1.0

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.sensor_pixels) <= 0.0 or min(self.columns, self.rows) < 1:
            raise ValueError(f"a view has a positive size; seen {self}")

    @classmethod
    def whole(cls, columns: int, rows: int) -> View:
        """What a camera of ``columns`` x ``rows`` square pixels sees: the whole height of the scene."""
        width = columns / rows
        return cls(-width / 2.0, 0.0, width, 1.0, columns, rows)

    @classmethod
    def square(cls, x: float, y: float, side: float, pixels: int, sensor_rows: float) -> View:
        """The square with this corner, as ``pixels`` x ``pixels`` means of a camera with ``sensor_rows`` rows."""
        return cls(x, y, side, side, pixels, pixels, max((side * sensor_rows / pixels) ** 2, 1.0))

    @property
    def density(self) -> float:
        """Pixels per scene unit, down."""
        return self.rows / self.height


@dataclass(frozen=True, slots=True, eq=False)
class Frustums:
    """Views of ``N`` frames as arrays: left, top, pixels per scene unit across and down."""

    x: Floats
    y: Floats
    across: Floats
    down: Floats

    @classmethod
    def of(cls, views: Sequence[View]) -> Frustums:
        """One entry a view."""
        table = np.array([(v.x, v.y, v.columns / v.width, v.rows / v.height) for v in views])
        return cls(*table.T)


def to_scene(pose: Pose, rest: tuple[float, float], side: float, x: float, y: float) -> tuple[Floats, Floats]:
    """Scene coordinates ``[N]`` of the point (x, y) of a posed part; ``rest`` is where its origin rests."""
    cos, sin = pose.size * np.cos(pose.roll), pose.size * np.sin(pose.roll)
    dy = y - PIVOT_Y
    across = rest[0] + side * (pose.x + cos * x - sin * dy)
    down = rest[1] + side * (pose.y + PIVOT_Y + sin * x + cos * dy)
    return np.asarray(across), np.asarray(down)


class Placement:
    """Where one texture lies in ``N`` views: per frame a rectangle of pixels and the map from its pixels to texels."""

    def __init__(
        self, extent: Extent, pose: Pose, rest: tuple[float, float], side: float, views: Sequence[View]
    ) -> None:
        frustums = Frustums.of(views)
        corners = []
        for x, y in ((extent.x0, extent.y0), (extent.x1, extent.y0), (extent.x0, extent.y1), (extent.x1, extent.y1)):
            across, down = to_scene(pose, rest, side, x, y)
            corners.append(((across - frustums.x) * frustums.across - 0.5, (down - frustums.y) * frustums.down - 0.5))
        self.boxes = self._boxes(np.array(corners), views[0])
        self.maps = self._maps(extent, frustums, corners)

    @staticmethod
    def _boxes(corners: Floats, view: View) -> list[tuple[int, int, int, int]]:
        low = np.floor(corners.min(axis=0)).astype(np.int64)
        high = np.ceil(corners.max(axis=0)).astype(np.int64) + 1
        limits = np.array([[view.columns], [view.rows]])
        low, high = np.clip(low, 0, limits), np.clip(high, 0, limits)
        return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.concatenate([low, high]).T.tolist()]

    def _maps(self, extent: Extent, frustums: Frustums, corners: list[tuple[Floats, Floats]]) -> Floats:
        """Affine ``[N, 2, 3]`` from the pixels of each box to texels, from three corners of the texture."""
        (u0, v0), (u1, v1), (u2, v2) = corners[:3]
        texels = extent.density * (extent.x1 - extent.x0), extent.density * (extent.y1 - extent.y0)
        a, c = (u1 - u0) / texels[0], (v1 - v0) / texels[0]
        b, d = (u2 - u0) / texels[1], (v2 - v0) / texels[1]
        det = a * d - b * c
        inverse = np.array([[d, -b], [-c, a]]) / det
        boxes = np.array(self.boxes, float).reshape(len(frustums.x), 4)
        du, dv = boxes[:, 0] - u0, boxes[:, 1] - v0
        shift = inverse[:, 0] * du + inverse[:, 1] * dv - 0.5
        return np.ascontiguousarray(np.concatenate([inverse, shift[:, None]], axis=1).transpose(2, 0, 1))
