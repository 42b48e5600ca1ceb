from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.views import load_views
from edge.errors import InputError

DARK, SIZE = np.zeros((20, 30), np.uint8), (20, 30)


def write(folder: Path, *names: str, image: np.ndarray = DARK) -> None:
    for name in names:
        assert cv2.imwrite(str(folder / name), image)


def test_pairs_are_found_by_name_and_sorted_by_number(tmp_path: Path) -> None:
    write(tmp_path, "10_rgb.png", "10_thermal.png", "2_rgb.jpg", "2_thermal.png", "near_RGB.png", "near_thermal.jpeg")
    write(tmp_path, "3_rgb.png", "5_thermal.png", "4_depth.png")
    (tmp_path / "README.txt").write_text("none")
    views, alone = load_views(tmp_path)
    assert [view.name for view in views] == ["2", "10", "near"]
    assert alone == ["3", "5"]
    assert all(view.rgb.shape == view.thermal.shape == SIZE for view in views)


def test_sixteen_bits_and_colours_become_gray(tmp_path: Path) -> None:
    counts = np.linspace(29_000, 31_000, 600).astype(np.uint16).reshape(SIZE)
    write(tmp_path, "1_thermal.png", image=counts)
    write(tmp_path, "1_rgb.png", image=np.full((*SIZE, 3), 80, np.uint8))
    [view], _ = load_views(tmp_path)
    assert (view.thermal.min(), view.thermal.max()) == (0, 255)
    assert np.all(np.diff(view.thermal.astype(int).ravel()) >= 0)
    assert set(np.unique(view.rgb)) == {80}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "holds no pair"),
        (("1_rgb.png", "2_thermal.png"), "holds no pair"),
        (("1_rgb.png", "1_rgb.jpg", "1_thermal.png"), "same picture of one view"),
    ],
)
def test_what_is_no_pair_is_said(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    write(tmp_path, *names)
    with pytest.raises(InputError, match=says):
        load_views(tmp_path)


def test_no_folder_no_picture_and_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        load_views(tmp_path / "none")
    write(tmp_path, "1_rgb.png", "2_rgb.png", "2_thermal.png")
    (tmp_path / "1_thermal.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"1_thermal\.png cannot be read"):
        load_views(tmp_path)
    write(tmp_path, "1_thermal.png", image=np.zeros((21, 30), np.uint8))
    with pytest.raises(InputError, match="thermal pictures differ in size"):
        load_views(tmp_path)
