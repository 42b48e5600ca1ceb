"""The figures of every report, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge.metrics import agreement, band_names, published, splits

TRUTH = np.array([60.0, 60.0, 60.0, 60.0])


def test_agreement_is_what_its_definition_says() -> None:
    found = agreement(TRUTH, np.array([61.0, 58.0, 66.0, 60.0]), 5.0)
    assert (found.looks, found.read) == (4, 4)
    assert found.mae == pytest.approx(9 / 4)
    assert found.rmse == pytest.approx(np.sqrt((1 + 4 + 36) / 4))
    assert found.bias == pytest.approx(5 / 4)
    spread = 1.96 * np.std([1, -2, 6, 0], ddof=1)
    assert (found.loa_low, found.loa_high) == (pytest.approx(1.25 - spread), pytest.approx(1.25 + spread))
    assert found.within == 0.75


def test_a_look_without_an_estimate_counts_as_wrong_and_in_no_error() -> None:
    found = agreement(TRUTH, np.array([61.0, np.nan, np.nan, 61.0]), 5.0)
    assert (found.looks, found.read, found.mae, found.within) == (4, 2, 1.0, 0.5)


def test_an_error_of_just_the_limit_is_right() -> None:
    assert agreement(TRUTH[:2], np.array([65.0, 65.01]), 5.0).within == 0.5


@pytest.mark.parametrize(("estimates", "within"), [([], None), ([np.nan], 0.0), ([60.0], 1.0)])
def test_figures_that_cannot_be_are_none(estimates: list[float], within: float | None) -> None:
    found = agreement(TRUTH[: len(estimates)], np.array(estimates), 5.0)
    assert found.within == within
    assert found.loa_low is None
    assert (found.mae is None) == (not np.isfinite(estimates).any())


def test_a_second_limit_and_a_tenth_of_the_truth_are_shares_of_all_looks() -> None:
    truth, estimate = np.array([10.0, 10.0, 30.0, 30.0, 30.0]), np.array([11.0, 12.0, 33.0, 28.0, np.nan])
    found = agreement(truth, estimate, 3.0, 2.0)
    assert (found.within, found.within_narrow, found.within_tenth) == (0.8, 0.6, 0.6)
    assert agreement(truth, estimate, 3.0).within_narrow is None
    none = agreement(truth, np.full(5, np.nan), 3.0, 2.0)
    assert (none.within, none.within_narrow, none.within_tenth) == (0.0, 0.0, 0.0)


def test_the_shares_of_what_was_published_are_of_that() -> None:
    truth, value = np.full(4, 20.0), np.array([21.0, 22.5, 40.0, 20.0])
    ok = np.array([True, True, True, False])
    found = published(truth, value, ok, np.ones(4, bool), 3.0, 2.0).agreement
    assert (found.within, found.within_narrow, found.within_tenth) == (2 / 3, 1 / 3, 1 / 3)


def test_coverage_counts_looks_that_were_due_and_accuracy_all_that_was_published() -> None:
    value = np.array([75.0, 61.0, np.nan, 61.0])
    is_ok = np.array([True, True, False, False])
    is_due = np.array([False, True, True, True])
    found = published(TRUTH, value, is_ok, is_due, 5.0)
    assert found.coverage == pytest.approx(1 / 3)
    assert found.agreement.mae == pytest.approx((15 + 1) / 2)
    assert found.false_confidence == 0.5


def test_nothing_published_is_no_false_confidence_and_no_claim() -> None:
    none = np.zeros(4, bool)
    found = published(TRUTH, np.full(4, np.nan), none, none, 5.0)
    assert (found.coverage, found.false_confidence, found.agreement.mae) == (None, None, None)


def test_bands_hold_every_look_once_with_borders_in_the_upper_one() -> None:
    truth = np.array([42.0, 59.9, 60.0, 90.0, 119.9, 120.0, 170.0])
    found = dict(splits("hr", truth))
    assert tuple(found) == band_names("hr") == ("<60", "60-90", "90-120", ">120")
    assert [mask.sum() for mask in found.values()] == [2, 1, 2, 2]
    assert np.stack(list(found.values())).sum(axis=0).tolist() == [1] * 7
    assert dict(splits("rr", np.array([25.0]))).keys() == {">20"}
