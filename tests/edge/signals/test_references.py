from __future__ import annotations

import numpy as np
import pytest

from edge.signals.filters import spectrum
from edge.signals.references import face_warmth_degc, is_cold_and_even, nostril_breath, pos, skin_mean
from edge.vitals import HR_BAND, RR_BAND

FS = 29.97


def seconds(count: float) -> np.ndarray:
    return np.arange(round(count * FS)) / FS


def skin(t: np.ndarray, pulse: float, light: np.ndarray | float = 0.0) -> np.ndarray:
    beat = np.sin(2 * np.pi * 1.3 * t)[:, None] * np.array([0.3, 1.0, 0.6])
    rng = np.random.default_rng(0)
    level = np.array([150.0, 110.0, 90.0]) * (1 + pulse * beat) * (1 + np.reshape(light, (-1, 1)))
    return level + rng.normal(0, 0.02, level.shape)


def peak(x: np.ndarray) -> float:
    spec = spectrum(x, HR_BAND, FS)
    return float(spec.per_min[spec.power.argmax()])


def test_pos_finds_the_pulse_under_a_flicker_fifty_times_stronger() -> None:
    t = seconds(10)
    rgb = skin(t, 0.001, 0.05 * np.sin(2 * np.pi * 2.2 * t))
    assert peak(rgb[:, 1]) == pytest.approx(132, abs=2)  # green alone follows the light
    assert peak(pos(rgb, FS)) == pytest.approx(78, abs=2)


def test_pos_of_a_short_or_constant_signal_is_zero() -> None:
    np.testing.assert_array_equal(pos(skin(seconds(1), 0.01), FS), np.zeros(30))
    np.testing.assert_allclose(pos(np.full((300, 3), 80.0), FS), np.zeros(300), atol=1e-12)


def test_skin_mean_looks_at_the_face_and_not_at_what_surrounds_it() -> None:
    cells = np.zeros((4, 3, 9, 9), np.float32)
    cells[:, :, 2:8, 2:7] = np.array([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(skin_mean(cells), np.tile([10.0, 20.0, 30.0], (4, 1)))


def test_the_breath_shows_at_the_nostrils_whatever_the_camera_adds_to_all() -> None:
    t = seconds(30)
    cells = np.full((len(t), 9, 9), 34.0, np.float32)
    cells[:, 5, 4] += 0.2 * np.sin(2 * np.pi * 14 / 60 * t)
    cells += (0.5 * t / 30 + 0.3 * (t > 12))[:, None, None]  # drift and a shutter's step
    spec = spectrum(nostril_breath(cells), RR_BAND, FS)
    assert spec.per_min[spec.power.argmax()] == pytest.approx(14, abs=0.6)


def test_a_face_is_warm_against_what_is_beside_it_whatever_the_camera_s_offset() -> None:
    cells = np.full((30, 9, 9), 22.0, np.float32)
    cells[:, 1:8, 1:8] = 33.0
    assert face_warmth_degc(cells) == pytest.approx(11.0)
    assert face_warmth_degc(cells + 3.0) == pytest.approx(11.0, abs=1e-4)
    assert face_warmth_degc(np.full((30, 9, 9), 22.0, np.float32)) == 0.0


def test_paper_and_panes_are_cold_and_even_and_a_face_is_not_in_a_cold_room_or_with_a_camera_that_reads_low() -> None:
    pane = np.random.default_rng(0).normal(28.0, 0.1, (30, 9, 9)).astype(np.float32)
    assert is_cold_and_even(pane)
    assert not is_cold_and_even(pane + 4.0)  # a wall of a hot room; skin reads as much
    face = pane + 5.0
    face[:, 3:6, 4] -= 2.0  # the nose
    assert not is_cold_and_even(face)
    assert not is_cold_and_even(face - 4.0)


def test_some_black_pictures_of_a_thermal_camera_make_no_face_cold() -> None:
    cells = np.full((100, 9, 9), 34.0, np.float32)
    cells[80:] = -273.15
    assert not is_cold_and_even(cells)
    assert is_cold_and_even(cells - 12.0)
