"""Faces on lit screens and heated heads: what the scene draws is what it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.cameras.scene import Scene, SceneParams, View
from edge.faces import detector_by_name

FPS, THERMAL_FPS = 30.0, 8.7
CALM: dict[str, Any] = {
    "nuisance": 0.0, "noise": 0.0, "netd_degc": 0.0, "roll_deg": 0.0, "thermal_drift_degc": 0.0, "texture": 0.0,
    "white_balance": 0.0, "blinks_per_min": 0.0, "breath_motion": 0.0, "tone": 1.0, "seconds": 21.0, "moire": 0.0,
}  # fmt: skip
T = np.arange(0.0, 20.0, 1.0 / FPS)
FOREHEAD, NOSE, CHEEK, WALL = (0.0, -0.25), (0.0, 0.05), (0.24, 0.1), (1.5, 0.0)


def scene(**changes: Any) -> Scene:
    return Scene(SceneParams(**(CALM | changes)))


def patch(of: Scene, place: tuple[float, float], rows: float = 480.0) -> View:
    """A small square around a place in head coordinates of the head at rest."""
    side = of.params.face_side
    x, y = of.params.face_x + side * place[0], of.params.face_y + side * place[1]
    return View.square(x - 0.02 * side, y - 0.02 * side, 0.04 * side, 4, rows)


def colour(of: Scene, place: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Mean colour ``[N, 3]`` of a place over 20 s, as a share of its own mean."""
    seen = of.mean_rgb(T, patch(of, place)).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray(seen / seen.mean(axis=0))


def degc(of: Scene, place: tuple[float, float], t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(of.render_thermal(t, patch(of, place, 120.0)).mean(axis=(1, 2), dtype=np.float64))


def amplitude(x: npt.NDArray[np.float64], hz: float, t: npt.NDArray[np.float64] = T) -> float:
    """Of the sine at ``hz``."""
    return float(2.0 * np.abs((x * np.exp(-2j * np.pi * hz * t)).mean()))


def test_a_screen_flickers_at_the_rate_and_by_the_share_that_are_asked_for_red_apart() -> None:
    seen = colour(scene(face="screen", screen_flicker=0.05, screen_hz=1.3, screen_red=0.4), FOREHEAD)
    assert [amplitude(seen[:, k], 1.3) for k in range(3)] == pytest.approx([0.02, 0.05, 0.05], rel=0.02)
    assert max(amplitude(seen[:, 1], hz) for hz in (0.65, 1.0, 2.6)) < 0.001


def test_its_picture_does_not_know_the_rooms_light_nor_the_room_the_screens() -> None:
    lit = scene(face="screen", screen_flicker=0.05, screen_hz=1.3, flicker=0.03, flicker_hz=2.0)
    face, wall = colour(lit, FOREHEAD)[:, 1], colour(lit, WALL)[:, 1]
    assert (amplitude(face, 1.3), amplitude(face, 2.0)) == pytest.approx((0.05, 0.0), abs=1e-3)
    assert (amplitude(wall, 1.3), amplitude(wall, 2.0)) == pytest.approx((0.0, 0.03), abs=0.01)


def test_a_video_has_the_pulse_of_its_subject_and_a_still_screen_none() -> None:
    shown, alive, still = (
        scene(face=face, screen_flicker=0.0, hr=72, variability=0) for face in ("video", "live", "screen")
    )
    pulses = [float(np.ptp(colour(one, FOREHEAD)[:, 1])) for one in (shown, alive, still)]
    assert pulses[0] == pytest.approx(pulses[1], rel=0.02)
    assert pulses[0] > 0.005
    assert pulses[2] < 1e-6


def test_a_rolling_shutter_sees_the_flicker_as_stripes() -> None:
    striped = scene(face="screen", screen_flicker=0.05, screen_hz=1.2, screen_bands=4.0)
    half_a_stripe = 1.0 / 8.0 / striped.params.face_side
    one, other = (colour(striped, (-1.0, y))[:, 1] for y in (0.0, half_a_stripe))
    assert np.corrcoef(one, other)[0, 1] < -0.99


def test_moire_is_coloured_fringes_that_wander() -> None:
    fringed = scene(face="screen", screen_flicker=0.0, moire=0.06, moire_hz=0.5)
    seen = colour(fringed, FOREHEAD)
    assert [amplitude(seen[:, k], 0.5) for k in range(3)] == pytest.approx([0.06] * 3, rel=0.1)
    assert np.abs(np.corrcoef(seen.T) - np.eye(3)).max() < 0.6


def test_a_thermal_camera_sees_a_warm_pane_and_no_breath() -> None:
    video = scene(face="video", rr=15)
    pane = video.render_thermal(np.arange(0.0, 9.0, 0.5), video.face_view(0.0, 36, 120.0))
    assert np.ptp(pane, axis=0).max() < 1e-4  # nothing moves in it
    assert np.ptp(pane[0]) < 0.1  # nor has it a face
    assert 4.0 < pane.mean() - video.params.ambient_degc < 8.0


def test_a_dummy_is_warm_all_over_and_constant_and_does_not_breathe_whoever_stands_before_the_other_camera() -> None:
    t = np.arange(0.0, 20.0, 1.0 / THERMAL_FPS)
    for face in ("photo", "live"):
        dummy = scene(face=face, heat="dummy", dummy_degc=33.0, rr=15, breath_motion=1.0, netd_degc=0.0)
        for place in (FOREHEAD, NOSE, CHEEK):
            warm = degc(dummy, place, t)
            assert warm.mean() == pytest.approx(33.0, abs=0.05)
            assert np.ptp(warm) < 1e-3


def test_a_heater_swings_all_of_it_and_a_fan_what_stands_out() -> None:
    t = np.arange(0.0, 20.0, 1.0 / THERMAL_FPS)
    heated = scene(face="photo", heat="dummy", dummy_swing_degc=0.5, dummy_cycle_s=10.0)
    assert [amplitude(degc(heated, place, t), 0.1, t) for place in (NOSE, CHEEK)] == pytest.approx([0.5, 0.5], rel=0.02)
    fanned = scene(face="photo", heat="dummy", fan_degc=0.4, fan_hz=0.25)
    nose, cheek, wall = (amplitude(degc(fanned, place, t), 0.25, t) for place in (NOSE, CHEEK, WALL))
    assert wall < 0.001
    assert 0.1 < cheek < 0.6 * nose


def test_nothing_of_it_is_drawn_where_it_is_not_asked_for() -> None:
    plain, named = scene(), scene(screen_flicker=0.3, moire=0.3, dummy_degc=50.0, dummy_swing_degc=2.0)
    view = plain.face_view(0.0, 36)
    assert (plain.mean_rgb(T[:3], view) == named.mean_rgb(T[:3], view)).all()
    assert (plain.render_thermal(T[:3], view) == named.render_thermal(T[:3], view)).all()


@pytest.mark.scenes
@pytest.mark.parametrize("face", ["screen", "video"])
@pytest.mark.parametrize("width", [1.3, 2.4])
def test_the_detector_finds_the_face_on_the_screen(face: Any, width: float) -> None:
    detector = detector_by_name("haar")
    for seed in range(4):
        shown = Scene(SceneParams(face=face, screen_width=width, seed=seed, screen_flicker=0.1))
        assert len(detector.detect(shown.render_rgb([1.0], View.whole(640, 480))[0])) == 1
