from __future__ import annotations

import numpy as np
import pytest

from edge.cameras.scene import Scene, SceneParams
from edge.faces.likeness import Likeness, unlikeness

TIMES = np.arange(4.0, 12.0, 0.1)


def cells(seed: int, nuisance: float = 0.15, size: int = 9) -> np.ndarray:
    """The face as the model sees it, ten times a second: float32 ``[N, 3, S, S]``."""
    scene = Scene(SceneParams(seed=seed, seconds=14.0, nuisance=nuisance))
    frames: np.ndarray = scene.mean_rgb(TIMES, [scene.face_view(float(t), size) for t in TIMES])
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))


def told(frames: np.ndarray) -> list[int]:
    likeness = Likeness()
    return [k for k, (t, frame) in enumerate(zip(TIMES, frames, strict=True)) if likeness.step(round(t * 1e9), frame)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_face_stays_the_same(seed: int) -> None:
    assert told(cells(seed, nuisance=0.35)) == []


def test_a_face_in_hard_scenes_mostly_stays_the_same() -> None:
    assert sum(bool(told(cells(seed, nuisance=1.0))) for seed in range(1, 11)) <= 2


@pytest.mark.parametrize("size", [9, 36])
def test_another_face_is_told_at_once_and_then_it_is_the_one(size: int) -> None:
    frames = np.concatenate([cells(1, size=size)[:40], cells(2, size=size)[40:]])
    assert told(frames) == [40]


def test_nineteen_of_twenty_pairs_of_faces_are_told_apart() -> None:
    scenes = [Scene(SceneParams(seed=seed, seconds=14.0)) for seed in range(1, 31)]
    faces = [scene.mean_rgb([4.0], scene.face_view(4.0, 9))[0].transpose(2, 0, 1) for scene in scenes]
    apart = [unlikeness(one, two) for i, one in enumerate(faces) for two in faces[:i]]
    assert np.mean(np.array(apart) > 0.06) >= 0.94


def test_light_from_one_side_is_no_other_face() -> None:
    face = cells(1)[0]
    side = np.linspace(0.5, 1.2, 9, dtype=np.float32)
    assert unlikeness(face * side, face) < 0.05
