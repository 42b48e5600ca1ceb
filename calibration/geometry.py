"""Plane homographies between two cameras from corners of a flat board, and how wrong they are where.

A homography is fitted by RANSAC and refined over what agrees (cv2.findHomography: normalised DLT, then
Levenberg-Marquardt on the reprojection error; Hartley and Zisserman, Multiple View Geometry, 4.1 to 4.8). Errors are
distances in thermal pixels. Corners come as ``[4 N, 2]``: four of each marker, one after another.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.warp import points_through

__all__ = ["Corners", "Fit", "errors_px", "fit_plane", "held_out_rmse_px", "merged", "parallax_px", "rmse", "together"]

Floats: TypeAlias = "npt.NDArray[np.float64]"
RANSAC_PX = 3.0
"""A corner farther off is an outlier."""
MERGE = 1.25
"""Views are one plane when the common homography costs none of them more than this factor over its own."""
MERGE_FLOOR_PX = 0.5
"""An error below is as good as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """The same corners in both cameras, float64 ``[4 N, 2]``, and the side of a marker in RGB, pixels."""

    rgb: Floats
    thermal: Floats
    marker_px: float

    @property
    def markers(self) -> int:
        """How many markers they belong to."""
        return len(self.rgb) // 4

    def of_markers(self, keep: npt.NDArray[np.bool_]) -> Corners:
        """Only the markers in ``keep`` ``[N]``."""
        corners = keep.repeat(4)
        return Corners(self.rgb[corners], self.thermal[corners], self.marker_px)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """``thermal_from_rgb`` ``[3, 3]`` with last number 1, and which markers ``[N]`` agree with it in every corner."""

    thermal_from_rgb: Floats
    agree: npt.NDArray[np.bool_]


def fit_plane(corners: Corners) -> Fit | None:
    """The homography that most corners agree with, refined over the markers that do; None when there is none."""
    coarse: Any  # None without one, whatever the stubs say
    coarse, near = cv2.findHomography(corners.rgb, corners.thermal, cv2.RANSAC, RANSAC_PX)
    if coarse is None:
        return None
    agree = np.asarray(near.reshape(-1, 4).all(axis=1), np.bool_)
    fine = _refined(corners.of_markers(agree)) if agree.any() else None
    return None if fine is None else Fit(fine, agree)


def _refined(corners: Corners) -> Floats | None:
    matrix: Any
    matrix, _ = cv2.findHomography(corners.rgb, corners.thermal, 0)
    if matrix is None or abs(matrix[2, 2]) < 1e-12:
        return None
    scaled: Floats = matrix / matrix[2, 2]
    return scaled


def errors_px(thermal_from_rgb: Floats, corners: Corners) -> Floats:
    """Distance of each corner from where the homography says it is, ``[4 N]``; infinite where it says nothing."""
    off = np.linalg.norm(points_through(thermal_from_rgb, corners.rgb) - corners.thermal, axis=1)
    return np.where(np.isfinite(off), off, np.inf)


def rmse(errors: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def held_out_rmse_px(corners: Corners) -> float:
    """Error at each marker of the homography fitted without it; infinite when a rest does not make one."""
    found = []
    for left_out in range(corners.markers):
        keep = np.arange(corners.markers) != left_out
        matrix = _refined(corners.of_markers(keep)) if keep.sum() else None
        found.append(np.full(4, np.inf) if matrix is None else errors_px(matrix, corners.of_markers(~keep)))
    return rmse(np.concatenate(found))


def merged(views: Sequence[Corners], same_distance: float) -> list[tuple[int, ...]]:
    """Groups of views that one homography serves, as indices, each within a factor ``same_distance`` in marker size.

    Greedy: the two groups that agree best are joined, until none agree.
    """
    own = [max(rmse(errors_px(_must(_refined(view)), view)), MERGE_FLOOR_PX) for view in views]
    groups: list[tuple[int, ...]] = [(i,) for i in range(len(views))]

    @functools.cache  # most pairs are still there in the next round
    def cost(a: tuple[int, ...], b: tuple[int, ...]) -> float:
        return _cost([views[i] for i in a + b], [own[i] for i in a + b])

    while True:
        costs = {
            (a, b): cost(a, b)
            for a, b in itertools.combinations(groups, 2)
            if _one_distance([views[i].marker_px for i in a + b], same_distance)
        }
        best = min(costs, key=lambda pair: costs[pair], default=None)
        if best is None or costs[best] > MERGE:
            return sorted(groups)
        groups = [group for group in groups if group not in best] + [tuple(sorted(best[0] + best[1]))]


def _must(matrix: Floats | None) -> Floats:
    assert matrix is not None, "a view that was accepted has a homography"
    return matrix


def _one_distance(sides_px: Sequence[float], factor: float) -> bool:
    return max(sides_px) <= factor * min(sides_px)


def _cost(views: Sequence[Corners], own_px: Sequence[float]) -> float:
    """By which factor the common homography is worse than the own one, for the view where it is most."""
    matrix = _refined(together(views))
    if matrix is None:
        return np.inf
    return max(rmse(errors_px(matrix, view)) / own for view, own in zip(views, own_px, strict=True))


def together(views: Sequence[Corners]) -> Corners:
    """All corners of several views as one; the marker's side is the mean over markers."""
    weights = [view.markers for view in views]
    return Corners(
        np.concatenate([view.rgb for view in views]),
        np.concatenate([view.thermal for view in views]),
        float(np.average([view.marker_px for view in views], weights=weights)),
    )


def parallax_px(baseline_mm: float, focal_px: float, distance_mm: float, plane_mm: float) -> float:
    """How far a point at ``distance_mm`` lies from where the homography of the plane at ``plane_mm`` puts it, pixels.

    ``focal_px`` is the focal length in pixels of the camera the error is told in: baseline * f * (1/z - 1/z0).
    """
    return abs(baseline_mm * focal_px * (1.0 / distance_mm - 1.0 / plane_mm))
