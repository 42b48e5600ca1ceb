from __future__ import annotations

import logging

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from edge.cameras.scene import PRESETS, Scene, SceneParams, View
from edge.cameras.scene_params import KNOBS, RHYTHMS, strengths
from edge.faces import detector_by_name

pytestmark = pytest.mark.scenes

_log = logging.getLogger(__name__)

FPS, THERMAL_FPS = 30.0, 8.7
CAMERA, LEPTON = View.whole(640, 480), View.whole(160, 120)
STILL = SceneParams(
    nuisance=0.0, noise=0.0, netd_degc=0.0, roll_deg=0.0, blinks_per_min=0.0, thermal_drift_degc=0.0, breath_motion=0.0,
    tone=1.0, seconds=40.0,
)  # fmt: skip
DETECTOR = detector_by_name("haar")


def still(**changes: object) -> Scene:
    return Scene(msgspec.structs.replace(STILL, **changes))


def peak_per_min(x: npt.NDArray[np.floating], fps: float, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x)), 8 * len(x))) ** 2
    per_min = 60.0 * np.fft.rfftfreq(8 * len(x), 1.0 / fps)
    band = (per_min >= low) & (per_min <= high)
    return float(per_min[band][power[band].argmax()])


def head_patch(view: View, scene: Scene, x: float, y: float, half: float = 0.06) -> tuple[slice, slice]:
    """Rows and columns of ``view`` around a place in head coordinates of the head at rest."""
    params = scene.params
    columns, rows = view.columns / view.width, view.rows / view.height
    cx = (params.face_x + params.face_side * x - view.x) * columns
    cy = (params.face_y + params.face_side * y - view.y) * rows
    dx, dy = half * params.face_side * columns, half * params.face_side * rows
    return slice(round(cy - dy), round(cy + dy) + 1), slice(round(cx - dx), round(cx + dx) + 1)


def brightness(scene: Scene, x: float, y: float, channels: slice = slice(None)) -> npt.NDArray[np.float64]:
    """Mean of a small square around a place in head coordinates of the head at rest, over 20 s at 30 fps."""
    side = scene.params.face_side
    left, top = scene.params.face_x + side * (x - 0.02), scene.params.face_y + side * (y - 0.02)
    view = View.square(left, top, 0.04 * side, 4, 480.0)
    return scene.mean_rgb(np.arange(0.0, 20.0, 1.0 / FPS), view)[..., channels].mean(axis=(1, 2, 3), dtype=float)


