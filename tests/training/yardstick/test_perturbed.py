"""The perturbed real clip: each change does what its name says, measured on the pictures and boxes that come out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edge.bundle import load_bundle
from edge.cameras import Camera
from edge.clips.crop import area_mean, square_enlarged
from edge.clips.grid import ModelFrame
from edge.errors import InputError
from edge.frames import Frame
from edge.person import Look
from edge.pipeline import Options, Pipeline
from edge.vitals import Estimate
from training.yardstick.perturbed import CASES, CHANGES, PerturbedCase, _real_clip, open_case

HEAD = (slice(150, 406), slice(110, 366))
"""Rows and columns of the clip that show skin and glasses: far from black and white, and with enough texture that
rounding leaves the mean alone."""


@pytest.fixture(scope="module")
def clip(shared_dir: Path) -> Path:
    return shared_dir / "data" / "face.mp4"


def case_of(change: str, scale: int = 1, offset: int = 0) -> PerturbedCase:
    return CASES[9 * CHANGES.index(change) + 3 * scale + offset]


def frames_of(camera: Camera) -> Iterator[Frame]:
    camera.open()
    yield from iter(camera.read, None)
    camera.close()


def images(case: PerturbedCase, clip: Path, count: int) -> np.ndarray:
    return np.stack([frame.image for frame in islice(frames_of(open_case(case, clip)[0]), count)])


def light(case: PerturbedCase, clip: Path, count: int = 301) -> np.ndarray:
    """Light of every frame against the real one's."""
    pairs = zip(frames_of(open_case(case, clip)[0]), _real_clip(clip).images, strict=True)
    return np.array([frame.image[HEAD].mean() / real[HEAD].mean() for frame, real in islice(pairs, count)])


def shifts(case: PerturbedCase, clip: Path, every: int, count: int = 301) -> np.ndarray:
    """How far frames stand from the real ones, right and down, in sides of the box."""
    camera, tracker = open_case(case, clip)
    found = []
    for frame in islice(frames_of(camera), 0, count, every):
        real, seen = (
            picture[HEAD][..., 1].astype(np.float32) for picture in (_real_clip(clip).images[frame.seq], frame.image)
        )
        shift_px, _ = cv2.phaseCorrelate(real, seen, cv2.createHanningWindow(real.shape, cv2.CV_32F))
        (track,) = tracker.step(frame)
        found.append(np.array(shift_px) / track.side_px)
    return np.array(found)


def beat(series: np.ndarray, hz: float, step_s: float) -> tuple[float, float]:
    """Amplitude of a sinusoid of ``hz`` fitted to the series, and the rms of what it leaves."""
    phase = 2.0 * np.pi * hz * step_s * np.arange(len(series))
    basis = np.column_stack([np.sin(phase), np.cos(phase), np.ones_like(phase)])
    fit = np.linalg.lstsq(basis, series, rcond=None)[0]
    return float(np.hypot(fit[0], fit[1])), float((series - basis @ fit).std())


def test_there_are_117_different_cases() -> None:
    assert len(CHANGES) == 13
    assert len({case.name for case in CASES}) == 117
    assert len({(case.change, case.scale, case.offset) for case in CASES}) == 117
    assert {case.change for case in CASES} == set(CHANGES)
    assert case_of("flicker", 2, 1).name.startswith("flicker-s0.69-o1")


def test_every_crop_lies_on_the_picture_even_while_it_moves(clip: Path) -> None:
    for case in CASES:
        camera: Any
        camera, tracker = open_case(case, clip)
        plan = camera._plan
        for index in range(0, 301, 3) if plan.shift is not None or plan.box_shift is not None else [0]:
            shape = (432, 432) if plan.as_cells else (592, 528)
            (track,) = tracker.step(Frame(np.zeros((*shape, 3), np.uint8), 0, "media", index, "rgb"))
            region = square_enlarged(track.box, shape)
            assert [region.w, region.h] == pytest.approx([1.5 * track.box.w] * 2)
            assert region.centre == pytest.approx(track.box.centre)
            x, y = (0.0, 0.0) if plan.shift is None else plan.shift[index] * track.box.w
            assert min(region.x - x, region.y - y) >= 0.0
            assert max(region.x + region.w - x - shape[1], region.y + region.h - y - shape[0]) <= 0.0


