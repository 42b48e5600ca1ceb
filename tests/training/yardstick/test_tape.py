"""A tape tells a person what the cameras would have told it: nothing more, nothing less, in the same order."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.cameras import Camera, camera_from_uri
from edge.faces import detector_by_name
from edge.faces.track import FaceTracker
from edge.pipeline import Options, Pipeline
from edge.runtimes.onnxrt import open_runtime
from edge.vitals import Vitals
from training.yardstick.tape import Tape, load_tape, replay, save_tape, tape_from_cameras

SCENE = "synthetic:?hr=75&rr=18&seconds=13&seed=1&width=320&height=240&drop=0.01&jitter_ms=2&leave_at_s=9.5&leave_s=2.5"


def cameras(uri: str) -> list[Camera]:
    return [camera_from_uri(uri, kind) for kind in ("rgb", "thermal")]


def tracker() -> FaceTracker:
    return FaceTracker(detector_by_name("haar"))


@pytest.fixture(scope="module")
def tape(bundle: Bundle) -> Tape:
    return tape_from_cameras(bundle, cameras(SCENE), tracker())


def test_a_replay_shows_what_the_pipeline_shows(bundle: Bundle, tape: Tape) -> None:
    runtime = open_runtime(bundle, "exact", "auto")
    pipeline = Pipeline(bundle, runtime, tracker(), Options("main", thermal=True))
    both = cameras(SCENE)
    for camera in both:
        camera.open()
    frames = heapq.merge(*(iter(camera.read, None) for camera in both), key=lambda frame: frame.pts_ns)
    outputs = [output for frame in frames for output in pipeline.push(frame)] + list(pipeline.finish())
    direct = [(v.pts_ns, v.hr, v.rr) for v in outputs if isinstance(v, Vitals)]
    replayed = [(tick_ns, look.hr, look.rr) for tick_ns, look in replay(tape, bundle, runtime)]
    assert replayed == direct
    states = [hr.state for _, hr, _ in replayed]
    assert {"starting", "no_face"} <= set(states)
    assert any(what == "forget" for what, *_ in tape.events)


def test_a_saved_tape_is_the_same_tape(tape: Tape, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.npz"
    save_tape(tape, path)
    again = load_tape(path)
    assert again is not None
    assert again.events == tape.events
    assert (again.thermal, again.camera, again.hop_s, again.fps) == (True, True, 1.0, 30.0)
    for name in ("k", "t_ns", "marks", "restart", "data", "moves"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tape, name))
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.npz"]


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_damaged_or_absent_tape_is_no_tape(tape: Tape, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.npz"
    assert load_tape(path) is None
    save_tape(tape, path)
    path.write_bytes(path.read_bytes()[:keep])
    assert load_tape(path) is None


def test_another_geometry_is_refused(bundle: Bundle, tape: Tape) -> None:
    import msgspec

    other = Bundle(bundle.id, msgspec.structs.replace(bundle.manifest, size=18), bundle.files, bundle.place)
    with pytest.raises(ValueError, match="9 px"):
        next(replay(tape, other, open_runtime(bundle, "exact", "auto")))


def test_a_camera_that_breaks_ends_there_and_the_other_goes_on(bundle: Bundle) -> None:
    broken = tape_from_cameras(bundle, cameras(f"{SCENE}&thermal_stop_at_s=3"), tracker())
    looks = [number for what, number, *_ in broken.events if what == "look"]
    assert looks[-1] > 12e9
    late = [(hr, rr) for what, number, hr, rr in broken.events if what == "look" and 7e9 < number < 9e9]
    assert late
    assert all(rr is not None and rr.state == "thermal_lost" and hr is not None and hr.state is None for hr, rr in late)
