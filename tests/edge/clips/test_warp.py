from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.crop import Box, model_cells
from edge.clips.warp import corners_through, points_through, thermal_cells
from edge.frames import Frame

Matrix = npt.NDArray[np.float64]
REGION = Box(180.0, 90.0, 240.0, 240.0)
SIZE = 9


def frame(image: npt.NDArray[np.generic]) -> Frame:
    return Frame(image.astype(np.float32), 0, "media", 0, "thermal")


def homography(
    turn_deg: float = 0.0, scale: float = 0.5, tilt: float = 0.0, shift: tuple[float, float] = (6, 4)
) -> Matrix:
    """Turned about the region's middle, scaled, moved and tilted; last number 1."""
    cos, sin = scale * np.cos(np.deg2rad(turn_deg)), scale * np.sin(np.deg2rad(turn_deg))
    x, y = REGION.centre
    there = np.array([x / 2 + shift[0], y / 2 + shift[1]])
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [tilt, 0.6 * tilt, 1.0]])
    matrix[:2, 2] = there * (matrix[2] @ [x, y, 1.0]) - matrix[:2, :2] @ [x, y]
    return matrix


def pixels_of_cells(shape: tuple[int, int], matrix: Matrix, size: int, fine: int) -> npt.NDArray[np.int64]:
    """The pixel of a picture ``[H, W]`` under each of ``fine`` x ``fine`` points of a cell, ``[cells, points]``."""
    steps = (np.arange(size * fine) + 0.5) / (size * fine)
    x, y = np.meshgrid(REGION.x + REGION.w * steps, REGION.y + REGION.h * steps)
    there = np.floor(points_through(matrix, np.column_stack((x.ravel(), y.ravel())))).astype(np.int64)
    flat = there[:, 1].clip(0, shape[0] - 1) * shape[1] + there[:, 0].clip(0, shape[1] - 1)
    return flat.reshape(size, fine, size, fine).transpose(0, 2, 1, 3).reshape(size * size, fine * fine)


def brute(image: npt.NDArray[np.float32], matrix: Matrix, size: int) -> npt.NDArray[np.float64]:
    """Means over each cell of the picture taken as constant over its pixels, by many points."""
    return image.ravel()[pixels_of_cells(image.shape, matrix, size, 24)].mean(axis=1).reshape(size, size)


def true_noise(shape: tuple[int, int], matrix: Matrix) -> float:
    """Standard deviation of the mean over a cell of a picture whose pixels have 1, from the cell's share of each."""
    shares = [np.bincount(one)[np.unique(one)] / len(one) for one in pixels_of_cells(shape, matrix, SIZE, 60)]
    return float(np.mean([np.sqrt(np.square(share).sum()) for share in shares]))


def test_points_and_corners() -> None:
    assert np.allclose(points_through(np.diag([2.0, 3.0, 1.0]), np.array([(1.0, 1.0)])), [(2.0, 3.0)])
    assert np.isnan(points_through(np.array([[1, 0, 0], [0, 1, 0], [-1.0, 0, 1]]), np.array([(2.0, 0.0)]))).all()
    assert corners_through(np.eye(3), Box(1, 2, 3, 4)).tolist() == [[1, 2], [4, 2], [4, 6], [1, 6]]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_scale_and_shift_alone_is_the_box_to_the_last_digit(dtype: type) -> None:
    image = np.random.default_rng(2).integers(0, 60_000, (240, 320)).astype(dtype)
    raw = Frame(image, 0, "media", 0, "thermal", 0.01, -273.15)
    cells = thermal_cells(raw, REGION, homography(), SIZE)
    assert cells is not None
    x, y = (part / 2 + move for part, move in zip(REGION.centre, (6, 4), strict=True))
    assert np.array_equal(cells, model_cells(raw, Box(x - 60.0, y - 60.0, 120.0, 120.0), SIZE))


@settings(max_examples=30)
@given(st.floats(-180.0, 180.0), st.floats(0.3, 0.6), st.floats(-6e-4, 6e-4), st.sampled_from([9, 12]))
def test_turned_and_tilted_cells_are_the_means_of_their_part(turn: float, scale: float, tilt: float, size: int) -> None:
    y, x = np.mgrid[:240, :320].astype(np.float32)
    image = 30.0 + np.sin(x / 11.0) + np.cos(y / 7.0) + 0.02 * x
    cells = thermal_cells(frame(image), REGION, homography(turn, scale, tilt), size)
    assert cells is not None
    assert cells.shape == (1, size, size)
    assert np.abs(cells[0] - brute(image, homography(turn, scale, tilt), size)).max() < 0.06


@pytest.mark.parametrize(
    ("turn", "tilt", "scale"),
    [(0.0, 0.0, 0.5), (7.0, 0.0, 0.5), (33.0, 0.0, 0.25), (90.0, 0.0, 0.25), (12.0, 5e-4, 0.5), (0.6, 1e-4, 0.25)],
)
def test_cell_noise_is_that_of_the_true_block_mean(turn: float, tilt: float, scale: float) -> None:
    """Sensor noise in a face of 60 and 120 thermal pixels: within 10 % of the mean over each cell's own pixels."""
    random, matrix = np.random.default_rng(7), homography(turn, scale, tilt)
    pictures = (random.standard_normal((240, 320), np.float32) for _ in range(200))
    seen = np.stack([thermal_cells(frame(one), REGION, matrix, SIZE) for one in pictures])
    assert seen.std(axis=0).mean() == pytest.approx(true_noise((240, 320), matrix), rel=0.1)


def test_warping_straight_onto_the_model_grid_would_sample() -> None:
    """The reason for the intermediate: without it the noise is that of a pixel, not of a cell."""
    matrix, random = homography(33.0), np.random.default_rng(7)
    step = np.array([[REGION.w / SIZE, 0, REGION.x], [0, REGION.h / SIZE, REGION.y], [0, 0, 1.0]])
    straight, ours = [], []
    for _ in range(60):
        picture = random.normal(30.0, 1.0, (240, 320)).astype(np.float32)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        straight.append(cv2.warpPerspective(picture, matrix @ step, (SIZE, SIZE), flags=how))
        ours.append(thermal_cells(frame(picture), REGION, matrix, SIZE))
    assert np.std(straight, axis=0).mean() > 4 * np.std(ours, axis=0).mean()


def test_what_the_thermal_camera_hardly_sees_is_none() -> None:
    image = np.full((240, 320), 30.0)
    assert thermal_cells(frame(image), REGION, homography(shift=(200.0, 0.0)), SIZE) is None
    assert thermal_cells(frame(image), REGION, homography(180.0, shift=(-130.0, 0.0)), SIZE) is None
    assert thermal_cells(frame(image), REGION, np.array([[1, 0, 0], [0, 1, 0], [-1 / 200, 0, 1.0]]), SIZE) is None
    partly = thermal_cells(frame(image), REGION, homography(30.0, shift=(-100.0, 0.0)), SIZE)
    assert partly is not None
    assert np.allclose(partly, 30.0)