def faces(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Boxes (x, y, side) in pixels, as the default detector finds them."""
    boxes = [found.box for found in DETECTOR.detect(rgb)]
    return np.array([(box.x, box.y, box.w) for box in boxes], float).reshape(-1, 3)


def detections(tones: list[int], seeds: range, nuisance: float) -> npt.NDArray[np.float64]:
    """For each frame: found (0 or 1), and how far the box is off the truth in x, y (sides) and size (ratio)."""
    rows = []
    for tone in tones:
        for seed in seeds:
            scene = Scene(SceneParams(seed=1000 * tone + seed, tone=tone, nuisance=nuisance))
            times = (2.0 + seed % 5, 29.0)
            assert scene.visible(times).all()
            for rgb, (x, y, side) in zip(scene.render_rgb(times, CAMERA), scene.face_box(times), strict=True):
                true = np.array([x * 480.0 + 320.0, y * 480.0, side * 480.0])
                found = faces(rgb)
                centre = found[:, :2] + found[:, 2:] / 2.0 - (true[:2] + true[2] / 2.0)
                off = np.column_stack([centre / true[2], found[:, 2] / true[2]])
                near = off[(np.abs(off[:, :2]) < 0.2).all(axis=1) & (np.abs(off[:, 2] - 1.0) < 0.3)]
                rows.append([1.0, *near[0]] if len(near) else [0.0, np.nan, np.nan, np.nan])
    return np.array(rows)


# ------------------------------------------------------------------------------------------------------- the function


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    t = np.arange(5) / FPS
    first, again, other = (Scene(SceneParams(seed=seed, nuisance=1.0)) for seed in (7, 7, 8))
    view = first.face_view(0.0, 36)
    assert (first.render_rgb(t, CAMERA) == again.render_rgb(t, CAMERA)).all()
    assert (first.mean_rgb(t, view) == again.mean_rgb(t, view)).all()
    assert (first.render_thermal(t, LEPTON) == again.render_thermal(t, LEPTON)).all()
    assert (first.render_rgb(t, CAMERA) != other.render_rgb(t, CAMERA)).mean() > 0.5
    assert np.abs(first.truth(t).bvp - other.truth(t).bvp).max() > 0.01


def test_a_frame_does_not_depend_on_the_frames_rendered_with_it():
    scene = Scene(SceneParams(seed=3, nuisance=1.0))
    t = np.array([3.0, 11.4, 0.2, 29.9])
    view = scene.face_view(3.0, 36)
    for i, at in enumerate(t):
        np.testing.assert_allclose(scene.mean_rgb(t, view)[i], scene.mean_rgb([at], view)[0], atol=1e-3)
        np.testing.assert_allclose(scene.render_thermal(t, view)[i], scene.render_thermal([at], view)[0], atol=1e-4)


def test_views_may_change_from_frame_to_frame():
    scene = still()
    a, b = scene.face_view(0.0, 36), View.square(-0.3, 0.1, 0.6, 36, 480.0)
    both = scene.mean_rgb([1.0, 1.0], [a, b])
    np.testing.assert_array_equal(both[0], scene.mean_rgb([1.0], a)[0])
    assert np.abs(both[0] - both[1]).mean() > 5.0


@pytest.mark.parametrize("t_s", [-2.0, 42.0, np.nan])
def test_times_outside_the_scene_are_refused(t_s: float):
    with pytest.raises(ValueError, match="the scene lasts 0"):
        still().truth([t_s])


def test_views_of_different_sizes_in_one_call_are_refused():
    scene = still()
    with pytest.raises(ValueError, match="views of one size"):
        scene.mean_rgb([0.0, 1.0], [scene.face_view(0.0, 36), scene.face_view(0.0, 24)])


# ------------------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize(("hr", "rr"), [(48.0, 8.0), (72.0, 15.0), (140.0, 28.0)])
def test_mean_rates_are_those_of_the_waveforms(hr: float, rr: float):
    scene = Scene(SceneParams(hr=hr, rr=rr, seed=4))
    t = np.arange(0.0, 40.0, 0.02)
    truth = scene.truth(t)
    assert peak_per_min(truth.bvp, 50.0, 36.0, 220.0) == pytest.approx(scene.mean_hr_per_min(40.0, 40.0), rel=0.03)
    assert peak_per_min(truth.rsp, 50.0, 4.0, 45.0) == pytest.approx(scene.mean_rr_per_min(40.0, 40.0), rel=0.06)
    late = t >= 30.0
    assert scene.mean_hr_per_min(40.0) == pytest.approx(truth.hr_per_min[late].mean(), rel=1e-3)
    assert scene.mean_hr_per_min(40.0, 40.0) == pytest.approx(hr, rel=0.05)
    assert scene.mean_rr_per_min(40.0) == pytest.approx(rr, rel=0.1)


def test_rates_vary_around_the_set_rate_and_the_heart_follows_the_breath():
    truth = Scene(SceneParams(hr=70.0, rr=12.0, seed=2)).truth(np.arange(0.0, 40.0, 0.05))
    assert 0.01 < truth.hr_per_min.std() / 70.0 < 0.06
    assert 0.005 < truth.rr_per_min.std() / 12.0 < 0.08
    assert np.corrcoef(truth.hr_per_min, truth.rsp)[0, 1] > 0.5
    steady = Scene(SceneParams(hr=70.0, rr=12.0, seed=2, variability=0.0)).truth(np.arange(0.0, 40.0, 0.05))
    assert np.ptp(steady.hr_per_min) < 1e-6


def test_rates_ramp_to_their_goals():
    scene = Scene(SceneParams(hr=60.0, hr_to=120.0, rr=10.0, rr_to=20.0, seconds=60.0, variability=0.0))
    truth = scene.truth([0.0, 30.0, 59.0])
    np.testing.assert_allclose(truth.hr_per_min, [60.0, 90.0, 119.0], atol=0.1)
    np.testing.assert_allclose(truth.rr_per_min, [10.0, 15.0, 59.0 / 6.0 + 10.0], atol=0.1)


def test_waveforms_are_of_unit_size_and_each_beat_is_its_own():
    scene = Scene(SceneParams(hr=60.0, rr=15.0, seed=6))
    t = np.arange(0.0, 40.0, 0.01)
    truth = scene.truth(t)
    beats = np.array([np.ptp(truth.bvp[i : i + 110]) for i in range(0, 3800, 110)])
    assert 0.85 < beats.mean() < 1.2
    assert beats.std() > 0.02
    assert 0.8 < np.ptp(truth.rsp) < 1.6
    assert abs(truth.rsp.mean()) < 0.1
    assert abs(truth.bvp.mean()) < 0.1
    # The foot of a beat meets the end of the one before: no jump that a filter would ring on.
    assert np.abs(np.diff(truth.bvp)).max() < 0.1


# ------------------------------------------------------------------------------------------------------- physics


def test_skin_pulses_at_the_heart_rate_most_in_green_least_in_red():
    scene = still(hr=84.0, amplitude=0.01)
    t = np.arange(0.0, 30.0, 1.0 / FPS)
    view = scene.face_view(0.0, 36)
    rows, columns = head_patch(view, scene, 0.0, -0.29)
    skin = scene.mean_rgb(t, view)[:, rows, columns].mean(axis=(1, 2))
    for channel in skin.T:
        assert peak_per_min(channel, FPS, 40.0, 200.0) == pytest.approx(scene.mean_hr_per_min(30.0, 30.0), abs=2.0)
    bvp = scene.truth(t).bvp
    relative = -np.array([np.polyfit(bvp, channel / channel.mean(), 1)[0] for channel in skin.T])
    assert relative[1] > relative[2] > relative[0] > 0.0
    np.testing.assert_allclose(relative, scene.pulse_share, rtol=0.2)
    assert scene.pulse_share[1] == pytest.approx(0.01)


def test_pulse_is_strong_on_the_forehead_weak_on_nose_and_chin_and_nowhere_else():
    scene = still(amplitude=0.02)

    def share(x: float, y: float) -> float:
        green = brightness(scene, x, y, slice(1, 2))
        return float(green.std() / green.mean())

    forehead, cheek, nose, chin = share(0.0, -0.28), share(0.25, 0.08), share(0.0, 0.03), share(0.0, 0.46)
    assert min(forehead, cheek) > 1.2 * max(nose, chin) > 0.0
    for x, y in [(0.0, -0.6), (0.19, -0.12), (1.0, -0.3), (0.6, 1.15)]:  # hair, pupil, wall, cloth
        assert share(x, y) < 0.05 * forehead


def test_the_pulse_reaches_the_chin_after_the_forehead():
    scene = still(amplitude=0.02, variability=0.0)
    t = np.arange(0.0, 5.0, 0.005)
    view = scene.face_view(0.0, 36)
    frames = scene.mean_rgb(t, view)[..., 1]
    chest = [frames[(slice(None), *head_patch(view, scene, 0.0, y))].mean(axis=(1, 2)) for y in (-0.3, 0.42)]
    upper, lower = ((x - x.mean()) / x.std() for x in chest)
    lags = range(1, 20)
    best = max(lags, key=lambda lag: float(np.mean(upper[:-lag] * lower[lag:])))
    assert 0.015 <= best * 0.005 <= 0.06


def test_darker_skin_is_darker_and_pulses_less():
    greys, shares = [], []
    for tone in range(1, 7):
        scene = still(tone=float(tone))
        rows, columns = head_patch(CAMERA, scene, 0.0, -0.28)
        greys.append(scene.mean_rgb([0.0], CAMERA)[0, rows, columns].mean())
        shares.append(scene.pulse_share[1])
    assert greys == sorted(greys, reverse=True)
    assert shares == sorted(shares, reverse=True)
    assert greys[-1] > 50.0


def test_breath_cools_and_warms_the_nostrils_only():
    scene = still(rr=12.0, breath_degc=0.8)
    t = np.arange(0.0, 40.0, 1.0 / THERMAL_FPS)
    view = scene.face_view(0.0, 36)
    frames = scene.render_thermal(t, view)
    rows, columns = head_patch(view, scene, 0.0, 0.15, 0.03)
    nostrils = frames[:, rows, columns].mean(axis=(1, 2))
    assert peak_per_min(nostrils, THERMAL_FPS, 4.0, 45.0) == pytest.approx(scene.mean_rr_per_min(40.0, 40.0), abs=0.7)
    rsp = scene.truth(t).rsp
    assert np.corrcoef(nostrils, rsp)[0, 1] < -0.9  # inhaled air is cooler
    assert -np.polyfit(rsp, nostrils, 1)[0] == pytest.approx(0.8, rel=0.35)
    rows, columns = head_patch(view, scene, 0.0, -0.28)
    assert np.ptp(frames[:, rows, columns].mean(axis=(1, 2))) < 0.02


def test_breath_lifts_the_head_in_rgb():
    boxes = still(breath_motion=1.0, rr=12.0).face_box(np.arange(0.0, 30.0, 0.1))
    quiet = still(rr=12.0).face_box(np.arange(0.0, 30.0, 0.1))
    assert np.ptp(quiet[:, 1]) < 1e-9
    assert 0.3 < np.ptp(boxes[:, 1]) * 480.0 < 2.0
    assert peak_per_min(boxes[:, 1], 10.0, 4.0, 45.0) == pytest.approx(12.0, abs=1.0)


def test_temperatures_are_those_of_a_face_in_a_room():
    scene = still(ambient_degc=22.0)
    frame = scene.render_thermal([0.0], LEPTON)[0]

    def degc(x: float, y: float) -> float:
        return float(frame[head_patch(LEPTON, scene, x, y, 0.03)].mean())

    forehead, nose, canthus = degc(0.0, -0.28), degc(0.0, 0.05), degc(0.12, -0.11)
    assert 33.5 < forehead < 35.5
    assert nose < forehead - 0.8
    assert canthus > nose + 1.0
    assert 25.0 < degc(0.0, 1.15) < 30.0
    assert 20.0 < frame[:10, :10].mean() < 24.0


def test_thermal_noise_is_the_netd_and_falls_with_the_mean_over_pixels():
    scene = still(netd_degc=0.05, rr=15.0)
    wall = scene.render_thermal(np.arange(40) / THERMAL_FPS, LEPTON)[:, :20, :20]
    assert wall.std(axis=0).mean() == pytest.approx(0.05, rel=0.05)
    view = View.square(-0.6, 0.02, 0.1, 6, 120.0)
    assert view.sensor_pixels == pytest.approx(4.0)
    assert scene.render_thermal(np.arange(40) / THERMAL_FPS, view).std(axis=0).mean() == pytest.approx(0.025, rel=0.1)


def test_rgb_noise_is_shot_and_read_noise():
    scene = still(noise=1.0)
    wall = scene.mean_rgb(np.arange(40) / FPS, View.square(-0.6, 0.02, 0.1, 48, 480.0))
    level = wall.mean(axis=0)
    np.testing.assert_allclose(wall.std(axis=0).mean(), np.sqrt(0.7**2 + 0.012 * level).mean(), rtol=0.03)
    twin = still(noise=2.0).mean_rgb(np.arange(40) / FPS, View.square(-0.6, 0.02, 0.1, 48, 480.0))
    assert twin.std(axis=0).mean() == pytest.approx(2.0 * wall.std(axis=0).mean(), rel=0.03)


# ------------------------------------------------------------------------------------------------------- views


@pytest.mark.parametrize("seed", range(6))
def test_a_small_view_is_the_mean_of_the_camera_view(seed: int):
    scene = Scene(SceneParams(seed=seed, tone=1.0 + seed, nuisance=1.0, noise=0.0, netd_degc=0.0))
    x, y, side = scene.face_box([5.0])[0]
    left, top = round((x - side / 4.0) * 480.0 + 320.0), round((y - side / 4.0) * 480.0)
    pixels = round(1.5 * side * 480.0)
    view = View.square((left - 320.0) / 480.0, top / 480.0, pixels / 480.0, 36, 480.0)
    crop = scene.render_rgb([5.0], CAMERA)[0, top : top + pixels, left : left + pixels].astype(np.float32)
    small = scene.mean_rgb([5.0], view)[0]
    assert np.abs(crop.mean(axis=(0, 1)) - small.mean(axis=(0, 1))).max() < 0.3
    cells = [cv2.resize(image, (9, 9), interpolation=cv2.INTER_AREA) for image in (crop, small)]
    assert np.abs(cells[0] - cells[1]).max() < 2.0
    assert np.abs(cells[0] - cells[1]).mean() < 0.3


def test_both_cameras_see_the_same_rectangle():
    """Where a subject stands out from the empty room, as shares of the picture, is the same in RGB and thermal."""
    edges = []
    for render, view in (("mean_rgb", CAMERA), ("render_thermal", LEPTON)):
        with_face, without = (getattr(still(face=face), render)([0.0], view)[0] for face in ("live", "none"))
        change = np.abs(with_face - without).reshape(view.rows, view.columns, -1).max(axis=2)
        rows, columns = (np.flatnonzero(change.max(axis=axis) > 3.0) for axis in (1, 0))
        edges.append([rows[0] / view.rows, columns[0] / view.columns, columns[-1] / view.columns])
    np.testing.assert_allclose(edges[0], edges[1], atol=0.02)


def test_a_head_moves_by_parts_of_a_pixel():
    """The brightness a moving face leaves in a fixed view changes smoothly, not in steps."""
    scene = still(sway=0.01, roll_deg=0.5)
    frames = scene.mean_rgb(np.arange(0.0, 4.0, 0.01), scene.face_view(0.0, 36))[..., 1]
    cells = np.stack([cv2.resize(frame, (9, 9), interpolation=cv2.INTER_AREA) for frame in frames])
    jerk = np.abs(np.diff(cells, 2, axis=0))
    assert jerk.mean() < 0.1 * np.abs(np.diff(cells[::10], axis=0)).mean()


# ------------------------------------------------------------------------------------------------------- the detector


@pytest.mark.parametrize("nuisance", sorted(PRESETS.values()))
def test_the_frontal_cascade_finds_the_face_where_it_is(nuisance: float):
    rows = detections([1, 2, 3, 4, 5, 6], range(2), nuisance)
    assert rows[:, 0].mean() >= 0.95
    assert np.abs(np.nanmean(rows[:, 1:], axis=0) - [0.0, 0.0, 1.0]).max() < 0.03
    assert np.nanstd(rows[:, 1:], axis=0).max() < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", sorted(PRESETS.values()))
def test_the_frontal_cascade_finds_the_face_in_every_tone(nuisance: float):
    for tone in range(1, 7):
        found = detections([tone], range(10, 60), nuisance)[:, 0]
        _log.info("nuisance %g tone %d: face found in %d of %d frames", nuisance, tone, found.sum(), len(found))
        assert found.mean() >= 0.95


@pytest.mark.parametrize("nuisance", sorted(PRESETS.values()))
def test_an_empty_room_holds_no_face(nuisance: float):
    for seed in range(6):
        scene = Scene(SceneParams(seed=seed, face="none", nuisance=nuisance))
        assert not scene.visible([1.0]).any()
        assert not len(faces(scene.render_rgb([1.0], CAMERA)[0]))


# ------------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize("event", ["leave", "occlude"])
def test_a_face_that_is_away_is_not_visible_and_not_found(event: str):
    scene = Scene(SceneParams(seed=2, **{f"{event}_at_s": 4.0, f"{event}_s": 5.0}))
    t = [3.5, 6.5, 9.5]
    assert scene.visible(t).tolist() == [True, False, True]
    assert [len(faces(rgb)) for rgb in scene.render_rgb(t, CAMERA)] == [1, 0, 1]


def test_a_photograph_moves_but_does_not_live():
    still_photo = still(face="photo", breath_motion=1.0, blinks_per_min=20.0)
    view = still_photo.face_view(0.0, 36)
    t = np.arange(0.0, 10.0, 1.0 / FPS)
    assert np.ptp(still_photo.mean_rgb(t, view), axis=0).max() == 0.0
    assert np.ptp(still_photo.render_thermal(t, view), axis=0).max() == 0.0
    assert still_photo.render_thermal([0.0], view).max() < 26.0
    moved = still(face="photo", nod=0.01, nod_hz=1.5)
    rows, columns = head_patch(view, moved, 0.19, -0.12)
    eye = moved.mean_rgb(t, view)[:, rows, columns].mean(axis=(1, 2, 3))
    assert peak_per_min(eye, FPS, 40.0, 200.0) == pytest.approx(90.0, abs=2.0)
    assert len(faces(moved.render_rgb([0.0], CAMERA)[0])) == 1


def test_eyes_blink():
    eye = brightness(still(blinks_per_min=30.0), 0.19, -0.12)
    blinks = np.flatnonzero(np.diff((np.abs(eye - np.median(eye)) > 10.0).astype(int)) > 0)
    assert 4 <= len(blinks) <= 18
    assert np.ptp(brightness(still(), 0.19, -0.12)) < 1.0


def test_the_mouth_moves():
    assert brightness(still(talk=1.0), 0.0, 0.3).std() > 1.0
    assert brightness(still(), 0.0, 0.3).std() < 0.5


# ------------------------------------------------------------------------------------------------------- nuisances


def test_every_knob_is_a_parameter_and_a_given_value_wins():
    fields = set(SceneParams.__struct_fields__)
    assert set(KNOBS) | set(RHYTHMS) <= fields
    for name in KNOBS:
        assert strengths(SceneParams(**{name: 0.123}))[name] == 0.123
    for name, (low, high) in RHYTHMS.items():
        assert low <= strengths(SceneParams())[name] <= high


def test_nuisance_scales_what_is_drawn():
    for seed in range(5):
        none, some, full = (strengths(SceneParams(seed=seed, nuisance=scale)) for scale in (0.0, 0.35, 1.0))
        for name, draw in KNOBS.items():
            assert none[name] == draw.base
            assert some[name] - draw.base == pytest.approx(0.35 * (full[name] - draw.base))
            assert min(draw.low, 0.0) <= full[name] - draw.base <= max(draw.high, 0.0)


@pytest.mark.parametrize(("knob", "hz"), [("flicker", "flicker_hz"), ("side_flicker", "side_hz")])
def test_a_flicker_has_its_rate_and_strength(knob: str, hz: str):
    scene = still(**{knob: 0.01, hz: 1.9}, amplitude=0.0)
    t = np.arange(0.0, 20.0, 1.0 / FPS)
    light = scene.mean_rgb(t, View.square(0.45, 0.1, 0.1, 4, 480.0)).mean(axis=(1, 2))[:, 1]
    assert peak_per_min(light, FPS, 30.0, 200.0) == pytest.approx(114.0, abs=1.0)
    amplitude = np.sqrt(2.0) * light.std() / light.mean()
    assert 0.003 < amplitude < 0.014
    left = scene.mean_rgb(t, View.square(-0.55, 0.1, 0.1, 4, 480.0)).mean(axis=(1, 2))[:, 1]
    assert np.sign(np.corrcoef(light, left)[0, 1]) == (1.0 if knob == "flicker" else -1.0)


def test_light_drifts_and_steps():
    t = np.arange(0.0, 38.0, 0.1)
    corner = View.square(0.4, 0.1, 0.1, 4, 480.0)

    def light(**changes: float) -> npt.NDArray[np.float64]:
        values = still(**changes).mean_rgb(t, corner).mean(axis=(1, 2, 3))
        return np.asarray(values / values.mean())

    assert light().std() < 1e-5
    assert 0.01 < light(light_drift=0.05).std() < 0.1
    jumps = np.abs(np.diff(light(light_step=0.1, steps_per_min=10.0)))
    assert 2 <= (jumps > 0.01).sum() <= 16
    assert np.median(jumps) < 1e-5
    assert still(exposure=0.4).mean_rgb([0.0], corner).mean() == pytest.approx(
        0.4 * still().mean_rgb([0.0], corner).mean(), rel=1e-3
    )


def test_a_head_sways_nods_and_jumps_by_as_much_as_asked():
    t = np.arange(0.0, 38.0, 0.05)

    def places(**changes: float) -> npt.NDArray[np.float64]:
        scene = still(**changes)
        return scene.face_box(t) / scene.params.face_side

    assert places().std(axis=0).max() < 1e-9
    assert 0.005 < places(sway=0.02)[:, 0].std() < 0.03
    nod = places(nod=0.01, nod_hz=2.0)[:, 1]
    assert np.ptp(nod) == pytest.approx(0.02, rel=0.02)
    assert peak_per_min(nod, 20.0, 30.0, 200.0) == pytest.approx(120.0, abs=1.0)
    assert np.abs(np.diff(places(moves_per_min=10.0)[:, 0])).max() > 0.002


def test_the_thermal_offset_drifts_and_jumps_at_the_shutter():
    t = np.arange(0.0, 38.0, 0.1)
    corner = View.square(0.4, 0.1, 0.1, 4, 120.0)
    drift = still(thermal_drift_degc=0.2).render_thermal(t, corner).mean(axis=(1, 2))
    assert 0.02 < drift.std() < 0.5
    scene = still(thermal_step_degc=0.5, ffc_every_s=10.0, ffc_s=0.5)
    jumps = np.abs(np.diff(scene.render_thermal(t, corner).mean(axis=(1, 2))))
    assert set(np.flatnonzero(jumps > 0.01)) <= {99, 100, 199, 200, 299, 300}
    assert jumps.max() > 0.05
    assert [scene.shutter_closed_since(s) for s in (0.2, 10.0, 10.4, 10.6)] == [None, 10.0, 10.0, None]
