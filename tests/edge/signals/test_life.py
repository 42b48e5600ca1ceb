"""The cue that a photograph does not have: pulse shared by all places of the face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.clips.crop import model_cells, square_enlarged
from edge.faces import detector_by_name
from edge.signals.evidence import MIN_COHERENCE
from edge.signals.life import shared_pulse
from edge.vitals import HR_BAND

FS = 30.0
SKIN = np.array([140.0, 105.0, 90.0]).reshape(1, 3, 1, 1)


def still(seed: int, noise: float, frames: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    texture = rng.uniform(0.6, 1.2, size=(1, 1, 9, 9))
    return (SKIN * texture + rng.normal(scale=noise, size=(frames, 3, 9, 9))).astype(np.float32)


def beat(rate_per_min: float, frames: int = 300) -> np.ndarray:
    return np.sin(2 * np.pi * rate_per_min / 60 * np.arange(frames) / FS).reshape(-1, 1, 1, 1)


def test_noise_is_shared_by_no_more_than_chance() -> None:
    values = [shared_pulse(still(seed, 0.1), HR_BAND, FS).coherence.max() for seed in range(150)]
    assert np.max(values) < MIN_COHERENCE
    typical = np.mean([shared_pulse(still(seed, 0.1), HR_BAND, FS).coherence.mean() for seed in range(20)])
    assert typical == pytest.approx(1 / 30, rel=0.5)


@pytest.mark.parametrize("rate", [45, 72, 130])
def test_a_pulse_is_shared_and_green_leads(rate: float) -> None:
    colour = np.array([0.3, 1.0, 0.6]).reshape(1, 3, 1, 1)
    shared = shared_pulse((still(1, 0.1) * (1 + 0.003 * colour * beat(rate))).astype(np.float32), HR_BAND, FS)
    assert shared.coherence_at(rate) > 0.8
    assert shared.green_leads_at(rate)
    assert shared.spectrum.per_min[shared.spectrum.power.argmax()] == pytest.approx(rate, abs=2)


def test_white_flicker_is_not_shared_in_colour() -> None:
    flicker = (still(2, 0.1) * (1 + 0.02 * beat(80))).astype(np.float32)
    assert shared_pulse(flicker, HR_BAND, FS).coherence_at(80) < MIN_COHERENCE


@pytest.mark.parametrize("colour", [(1.0, 0.7, 0.3), (0.2, 0.6, 1.0)])
def test_warm_and_cold_flicker_is_shared_but_green_does_not_lead(colour: tuple[float, ...]) -> None:
    tint = np.array(colour).reshape(1, 3, 1, 1)
    shared = shared_pulse((still(3, 0.1) * (1 + 0.01 * tint * beat(80))).astype(np.float32), HR_BAND, FS)
    assert shared.coherence_at(80) > MIN_COHERENCE
    assert not shared.green_leads_at(80)


@pytest.mark.parametrize(("dx", "dy"), [(0.1, 0.0), (0.0, 0.1), (0.07, 0.1)])
def test_a_moved_picture_is_not_shared(dx: float, dy: float) -> None:
    rng = np.random.default_rng(4)
    picture = rng.uniform(0.5, 1.5, size=(1, 3, 11, 11)) * SKIN
    along_x, along_y = np.gradient(picture, axis=3), np.gradient(picture, axis=2)
    sway = beat(72)
    moved = (picture + dx * sway * along_x + dy * sway * along_y)[:, :, 1:-1, 1:-1]
    cells = (moved + rng.normal(scale=0.1, size=moved.shape)).astype(np.float32)
    assert shared_pulse(cells, HR_BAND, FS).coherence_at(72) < MIN_COHERENCE


def real_cells(shared_dir: Path, *, sway_px: float | None = None) -> np.ndarray:
    """9x9 cells of the real clip, or of its first frame moved at 72 per minute before a noisy sensor."""
    camera = camera_from_uri(f"video:{shared_dir / 'data/face.mp4'}", "rgb")
    camera.open()
    frames = [frame for _ in range(300) if (frame := camera.read()) is not None]
    camera.close()
    box = square_enlarged(detector_by_name("haar").detect(frames[0].image)[0].box, frames[0].image.shape)
    if sway_px is None:
        return np.stack([model_cells(frame, box, 9) for frame in frames])
    rng = np.random.default_rng(5)
    first = model_cells(frames[0], box, 9)
    moved = [
        model_cells(frames[0], replace(box, y=box.y + sway_px * move), 9) + rng.normal(0, 0.05, first.shape)
        for move in beat(72).ravel()
    ]
    return np.stack(moved).astype(np.float32)


def test_the_real_face_shares_its_pulse(shared_dir: Path) -> None:
    shared = shared_pulse(real_cells(shared_dir), HR_BAND, FS)
    assert shared.spectrum.per_min[shared.spectrum.power.argmax()] == pytest.approx(53, abs=3)
    assert shared.coherence_at(53) > 0.85
    assert shared.green_leads_at(53)


@pytest.mark.parametrize("sway_px", [2.0, 8.0])
def test_the_real_face_as_a_moved_photograph_does_not(shared_dir: Path, sway_px: float) -> None:
    assert shared_pulse(real_cells(shared_dir, sway_px=sway_px), HR_BAND, FS).coherence_at(72) < 0.3


def test_a_black_picture_gives_numbers() -> None:
    shared = shared_pulse(np.zeros((300, 3, 9, 9), dtype=np.float32), HR_BAND, FS)
    assert np.isfinite(shared.coherence).all()
    assert shared.coherence.max() == 0.0
