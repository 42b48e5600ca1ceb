"""The stage view on the real chain: small scenes, the real detector, the default bundle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fakes.video_files import write_video

from edge import person, pipeline, profile_stages
from edge.bundle import load_bundle
from edge.cameras import camera_from_uri, video
from edge.clips.thermal_view import ThermalView
from edge.config import Kit
from edge.errors import EvidenceError, UsageError
from edge.faces.track import FaceTracker
from edge.profile_parts import stage_lines
from edge.profile_stages import SEAMS, Stopwatch, view_stages
from edge.profile_types import STAGES, EngineTimes, Phases, Spread, Stage, StageView

SCENE = "synthetic:?seconds=7.2&width=320&height=240&codec=mjpeg"


def seams() -> list[object]:
    return [
        cv2.imdecode, video._decoded, video._decoded_if_whole, video._upright, FaceTracker.step, pipeline.model_cells,
        ThermalView.cells, person.Person.accept, person.Person.look,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def view() -> StageView:
    before = seams()
    found = view_stages(Kit(rgb=SCENE, thermal="none"), load_bundle(None))
    assert seams() == before, "what was wrapped has to be put back"
    return found


def test_what_is_timed_inside_is_taken_off_the_outer_stage() -> None:
    now = 0

    def passes(ns: int) -> None:
        nonlocal now
        now += ns

    watch = Stopwatch(lambda: now, lambda: now // 2)
    inner = watch.around("crop", lambda: passes(40))
    for _ in range(2):
        with watch.span("grid"):
            passes(100)
            inner()
            passes(10)
    assert watch.taken == {"crop": {0: (40, 20), 1: (40, 20)}, "grid": {0: (110, 55), 1: (110, 55)}}


def test_of_a_generator_the_time_inside_of_it_counts() -> None:
    now = 0

    def pieces() -> object:
        nonlocal now
        for _ in range(3):
            now += 5
            yield now

    watch = Stopwatch(lambda: now, lambda: 0)
    for number, _ in enumerate(watch.around("decode", pieces)()):
        now += 1000  # what the reader does meanwhile
        watch.frame = number + 1
    assert watch.taken["decode"] == {0: (5, 0), 1: (5, 0), 2: (5, 0), 3: (0, 0)}


def test_every_stage_is_named_and_what_does_not_exist_says_why(view: StageView) -> None:
    stages = {stage.name: stage for stage in view.stages}
    assert tuple(stages) == STAGES
    assert (view.width, view.height, view.fps, view.frames) == (320, 240, 30.0, 216)
    assert view.windows >= 1
    assert stages["engine"].calls == view.windows
    assert stages["decode"].calls == stages["face"].calls == view.frames
    assert stages["crop"].calls >= view.frames - 30
    assert min(stages[name].calls for name in ("grid", "post", "publish")) >= 7
    for copy in ("host-to-device", "device-to-host"):
        assert (stages[copy].calls, stages[copy].note[:21]) == (0, "none: ONNX Runtime on")
    assert not stages["capture"].counts
    counted = sum(stage.ms_per_frame for stage in view.stages if stage.name != "capture")
    assert view.ms_per_frame == pytest.approx(counted, abs=1e-3)
    assert view.share == pytest.approx(view.ms_per_frame * 30.0 / 1000.0, abs=1e-3)


def test_the_table_names_them_all(view: StageView) -> None:
    said = list(stage_lines(view))
    assert [line.split()[0] for line in said[2:-1]] == list(STAGES)
    assert "not counted: draws and encodes the scene" in said[2]
    assert "none: ONNX Runtime on the CPU reads the frames where they lie" in said[7]
    assert said[-1].endswith(" frames a second")


def test_seams_are_places_that_exist() -> None:
    assert len(seams()) == len(SEAMS)
    assert {stage for stage, _, _ in SEAMS} <= set(STAGES)


def test_the_pictures_of_a_file_are_decoded_in_the_stage_of_that_name(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), 10 * k, np.uint8) for k in range(20)]
    camera = camera_from_uri(f"video:{write_video(tmp_path / 'it.mp4', images)}", "rgb")
    watch = Stopwatch()
    camera.open()
    with profile_stages._seams_timed(watch):
        for frame in profile_stages._in_order([camera], watch):
            watch.frame = frame.seq + 1
    camera.close()
    assert len(watch.taken["decode"]) >= 20
    assert len(watch.taken["capture"]) >= 20
    assert min(wall for wall, _ in list(watch.taken["decode"].values())[:19]) > 0


def test_copies_of_an_engine_are_taken_off_its_call() -> None:
    def spread(ms: float) -> Spread:
        return Spread(ms, ms, None, ms, ms, ms)

    def phases(h2d: float, *, graph: bool) -> Phases:
        return Phases("self-test", graph, 9, spread(1.0), spread(h2d), spread(0.6), spread(0.1), spread(0.2))

    both = [phases(9.0, graph=False), phases(0.3, graph=True)]
    engine = EngineTimes("tensorrt 10.3.0", "Orin", "8.7", "12.6", "", both,
                         1.0, 1.0, 1.0, "", "")  # fmt: skip
    stages = [Stage(name, 10, 5.0, 6.0, 0.5, 0.1, counts=True, note="") for name in STAGES]
    found = {one.name: one for one in profile_stages._without_copies(stages, engine, 100)}
    assert tuple(found) == STAGES
    assert (found["host-to-device"].p50_ms, found["host-to-device"].ms_per_frame) == (0.3, 0.03)
    assert (found["device-to-host"].p50_ms, found["device-to-host"].ms_per_frame) == (0.1, 0.01)
    assert (found["engine"].p50_ms, found["engine"].ms_per_frame) == (4.6, 0.46)


def test_a_source_that_shows_nobody_is_no_result(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), 10 * k, np.uint8) for k in range(5)]
    path = write_video(tmp_path / "it.mp4", images)
    with pytest.raises(EvidenceError, match="the model never ran in 5 frames; show a face for longer"):
        view_stages(Kit(rgb=str(path), thermal="none"), load_bundle(None))


def test_streams_are_refused() -> None:
    with pytest.raises(UsageError, match="measures whole windows"):
        view_stages(Kit(rgb="synthetic:", mode="stream"), load_bundle(None))


def test_two_live_cameras_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    live = [SimpleNamespace(live=True), SimpleNamespace(live=True)]
    monkeypatch.setattr(profile_stages, "cameras_from_kit", lambda _kit: live)
    with pytest.raises(UsageError, match="one live camera at a time"):
        view_stages(Kit(rgb="video:/dev/video0"), load_bundle(None))
