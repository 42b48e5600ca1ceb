"""When a detection begins and applies: by stamps and frames, whatever the detector's speed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from edge.clips.crop import Box
from edge.faces import Detection
from edge.faces.crowd import CrowdTracker
from edge.faces.looks import Lag, Looks
from edge.faces.track import FaceTracker
from edge.frames import Frame
from edge.loop import Aside

S = 1_000_000_000


class Marked:
    """Finds a face whose place is the first pixel; it waits until it may go on."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.may_go.set()
        self.threads: set[str] = set()

    def detect(self, image: npt.NDArray[np.uint8], /) -> list[Detection]:
        self.threads.add(threading.current_thread().name)
        self.may_go.wait(10.0)
        return [Detection(Box(float(image[0, 0, 0]), 10.0, 40.0, 40.0), 1.0)]


STILL = np.zeros((100, 200, 3), np.uint8)


def frames(count: int, fps: float = 30.0) -> Iterator[Frame]:
    for k in range(count):
        yield Frame(np.full((100, 200, 3), min(k, 90), np.uint8), round(k * S / fps), "media", k, "rgb")


@pytest.fixture
def aside() -> Iterator[Aside]:
    made = Aside("detect")
    yield made
    made.close()


def test_without_a_lag_a_look_applies_to_its_own_frame() -> None:
    looks = Looks(Marked())
    applied = [
        (frame.seq, look.pts_ns, look.found[0].box.x) for frame in frames(70) if (look := looks.step(frame, 1.0))
    ]
    assert applied == [(k, round(k * S / 30), float(k)) for k in (0, 30, 60)]


def test_with_a_lag_it_applies_so_many_frames_later_and_tells_its_own_stamp(aside: Aside) -> None:
    detector = Marked()
    looks = Looks(detector, Lag(4, aside.start))
    applied = [
        (frame.seq, look.pts_ns, look.found[0].box.x) for frame in frames(70) if (look := looks.step(frame, 1.0))
    ]
    assert applied == [(k + 4, round(k * S / 30), float(k)) for k in (0, 30, 60)]
    assert detector.threads == {"detect_0"}
    assert looks.count == 3


def test_while_nobody_is_followed_a_look_applies_at_once_whatever_the_lag(aside: Aside) -> None:
    """Nothing waits for it then, and a face is found as early as in a recording."""
    for tracker in (FaceTracker(Marked(), lag=Lag(4, aside.start)), CrowdTracker(Marked(), 2, lag=Lag(4, aside.start))):
        seen = {frame.seq: tracker.step(dataclasses.replace(frame, image=STILL)) for frame in frames(40)}
        assert min(seq for seq, tracks in seen.items() if tracks) == 1
        looked = {seq: track.seen_ns for seq, tracks in seen.items() for track in tracks}
        assert next(seq for seq, ns in looked.items() if ns >= S) == 35  # the look of frame 31, four frames later


def test_boxes_are_the_same_however_long_the_detector_takes(aside: Aside) -> None:
    def boxes(*, hurry: bool) -> list[object]:
        detector = Marked()
        tracker = FaceTracker(detector, lag=Lag(4, aside.start))
        out: list[object] = []
        for frame in frames(120):
            if not hurry:  # it goes on only when somebody waits for it
                detector.may_go.clear()
                threading.Timer(0.002, detector.may_go.set).start()
            out.append(tracker.step(frame))
        return out

    assert boxes(hurry=True) == boxes(hurry=False)


def test_a_look_of_another_picture_is_forgotten(aside: Aside) -> None:
    looks = Looks(Marked(), Lag(4, aside.start))
    first, second = frames(2)
    looks.resized(first)
    assert looks.step(first, 1.0) is None
    second = dataclasses.replace(second, image=second.image[:50])
    assert looks.resized(second)
    assert looks.step(second, 1.0) is None
    assert not looks.resized(second)
    assert looks.begun_ns == second.pts_ns


def test_an_error_aside_is_raised_where_its_answer_is_wanted(aside: Aside) -> None:
    class Broken:
        def detect(self, image: npt.NDArray[np.uint8], /) -> list[Detection]:
            raise ValueError("no cascade")

    looks = Looks(Broken(), Lag(1, aside.start))
    one, two = frames(2)
    assert looks.step(one, 1.0) is None
    with pytest.raises(ValueError, match="no cascade"):
        looks.step(two, 1.0)
