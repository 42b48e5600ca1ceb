"""The warm face in thermal pictures: drawn ones, and two recordings of people before a Lepton."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.clips.crop import Box
from edge.faces.track import FaceTracker, TrackerConfig
from edge.faces.warm import WarmDetector
from edge.frames import Frame

Degc = npt.NDArray[np.float32]
FIND = WarmDetector().detect


def room(rng: np.random.Generator | None = None) -> Degc:
    noise = (rng or np.random.default_rng(1)).normal(0.0, 0.06, (160, 120))
    return (24.0 + noise).astype(np.float32)


def person(image: Degc, x: int, y: int, width: int, *, glasses: bool = False) -> Degc:
    """A clothed body, a neck and a head, whose eyes and nose are cooler; ``y`` is the top of the head."""
    out, tall = image.copy(), round(1.4 * width)
    cv2.ellipse(out, (x, y + 3 * tall), (round(1.4 * width), 2 * tall), 0, 0, 360, 28.0, -1)
    cv2.rectangle(out, (x - width // 4, y + tall // 2), (x + width // 4, y + round(1.25 * tall)), 33.0, -1)
    cv2.ellipse(out, (x, y + tall // 2), (width // 2, tall // 2), 0, 0, 360, 33.5, -1)
    cv2.ellipse(out, (x, y + round(0.6 * tall)), (width // 8, tall // 8), 0, 0, 360, 31.0, -1)
    if glasses:
        cv2.rectangle(out, (x - width // 2, y + round(0.35 * tall)), (x + width // 2, y + round(0.5 * tall)), 27.0, -1)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 1.0), np.float32)


def disc(image: Degc, x: int, y: int, radius: int) -> Degc:
    return np.asarray(cv2.circle(image.copy(), (x, y), radius, 36.0, -1), np.float32)


def nose(x: int, y: int, width: int) -> tuple[float, float]:
    return float(x), y + 0.6 * 1.4 * width


def holds(box: Box, point: tuple[float, float]) -> bool:
    """In the middle two thirds of the box."""
    return all(abs(p - c) <= box.w / 3 for p, c in zip(point, box.centre, strict=True))


@pytest.mark.parametrize("glasses", [False, True])
@pytest.mark.parametrize(("x", "y", "width"), [(60, 30, 40), (35, 20, 30), (80, 40, 50), (60, 50, 24)])
def test_a_face_is_found_beside_a_hotter_disc(x: int, y: int, width: int, glasses: bool) -> None:
    image = disc(person(room(), x, y, width, glasses=glasses), 105, 145, 9)
    found = FIND(image)
    assert found
    assert holds(found[0].box, nose(x, y, width))
    assert 0.8 * width <= found[0].box.w <= 1.6 * width


def test_what_has_no_face_shows_none() -> None:
    assert FIND(room()) == []
    assert FIND(disc(room(), 60, 80, 14)) == []
    assert FIND(np.full((160, 120), 24.0, np.float32)) == []
    assert FIND(np.full((160, 120), np.nan, np.float32)) == []


def test_the_largest_comes_first() -> None:
    image = person(person(room(), 25, 70, 22), 80, 30, 40)
    assert holds(FIND(image)[0].box, nose(80, 30, 40))


def test_the_drawn_scene_shows_its_face_where_it_is() -> None:
    from edge.cameras import camera_from_uri

    camera = camera_from_uri("synthetic:?seconds=2&seed=3&face_x=0.2", "thermal")
    camera.open()
    frame = camera.read()
    assert frame is not None
    degc = (frame.image * frame.scale_degc + frame.offset_degc).astype(np.float32)
    found = FIND(degc)
    assert found
    x, y, side = camera.scene.face_box([0.0])[0]  # type: ignore[attr-defined]
    assert holds(found[0].box, ((x + side / 2) * 120 + 80, (y + side / 2) * 120))


NOSES = {
    "lepton-still-person": {17: (60, 44), 43: (74, 68), 78: (52, 49), 104: (67, 36), 130: (77, 79)},
    "lepton-ffc-pause": {33: (35, 65), 66: (38, 68), 99: (34, 76), 165: (50, 90)},
}
"""Where the nose is in some frames, in pixels, read off their pictures."""


@pytest.mark.parametrize("name", NOSES)
def test_real_people_are_followed(name: str, shared_dir: Path) -> None:
    cptv = pytest.importorskip("cptv")
    tracker = FaceTracker(WarmDetector(), TrackerConfig(look_every_s=0.5))
    with (shared_dir / "data/thermal" / f"{name}.cptv").open("rb") as file:
        recording = list(cptv.CPTVReader(file))
    start = recording[0].time_on
    followed = 0
    for k, one in enumerate(recording):
        image = np.ascontiguousarray(np.rot90(one.pix, -1))
        pts_ns = round((one.time_on - start).total_seconds() * 1e9)
        tracks = tracker.step(Frame(image, pts_ns, "media", k, "thermal", 0.01, -273.15))
        followed += len(tracks)
        if k in NOSES[name]:
            degc = (image * 0.01 - 273.15).astype(np.float32)
            box = FIND(degc)[0].box
            (x, y), (nose_x, nose_y) = box.centre, NOSES[name][k]
            assert abs(nose_x - x) <= 0.25 * box.w, k
            assert abs(nose_y - y) <= 0.4 * box.h, k
    assert followed >= 0.8 * len(recording)
