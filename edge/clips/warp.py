"""The model's view of an RGB region in the thermal picture, through a plane homography.

Where the homography only shifts and scales, the region is a box there and its cells are exact area means. Where it
turns or tilts more than a box can say, the picture is first warped onto an intermediate with at least the pixels that
the region has there, and that is averaged: warping straight onto the model's grid would sample instead of averaging.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box, area_mean, celsius_cells, model_cells
from edge.frames import Frame

__all__ = ["corners_through", "points_through", "share_inside", "thermal_cells"]

BOX_TOLERANCE = 0.002
"""Corners may lie this share of the region's side off the box that stands for them: a fiftieth of a cell at 9x9."""
MIN_INSIDE = 0.75
"""Smallest share of the region that has to lie inside the thermal picture."""
MAX_SIDE = 2048
"""Largest side of the intermediate, pixels."""

Points = npt.NDArray[np.float64]


def points_through(homography: Points, points: Points) -> Points:
    """Points ``[N, 2]`` mapped by ``homography`` ``[3, 3]``, whose last number is 1; NaN where a point has no image."""
    mapped = np.column_stack((points, np.ones(len(points)))) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        there: Points = np.where(mapped[:, 2:] > 0.0, mapped[:, :2] / mapped[:, 2:], np.nan)
    return there


def corners_through(homography: Points, box: Box) -> Points:
    """Where the corners of ``box`` are mapped to, ``[4, 2]``: upper left, upper right, lower right, lower left."""
    x, y = (box.x, box.x + box.w), (box.y, box.y + box.h)
    return points_through(homography, np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]))


def thermal_cells(frame: Frame, region: Box, homography: Points, size: int) -> npt.NDArray[np.float32] | None:
    """Float32 ``[1, size, size]`` degC of RGB ``region`` in a thermal frame; ``homography`` is thermal from RGB.

    None when the thermal camera sees too little of the region. What lies outside has its picture's border.
    """
    corners = corners_through(homography, region)
    if not np.isfinite(corners).all() or share_inside(corners, frame.image.shape) < MIN_INSIDE:
        return None
    box = _box_of(corners)
    if box is not None and box.cut(frame.image.shape) == box:
        return model_cells(frame, box, size)
    return celsius_cells(frame, area_mean(_warped(frame.image, region, homography, corners, size), size))


def share_inside(corners: Points, shape: tuple[int, ...]) -> float:
    """Share (0..1) of the quadrilateral's area inside a picture ``[H, W]``."""
    height, width = shape[:2]
    picture = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    quad = corners.astype(np.float32)
    area = abs(cv2.contourArea(quad))
    return 0.0 if area <= 0.0 or not cv2.isContourConvex(quad) else cv2.intersectConvexConvex(quad, picture)[0] / area


def _box_of(corners: Points) -> Box | None:
    """The box that stands for these corners, None when they turn, mirror or tilt more than a box can say."""
    left, right = corners[[0, 3], 0].mean(), corners[[1, 2], 0].mean()
    top, bottom = corners[[0, 1], 1].mean(), corners[[2, 3], 1].mean()
    if right <= left or bottom <= top:
        return None
    square = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    off = np.abs(corners - square).max(axis=0) / (right - left, bottom - top)
    return Box(left, top, right - left, bottom - top) if off.max() <= BOX_TOLERANCE else None


def _warped(
    image: npt.NDArray[np.generic], region: Box, homography: Points, corners: Points, size: int
) -> npt.NDArray[np.float32]:
    """The region as float32 ``[n, m]``: multiples of ``size``, at least one pixel for each of the picture's."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    across, down = (_multiple(max(sides[i], sides[i + 2]), size) for i in (0, 1))
    from_region = np.array([[region.w / across, 0.0, region.x], [0.0, region.h / down, region.y], [0.0, 0.0, 1.0]])
    middle = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # OpenCV: pixel i is at i, not at i + 0.5
    matrix = np.linalg.inv(middle) @ homography @ from_region @ middle
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    source = image.astype(np.float32)
    warped = cv2.warpPerspective(source, matrix, (across, down), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def _multiple(length: float, size: int) -> int:
    return size * max(1, math.ceil(min(length, MAX_SIDE) / size))
