"""Several followers: painted faces, scripted boxes, one batched call of the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from fakes.painted_face import GreenRuntime, S, rgb_frames

from edge.bundle import load_bundle
from edge.clips.crop import Box
from edge.errors import FaultError
from edge.faces.track import FaceTrack
from edge.frames import Frame
from edge.pipeline import Options, Output, Pipeline, Presence
from edge.vitals import Vitals
from edge.zones import Zone

ZONES = (Zone("left", (0.0, 0.0, 0.5, 1.0)), Zone("right", (0.5, 0.0, 1.0, 1.0)))
Places = Callable[[float], dict[int, float]]


class Given:
    """Faces where a function of time says: person to the middle across. A new person has ``moved``."""

    detections = 0

    def __init__(self, places: Places) -> None:
        self._places = places
        self._before: dict[int, float] = {}

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        here = self._places(frame.pts_ns / S)
        new, self._before = here.keys() - self._before.keys(), here
        return tuple(
            FaceTrack(person, Box(x - 15.0, 50.0, 30.0, 30.0), moved=person in new, seen_ns=frame.pts_ns, score=1.0)
            for person, x in here.items()
        )


class Counting(GreenRuntime):
    """Keeps the batch sizes."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        self.batches.append(len(frames))
        return super().infer(frames)


def run(places: Places, seconds: float, zones: tuple[Zone, ...] = ZONES) -> tuple[Counting, list[Output]]:
    runtime = Counting()
    options = Options("room", thermal=False, zones=zones, people=2)
    pipeline = Pipeline(load_bundle(None), runtime, Given(places), options)
    outputs = [output for frame in rgb_frames(seconds) for output in pipeline.push(frame)]
    return runtime, outputs


def looks(outputs: list[Output], zone: str) -> list[tuple[float, int, str, bool]]:
    vitals = [output for output in outputs if isinstance(output, Vitals) and output.zone == zone]
    return [(round(one.pts_ns / S, 2), one.person, one.hr.state, one.lead) for one in vitals]


def news(outputs: list[Output]) -> list[tuple[str, int, bool]]:
    return [(one.zone, one.person, one.here) for one in outputs if isinstance(one, Presence)]


def test_one_call_of_the_model_serves_all_windows_that_are_due() -> None:
    runtime, outputs = run(lambda _: {0: 30.0, 1: 110.0}, 9.5)
    assert set(runtime.batches) == {2}
    assert [state for _, _, state, _ in looks(outputs, "left")][-1] == "low_quality"  # the painted faces are small
    assert [state for _, _, state, _ in looks(outputs, "right")][-1] == "low_quality"  # the painted faces are small


def test_a_fault_of_the_model_hits_all() -> None:
    runtime = Counting()
    options = Options("room", thermal=False, zones=ZONES, people=2)
    pipeline = Pipeline(load_bundle(None), runtime, Given(lambda _: {0: 30.0, 1: 110.0}), options)
    runtime.broken = True
    outputs: list[Output] = []

    def feed() -> None:
        for frame in rgb_frames(12):
            outputs.extend(pipeline.push(frame))

    with pytest.raises(FaultError, match="engine gone"):
        feed()
    assert {one.hr.state for one in outputs[-2:] if isinstance(one, Vitals)} == {"fault"}


def test_who_walks_into_another_zone_takes_nothing_along() -> None:
    _, outputs = run(lambda t: {0: 30.0 if t < 9.5 else 110.0}, 18.0)
    left, right = looks(outputs, "left"), looks(outputs, "right")
    assert [row for row in left if row[0] == 9.0] == [(9.0, 0, "low_quality", True)]
    assert [row for row in left if 9.4 < row[0] < 11] == [(9.5, 0, "no_face", True), (10.0, 0, "no_face", True)]
    assert {state for second, _, state, _ in right if 9.5 < second < 17} == {"starting"}
    assert news(outputs) == [("left", 0, True), ("left", 0, False), ("right", 0, True)]


def test_who_is_there_longest_is_the_zones_person_until_gone() -> None:
    both = (Zone("room"),)
    _, outputs = run(
        lambda t: {k: x for k, (x, end) in {5: (30.0, 4.5), 2: (110.0, 9.0)}.items() if t < end}, 7.0, both
    )
    rows = looks(outputs, "room")
    assert [row for row in rows if row[0] == 4.0] == [(4.0, 5, "starting", True), (4.0, 2, "starting", False)]
    assert [row for row in rows if 4.1 < row[0] < 4.9] == [(4.5, 5, "no_face", True)]
    assert [row for row in rows if row[0] == 5.0] == [(5.0, 2, "starting", True)]
    assert news(outputs) == [("room", 5, True), ("room", 2, True), ("room", 5, False)]


def test_seats_do_not_add_up_while_people_come_and_go() -> None:
    def churn(t: float) -> dict[int, float]:
        return {int(t / 0.5): 30.0, 1000 + int(t / 0.7): 110.0} if int(t * 4) % 2 else {}

    runtime = Counting()
    options = Options("room", thermal=False, people=2)
    pipeline = Pipeline(load_bundle(None), runtime, Given(churn), options)
    for frame in rgb_frames(12):
        list(pipeline.push(frame))
        assert len(pipeline._beds[0].seats) <= 2


def test_one_person_in_one_place_is_not_announced() -> None:
    pipeline = Pipeline(load_bundle(None), Counting(), Given(lambda _: {0: 30.0}), Options("main", thermal=False))
    outputs = [output for frame in rgb_frames(2.5) for output in pipeline.push(frame)]
    assert news(outputs) == []
    assert looks(outputs, "main") == [(1.0, 0, "starting", True), (2.0, 0, "starting", True)]
