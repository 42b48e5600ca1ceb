"""Each fault of a camera ends ``ok`` within two seconds, and is told by its code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes.painted_face import HR_PER_MIN, Bench, S, rgb_frames, thermal_frames

from edge.bundle import load_bundle
from edge.cameras import camera_from_uri
from edge.cameras.faulty import FAULTS, Fault, FaultyCamera
from edge.errors import UsageError
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.frames import Frame, FrameKind
from edge.pipeline import Options, Pipeline
from edge.runtimes.onnxrt import open_runtime
from edge.vitals import Vitals


class Reel:
    """A camera that gives these frames."""

    live = False

    def __init__(self, kind: FrameKind, frames: Iterable[Frame]) -> None:
        self.name, self.kind = "reel", kind
        self._frames = list(frames)
        self.open()

    def open(self) -> None:
        self._next: Iterator[Frame] = iter(self._frames)

    def read(self) -> Frame | None:
        return next(self._next, None)

    def close(self) -> None: ...


def spoilt(kind: FrameKind, frames: Iterable[Frame], *faults: Fault) -> list[Frame]:
    camera = FaultyCamera(Reel(kind, frames), faults)
    camera.open()
    return list(iter(camera.read, None))


def looks(frames: Iterable[Frame], *, thermal: bool = False) -> dict[int, Vitals]:
    """What is told in each second."""
    bench = Bench(thermal=thermal).feed(frames)
    return {look.pts_ns // S: look for look in bench.finish()}


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("stop", "camera_lost", "camera_ended"),
        ("slow", "lost", "low_fps"),
        ("freeze", "stale", "frozen"),
        ("black", "no_face", "no_face"),
        ("dim", None, "light_change"),
        ("saturate", "stale", "frozen"),
        ("resize", "starting", "warming_up"),
    ],
)
def test_a_fault_of_the_picture_ends_ok_within_two_seconds_and_is_told(name: str, state: str | None, code: str) -> None:
    shown = looks(spoilt("rgb", rgb_frames(17), Fault(name, 10.9, 5.0)))
    assert shown[10].hr.state == "ok"
    late = [shown[second].hr for second in (13, 14)]
    assert all(one.state != "ok" for one in late)
    assert any(code in one.why for one in late), [one.why for one in late]
    if state is not None:
        assert {one.state for one in late} == {state}
        assert all(one.value is None for one in late)


@pytest.mark.parametrize("name", ["reorder", "light_drift"])
def test_what_harms_no_pulse_leaves_it_and_it_stays_right(name: str) -> None:
    shown = looks(spoilt("rgb", rgb_frames(16), Fault(name, 10.2, 5.0)))
    for second in range(10, 16):
        assert shown[second].hr.state == "ok"
        assert shown[second].hr.value == pytest.approx(HR_PER_MIN, abs=1.5)


def test_a_lamp_that_goes_out_and_on_again_is_told_and_makes_no_number_wrong() -> None:
    shown = looks(spoilt("rgb", rgb_frames(20), Fault("light_step", 10.9, 5.0)))
    assert any("light_change" in shown[second].hr.why for second in (16, 17))
    numbers = [shown[second].hr.value for second in range(9, 20)]
    assert [value for value in numbers if value is not None] == pytest.approx(
        [HR_PER_MIN] * sum(value is not None for value in numbers), abs=1.5
    )


def test_what_harms_no_temperature_leaves_rr() -> None:
    faults = Fault("reorder", 21.2, 1.5), Fault("resize", 23.2, 4.0)
    thermal = spoilt("thermal", thermal_frames(26), *faults)
    shown = looks(sorted([*rgb_frames(26), *thermal], key=lambda frame: frame.pts_ns), thermal=True)
    assert all(shown[second].rr.state == "ok" for second in range(22, 26))


@pytest.mark.parametrize(
    ("name", "code"),
    [("nan", "thermal_gap"), ("stop", "thermal_gap"), ("freeze", "ffc"), ("shutter", "ffc"), ("black", "ffc")],
)
def test_a_fault_of_thermal_ends_rr_alone(name: str, code: str) -> None:
    thermal = spoilt("thermal", thermal_frames(27), Fault(name, 23.2, 4.0))
    shown = looks(sorted([*rgb_frames(27), *thermal], key=lambda frame: frame.pts_ns), thermal=True)
    assert shown[23].rr.state == "ok"
    assert all(shown[second].rr.state != "ok" and code in shown[second].rr.why for second in (25, 26))
    assert all(shown[second].hr.state == "ok" for second in range(22, 27))


def test_one_thermal_pixel_that_is_no_number_costs_the_face_and_never_the_run() -> None:
    frames = []
    for frame in thermal_frames(17):
        image = frame.image.copy()
        image[60, 60] = np.inf
        frames.append(Frame(image, frame.pts_ns, "media", frame.seq, "thermal"))
    shown = looks(sorted([*rgb_frames(17), *frames], key=lambda frame: frame.pts_ns), thermal=True)
    assert shown[16].hr.state == "ok"
    assert shown[16].rr.state != "ok"
    assert "thermal_gap" in shown[16].rr.why


@pytest.mark.scenes
@pytest.mark.parametrize("seed", [1, 3])
def test_a_real_face_shuffled_in_time_has_no_pulse(seed: int, shared_dir: Path) -> None:
    """Every frame is of a living face and no two follow each other: it gave ``ok`` before this was looked for."""
    camera = camera_from_uri(str(shared_dir / "data/face.mp4"), "rgb")
    camera.open()
    images = [frame.image for frame in iter(camera.read, None)]
    camera.close()
    orders = np.random.default_rng(seed), np.random.default_rng(seed + 9)
    order = np.concatenate([rng.permutation(len(images)) for rng in orders])
    bundle = load_bundle(None)
    tracker = FaceTracker(detector_by_name("haar"))
    pipeline = Pipeline(bundle, open_runtime(bundle, "exact", "auto"), tracker, Options("main", thermal=False))
    shown = [
        output
        for number, index in enumerate(order)
        for output in pipeline.push(Frame(images[index], round(number / 30 * S), "media", number, "rgb"))
        if isinstance(output, Vitals)
    ]
    assert len(shown) >= 19
    assert all(look.hr.value is None for look in shown)
    assert any("not_alive" in look.hr.why for look in shown)


# ------------------------------------------------------------------------------------------------ the faults themselves


def test_a_fault_happens_in_its_time_alone_and_again_after_reopening() -> None:
    frames = list(rgb_frames(2))
    camera = FaultyCamera(Reel("rgb", frames), [Fault("black", 0.5, 0.5)])
    for _ in range(2):
        camera.open()
        black = [frame.pts_ns / S for frame in iter(camera.read, None) if not frame.image.any()]
        assert (min(black), max(black)) == (pytest.approx(0.5), pytest.approx(29 / 30))
    assert "black at 0.5 s" in camera.name


def test_reordered_frames_are_all_there() -> None:
    stamps = [frame.pts_ns for frame in spoilt("rgb", rgb_frames(2), Fault("reorder", 0.5, 1.0))]
    assert len(stamps) == 60
    assert stamps != sorted(stamps)
    assert sorted(stamps) == [frame.pts_ns for frame in rgb_frames(2)]


def test_an_unknown_fault_and_a_time_that_is_none_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'freeze'"):
        Fault("freze", 1.0, 1.0)
    with pytest.raises(UsageError, match="want a time"):
        Fault("black", 1.0, 0.0)
    assert set(FAULTS) >= {"stop", "freeze", "black", "saturate", "nan", "resize", "reorder", "shutter"}
