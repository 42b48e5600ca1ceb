"""A picture that stands still is told by its pixels, wherever the face's box goes."""

from __future__ import annotations

import numpy as np
import pytest

from edge.clips.crop import Box
from edge.clips.stillness import Stillness

S = 1_000_000_000
RNG = np.random.default_rng(3)
PICTURE = RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8)


def still_s(pictures: list[np.ndarray], boxes: list[Box], stillness: Stillness | None = None) -> float:
    stillness = stillness or Stillness()
    for t, (picture, box) in enumerate(zip(pictures, boxes, strict=True)):
        stillness.step(t * S, picture, box)
    return stillness.still_s


def gliding(count: int) -> list[Box]:
    """A box that comes to rest, as the tracker's does."""
    return [Box(30.0 + 9.0 * 0.8**i, 20.3 + 5.0 * 0.8**i, 70.0, 70.0) for i in range(count)]


def test_the_same_picture_stands_still_though_the_box_glides() -> None:
    assert still_s([PICTURE] * 10, gliding(10)) == pytest.approx(9.0)


def test_one_pixel_that_is_compared_breaks_it() -> None:
    other = PICTURE.copy()
    other[40, 48, 1] ^= 1
    assert still_s([PICTURE] * 5 + [other] * 4, gliding(9)) == pytest.approx(3.0)


def test_what_changes_outside_of_the_face_is_no_sign_of_life() -> None:
    clock = [PICTURE.copy() for _ in range(6)]
    for t, picture in enumerate(clock):
        picture[:16, :40] = t
    assert still_s(clock, gliding(6)) == pytest.approx(5.0)


def test_a_buffer_that_is_used_again_is_a_new_picture_when_its_pixels_are() -> None:
    buffer, stillness = PICTURE.copy(), Stillness()
    for t in range(5):
        buffer += 1
        stillness.step(t * S, buffer, Box(20.0, 20.0, 60.0, 60.0))
    assert stillness.still_s == 0.0


def test_another_place_and_a_new_beginning_count_as_changed() -> None:
    here, there = Box(0.0, 0.0, 40.0, 40.0), Box(80.0, 60.0, 40.0, 40.0)
    assert still_s([PICTURE] * 4, [here, here, there, there]) == pytest.approx(1.0)
    stillness = Stillness()
    still_s([PICTURE] * 4, [here] * 4, stillness)
    stillness.reset()
    stillness.step(4 * S, PICTURE, here)
    assert stillness.still_s == 0.0


@pytest.mark.parametrize("box", [Box(3.2, 5.1, 2.0, 2.0), Box(158.0, 118.0, 2.0, 2.0), Box(0.0, 0.0, 160.0, 120.0)])
def test_a_box_of_any_size_and_place_is_compared_or_counts_as_changed(box: Box) -> None:
    assert still_s([PICTURE] * 3, [box] * 3) in (0.0, 2.0)
