from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.cameras import camera_from_uri
from edge.clips.crop import Box
from edge.faces import Detection, detector_by_name
from edge.faces.track import FaceTrack, FaceTracker
from edge.frames import Frame

S = 1_000_000_000
FPS = 30.0
IMAGE = np.zeros((480, 640, 3), np.uint8)


class Script:
    """A detector that shows the faces of a function of time; it counts its calls."""

    def __init__(self, faces: object) -> None:
        self.faces = faces
        self.now_s = 0.0
        self.calls: list[float] = []

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        self.calls.append(self.now_s)
        assert callable(self.faces)
        return [Detection(box, 1.0) for box in self.faces(self.now_s)]


def follow(faces: object, seconds: float, fps: float = FPS) -> tuple[Script, list[tuple[float, FaceTrack | None]]]:
    detector = Script(faces)
    tracker = FaceTracker(detector)
    seen = []
    for k in range(round(seconds * fps)):
        detector.now_s = k / fps
        seen.append((k / fps, only(tracker.step(Frame(IMAGE, round(k * S / fps), "media", k, "rgb")))))
    return detector, seen


def only(tracks: tuple[FaceTrack, ...]) -> FaceTrack | None:
    assert len(tracks) <= 1
    return tracks[0] if tracks else None


def square(x: float, y: float = 200.0, side: float = 120.0) -> Box:
    return Box(x - side / 2, y - side / 2, side, side)


def centre(track: FaceTrack | None) -> float:
    assert track is not None
    return track.box.centre[0]


def test_a_still_face_is_found_in_its_second_frame_and_looked_at_once_a_second() -> None:
    detector, seen = follow(lambda _: [square(300)], 10.0)
    first = next(t for t, track in seen if track)
    assert first == pytest.approx(1 / FPS)
    assert [track.moved for _, track in seen if track].count(True) == 1
    assert np.diff(detector.calls[1:]) == pytest.approx(np.ones(len(detector.calls) - 2), abs=0.04)


def test_detection_times_follow_stamps_not_calls() -> None:
    slow, fast = (follow(lambda _: [square(300)], 10.0, fps)[0].calls for fps in (15.0, 60.0))
    assert len(slow) == len(fast)


def test_one_missed_detection_drops_nothing() -> None:
    _, seen = follow(lambda t: [] if 2.0 <= t < 2.5 else [square(300)], 8.0)
    assert all(track and track.box == square(300) for t, track in seen if t > 0.3)


def test_a_face_that_left_is_lost_and_the_next_is_another_person() -> None:
    detector, seen = follow(lambda t: [] if 3.0 <= t < 6.0 else [square(300)], 9.0)
    lost = [t for t, track in seen if track is None and t > 1.0]
    assert 3.5 <= min(lost) <= 4.8
    assert max(lost) <= 6.5
    assert {track.person for t, track in seen if track and t < 3.0} == {0}
    assert {track.person for t, track in seen if track and t > 6.5} == {1}
    searching = [t for t in detector.calls if 4.8 < t < 6.0]
    assert np.diff(searching).max() <= 0.24


def test_noise_of_the_detections_does_not_move_the_box() -> None:
    random = np.random.default_rng(1)
    _, seen = follow(lambda _: [square(300 + random.normal(0, 1.5), side=120 + random.normal(0, 1.5))], 30.0)
    assert len({track.box for _, track in seen if track}) == 1


def test_a_false_alarm_moves_nothing_and_a_real_jump_is_followed_and_flagged() -> None:
    _, alarmed = follow(lambda t: [square(500)] if 3.0 <= t < 3.15 else [square(300)], 6.0)
    assert {track.box for _, track in alarmed if track} == {square(300)}
    _, jumped = follow(lambda t: [square(300 if t < 3.0 else 500)], 6.0)
    moments = [t for t, track in jumped if track and track.moved]
    assert len(moments) == 2
    assert 3.0 <= moments[1] <= 4.4
    assert centre(jumped[-1][1]) == 500.0
    assert {track.person for _, track in jumped if track} == {0}


def test_the_box_glides_and_does_not_shake_at_pulse_frequencies() -> None:
    """A face that moved by a fifth of its side: the box arrives, smoothly. One low-pass stage would leave 16 %."""
    _, seen = follow(lambda t: [square(300 if t < 3.0 else 324)], 20.0)
    path = np.array([centre(track) for _, track in seen if track])
    assert path[-1] == 324.0
    assert np.all(np.diff(path) >= 0.0)
    speed = np.diff(path) * FPS
    assert speed.max() <= 0.4 * 24.0  # px/s: two stages of 1 s reach 1/e of the step per second
    spectrum = np.abs(np.fft.rfft(np.diff(path) - np.diff(path).mean(), 4096)) ** 2
    rates_hz = np.fft.rfftfreq(4096, 1.0 / FPS)
    pulse_band = (rates_hz >= 0.6) & (rates_hz <= 3.3)
    assert spectrum[pulse_band].sum() <= 0.02 * spectrum.sum()


def test_of_several_faces_the_large_central_one_is_followed() -> None:
    faces = [square(60, side=100.0), square(320, 240, side=100.0), square(500, side=60.0)]
    _, seen = follow(lambda _: faces, 2.0)
    assert centre(seen[-1][1]) == 320.0


def test_a_larger_face_elsewhere_does_not_take_over_a_known_one() -> None:
    _, seen = follow(lambda t: [square(300)] if t < 2.0 else [square(500, side=200.0), square(300)], 6.0)
    assert {track.box for _, track in seen if track} == {square(300)}


def test_a_picture_of_another_size_starts_over() -> None:
    detector = Script(lambda _: [square(300)])
    tracker = FaceTracker(detector)
    for k in range(30):
        tracker.step(Frame(IMAGE, round(k * S / FPS), "media", k, "rgb"))
    other = Frame(np.zeros((240, 320, 3), np.uint8), 2 * S, "media", 31, "rgb")
    assert tracker.step(other) == ()


def test_the_box_of_a_real_still_face_does_not_move_at_all(shared_dir: Path) -> None:
    camera = camera_from_uri(f"video:{shared_dir / 'data' / 'face.mp4'}", "rgb")
    camera.open()
    tracker, boxes = FaceTracker(detector_by_name("haar")), []
    while (frame := camera.read()) is not None:
        if track := only(tracker.step(frame)):
            boxes.append(track.box)
    camera.close()
    assert len(boxes) >= 290
    assert len(set(boxes)) == 1


def test_another_pace_looks_less_often_and_still_misses_a_face_that_left_within_two_seconds() -> None:
    detector = Script(lambda t_s: [square(300)] if t_s < 20.0 else [])
    tracker, lost_s = FaceTracker(detector), 0.0
    tracker.pace(1.5)
    for k in range(round(24 * FPS)):
        detector.now_s = k / FPS
        track = tracker.step(Frame(IMAGE, round(k * S / FPS), "media", k, "rgb"))
        lost_s = lost_s or (k / FPS if not track and k / FPS > 20.0 else 0.0)
    assert np.diff([call for call in detector.calls[1:] if call < 20.0]) == pytest.approx(1.5, abs=0.04)
    assert 20.0 < lost_s < 22.0
