from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from edge.validation.compare import Comparison, OffsetRules, compare
from edge.validation.record_file import looks_from_numerics, numerics_of_one, records_from_jsonl
from edge.validation.reference_csv import reference_from_csv
from edge.validation.words import cautions, offset_words, verdict


def compared(lab: Any, **rules: float) -> Comparison:
    looks = looks_from_numerics(numerics_of_one(records_from_jsonl(lab.records).numerics, None, None))
    return compare(looks, reference_from_csv(lab.reference), OffsetRules(**rules))


def text(result: Comparison) -> str:
    return " ".join([*sum(verdict(result).values(), ()), *offset_words(result), *cautions(result)])


def test_figures_are_those_computed_by_hand(lab: Any) -> None:
    errors = [-2.0, 0.0, 2.0, 6.0]
    looks = [(float(i), lab.ok(70.0 + errors[i % 4]), lab.ok(15.0 + 4.0 * (i % 10 == 0))) for i in range(100)]
    looks += [(100.0 + i, lab.lost(), lab.bad(19.0)) for i in range(60)]
    looks += [(160.0 + i, lab.bad(76.0), lab.lost()) for i in range(40)]
    lab.run(looks)
    lab.refer(np.arange(-5.0, 205.0), 70.0, 15.0)
    result = compared(lab, fixed_s=0.0)
    overall = result.rates["hr"].overall
    shown = overall.published.agreement
    assert (overall.due, overall.paired, shown.looks) == (200, 100, 100)
    assert overall.published.coverage == 0.5
    assert overall.published.false_confidence == 0.25
    assert shown.bias == pytest.approx(1.5)
    assert shown.mae == pytest.approx(2.5)
    assert shown.rmse == pytest.approx(np.sqrt(11.0))
    deviation = np.sqrt((11.0 - 1.5**2) * 100 / 99)
    assert shown.loa_low == pytest.approx(1.5 - 1.96 * deviation)
    assert shown.loa_high == pytest.approx(1.5 + 1.96 * deviation)
    assert shown.within == 0.75
    breath = result.rates["rr"].overall.published
    assert (breath.coverage, breath.false_confidence, breath.agreement.bias) == pytest.approx((0.5, 0.1, 0.4))
    states = {one.state: one for one in result.rates["hr"].states}
    assert list(states) == ["ok", "low_quality", "lost"]
    assert {name: (one.looks, one.share, one.agreement.read) for name, one in states.items()} == {
        "ok": (100, 0.5, 100), "low_quality": (40, 0.2, 40), "lost": (60, 0.3, 0),
    }  # fmt: skip
    assert states["low_quality"].agreement.mae == pytest.approx(6.0)
    assert [(one.code, one.looks) for one in result.rates["hr"].reasons] == [("motion", 100), ("dark", 40)]
    assert "25 of 100 (25%) were wrong by more than 5 per minute" in text(result)


def test_bands_are_of_the_true_rate(lab: Any) -> None:
    rates = np.where(np.arange(-5.0, 205.0) < 100.0, 59.0, 100.0)
    lab.run([(float(i), lab.ok(61.0 if i < 100 else 101.0), lab.lost()) for i in range(200) if i != 100])
    lab.refer(np.arange(-5.0, 205.0), rates)
    bands = compared(lab, fixed_s=0.0).rates["hr"].bands
    assert {name: part.due for name, part in bands.items()} == {"<60": 100, "90-120": 99}
    assert bands["<60"].published.agreement.mae == pytest.approx(2.0)
    assert bands["90-120"].published.agreement.bias == pytest.approx(1.0)


def test_only_looks_with_a_reference_count(lab: Any) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.ok(15.0)) for i in range(200)])
    seconds = np.arange(0.0, 200.0)
    lab.refer(seconds, np.where(seconds < 80.0, 70.0, np.nan), np.nan)
    result = compared(lab, fixed_s=0.0)
    hr, rr = result.rates["hr"].overall, result.rates["rr"].overall
    assert hr.due == pytest.approx(80, abs=1)
    assert hr.published.coverage == 1.0
    assert (rr.due, rr.paired, rr.published.coverage) == (0, 0, None)
    assert "Breathing rate cannot be judged: no look has a reference." in text(result)


