"""Boards of ArUco markers in RGB and thermal pictures: corners by marker id, and how sharp a picture is.

In thermal the black squares are warmer or colder than the paper, so both polarities are tried; the pictures are small
and soft, so they are looked at in several sizes, and a marker's corners are the medians over those where it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from calibration.views import Gray

__all__ = ["DICTIONARIES", "Markers", "edge_width_px", "find_markers", "marker_side_px"]

Markers: TypeAlias = "Mapping[int, npt.NDArray[np.float64]]"
"""Corners ``[4, 2]`` by marker id, clockwise from the marker's own upper left; pixel ``i`` spans ``i`` to ``i + 1``."""

DICTIONARIES: Mapping[str, int] = {
    "original": cv2.aruco.DICT_ARUCO_ORIGINAL,
    "4x4": cv2.aruco.DICT_4X4_1000,
    "5x5": cv2.aruco.DICT_5X5_1000,
    "6x6": cv2.aruco.DICT_6X6_1000,
    "7x7": cv2.aruco.DICT_7X7_1000,
    "apriltag": cv2.aruco.DICT_APRILTAG_36h11,
}
SCALES = (1, 2, 3)
"""Enlargements looked at."""
LARGEST_PX = 2000
"""No picture is enlarged beyond this side."""
_STEEP_PERCENTILE = 99.5


def find_markers(image: Gray, dictionary: str, *, either_polarity: bool = False) -> Markers:
    """The markers in a gray picture; in an inverted one, too, when ``either_polarity``: that which shows more."""
    looks = [image, 255 - image] if either_polarity else [image]
    return max((_in_sizes(look, dictionary) for look in looks), key=len)


def _in_sizes(image: Gray, dictionary: str) -> Markers:
    found: dict[int, list[npt.NDArray[np.float64]]] = {}
    for scale in SCALES:
        if scale == 1 or scale * max(image.shape) <= LARGEST_PX:
            for number, corners in _in_one_size(image, scale, dictionary):
                found.setdefault(number, []).append(corners)
    return {number: np.median(corners, axis=0) for number, corners in sorted(found.items())}


def _in_one_size(image: Gray, scale: int, dictionary: str) -> Iterable[tuple[int, npt.NDArray[np.float64]]]:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARIES[dictionary]), parameters)
    larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image
    corners, numbers, _ = detector.detectMarkers(larger)
    for number, quad in zip(np.ravel([] if numbers is None else numbers), corners, strict=False):
        yield int(number), (np.reshape(quad, (4, 2)).astype(np.float64) + 0.5) / scale


def marker_side_px(markers: Iterable[npt.NDArray[np.float64]]) -> float:
    """Mean side of markers with these corners, pixels."""
    return float(np.mean([np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1).mean() for quad in markers]))


def edge_width_px(image: Gray, markers: Markers) -> float:
    """How many pixels the steepest edges take, in the softer of the two directions: 2 to 3 where focus is good.

    Contrast (2nd to 98th percentile) over the steepest 0.5 % of gradients, around the markers where there are any, else
    in the whole picture. Motion blurs one direction only.
    """
    picture = _around(image, markers).astype(np.float32)
    low, high = np.percentile(picture, (2.0, 98.0))
    steep = [
        float(np.percentile(np.abs(cv2.Sobel(picture, -1, *order, ksize=3)) / 8.0, _STEEP_PERCENTILE))
        for order in ((1, 0), (0, 1))
    ]
    return float(high - low) / max(min(steep), 1e-9)


def _around(image: Gray, markers: Markers) -> Gray:
    if not markers:
        return image
    corners, margin = np.concatenate([*markers.values()]), 0.3 * marker_side_px(markers.values())
    (left, top), (right, bottom) = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    return image[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
