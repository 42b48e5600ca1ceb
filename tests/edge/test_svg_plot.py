from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.svg_plot import WIDTH, Plot, clock_axis, key, number_axis, seconds_axis, with_gaps

DAY0_S = 1_795_305_600.0
"""2026-11-22T00:00:00Z"""


def floats(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def plot(**options: bool) -> Plot:
    return Plot(number_axis(0.0, 10.0, "x"), number_axis(0.0, 100.0, "y"), "a plot", **options)


def paths(drawing: str) -> dict[str, str]:
    return {path.get("class", ""): path.get("d", "") for path in ET.fromstring(drawing).iter("path")}


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 10.0, ["0", "2", "4", "6", "8", "10"]),
        (61.3, 92.0, ["60", "70", "80", "90", "100"]),
        (-1.4, 1.3, ["-1.5", "-1.0", "-0.5", "0.0", "0.5", "1.0", "1.5"]),
        (70.0, 70.0, ["69.0", "69.5", "70.0", "70.5", "71.0"]),
        (0.0, 0.012, ["0.000", "0.002", "0.004", "0.006", "0.008", "0.010", "0.012"]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[str]) -> None:
    assert [text for _, text in number_axis(low, high, "").ticks] == ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_an_axis_holds_its_data_with_few_ticks(low: float, span: float) -> None:
    axis = number_axis(low, low + span, "")
    assert axis.low <= low + 1e-6 * span
    assert axis.high >= low + span * (1 - 1e-6)
    assert 2 <= len(axis.ticks) <= 9


@pytest.mark.parametrize(
    ("low_s", "high_s", "ticks"),
    [
        (0.0, 60.0, ["00:00:00", "00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50", "00:01:00"]),
        (100.0, 1500.0, ["00:05", "00:10", "00:15", "00:20", "00:25"]),
        (0.0, 86_400.0, ["00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "00:00"]),
        (
            0.0,
            2.5 * 86_400.0,
            ["11-22 00:00", "11-22 12:00", "11-23 00:00", "11-23 12:00", "11-24 00:00", "11-24 12:00"],
        ),
    ],
)
def test_times_of_day_are_round(low_s: float, high_s: float, ticks: list[str]) -> None:
    assert [text for _, text in clock_axis(DAY0_S + low_s, DAY0_S + high_s, "").ticks] == ticks


def test_times_since_a_start() -> None:
    assert [text for _, text in seconds_axis(0.0, 40.0, "").ticks][:3] == ["0:00", "0:05", "0:10"]
    assert [text for _, text in seconds_axis(0.0, 7200.0, "").ticks][-2:] == ["1:45:00", "2:00:00"]
    assert len(seconds_axis(0.0, 30 * 86_400.0, "").ticks) <= 9
    assert seconds_axis(5.0, 5.0, "").high == 6.0


def test_marks_lie_where_the_axes_say() -> None:
    drawing = plot()
    drawing.marks(floats(0.0, 10.0, 5.0), floats(0.0, 100.0, 50.0), "c1", "dot")
    places = re.findall(r"M([\d.]+) ([\d.]+)h0", paths(drawing.svg())["c1"])
    assert places == [("52", "256"), ("398", "134"), ("744", "12")]


def test_the_name_of_an_axis_stands_beside_its_ticks() -> None:
    narrow, wide = (Plot(number_axis(0.0, 1.0, "x"), number_axis(14.7, 14.9, "y"), "").svg(), plot().svg())
    ends = [min(float(x) for x in re.findall(r'<line x1="([\d.]+)"', str(svg))) for svg in (narrow, wide)]
    assert ends == [68.0, 52.0]  # five signs in a tick need more room than three


def test_what_is_no_number_or_off_the_plot_is_left_out() -> None:
    drawing = plot()
    drawing.marks(floats(-1.0, 5.0, 5.0, np.nan), floats(50.0, 101.0, np.nan, 50.0), "c1", "dot")
    drawing.line(floats(np.nan), floats(1.0), "truth")
    assert paths(drawing.svg()) == {}


def test_a_gap_breaks_the_line_and_a_point_alone_is_drawn() -> None:
    drawing = plot()
    drawing.line(*with_gaps(floats(0, 1, 2, 5, 8, 9), floats(10, 20, 30, 40, 50, 60), 1.5), "truth")
    pieces = paths(drawing.svg())["truth"].split("M")[1:]
    assert [len(piece.split(" ")) // 2 for piece in pieces] == [3, 1, 2]
    assert [piece.endswith("h0") for piece in pieces] == [False, True, False]


def test_a_day_of_seconds_is_a_small_picture_that_still_shows_every_outlier() -> None:
    x = np.linspace(0.0, 10.0, 86_400)
    y = 50.0 + np.random.default_rng(0).normal(0.0, 3.0, len(x))
    y[40_000], y[70_000] = 99.0, 1.0
    drawing = plot()
    drawing.line(x, y, "truth")
    drawing.marks(x, y, "c1", "dot")
    content = drawing.svg()
    assert len(content) < 1_500_000
    numbers = np.array(re.findall(r"[\d.]+", paths(content)["truth"]), dtype=np.float64).reshape(-1, 2)
    assert len(numbers) <= 2 * WIDTH
    assert (numbers[:, 1].min(), numbers[:, 1].max()) == pytest.approx((256 - 0.99 * 244, 256 - 0.01 * 244), abs=0.06)


def test_texts_of_rules_that_lie_close_are_moved_apart() -> None:
    drawing = plot(labels=True)
    for at, text in ((50.0, "bias"), (50.5, "upper"), (49.5, "lower"), (500.0, "outside")):
        drawing.rule(at, text, "rule")
    found = {one.text: float(one.get("y", "")) for one in ET.fromstring(drawing.svg()).iter("text")}
    assert found["upper"] + 14 <= found["bias"] <= found["lower"] - 14
    assert "outside" not in found


def test_the_drawing_says_what_it_shows_and_escapes_it() -> None:
    drawing = Plot(number_axis(0.0, 1.0, "<x>"), number_axis(0.0, 1.0, "y&"), "<all>")
    root = ET.fromstring(drawing.svg())
    assert (root.get("role"), root.get("aria-label")) == ("img", "<all>")
    assert {"<x>", "y&"} <= {one.text for one in root.iter("text")}


@pytest.mark.parametrize("shape", ["line", "dot", "cross", "ring"])
def test_a_legend_shows_the_mark_and_its_name(shape: str) -> None:
    entry = key("c2", shape, "<ok>")
    assert entry.endswith("&lt;ok&gt;")
    assert 'class="c2"' in entry
