from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.cameras import camera_from_uri
from edge.errors import UsageError
from edge.faces import Detector, detector_by_name

pytestmark = pytest.mark.scenes

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return detector_by_name("haar")


@pytest.fixture(scope="module")
def face_frames(shared_dir: Path) -> list[Picture]:
    """Ten frames of a real face, 1 s apart."""
    with av.open(str(shared_dir / "data" / "face.mp4")) as video:
        return [one.to_ndarray(format="rgb24") for k, one in enumerate(video.decode(video=0)) if k % 30 == 0]


def found_share(detector: Detector, pictures: list[Picture]) -> float:
    return float(np.mean([bool(detector.detect(picture)) for picture in pictures]))


def synthetic(query: str, every: int = 10) -> list[Picture]:
    camera = camera_from_uri(f"synthetic:?{query}", "rgb")
    camera.open()
    pictures = []
    while (frame := camera.read()) is not None:
        if frame.seq % every == 0:
            pictures.append(frame.image)
    camera.close()
    return pictures


def test_the_real_face_is_found_in_every_frame_at_the_same_place(
    detector: Detector, face_frames: list[Picture]
) -> None:
    best = [detector.detect(picture)[0].box for picture in face_frames]
    centres, sides = np.array([box.centre for box in best]), np.array([box.w for box in best])
    assert np.all(np.abs(centres - np.median(centres, 0)) < 0.03 * sides.mean())
    assert 350.0 < sides.mean() < 450.0


@pytest.mark.parametrize(
    "change",
    [
        lambda image: (image * 0.25).astype(np.uint8),
        lambda image: np.clip(image + np.random.default_rng(1).normal(0, 20, image.shape), 0, 255).astype(np.uint8),
        lambda image: np.clip(image * np.linspace(0.2, 1.2, image.shape[1])[:, None], 0, 255).astype(np.uint8),
        lambda image: np.pad(
            cv2.resize(image, None, fx=0.5, fy=0.5), ((200, 224), (400, 616), (0, 0)), constant_values=110
        ),
    ],
    ids=["dark", "noisy", "lit from one side", "far"],
)
def test_it_is_found_under_poor_conditions(detector: Detector, face_frames: list[Picture], change: object) -> None:
    assert callable(change)
    assert found_share(detector, [change(image) for image in face_frames[::3]]) == 1.0


@pytest.mark.parametrize(("seed", "tone"), [(1, 1), (2, 4), (3, 6)])
def test_at_least_95_percent_of_frontal_synthetic_frames_are_found(detector: Detector, seed: int, tone: int) -> None:
    assert found_share(detector, synthetic(f"seconds=3&seed={seed}&tone={tone}")) >= 0.95


def test_an_empty_scene_has_no_face(detector: Detector) -> None:
    assert found_share(detector, synthetic("seconds=2&face=none")) == 0.0


def test_walls_and_noise_seldom_look_like_a_face(detector: Detector) -> None:
    """The tracker asks for two detections that agree, so a rare false alarm is harmless."""
    random = np.random.default_rng(2)
    blobs = [cv2.resize(random.normal(120, 30, (12, 16)), (640, 480), interpolation=cv2.INTER_CUBIC) for _ in range(30)]
    walls = [np.clip(blob + random.normal(0, 8, (480, 640)), 0, 255).astype(np.uint8) for blob in blobs]
    assert found_share(detector, [np.dstack([wall] * 3) for wall in walls]) <= 0.1


def test_boxes_are_in_pixels_of_the_picture_given(detector: Detector, face_frames: list[Picture]) -> None:
    small = cv2.resize(face_frames[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    box, half = detector.detect(face_frames[0])[0].box, detector.detect(np.asarray(small, np.uint8))[0].box
    assert half.w == pytest.approx(0.5 * box.w, rel=0.05)
    assert half.centre[0] == pytest.approx(0.5 * box.centre[0], rel=0.05)


def test_a_black_picture_and_a_tiny_one_have_no_face(detector: Detector) -> None:
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == []
    assert detector.detect(np.zeros((8, 8, 3), np.uint8)) == []


def test_an_unknown_detector_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="did you mean 'haar'"):
        detector_by_name("har")