@pytest.mark.parametrize("change", CHANGES)
def test_frames_are_the_same_each_time_and_keep_the_clips_stamps_and_one_size(change: str, clip: Path) -> None:
    camera, tracker = open_case(case_of(change), clip)
    first, again = (list(islice(frames_of(camera), 4)) for _ in range(2))
    other = list(islice(frames_of(open_case(case_of(change), clip)[0]), 4))
    assert [frame.pts_ns for frame in first] == [0, 33333333, 66666667, 100000000]
    assert [frame.seq for frame in first] == [0, 1, 2, 3]
    assert len({frame.image.shape for frame in first}) == 1
    for one, two, three in zip(first, again, other, strict=True):
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.image, three.image)
    tracks = [track for frame in first for track in tracker.step(frame)]
    assert [track.moved for track in tracks] == [True, False, False, False]
    assert tracker.detections == 0


def test_the_clip_comes_whole_and_unchanged_under_jumping_boxes(clip: Path) -> None:
    camera, tracker = open_case(case_of("box_jumps"), clip)
    frames = list(frames_of(camera))
    assert len(frames) == 301
    assert camera.read() is None
    assert np.array_equal(np.stack([frame.image for frame in frames[::50]]), _real_clip(clip).images[::50])
    tracks = [track for frame in frames for track in tracker.step(frame)]
    assert [track.moved for track in tracks] == [True] + 300 * [False]
    assert len({track.side_px for track in tracks}) == 1
    jumps = np.linalg.norm(np.diff([track.box.centre for track in tracks], axis=0), axis=1) / tracks[0].side_px
    assert np.flatnonzero(jumps).tolist() == list(range(29, 300, 30))
    assert jumps[jumps > 0.0] == pytest.approx(0.02)


def test_boxes_are_scaled_and_shifted_as_the_case_says(clip: Path) -> None:
    face = _real_clip(clip).face
    frame = Frame(_real_clip(clip).images[0], 0, "media", 0, "rgb")
    for case in CASES[9 * CHANGES.index("drift") :][:9]:
        (track,) = open_case(case, clip)[1].step(frame)
        assert [track.box.w, track.box.h] == pytest.approx([case.scale * face.w] * 2)
        off = (np.array(track.box.centre) - face.centre) / track.box.w
        assert off == pytest.approx(case.offset)


@pytest.mark.parametrize(("change", "rms"), [("sway_1", 0.01), ("sway_3", 0.03)])
def test_sway_has_the_rms_it_is_named_by_and_is_slow(change: str, rms: float, clip: Path) -> None:
    moved = shifts(case_of(change, 0), clip, every=5)
    assert np.sqrt((moved**2).sum(axis=1).mean()) == pytest.approx(rms, rel=0.05)
    assert moved.std(axis=0) == pytest.approx(rms / np.sqrt(2.0), rel=0.05)
    power = np.abs(np.fft.rfft(moved * np.hanning(len(moved))[:, None], axis=0)) ** 2
    assert power[np.fft.rfftfreq(len(moved), 1.0 / 6.0) > 0.8].sum() < 0.02 * power.sum()


def test_head_rhythm_is_up_and_down_by_one_percent(clip: Path) -> None:
    moved = shifts(case_of("rhythm"), clip, every=2, count=120)
    amplitude, rest = beat(moved[:, 1], 1.7, 2.0 / 30.0)
    assert amplitude == pytest.approx(0.01, rel=0.05)
    assert rest < 0.0005
    assert np.abs(moved[:, 0]).max() < 0.0005


def test_flicker_is_one_percent_at_its_rate_with_a_phase_of_each_case(clip: Path) -> None:
    one, other = (light(case_of("flicker", 1, offset), clip, 90) for offset in range(2))
    amplitude, rest = beat(one, 1.9, 1.0 / 30.0)
    assert amplitude == pytest.approx(0.01, rel=0.03)
    assert rest < 0.0003
    assert one.mean() == pytest.approx(1.0, abs=0.002)
    assert np.abs(one - other).max() > 0.001


def test_drift_is_slow_and_five_percent(clip: Path) -> None:
    seen = light(case_of("drift"), clip)
    assert seen.std() == pytest.approx(0.05, rel=0.02)
    assert seen.mean() == pytest.approx(1.0, abs=0.002)
    power = np.abs(np.fft.rfft((seen - seen.mean()) * np.hanning(301))) ** 2
    assert power[np.fft.rfftfreq(301, 1.0 / 30.0) > 0.5].sum() < 0.02 * power.sum()


@pytest.mark.parametrize("offset", range(3))
def test_the_light_steps_once_to_085(offset: int, clip: Path) -> None:
    seen = light(case_of("step", 1, offset), clip, 215)
    at = int(np.argmax(seen < 0.95))
    assert 90 <= at <= 211
    assert seen[:at] == pytest.approx(1.0, abs=0.001)
    assert seen[at:] == pytest.approx(0.85, abs=0.001)


