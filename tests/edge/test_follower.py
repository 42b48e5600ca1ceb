"""What reaches a person's buffers: the thermal region, and another face in the box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from fakes.painted_face import GreenRuntime, KnownFace, S, rgb_at

from edge.bundle import Task, load_bundle
from edge.clips.crop import Box
from edge.clips.grid import Mark, ModelFrame
from edge.faces.track import FaceTrack, FaceTracker
from edge.follower import Follower
from edge.frames import Clip, Frame, FramePair
from edge.person import Look, Waves
from edge.pipeline import Options, Pipeline
from edge.signals.state import Situation
from edge.vitals import Estimate

WARM = Box(70.0, 10.0, 20.0, 20.0)


class Notes:
    """Keeps what a person would be told."""

    def __init__(self, *_: object, **__: object) -> None:
        self.frames: list[ModelFrame] = []
        self.forgot = 0

    def take(self, frame: ModelFrame, displacement: npt.NDArray[np.float32]) -> list[Waves]:
        self.frames.append(frame)
        return []

    def clip(self) -> Clip | None:
        return None

    def accept(self, outputs: Mapping[Task, npt.NDArray[np.float32]]) -> None: ...

    def look(self, tick_ns: int, hr: Situation, rr: Situation) -> Look:
        nothing = Estimate(None, 0.0, "starting", ("warming_up",), 0.0, 0, None)
        return Look(nothing, nothing, None)

    def forget(self) -> None:
        self.forgot += 1


class WarmThere:
    """Sees one warm face, from 1 s on."""

    detections = 0

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        here = frame.pts_ns >= S
        return (FaceTrack(0, WARM, moved=False, seen_ns=frame.pts_ns, score=1.0),) if here else ()


def both(seconds: float) -> Iterator[Frame]:
    """RGB with its face on the left; thermal 9 a second with a warm patch on the right."""
    rng = np.random.default_rng(1)
    heat = np.full((60, 120), 22.0, np.float32)
    heat[0:40, 60:100] = 34.0
    for k in range(round(30 * seconds)):
        if k % 3 == 0:
            noisy = heat + rng.normal(0.0, 0.02, heat.shape).astype(np.float32)
            yield Frame(noisy, round(k / 30 * S), "media", k // 3, "thermal")
        yield Frame(rgb_at(k / 30, rng), round(k / 30 * S), "media", k, "rgb")


def test_with_a_roi_of_its_own_thermal_is_cut_where_the_warm_face_is() -> None:
    notes = Notes()
    options = Options("main", thermal=True)
    pipeline = Pipeline(
        load_bundle(None), GreenRuntime(), FaceTracker(KnownFace()), options, lambda *_, **__: notes, WarmThere()
    )
    for frame in both(3.0):
        list(pipeline.push(frame))
    early = [frame for frame in notes.frames if S // 2 < frame.t_ns < S - S // 10]
    late = [frame for frame in notes.frames if frame.t_ns > 2 * S]
    assert early
    assert all(frame.marks & Mark.THERMAL_BRIDGED for frame in early)  # no warm face yet: no thermal
    assert late
    assert not any(frame.marks & Mark.THERMAL_BRIDGED for frame in late)
    assert all(frame.data[3].min() > 33.9 for frame in late)


def test_another_face_in_the_same_box_begins_anew_only_where_others_are_about() -> None:
    for crowded, forgot in ((True, 2), (False, 1)):
        notes, rng = Notes(), np.random.default_rng(1)
        follower = Follower(load_bundle(None), notes, has_channel=False)
        for k in range(90):
            image = rgb_at(k / 30, rng)
            if k >= 60:
                image = image[::-1, ::-1].copy()
            image[40:60, 30 + 60 * (k >= 60) :][:, :20] //= 2
            track = FaceTrack(0, Box(20.0, 20.0, 80.0, 80.0), moved=k == 0, seen_ns=0, score=1.0)
            pair = FramePair(Frame(image, round(k / 30 * S), "media", k, "rgb"), None, thermal_absent="none")
            follower.see(pair, track, lambda *_: None, crowded=crowded)
        assert notes.forgot == forgot
        assert follower.moved_within(2 * S, 3 * S) == crowded
        ks = [frame.t_ns for frame in notes.frames]
        assert ks == sorted(ks)
