from __future__ import annotations

import numpy as np
import pytest

from edge.cameras.rotation import Turn, turned


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_the_upper_left_pixel_goes_clockwise(degrees: Turn, corner: tuple[int, int], shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint16)
    image[0, 0] = 9
    found = turned(image, degrees)
    assert np.all(found[corner] == 9)
    assert found.sum() == image.sum()
    assert found.flags.c_contiguous
    assert found.shape[:2] == (shape[:2] if degrees % 180 == 0 else shape[1::-1])
