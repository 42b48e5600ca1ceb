from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.crop import Box, area_mean, model_cells, square_enlarged, thermal_box
from edge.frames import Frame

RANDOM = np.random.default_rng(3)
PICTURE = RANDOM.integers(0, 256, (61, 83, 3)).astype(np.uint8)


def overlaps(start: float, length: float, size: int, pixels: int) -> npt.NDArray[np.float64]:
    """Length of the overlap of each of ``size`` cells with each pixel, one by one."""
    table = np.zeros((size, pixels))
    for i in range(size):
        low, high = start + length * i / size, start + length * (i + 1) / size
        for j in range(pixels):
            table[i, j] = max(0.0, min(high, j + 1.0) - max(low, float(j)))
    return table


def brute(image: npt.NDArray[np.float64], size: int, box: Box) -> npt.NDArray[np.float64]:
    """Area means in float64, over the part of ``box`` inside the picture."""
    part = box.cut(image.shape)
    down = overlaps(part.y, part.h, size, image.shape[0])
    across = overlaps(part.x, part.w, size, image.shape[1])
    return np.einsum("ih,hwc,jw->ijc", down, image, across) * size**2 / (part.w * part.h)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-20.0, 60.0), st.floats(-20.0, 40.0), st.floats(2.0, 90.0), st.floats(2.0, 90.0), st.sampled_from([9, 36])
)
def test_area_mean_is_the_exact_mean_for_any_box(x: float, y: float, w: float, h: float, size: int) -> None:
    box = Box(x, y, w, h)
    if x + w < 0.5 or y + h < 0.5:
        return
    assert np.allclose(area_mean(PICTURE, size, box), brute(PICTURE.astype(np.float64), size, box), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_pixel_type_and_trailing_axis_is_averaged_alike(dtype: type) -> None:
    image = PICTURE.astype(dtype)
    wanted = brute(PICTURE.astype(np.float64), 9, Box(0.0, 0.0, 83.0, 61.0))
    assert area_mean(image, 9).dtype == np.float32
    assert np.allclose(area_mean(image, 9), wanted, rtol=1e-5)
    assert np.allclose(area_mean(image[..., 1], 9), wanted[..., 1], rtol=1e-5)
    assert np.allclose(area_mean(image[:, :, None].repeat(2, 2), 9)[:, :, 1], wanted, rtol=1e-5)


@pytest.mark.parametrize("size", [9, 72])
def test_whole_pixel_cells_equal_opencv_area_resize(size: int) -> None:
    image = RANDOM.uniform(0.0, 255.0, (4 * size, 3 * size)).astype(np.float32)
    assert np.allclose(area_mean(image, size), cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), atol=1e-3)


def test_cell_noise_is_that_of_the_true_block_mean() -> None:
    """Sensor noise of 3 counts over blocks of 300 / 9 pixels: every pixel must count, and nothing be rounded."""
    noisy = np.clip(np.round(120.0 + RANDOM.normal(0.0, 3.0, (200, 300, 300))), 0, 255).astype(np.uint8)
    cells = np.stack([area_mean(frame, 9) for frame in noisy])
    block_mean_noise = 3.0 / (300 / 9)
    assert cells.std(axis=0).mean() == pytest.approx(block_mean_noise, rel=0.1)


def test_a_box_that_creeps_changes_cells_evenly_not_in_steps() -> None:
    ramp = np.tile(np.arange(200, dtype=np.float32), (50, 1))
    creeping = [area_mean(ramp, 9, Box(20.0 + 0.01 * k, 5.0, 90.0, 40.0)).mean() for k in range(300)]
    assert np.allclose(np.diff(creeping), 0.01, atol=1e-3)


def test_cells_smaller_than_a_pixel_invent_nothing() -> None:
    image = np.array([[0.0, 100.0], [100.0, 0.0]], np.float32)
    assert np.array_equal(area_mean(image, 4), image.repeat(2, 0).repeat(2, 1))


def test_model_cells_are_channels_first_and_thermal_is_celsius() -> None:
    rgb = Frame(PICTURE, 0, "media", 0, "rgb")
    assert np.array_equal(
        model_cells(rgb, Box(3.0, 3.0, 50.0, 50.0), 9)[2], area_mean(PICTURE[..., 2], 9, Box(3, 3, 50, 50))
    )
    raw = Frame(np.full((20, 20), 30815, np.uint16), 0, "media", 0, "thermal", scale_degc=0.01, offset_degc=-273.15)
    cells = model_cells(raw, Box(0.0, 0.0, 20.0, 20.0), 9)
    assert cells.shape == (1, 9, 9)
    assert cells.dtype == np.float32
    assert np.allclose(cells, 35.0, atol=1e-3)


def test_the_enlarged_square_stops_at_the_left_and_is_cut_at_the_right() -> None:
    assert square_enlarged(Box(100, 80, 40, 60), (480, 640)) == Box(75.0, 65.0, 90.0, 90.0)
    assert square_enlarged(Box(5, 80, 60, 60), (480, 640)) == Box(0.0, 65.0, 90.0, 90.0)
    assert square_enlarged(Box(570, 80, 60, 60), (480, 640)) == Box(555.0, 65.0, 85.0, 90.0)
    with pytest.raises(ValueError, match="positive size"):
        square_enlarged(Box(900, 80, 60, 60), (480, 640))


def test_the_thermal_box_is_the_same_part_of_its_picture() -> None:
    assert thermal_box(Box(64, 48, 320, 240), (480, 640, 3), (120, 160)) == Box(16.0, 12.0, 80.0, 60.0)


@pytest.mark.parametrize("size", [(0.0, 5.0), (5.0, -1.0), (np.nan, 5.0)])
def test_a_box_without_size_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive size"):
        Box(0.0, 0.0, *size)
