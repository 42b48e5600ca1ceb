from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fakes.living_cells import FPS, cells_at

from edge.clips.grid import Mark
from edge.signals.guard import Guard


def seconds_until(
    guard: Guard, seconds: float, light: Callable[[float], float], place: Callable[[float], float] = lambda _: 0.0
) -> tuple[float, str] | None:
    """When and by what it trips."""
    rng = np.random.default_rng(3)
    for k in range(round(seconds * FPS)):
        t_s = k / FPS
        at = np.array([place(t_s), 0.0], np.float32)
        if code := guard.step(cells_at(t_s, rng, light(t_s)), at, Mark.NONE):
            return t_s, code
    return None


def test_a_pulse_and_noise_and_a_slow_dusk_are_calm() -> None:
    assert seconds_until(Guard(), 90, lambda _: 1.0) is None
    assert seconds_until(Guard(), 90, lambda t_s: 1.0 - 0.001 * t_s) is None


@pytest.mark.parametrize("share", [-0.2, 0.1, 0.25])
def test_a_light_step_trips_within_two_seconds(share: float) -> None:
    found = seconds_until(Guard(), 60, lambda t_s: 1.0 + share * (t_s > 40.0))
    assert found is not None
    assert 40.0 < found[0] < 42.0
    assert found[1] == "light_change"


def test_a_slow_lamp_trips_within_a_quarter_of_its_period() -> None:
    found = seconds_until(Guard(), 60, lambda t_s: 1.0 + 0.15 * np.sin(2 * np.pi * 0.08 * (t_s - 40.0)) * (t_s > 40.0))
    assert found is not None
    assert 40.0 < found[0] < 43.2
    assert found[1] == "light_change"


def test_a_head_that_moves_to_another_place_trips_and_one_that_sways_a_little_does_not() -> None:
    moved = seconds_until(Guard(), 60, lambda _: 1.0, lambda t_s: 0.1 * (t_s > 40.0))
    assert moved is not None
    assert 40.0 < moved[0] < 43.0
    assert moved[1] == "motion"
    assert seconds_until(Guard(), 60, lambda _: 1.0, lambda t_s: 0.01 * np.sin(t_s)) is None


def test_trembling_light_trips_by_the_difference_alone() -> None:
    found = seconds_until(Guard(), 60, lambda t_s: 1.0 + 0.02 * np.sin(2 * np.pi * 9.0 * t_s) * (t_s > 40.0))
    assert found is not None
    assert 40.0 < found[0] < 41.0


def test_a_bridged_frame_is_a_gap() -> None:
    guard = Guard()
    cells = cells_at(0.0, np.random.default_rng(1))
    assert guard.step(cells, np.zeros(2, np.float32), Mark.THERMAL_BRIDGED) is None
    assert guard.step(cells, np.zeros(2, np.float32), Mark.RGB_BRIDGED | Mark.RGB_GAP) == "gap"


def test_it_begins_anew_after_it_tripped() -> None:
    guard = Guard()
    assert seconds_until(guard, 60, lambda t_s: 1.0 + 0.3 * (t_s > 40.0)) is not None
    assert guard.disagreement.brightness == 0.0
    assert seconds_until(guard, 60, lambda _: 1.3) is None  # the new light is the only one it knows


def test_a_blink_in_a_few_cells_is_no_change_of_the_face() -> None:
    guard, rng = Guard(), np.random.default_rng(5)
    for k in range(1200):
        cells = cells_at(k / FPS, rng)
        cells[:3, 3, 2:4] *= 0.6 if k % 45 < 4 else 1.0
        assert guard.step(cells, np.zeros(2, np.float32), Mark.NONE) is None
