from __future__ import annotations

import cv2
import numpy as np

from edge.png_plot import Panel, Sheet
from edge.svg_plot import number_axis


def pixels(sheet: Sheet) -> np.ndarray:
    """The finished picture, RGB."""
    image = cv2.imdecode(np.frombuffer(sheet.png(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[:, :, ::-1])


def panel() -> Panel:
    return Panel(100, 20, 300, 120, number_axis(0.0, 10.0, "time in s"), number_axis(0.0, 1.0, "share"))


def test_points_lie_where_the_axes_say() -> None:
    places = panel().places(np.array([0.0, 10.0, 5.0, np.nan]), np.array([0.0, 1.0, 0.5, 0.5]))
    assert places[:3].tolist() == [[100.0, 120.0], [300.0, 20.0], [200.0, 70.0]]
    assert np.isnan(places[3, 0])


def test_a_line_breaks_at_nan_and_has_its_colour() -> None:
    sheet = Sheet(320, 160)
    x = np.array([0.0, 4.0, np.nan, 6.0, 10.0])
    sheet.line(panel().places(x, np.full(5, 0.5)), (200, 30, 40), 2.0)
    row = pixels(sheet)[70]
    assert row[140].tolist() == [200, 30, 40]
    assert row[200].tolist() == [255, 255, 255]  # the gap
    assert row[260].tolist() == [200, 30, 40]


def test_a_box_covers_its_place_alone_and_text_ends_where_it_says() -> None:
    sheet = Sheet(320, 160)
    sheet.box(10, 10, 20, 20, (1, 2, 3))
    end = sheet.text("HR 71.8 /min", 40, 100, px=12)
    image = pixels(sheet)
    assert image[15, 15].tolist() == [1, 2, 3]
    assert (image[30, 30] == 255).all()
    inked = np.flatnonzero((image[80:110] < 128).any(axis=(0, 2)))
    assert 38 <= inked[0] <= 44
    assert 0 <= end - inked[-1] <= 5  # a letter has room beside it


def test_text_stands_left_of_its_end_about_its_middle_and_upright() -> None:
    sheet = Sheet(320, 160)
    sheet.text("70", 300, 50, anchor="right")
    sheet.text("70", 100, 50, anchor="middle")
    sheet.text_up("share", 30, 80)
    dark = (pixels(sheet) < 128).any(axis=2)
    right, middle = (
        np.flatnonzero(dark[:60, 200:].any(axis=0)) + 200,
        np.flatnonzero(dark[:60, 60:200].any(axis=0)) + 60,
    )
    assert 296 <= right[-1] <= 301
    assert abs((middle[0] + middle[-1]) / 2 - 100) <= 2
    rows, columns = np.flatnonzero(dark[:, :50].any(axis=1)), np.flatnonzero(dark[:, :50].any(axis=0))
    assert rows[-1] - rows[0] > columns[-1] - columns[0]  # it reads upwards
    assert abs((rows[0] + rows[-1]) / 2 - 80) <= 3


def test_the_frame_has_a_mark_for_every_tick() -> None:
    sheet, one = Sheet(340, 180), panel()
    sheet.frame(one)
    below = (pixels(sheet)[122:125] < 200).all(axis=(0, 2))
    marks = [value for value, _ in one.x.ticks if below[round(float(one.places(np.array([value]), np.zeros(1))[0, 0]))]]
    assert marks == [value for value, _ in one.x.ticks]
