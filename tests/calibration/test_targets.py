from __future__ import annotations

import cv2
import numpy as np
import pytest
from fakes.board import COLUMNS, GAP_MM, MARKER_MM, RGB, ROWS, THERMAL, Pinhole, pictures

from calibration.targets import edge_width_px, find_markers, marker_side_px
from edge.clips.warp import points_through


def true_corners(camera: Pinhole, number: int, z_mm: float, turn_deg: float) -> np.ndarray:
    pitch = MARKER_MM + GAP_MM
    x = (number % COLUMNS - (COLUMNS - 1) / 2) * pitch - MARKER_MM / 2
    y = (number // COLUMNS - (ROWS - 1) / 2) * pitch - MARKER_MM / 2
    square = np.array([(x, y), (x + MARKER_MM, y), (x + MARKER_MM, y + MARKER_MM), (x, y + MARKER_MM)])
    return points_through(camera.from_plane(z_mm, turn_deg=turn_deg), square)


@pytest.mark.parametrize("turn_deg", [0.0, 25.0, 190.0])
def test_corners_are_found_where_they_are_in_both_cameras(turn_deg: float) -> None:
    rgb, thermal = pictures(800.0, turn_deg=turn_deg)
    for camera, markers in (
        (RGB, find_markers(rgb, "original")),
        (THERMAL, find_markers(thermal, "original", either_polarity=True)),
    ):
        assert len(markers) == 12
        off = [markers[number] - true_corners(camera, number, 800.0, turn_deg) for number in markers]
        assert np.abs(np.mean(off, axis=(0, 1))).max() < 0.1  # no shift by half a pixel
        assert np.abs(off).max() < 0.6
    assert marker_side_px(find_markers(rgb, "original").values()) == pytest.approx(900.0 * 50.0 / 800.0, rel=0.01)


def test_an_inverted_board_needs_both_polarities() -> None:
    thermal = pictures(800.0)[1]
    assert find_markers(thermal, "original") == {}
    assert find_markers(np.zeros((50, 50), np.uint8), "original", either_polarity=True) == {}


def test_edges_grow_with_defocus_and_with_motion_in_one_direction() -> None:
    sharp = pictures(800.0, turn_deg=25.0)[0]
    moved = cv2.filter2D(sharp, -1, np.full((1, 9), 1 / 9, np.float32))
    widths = [
        edge_width_px(image, find_markers(image, "original"))
        for image in (sharp, cv2.GaussianBlur(sharp, (0, 0), 3.0), moved, np.full_like(sharp, 90))
    ]
    assert widths[0] < 4.0
    assert min(widths[1:3]) > 6.0
    assert widths[3] == 0.0  # nothing to see is another reason