def test_the_truth_is_the_mean_over_the_window_the_value_was_made_from(lab: Any) -> None:
    # the reference rises by 0.2 a second; a window of 10 s that ended 2 s ago is 7 s old on average
    seconds = np.arange(0.0, 300.0)
    course = 60.0 + 0.2 * seconds
    looks = [(s, lab.ok(60.0 + 0.2 * (s - 7.0), window_s=10.0, age_ms=2000), lab.lost()) for s in seconds[20:].tolist()]
    lab.run(looks)
    lab.refer(seconds, course)
    shown = compared(lab, fixed_s=0.0).rates["hr"].overall.published.agreement
    assert shown.bias == pytest.approx(0.0, abs=0.03)
    assert shown.rmse == pytest.approx(0.0, abs=0.08)


def test_a_value_on_hold_is_compared_with_the_present(lab: Any) -> None:
    seconds = np.arange(0.0, 100.0)
    lab.run([(s, lab.bad(70.0, "hold", age_ms=9000), lab.lost()) for s in seconds[60:70].tolist()])
    lab.refer(seconds, np.where(seconds < 59.5, 70.0, 80.0))
    (hold,) = compared(lab, fixed_s=0.0).rates["hr"].states
    assert hold.agreement.mae == pytest.approx(10.0, abs=0.6)


def test_the_offset_is_found_and_told_with_the_figures_without_it(lab: Any, lively_course: Any) -> None:
    lab.follow(lively_course, np.arange(0.3, 600.0))
    lab.refer(np.arange(-200.0, 800.0), lively_course(np.arange(-200.0, 800.0)), ahead_s=37.4)
    result = compared(lab)
    assert result.offset.origin == "found"
    assert result.offset.related
    assert result.offset.used_s == pytest.approx(37.4, abs=1.0)
    hr = result.rates["hr"]
    assert hr.overall.published.agreement.rmse < 1.0  # type: ignore[operator]
    assert hr.at_zero is not None
    assert hr.at_zero.published.agreement.rmse > 3.0  # type: ignore[operator]
    maes = {one.beside_s: one.mae for one in result.offset.beside}
    assert min(maes, key=lambda beside_s: maes[beside_s] or 99.0) == 0.0
    assert "s ahead of the kit's: found by comparing the heart rates" in text(result)
    assert "can only flatter the figures" in text(result)


@pytest.mark.parametrize("start_s", [0.0, 5000.0])
def test_times_since_a_start_are_joined_all_the_same(lab: Any, lively_course: Any, start_s: float) -> None:
    lab.follow(lively_course, np.arange(0.3, 600.0))
    rows = np.arange(-150.0, 800.0)
    lab.refer(rows, lively_course(rows), ahead_s=start_s + 150.0, relative=True)
    result = compared(lab)
    assert (result.offset.origin, result.offset.related) == ("found", False)
    assert result.offset.used_s == pytest.approx(start_s + 150.3, abs=1.0)
    assert result.rates["hr"].at_zero is None
    assert result.rates["hr"].overall.due > 590
    assert "The kit's first look is at" in text(result)


def test_a_file_played_fast_is_joined_with_times_of_day(lab: Any, lively_course: Any) -> None:
    lab.follow(lively_course, np.arange(0.3, 600.0), pace=12.0)
    rows = np.arange(-150.0, 800.0)
    lab.refer(rows, lively_course(rows), ahead_s=-4000.0)
    result = compared(lab)
    assert (result.offset.origin, result.offset.related, result.live) == ("found", False, False)
    assert result.offset.used_s == pytest.approx(150.3, abs=1.0)
    assert result.rates["hr"].overall.paired > 590
    trace = result.traces["hr"]
    near = np.abs(trace.reference_s - 300.0).argmin()
    assert trace.reference[near] == pytest.approx(trace.truth[300], abs=4.0)


