from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.validation.course import Course

Floats = npt.NDArray[np.float64]


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def test_the_mean_weighs_rows_by_the_time_they_stand_for() -> None:
    course = Course(floats(0, 1, 2, 3), floats(60, 70, 80, 90))
    # rows change at 0.5, 1.5 and 2.5: from 1 to 3 it is 70 for 0.5 s, 80 for 1 s and 90 for 0.5 s
    np.testing.assert_allclose(course.mean(floats(1.0, 0.75), floats(3.0, 1.25)), [80.0, 70.0])


def test_the_first_row_of_a_day_counts_as_the_last() -> None:
    zero = 1_795_342_507.0
    seconds = np.arange(0.0, 86_400.0)
    course = Course(zero + seconds, 60.0 + seconds % 2)
    np.testing.assert_allclose(course.mean(floats(zero + 86_380.5), floats(zero + 86_390.5)), [60.5], atol=1e-3)


def test_an_empty_cell_is_no_reference() -> None:
    seconds = np.arange(20.0)
    rate = np.where((seconds > 6) & (seconds < 14), np.nan, 70.0)
    course = Course(seconds, rate)
    known = np.isfinite(course.mean(seconds - 0.5, seconds + 0.5))
    assert known[:7].all()
    assert known[14:].all()
    assert not known[8:13].any()


def test_four_fifths_of_a_stretch_must_be_known() -> None:
    course = Course(np.arange(0.0, 11.0), np.full(11, 70.0))  # ends at 10.75
    np.testing.assert_equal(course.mean(floats(0.75, 3.75), floats(10.75, 13.75)), [70.0, np.nan])
    np.testing.assert_allclose(course.mean(floats(2.76, 2.74), floats(12.76, 12.74)), [np.nan, 70.0])


def test_rows_in_uneven_steps_leave_no_gap_and_rare_rows_reach_half_way() -> None:
    uneven = Course(floats(0, 1, 2.4, 3.2, 4.6, 5.6), np.full(6, 70.0))
    assert np.isfinite(uneven.mean(np.arange(0.0, 4.6), np.arange(1.0, 5.6))).all()
    rare = Course(np.arange(0.0, 600.0, 60.0), np.arange(60.0, 70.0))
    np.testing.assert_allclose(rare.mean(floats(55.0, 115.0), floats(65.0, 125.0)), [61.0, 62.0])
    assert rare.step_s == 60.0


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_for_a_step(count: int) -> None:
    course = Course(np.full(count, 100.0), np.full(count, 70.0))
    assert course.step_s == 0.0
    assert np.isfinite(course.mean(floats(99.7), floats(100.3))).sum() == count
    assert np.isnan(course.mean(floats(120.0), floats(121.0))).all()


@given(st.lists(st.tuples(st.floats(0.2, 3.0), st.floats(40, 180)), min_size=3, max_size=30), st.data())
def test_a_mean_lies_within_the_rates_and_needs_no_order_of_questions(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    seconds, rates = np.cumsum([step for step, _ in rows]), np.array([rate for _, rate in rows])
    course = Course(seconds, rates)
    start = data.draw(st.floats(-5.0, float(seconds[-1]) + 5.0))
    length = data.draw(st.floats(0.5, 20.0))
    mean = course.mean(floats(start), floats(start + length))
    assert np.isnan(mean[0]) or rates.min() - 1e-6 <= mean[0] <= rates.max() + 1e-6
    both = course.mean(floats(start, start - 3.0), floats(start + length, start))
    np.testing.assert_equal(both[:1], mean)