def test_dark_has_a_third_of_the_light_and_the_noise_of_a_webcam(clip: Path) -> None:
    assert light(case_of("dark"), clip, 10) == pytest.approx(0.35, abs=0.002)
    seen = images(case_of("dark"), clip, 2).astype(float)
    level = 0.35 * _real_clip(clip).images[:2].astype(float)
    grain = (seen - level)[:, 200:400, 100:400]
    wanted = 0.7**2 + 0.012 * level[:, 200:400, 100:400].mean() + 1.0 / 12.0
    assert grain.var() == pytest.approx(wanted, rel=0.02)
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.02


def test_cells_are_those_of_the_crop_in_whole_grey_levels(clip: Path) -> None:
    case = case_of("cells", 2, 1)
    plain = open_case(case_of("drift", 2, 1), clip)[1]
    camera, tracker = open_case(case, clip)
    for frame in islice(frames_of(camera), 3):
        real = Frame(_real_clip(clip).images[frame.seq], frame.pts_ns, "media", frame.seq, "rgb")
        (there,), (here,) = plain.step(real), tracker.step(frame)
        exact = area_mean(real.image, 9, square_enlarged(there.box, real.image.shape))
        cells = area_mean(frame.image, 9, square_enlarged(here.box, frame.image.shape))
        assert cells == pytest.approx(np.rint(exact), abs=1e-3)
        assert np.abs(cells - exact).max() > 0.3


class Counted:
    """An encoder whose packets are weighed."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.bits = encoder, 0

    def encode(self, picture: Any) -> list[Any]:
        packets = list(self._encoder.encode(picture))
        self.bits += sum(8 * packet.size for packet in packets)
        return packets


def test_h264_keeps_its_bit_rate_and_the_size_of_the_picture(clip: Path) -> None:
    errors, count = [], 125
    real = _real_clip(clip).images[20:count:20].astype(float)
    for kbit_s in (15, 25, 35, 50):
        camera: Any = open_case(case_of(f"h264_{kbit_s}"), clip)[0]
        camera.open()
        camera._codec._start(528, 592)
        counted = camera._codec._encoder = Counted(camera._codec._encoder)
        seen = np.stack([camera.read().image for _ in range(count)])
        assert seen.shape == (count, 592, 528, 3)
        assert 0.6 * kbit_s < counted.bits / 1000.0 / (count / 30.0) < 1.2 * kbit_s
        errors.append(float(((seen[20::20] - real) ** 2).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > 4.0


class Notes:
    """In the person's place: what it is told."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.cells: list[np.ndarray] = []
        self.forgets = self.restarts = 0

    def take(self, frame: ModelFrame, _displacement: Any) -> list[Any]:
        self.restarts += frame.restart
        self.cells.append(frame.data[:3])
        return []

    def clip(self) -> None:
        return None

    def accept(self, _outputs: Any) -> None:
        raise AssertionError("no clip was given")

    def look(self, *_: Any) -> Look:
        nothing = Estimate(None, 0.0, "starting", ("warming_up",), 0.0, 0, None)
        return Look(nothing, nothing, None)

    def forget(self) -> None:
        self.forgets += 1


def test_a_jumping_box_moves_the_crop_and_starts_nothing_anew(clip: Path) -> None:
    camera, tracker = open_case(case_of("box_jumps"), clip)
    notes, no_runtime = Notes(), cast("Any", None)
    options = Options("main", thermal=False)
    pipeline = Pipeline(load_bundle(None), no_runtime, tracker, options, lambda *_, **__: notes)
    for frame in islice(frames_of(camera), 80):
        list(pipeline.push(frame))
    assert notes.forgets == 1
    assert notes.restarts <= 1
    assert len(notes.cells) >= 75
    steps = np.abs(np.diff(notes.cells, axis=0)).mean(axis=(1, 2, 3))
    assert sorted(np.argsort(steps)[-2:].tolist()) == [29, 59]
    assert np.sort(steps)[-2] > 4.0 * np.median(steps)


def test_a_clip_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_case(CASES[0], tmp_path / "absent.mp4")
    grey = tmp_path / "grey.mp4"
    writer = cv2.VideoWriter(str(grey), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (320, 240))
    for _ in range(10):
        writer.write(np.full((240, 320, 3), 90, np.uint8))
    writer.release()
    with pytest.raises(InputError, match="no face"):
        open_case(CASES[0], grey)
