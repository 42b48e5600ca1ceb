"""Several faces by scripted detections: numbers stay, and windows begin anew where faces cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from edge.clips.crop import Box
from edge.faces import Detection
from edge.faces.crowd import CrowdTracker
from edge.faces.looks import Lag
from edge.faces.track import FaceTrack
from edge.frames import Frame

S = 1_000_000_000
FPS = 30.0
IMAGE = np.zeros((480, 960, 3), np.uint8)
Faces = Callable[[float], list[Box]]
Seen = list[tuple[float, tuple[FaceTrack, ...]]]


class Script:
    """A detector that shows the faces of a function of time; it counts its calls."""

    def __init__(self, faces: Faces) -> None:
        self.faces, self.now_s = faces, 0.0
        self.calls: list[float] = []

    def detect(self, image: npt.NDArray[np.uint8], /) -> list[Detection]:
        self.calls.append(self.now_s)
        return [Detection(box, 1.0) for box in self.faces(self.now_s)]


def follow(faces: Faces, seconds: float, people: int = 3, lag: Lag | None = None) -> tuple[Script, Seen]:
    detector = Script(faces)
    tracker = CrowdTracker(detector, people, lag=lag)
    seen = []
    for k in range(round(seconds * FPS)):
        detector.now_s = k / FPS
        seen.append((k / FPS, tracker.step(Frame(IMAGE, round(k * S / FPS), "media", k, "rgb"))))
    return detector, seen


def square(x: float, y: float = 200.0, side: float = 100.0) -> Box:
    return Box(x - side / 2, y - side / 2, side, side)


def at(seen: Seen, t_s: float) -> dict[int, float]:
    """Person and the middle of the box across, near a time."""
    tracks = min(seen, key=lambda one: abs(one[0] - t_s))[1]
    return {track.person: track.box.centre[0] for track in tracks}


def resets(seen: Seen, person: int) -> list[float]:
    return [t for t, tracks in seen for track in tracks if track.person == person and track.moved]


def test_still_faces_are_found_at_once_and_looked_at_once_a_second() -> None:
    detector, seen = follow(lambda _: [square(200), square(500), square(800)], 8.0)
    assert at(seen, 0.3) == at(seen, 7.9) == {0: 500.0, 1: 200.0, 2: 800.0}  # the most prominent first
    assert all(len(resets(seen, person)) == 1 for person in (0, 1, 2))
    assert np.diff(detector.calls[1:]) == pytest.approx(np.ones(len(detector.calls) - 2), abs=0.04)


def test_no_more_than_so_many_are_followed() -> None:
    _, seen = follow(lambda _: [square(200), square(500), square(800)], 3.0, people=2)
    assert set(at(seen, 2.5).values()) == {500.0, 200.0}


def test_one_leaves_and_the_others_are_not_touched() -> None:
    _, seen = follow(lambda t: [square(500)] + ([square(200)] if t < 3.0 else []), 7.0)
    assert at(seen, 2.9) == {0: 500.0, 1: 200.0}
    assert at(seen, 4.8) == {0: 500.0}
    assert len(resets(seen, 0)) == 1


def test_who_comes_back_soon_and_near_has_the_same_number_and_begins_anew() -> None:
    _, seen = follow(lambda t: [square(500)] + ([square(200)] if not 3.0 < t < 7.0 else []), 9.0)
    assert at(seen, 8.5) == {0: 500.0, 1: 200.0}
    assert len(resets(seen, 1)) == 2


@pytest.mark.parametrize("back", [(7.0, 800), (20.0, 200)])
def test_who_comes_late_or_elsewhere_is_somebody_else(back: tuple[float, int]) -> None:
    when_s, x = back
    _, seen = follow(lambda t: [square(500)] + ([square(200)] if t < 3.0 else [square(x)] if t > when_s else []), 22.0)
    assert at(seen, 21.9) == {0: 500.0, 2: float(x)}


def walked_past(sides_per_s: float, start_s: float) -> Seen:
    """Two who walk past each other; the detector sees one of them while they overlap."""
    way = 100.0 * sides_per_s

    def faces(t: float) -> list[Box]:
        walked = min(max(t - start_s, 0.0) * way, 400.0)
        left, right = square(280 + walked), square(680 - walked)
        return [left] if abs(400.0 - 2 * walked) < 40.0 else [left, right]

    return follow(faces, start_s + 400.0 / way + 4.0, people=2)[1]


@pytest.mark.parametrize("sides_per_s", [0.5, 1.0, 1.5])
def test_two_who_walk_past_each_other_keep_their_numbers_where_looks_fall_well(sides_per_s: float) -> None:
    """Who is called what depends on where in a second they set out: here just before a look."""
    seen = walked_past(sides_per_s, 2.85)
    before, after = at(seen, 2.8), at(seen, seen[-1][0])
    assert sorted(before) == sorted(after) == [0, 1]
    assert all(after[person] == pytest.approx(960.0 - before[person], abs=8.0) for person in (0, 1))


@pytest.mark.parametrize("sides_per_s", [0.5, 1.0, 1.5])
def test_two_who_walk_past_each_other_begin_anew_wherever_looks_fall(sides_per_s: float) -> None:
    for start_s in np.arange(2.0, 3.0, 0.2):
        seen = walked_past(sides_per_s, start_s)
        crossed_s = start_s + 2.0 / sides_per_s
        assert len(at(seen, seen[-1][0])) == 2
        assert all(max(resets(seen, person)) > crossed_s for person in at(seen, seen[-1][0]))


def test_faces_that_cannot_be_told_apart_begin_anew() -> None:
    """One detection between two known faces: whoever it is, nothing of before counts."""
    _, seen = follow(lambda t: [square(300), square(420)] if not 3.0 < t < 4.3 else [square(360)], 8.0)
    assert set(at(seen, 7.9)) == {0, 1}
    assert all(max(resets(seen, person)) > 4.0 for person in (0, 1))


def test_a_face_found_twice_is_one() -> None:
    _, seen = follow(lambda _: [square(300), square(310, 190, 70), square(600)], 4.0)
    assert sorted(at(seen, 3.9).values()) == [300.0, 600.0]
    assert all(len(resets(seen, person)) == 1 for person in (0, 1))


def test_numbers_rise_and_nothing_is_kept_while_people_come_and_go() -> None:
    def faces(t: float) -> list[Box]:
        return [square(150 + 220 * (int(t / 4) % 4))] if t % 4 < 1.5 else []

    detector = Script(faces)
    tracker = CrowdTracker(detector, 3)
    persons = set()
    for k in range(1200):
        detector.now_s = k / 10
        persons |= {track.person for track in tracker.step(Frame(IMAGE, k * S // 10, "media", k, "rgb"))}
    assert persons == set(range(30))
    assert len(tracker._gone) <= 3


def test_a_picture_of_another_size_starts_over() -> None:
    tracker = CrowdTracker(Script(lambda _: [square(300)]), 2)
    for k in range(30):
        tracker.step(Frame(IMAGE, round(k * S / FPS), "media", k, "rgb"))
    assert tracker.step(Frame(IMAGE[:240], 2 * S, "media", 31, "rgb")) == ()