def test_two_runs_share_one_offset(lab: Any, lively_course: Any) -> None:
    lab.follow(lively_course, np.arange(0.3, 250.0))
    lab.follow(lively_course, np.arange(290.3, 600.0))
    lab.refer(np.arange(-200.0, 800.0), lively_course(np.arange(-200.0, 800.0)), ahead_s=-8.0)
    result = compared(lab)
    assert result.offset.origin == "found"
    assert result.offset.used_s == pytest.approx(-8.0, abs=1.0)
    assert result.rates["hr"].looks == 250 + 310
    assert "behind the kit's" in text(result)


def test_flat_rates_leave_the_clocks_as_they_are(lab: Any) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.lost()) for i in range(300)])
    lab.refer(np.arange(-200.0, 500.0), 70.0, ahead_s=37.4)
    result = compared(lab)
    assert (result.offset.origin, result.offset.used_s) == ("assumed", 0.0)
    assert result.rates["hr"].at_zero is None
    assert "taken to equal the kit's: assumed, because it is not identifiable" in text(result)
    assert "does not stand out" in text(result)


def test_flat_rates_since_a_start_are_taken_to_begin_together(lab: Any) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.lost()) for i in range(300)])
    lab.refer(np.arange(0.0, 200.0), 70.0, ahead_s=5000.0, relative=True)
    result = compared(lab)
    assert (result.offset.origin, result.offset.used_s) == ("assumed", 5000.0)
    assert "as if both had begun together" in text(result)
    assert result.rates["hr"].overall.due == pytest.approx(200, abs=2)


def test_a_given_offset_is_used_as_it_is(lab: Any, lively_course: Any) -> None:
    lab.follow(lively_course, np.arange(0.3, 600.0))
    lab.refer(np.arange(-200.0, 800.0), lively_course(np.arange(-200.0, 800.0)), ahead_s=37.4)
    result = compared(lab, fixed_s=12.5)
    assert (result.offset.origin, result.offset.used_s, result.offset.search) == ("given", 12.5, None)
    assert "12.5 s ahead of the kit's: given with --offset-s." in text(result)
    assert "flatter" not in text(result)


def test_an_offset_beyond_the_search_is_not_taken_from_its_edge(lab: Any, lively_course: Any) -> None:
    lab.follow(lively_course, np.arange(0.3, 600.0))
    lab.refer(np.arange(-200.0, 800.0), lively_course(np.arange(-200.0, 800.0)), ahead_s=37.4)
    result = compared(lab, max_s=35.0)
    assert (result.offset.origin, result.offset.used_s) == ("assumed", 0.0)
    assert "is at the edge of the search: allow more with --max-offset-s" in text(result)


@pytest.mark.parametrize(("rules", "allowed"), [({}, "-120 to 120"), ({"fixed_s": -5.0}, "-5 to -5")])
def test_nothing_in_common_is_told_with_what_to_do(lab: Any, rules: dict[str, float], allowed: str) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.lost()) for i in range(100)])
    lab.refer(np.arange(0.0, 100.0), 70.0, ahead_s=7200.0)
    with pytest.raises(
        InputError, match=f"no moment in common: .* may differ by {allowed} s; check dates and time zones"
    ):
        compared(lab, **rules)
    assert compared(lab, max_s=8000.0).rates["hr"].looks == 100


def test_little_evidence_is_called_that(lab: Any) -> None:
    lab.run([(float(i), lab.ok(70.0), lab.lost()) for i in range(30)])
    lab.refer(np.arange(-5.0, 40.0, 10.0), 70.0)
    result = compared(lab)
    assert result.paired == 30
    assert "Fewer than 60 heart rates could be paired" in text(result)
    assert "That is too little to judge by: want at least 60 looks" in text(result)
    assert "The reference gives HR only every 10 s" in text(result)


def test_a_kit_that_was_never_ok_has_nothing_to_judge(lab: Any) -> None:
    lab.run([(float(i), lab.bad(70.0), lab.lost()) for i in range(100)])
    lab.refer(np.arange(-5.0, 105.0), 70.0)
    result = compared(lab)
    assert result.paired == 0
    assert result.rates["hr"].overall.published.coverage == 0.0
    assert "Heart rate cannot be judged: no value that was ok has a reference." in text(result)
