"""What reaches a person's buffers: the thermal region, and another face in the box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from fakes.painted_face import GreenRuntime, KnownFace, S, rgb_at

from edge.bundle import Task, load_bundle
from edge.clips.crop import Box
from edge.clips.grid import Mark, ModelFrame
from edge.faces.track import FaceTrack, FaceTracker
from edge.follower import Follower
from edge.frames import Clip, Frame, FramePair
from edge.person import Look, Waves
from edge.pipeline import Options, Pipeline
from edge.rig import CameraGeometry, Plane, Rig
from edge.signals.state import Situation
from edge.vitals import Estimate, Vitals
from edge.zones import Zone

WARM, COOLER = Box(70.0, 10.0, 20.0, 20.0), Box(20.0, 10.0, 20.0, 20.0)
Cells = npt.NDArray[np.float32]


def plane(marker_px: float, by_px: float) -> Plane:
    rows = ((1.0, 0.0, by_px), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    return Plane(thermal_from_rgb=rows, marker_px=marker_px, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)


PICTURE = CameraGeometry(width=280, height=140)
TWO_PLANES = Rig(rgb=PICTURE, thermal=PICTURE, planes=(plane(12.0, 0.0), plane(20.0, 9.0)), marker_mm=40.0)
"""The border is at a face of 62 px: four times as wide as a marker."""


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
    heat[0:40, 10:50] = 30.0
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


class WarmJumps(WarmThere):
    """Its warm face jumps at 2 s."""

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        jumped = frame.pts_ns >= 2 * S
        moved, self._jumped = jumped and not self._jumped, jumped
        return tuple(replace(track, box=COOLER if jumped else WARM, moved=moved) for track in super().step(frame))

    _jumped = False


def test_a_warm_face_that_jumps_begins_thermal_anew_and_leaves_rgb_alone() -> None:
    notes = Notes()
    options = Options("main", thermal=True)
    pipeline = Pipeline(
        load_bundle(None), GreenRuntime(), FaceTracker(KnownFace()), options, lambda *_, **__: notes, WarmJumps()
    )
    for frame in both(3.5):
        list(pipeline.push(frame))
    assert notes.forgot == 1  # where the face was found, and nowhere else
    assert not any(frame.restart for frame in notes.frames[1:])
    warmth = {frame.t_ns: float(frame.data[3].mean()) for frame in notes.frames if frame.t_ns > S + S // 4}
    moved = [frame for frame in notes.frames if frame.marks & Mark.THERMAL_MOVED]
    assert len(moved) == 1
    (turn_ns,) = (frame.t_ns for frame in moved)
    assert 2 * S <= turn_ns <= 2 * S + S // 5
    assert all(degc == pytest.approx(34.0, abs=0.1) for t_ns, degc in warmth.items() if t_ns < turn_ns)
    assert all(degc == pytest.approx(30.0, abs=0.1) for t_ns, degc in warmth.items() if t_ns >= turn_ns)  # none between


def test_over_a_jump_of_the_warm_face_hr_stays_ok_and_rr_says_why_it_is_not() -> None:
    class Late(WarmJumps):
        """The same at 11 s."""

        def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
            return super().step(replace(frame, pts_ns=frame.pts_ns - 9 * S))

    pipeline = Pipeline(
        load_bundle(None), GreenRuntime(), FaceTracker(KnownFace()), Options("main", thermal=True), warm=Late()
    )
    looks = [one for frame in both(14.5) for one in pipeline.push(frame) if isinstance(one, Vitals)]
    at = {round(look.pts_ns / S): look for look in looks}
    assert {at[second].hr.state for second in range(10, 15)} == {"ok"}
    assert all("face_moved" not in at[second].rr.why for second in range(1, 11))
    assert all((at[second].rr.value, "face_moved" in at[second].rr.why) == (None, True) for second in range(12, 15))


def test_two_faces_at_two_distances_keep_planes_of_their_own() -> None:
    """What thermal shows of one does not depend on whether the other one is looked at."""
    sides = np.random.default_rng(5).uniform(60.0, 64.0, (2, 40))  # where either plane would stay
    sides[:, :3] = [[50.0], [75.0]]
    for zones in (("left",), ("right",)):
        alone, together = thermal_of(sides, zones), thermal_of(sides, ("left", "right"))
        for zone in zones:
            assert len(alone[zone]) > 30
            assert np.allclose(alone[zone], together[zone])
    assert len({round(float(one[0, 0]), 1) for zone in together.values() for one in zone}) > 2  # both planes serve


def thermal_of(sides: npt.NDArray[np.float64], zones: tuple[str, ...]) -> dict[str, list[Cells]]:
    """Thermal cells by zone of two faces of ``sides`` ``[2, N]`` px through a rig of two planes."""
    boxes = {"left": (0.0, 0.0, 0.5, 1.0), "right": (0.5, 0.0, 1.0, 1.0)}
    made: list[Notes] = []

    def notes(*_: object, **__: object) -> Notes:
        made.append(Notes())
        return made[-1]

    watched = tuple(Zone(name, boxes[name]) for name in zones)
    options = Options("room", thermal=True, rig=TWO_PLANES, zones=watched, people=2)
    pipeline = Pipeline(load_bundle(None), GreenRuntime(), Swaying(sides), options, notes)
    texture = np.rint(2.0 * np.sin(np.arange(140) / 9.0)[:, None] * np.cos(np.arange(280) / 7.0)[None, :])
    picture = np.repeat((120.0 + texture).astype(np.uint8)[:, :, None], 3, axis=2)
    heat = np.add.outer(np.zeros(140), np.arange(280.0)).astype(np.float32)
    for k in range(sides.shape[1]):
        t_ns = round(k / 30 * S)
        list(pipeline.push(Frame(heat, t_ns, "media", k, "thermal")))
        list(pipeline.push(Frame(picture, t_ns, "media", k, "rgb")))
    return {name: [frame.data[3] for frame in notes.frames] for name, notes in zip(zones, made, strict=True)}


class Swaying:
    """Two faces side by side, of given sides frame by frame."""

    detections = 0

    def __init__(self, sides: npt.NDArray[np.float64]) -> None:
        self._sides = iter(sides.T.tolist())
        self._found = False

    def pace(self, look_every_s: float) -> None: ...

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        new, self._found = not self._found, True
        places = [(70.0 - 0.5 * side, 70.0 - 0.5 * side, side) for side in next(self._sides)]
        return tuple(
            FaceTrack(person, Box(x + 140.0 * person, y, side, side), moved=new, seen_ns=frame.pts_ns, score=1.0)
            for person, (x, y, side) in enumerate(places)
        )


def test_another_face_in_the_same_box_begins_anew_only_where_others_are_about() -> None:
    for crowded, forgot in ((True, 2), (False, 1)):
        notes, rng = Notes(), np.random.default_rng(1)
        follower = Follower(load_bundle(None), notes, lambda: lambda *_: None, has_channel=False)
        for k in range(90):
            image = rgb_at(k / 30, rng)
            if k >= 60:
                image = image[::-1, ::-1].copy()
            image[40:60, 30 + 60 * (k >= 60) :][:, :20] //= 2
            track = FaceTrack(0, Box(20.0, 20.0, 80.0, 80.0), moved=k == 0, seen_ns=0, score=1.0)
            pair = FramePair(Frame(image, round(k / 30 * S), "media", k, "rgb"), None, thermal_absent="none")
            follower.see(pair, track, crowded=crowded)
        assert notes.forgot == forgot
        assert follower.moved_within(2 * S, 3 * S) == crowded
        ks = [frame.t_ns for frame in notes.frames]
        assert ks == sorted(ks)
