from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.clips.crop import Box
from edge.faces.motion import Motion, MotionMeter

FACE = Box(200.0, 120.0, 240.0, 240.0)


@pytest.fixture(scope="module")
def scene() -> npt.NDArray[np.float32]:
    """A smooth picture with structure of a face's size, 640x480."""
    random = np.random.default_rng(4)
    coarse = random.normal(0.0, 1.0, (24, 32)).astype(np.float32)
    grown = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    return np.asarray(110.0 + 35.0 * grown, np.float32)


def picture(scene: npt.NDArray[np.float32], dx_px: float, dy_px: float, light: object = None) -> npt.NDArray[np.uint8]:
    matrix = np.array([[1.0, 0.0, dx_px], [0.0, 1.0, dy_px]])
    moved = cv2.warpAffine(scene, matrix, (640, 480), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lit = light(moved) if callable(light) else moved
    noise = np.random.default_rng(abs(hash((dx_px, dy_px)))).normal(0.0, 2.0, lit.shape)
    noisy = np.clip(np.round(lit + noise), 0, 255).astype(np.uint8)
    return np.dstack([noisy] * 3)


def measured(pictures: Iterable[npt.NDArray[np.uint8]], box: Box = FACE) -> list[Motion]:
    meter = MotionMeter()
    return [meter.step(one, box) for one in pictures]


LIGHTS = {
    "steady": None,
    "dimmed": lambda image: 0.8 * image + 10.0,
    "from one side": lambda image: image + np.linspace(-15.0, 15.0, 640),
}


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS.keys())
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.2), (2.0, 1.0), (-6.0, 7.0)])
def test_a_shift_is_measured_to_a_thousandth_of_the_face(
    scene: npt.NDArray[np.float32], shift: tuple[float, float], light: object
) -> None:
    """That is 0.05 pixels of the grid, or a quarter of a camera pixel."""
    last = measured([picture(scene, 0.0, 0.0), picture(scene, *shift, light)])[-1]
    assert last.trusted
    assert (last.dx, last.dy) == pytest.approx((shift[0] / 240.0, shift[1] / 240.0), abs=1e-3)


def test_position_does_not_drift_over_a_minute_of_sway(scene: npt.NDArray[np.float32]) -> None:
    """Sway of a quarter of the face's side makes the reference be renewed again and again."""
    path = 60.0 * np.sin(2.0 * np.pi * 0.2 * np.arange(300) / 15.0)
    motions = measured(picture(scene, float(x), 0.0) for x in path)
    error = np.array([one.x for one in motions]) - path / 240.0
    assert np.abs(error).max() < 0.005
    assert all(one.dx == pytest.approx(one.x - before.x) for before, one in pairwise(motions))


def test_a_gliding_box_is_not_motion(scene: npt.NDArray[np.float32]) -> None:
    meter, still = MotionMeter(), picture(scene, 0.0, 0.0)
    motions = [meter.step(still, Box(200.0 + 0.5 * k, 120.0, 240.0, 240.0)) for k in range(60)]
    assert max(abs(one.x) + abs(one.y) for one in motions) < 1e-4


def test_another_picture_is_not_trusted_and_moves_nothing(scene: npt.NDArray[np.float32]) -> None:
    here, there = picture(scene, 0.0, 0.0), picture(scene[::-1, ::-1].copy(), 0.0, 0.0)
    _, _, changed, after = measured([here, here, there, there])
    assert (changed.dx, changed.dy, changed.trusted) == (0.0, 0.0, False)
    assert after.trusted


def test_a_flat_picture_gives_no_motion() -> None:
    grey = np.full((480, 640, 3), 90, np.uint8)
    assert {(one.dx, one.dy) for one in measured([grey] * 3)} == {(0.0, 0.0)}


def test_reset_starts_at_zero(scene: npt.NDArray[np.float32]) -> None:
    meter = MotionMeter()
    meter.step(picture(scene, 0.0, 0.0), FACE)
    assert meter.step(picture(scene, 3.0, 0.0), FACE).x > 0.01
    meter.reset()
    assert meter.step(picture(scene, 5.0, 0.0), FACE) == Motion()
