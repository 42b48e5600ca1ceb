from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.recording.pixels import bytes_from_pixels, pixels_from_bytes

SIDES = st.integers(1, 9)
IMAGES = st.tuples(SIDES, SIDES).flatmap(
    lambda size: st.one_of(
        arrays(np.uint8, (*size, 3)), arrays(np.uint16, size), arrays(np.float32, size, elements=st.floats(width=32))
    )
)


@given(IMAGES)
def test_every_image_comes_back_bit_by_bit(image: npt.NDArray[Any]) -> None:
    data = bytes_from_pixels(image)
    back = pixels_from_bytes(data, image.shape, image.dtype)
    assert len(data) == image.nbytes
    assert back.dtype == image.dtype
    assert back.shape == image.shape
    assert back.tobytes() == image.tobytes()  # NaN and -0.0 too


def test_a_view_that_is_not_contiguous_comes_back_too() -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    part = image[3:17:2, 4:21]
    assert np.array_equal(pixels_from_bytes(bytes_from_pixels(part), part.shape, "uint8"), part)
    turned = np.arange(12, dtype=np.uint16).reshape(3, 4).T
    assert np.array_equal(pixels_from_bytes(bytes_from_pixels(turned), turned.shape, "uint16"), turned)


@pytest.mark.parametrize("size", [0, 11, 13, 24])
def test_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="bytes of pixels"):
        pixels_from_bytes(bytes(size), (2, 2, 3), "uint8")
