"""A flat board of ArUco markers before two ideal cameras side by side: pictures, and where everything truly is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MARKER_MM, GAP_MM, COLUMNS, ROWS = 50.0, 22.0, 4, 3
_PER_MM = 4  # pixels of the drawn board
_MARGIN_MM = 30.0


@dataclass(frozen=True)
class Pinhole:
    """A camera that looks along z, at ``x_mm``; focal length and size in pixels."""

    focal_px: float
    width: int
    height: int
    x_mm: float = 0.0

    def from_plane(self, z_mm: float, shift_mm: tuple[float, float] = (0.0, 0.0), turn_deg: float = 0.0) -> Floats:
        """Homography from millimetres on a board that faces the camera to pixels (pixel ``i``: ``i`` to ``i + 1``)."""
        cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
        pose = np.array([[cos, -sin, shift_mm[0] - self.x_mm], [sin, cos, shift_mm[1]], [0.0, 0.0, z_mm]])
        lens = np.array([[self.focal_px, 0, self.width / 2], [0, self.focal_px, self.height / 2], [0, 0, 1.0]])
        return lens @ pose


RGB = Pinhole(900.0, 768, 512)
THERMAL = Pinhole(500.0, 464, 348, x_mm=40.0)


def thermal_from_rgb(z_mm: float) -> Floats:
    """The true homography of boards that face the cameras at ``z_mm``."""
    matrix = THERMAL.from_plane(z_mm) @ np.linalg.inv(RGB.from_plane(z_mm))
    return matrix / matrix[2, 2]


def board() -> npt.NDArray[np.uint8]:
    """The board as printed: markers 0 to 11 on white."""
    side, gap, margin = (round(mm * _PER_MM) for mm in (MARKER_MM, GAP_MM, _MARGIN_MM))
    pitch = side + gap
    shape = 2 * margin + ROWS * pitch - gap, 2 * margin + COLUMNS * pitch - gap
    picture = np.full(shape, 255, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_ARUCO_ORIGINAL)
    for number in range(ROWS * COLUMNS):
        y, x = margin + number // COLUMNS * pitch, margin + number % COLUMNS * pitch
        picture[y : y + side, x : x + side] = cv2.aruco.generateImageMarker(dictionary, number, side)
    return picture


def pictures(
    z_mm: float, shift_mm: tuple[float, float] = (0.0, 0.0), turn_deg: float = 0.0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Gray RGB and thermal picture ``[H, W]`` of the board; its black is warm."""
    return _seen(board(), RGB, z_mm, shift_mm, turn_deg), _seen(255 - board(), THERMAL, z_mm, shift_mm, turn_deg)


def _seen(
    printed: npt.NDArray[np.uint8], camera: Pinhole, z_mm: float, shift_mm: tuple[float, float], turn_deg: float
) -> npt.NDArray[np.uint8]:
    fine = 3  # drawn larger and averaged: a pixel is a mean
    height, width = printed.shape
    mm = np.array([[1 / _PER_MM, 0, -width / 2 / _PER_MM], [0, 1 / _PER_MM, -height / 2 / _PER_MM], [0, 0, 1.0]])
    middle = np.array([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1.0]])
    matrix = np.linalg.inv(middle) @ np.diag([fine, fine, 1.0]) @ camera.from_plane(z_mm, shift_mm, turn_deg)
    size = camera.width * fine, camera.height * fine
    large = cv2.warpPerspective(printed, matrix @ mm @ middle, size, borderValue=90)
    picture = cv2.resize(large, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(1).normal(0.0, 1.0, picture.shape)
    return np.clip(np.rint(cv2.GaussianBlur(picture, (0, 0), 0.7) + noise), 0, 255).astype(np.uint8)
