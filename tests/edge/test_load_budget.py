"""The budget of a live run on scripted loads: it gives way before frames are lost, and does not flutter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.load_budget import LoadBudget, LoadSample, Pace

EASY = LoadSample(0.1, 0, 0.3, 50.0)
FULL = LoadSample(0.6, 0, 0.3, 50.0)


def paces(load: Callable[[int], LoadSample], seconds: int, budget: LoadBudget | None = None) -> dict[int, Pace]:
    budget = budget or LoadBudget(1.0)
    found = {second: budget.step(float(second), load(second)) for second in range(seconds)}
    return {second: pace for second, pace in found.items() if pace}


@pytest.mark.parametrize(
    ("strain", "why"),
    [
        (FULL, "60 % of a camera's queue is full"),
        (LoadSample(0.0, 0, 0.9, None), "frames take 90 % of the time"),
        (LoadSample(0.0, 0, 0.2, 91.0), "91.0 degC"),
    ],
)
def test_strain_lengthens_the_hop_step_by_step_and_never_beyond_three(strain: LoadSample, why: str) -> None:
    found = paces(lambda second: strain if second >= 10 else EASY, 100)
    assert [(second, pace.hop_s, pace.face_every_s) for second, pace in found.items()] == [
        (11, 2.0, 1.5),
        (16, 3.0, 1.5),
    ]
    assert {pace.why for pace in found.values()} == {why}


def test_one_strained_second_is_none_and_a_lost_frame_is_enough() -> None:
    assert not paces(lambda second: FULL if second % 2 else EASY, 60)
    found = paces(lambda second: LoadSample(0.1, 3, 0.3) if second == 20 else EASY, 25)
    assert {second: pace.why for second, pace in found.items()} == {20: "3 frames found no room"}


def test_ease_brings_it_back_after_a_while_and_between_the_limits_nothing_changes() -> None:
    between = LoadSample(0.3, 0, 0.7, 87.0)

    def load(second: int) -> LoadSample:
        return FULL if 10 <= second < 12 else between if second < 100 else EASY

    found = paces(load, 200)
    assert [(second, pace.hop_s) for second, pace in found.items()] == [(11, 2.0), (130, 1.0)]
    assert found[130].why == "at ease for 30 s"


def test_a_device_that_only_the_longer_hop_relieves_is_tried_ever_more_rarely() -> None:
    budget = LoadBudget(1.0)
    found = paces(lambda _: EASY if budget.hop_s > 1.0 else FULL, 3600, budget)
    assert len(found) < 20  # without the memory of failed returns: more than 180
    assert sum(second > 1800 for second in found) <= 6


def test_a_long_hop_stays_within_a_window() -> None:
    assert [pace.hop_s for pace in paces(lambda _: FULL, 60, LoadBudget(4.0)).values()] == [6.0, 6.0]
    assert LoadBudget(0.5).hop_s == 0.5
