from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.stamps import Stamps, ns_from_pts
from edge.errors import InputError

MS = Fraction(1, 1000)
SECOND = 10**9


@given(pts=st.integers(-(2**40), 2**40), ticks_per_s=st.integers(1, 10**6))
def test_ns_are_exact_to_the_nearest(pts: int, ticks_per_s: int) -> None:
    ns = ns_from_pts(pts, Fraction(1, ticks_per_s))
    assert abs(ns - Fraction(pts * SECOND, ticks_per_s)) <= Fraction(1, 2)


def test_ntsc_stamps_do_not_drift_over_an_hour() -> None:
    last = 30 * 3600
    assert ns_from_pts(last * 1001, Fraction(1, 30000)) == 3603_600_000_000


@given(st.lists(st.integers(-50, 50), max_size=30))
def test_only_growing_stamps_pass_and_the_rest_is_counted(pts: list[int]) -> None:
    stamps = Stamps(live=False, rate=None)
    given_out = [ns for value in pts if (ns := stamps.next(value, MS, 0)) is not None]
    assert given_out == sorted(set(given_out))
    assert len(given_out) + stamps.unordered == len(pts) == stamps.seq + 1


def test_a_file_keeps_its_own_start() -> None:
    stamps = Stamps(live=False, rate=None)
    assert stamps.next(-500, MS, 77 * SECOND) == -SECOND // 2
    assert stamps.clock == "media"


def test_a_file_without_stamps_uses_its_rate_and_one_without_rate_is_refused() -> None:
    stamps = Stamps(live=False, rate=Fraction(30000, 1001))
    assert [stamps.next(None, MS, 0) for _ in range(3)] == [0, 33_366_667, 66_733_333]
    with pytest.raises(InputError, match="neither stamps nor a frame rate"):
        Stamps(live=False, rate=None).next(None, MS, 0)


def test_driver_stamps_on_our_clock_are_kept() -> None:
    stamps = Stamps(live=True, rate=None)
    assert stamps.next(100_000, MS, 100 * SECOND + 40_000_000) == 100 * SECOND
    assert stamps.clock == "monotonic"


def test_stamps_of_another_clock_are_moved_once_and_keep_their_spacing() -> None:
    stamps = Stamps(live=True, rate=None)
    arrivals_ns = [500 * SECOND, 500 * SECOND + 90_000_000, 500 * SECOND + 95_000_000]  # 33 ms apart when sent
    seen = [stamps.next(pts, MS, arrival) for pts, arrival in zip((0, 33, 66), arrivals_ns, strict=True)]
    assert seen == [500 * SECOND, 500 * SECOND + 33_000_000, 500 * SECOND + 66_000_000]
    assert stamps.clock == "monotonic_arrival"


def test_a_live_picture_without_stamp_is_stamped_on_arrival() -> None:
    stamps = Stamps(live=True, rate=Fraction(30))
    assert stamps.next(None, MS, 7 * SECOND) == 7 * SECOND
    assert stamps.clock == "monotonic_arrival"


def test_a_picture_that_could_not_be_decoded_leaves_a_gap_in_the_numbers() -> None:
    stamps = Stamps(live=True, rate=None)
    stamps.next(1000, MS, SECOND)
    stamps.leave_out()
    stamps.next(1066, MS, SECOND)
    assert stamps.seq == 2
