"""Training recordings show what their labels say, at the time the labels say it."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from training.datasets.synthetic import Recording, params_from_range, recording_from_scene
from training.recipe import DataChoice, preset_from_toml

LENGTH = 301
CALM = msgspec.structs.replace(
    preset_from_toml("quick").data,
    hr=(70.0, 90.0),
    rr=(12.0, 20.0),
    amplitude=(0.015, 0.015),
    breath_degc=(1.0, 1.0),
    tone=(1.0, 2.0),
    nuisance=(0.0, 0.0),
    coded=0.0,
)
CODED = msgspec.structs.replace(CALM, coded=1.0)


def recording(data: DataChoice = CALM, channels: int = 4, seed: tuple[int, ...] = (1, 0, 0)) -> Recording:
    return recording_from_scene(data, 9, channels, LENGTH, seed)


def lag_of_best_match(wave: npt.NDArray[np.float64], label: npt.NDArray[np.float32], reach: int) -> tuple[int, float]:
    """Frames by which ``wave`` comes after ``label`` where they are most alike, and Pearson's r there."""
    inner = slice(reach, len(label) - reach)
    found = {lag: np.corrcoef(np.roll(wave, -lag)[inner], label[inner])[0, 1] for lag in range(-reach, reach + 1)}
    best = max(found, key=lambda lag: found[lag])
    return best, float(found[best])


def without_trend(wave: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float64]:
    smooth = np.convolve(np.pad(wave, frames, mode="reflect"), np.ones(frames) / frames, "same")[frames:-frames]
    return np.asarray(wave - smooth, np.float64)


@pytest.mark.parametrize("seed", [(1, 0, 0), (1, 0, 5)])
@pytest.mark.parametrize("data", [CALM, CODED], ids=["raw", "coded"])
def test_skin_darkens_in_green_when_the_label_says_that_blood_rises(data: DataChoice, seed: tuple[int, ...]) -> None:
    made = recording(data, channels=3, seed=seed)
    green = made.frames[1, :, 3:5, 3:6].mean(axis=(1, 2))
    lag, r = lag_of_best_match(-without_trend(green, 31), made.series["bvp"], 8)
    assert r > (0.8 if data is CALM else 0.6)  # compression costs some of it, and shows small changes late
    assert 0 <= lag <= (2 if data is CALM else 4)  # the pulse reaches the middle of the face a little late


def test_a_compressed_recording_is_the_same_scene_at_the_same_place_a_little_spoiled() -> None:
    """Cell by cell as the raw one: the same face, not shifted by a cell, with errors of a few grey levels."""
    raw, coded = (recording(data, channels=3).frames for data in (CALM, CODED))
    difference = np.abs(raw.mean(axis=1) - coded.mean(axis=1))
    shifted = np.abs(raw.mean(axis=1) - np.roll(coded.mean(axis=1), 1, axis=2))
    assert 0.0 < difference.mean() < 4.0
    assert difference.mean() < 0.3 * shifted.mean()


def test_nostrils_cool_when_the_label_says_that_air_goes_in() -> None:
    made = recording()
    nose = made.frames[3, :, 5, 4].astype(np.float64)
    lag, r = lag_of_best_match(-nose, made.series["rsp"], 20)
    assert r > 0.9
    assert 0 <= lag <= 10  # the skin follows the air 0.2 s late


def test_units_are_those_of_the_model() -> None:
    frames = recording().frames
    assert frames.dtype == np.float32
    assert frames.shape == (4, LENGTH, 9, 9)
    assert frames[:3].min() >= 0.0
    assert 50.0 < frames[:3].mean() <= 255.0
    assert 20.0 < frames[3].mean() < 38.0


@pytest.mark.parametrize(("channels", "part"), [(3, slice(0, 3)), (1, slice(3, 4))])
def test_fewer_channels_have_the_same_shape_of_data(channels: int, part: slice) -> None:
    assert recording(channels=channels).frames.shape == recording().frames[part].shape


def test_the_same_seed_gives_the_same_recording_and_another_seed_another() -> None:
    first, again, other = recording(), recording(), recording(seed=(1, 0, 1))
    np.testing.assert_array_equal(first.frames, again.frames)
    assert not np.allclose(first.frames, other.frames)


def test_scenes_are_drawn_from_the_ranges() -> None:
    data = preset_from_toml("quick").data
    drawn = [params_from_range(data, 10.0, np.random.default_rng(i)) for i in range(200)]
    for name in ("hr", "rr", "amplitude", "breath_degc", "tone", "nuisance"):
        low, high = getattr(data, name)
        values = np.array([getattr(params, name) for params in drawn])
        assert low <= values.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < values.max() <= high
    assert len({params.seed for params in drawn}) == 200


def test_the_bvp_label_keeps_the_rate_and_loses_harmonics() -> None:
    raw = recording(msgspec.structs.replace(CALM, bvp_label_harmonics=1e3)).series["bvp"]
    smooth = recording(msgspec.structs.replace(CALM, bvp_label_harmonics=1.4)).series["bvp"]
    powers = [np.abs(np.fft.rfft(wave - wave.mean())) ** 2 for wave in (raw, smooth)]
    assert powers[0].argmax() == powers[1].argmax()
    harmonics = slice(round(1.7 * float(powers[0].argmax())), None)
    assert powers[1][harmonics].sum() < 0.1 * powers[0][harmonics].sum()
