from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.cameras.scene import SceneParams
from edge.cameras.synthetic import SyntheticCamera, SyntheticQuery
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind

SMALL = "synthetic:?width=64&height=48&thermal_width=40&thermal_height=30&"


def opened(query: str, kind: FrameKind = "rgb", base: str = SMALL) -> SyntheticCamera:
    camera = camera_from_uri(base + query, kind)
    assert isinstance(camera, SyntheticCamera)
    camera.open()
    return camera


def frames(query: str, kind: FrameKind = "rgb", base: str = SMALL) -> list[Frame]:
    camera = opened(query, kind, base)
    return list(iter(camera.read, None))


def seconds(read: list[Frame]) -> np.ndarray:
    return np.array([frame.pts_ns for frame in read]) * 1e-9


def same(a: Frame, b: Frame) -> bool:
    return bool(np.array_equal(a.image, b.image))


def test_one_uri_gives_two_cameras_on_one_scene_at_their_own_rates():
    uri = "synthetic:?seconds=2&seed=3"
    rgb, thermal = camera_from_uri(uri, "rgb"), camera_from_uri(uri, "thermal")
    assert (rgb.name, rgb.kind, rgb.live) == (uri, "rgb", False)
    assert (thermal.name, thermal.kind, thermal.live) == (uri, "thermal", False)
    colour, warm = frames("seconds=2&seed=3", base="synthetic:?"), frames("seconds=2&seed=3", "thermal", "synthetic:?")
    assert (colour[0].image.shape, colour[0].image.dtype, colour[0].kind) == ((480, 640, 3), np.uint8, "rgb")
    assert (warm[0].image.shape, warm[0].image.dtype, warm[0].kind) == ((120, 160), np.uint16, "thermal")
    assert {frame.clock for frame in colour + warm} == {"media"}
    np.testing.assert_allclose(seconds(colour), np.arange(60) / 30.0, atol=1e-9)
    np.testing.assert_allclose(seconds(warm), 0.013 + np.arange(18) / 8.7, atol=1e-9)
    assert [frame.seq for frame in colour] == list(range(60))
    assert not any(frame.shutter for frame in warm)


def test_the_same_uri_gives_the_same_frames_however_it_is_read():
    query = "seconds=2&seed=9&nuisance=1&jitter_ms=3&drop=0.1"
    first = frames(query)
    camera = opened(query)
    for _ in range(7):
        camera.read()
    camera.close()
    assert camera.read() is None
    camera.open()
    again = list(iter(camera.read, None))
    assert [(f.pts_ns, f.seq) for f in first] == [(f.pts_ns, f.seq) for f in again]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    camera.close()
    camera.close()


def test_another_seed_gives_other_frames_and_stamps():
    one, two = frames("seconds=1&seed=1&jitter_ms=3"), frames("seconds=1&seed=2&jitter_ms=3")
    assert not any(same(a, b) for a, b in zip(one, two, strict=True))
    assert np.abs(seconds(one) - seconds(two)).max() > 1e-3


def test_thermal_frames_are_centikelvin():
    frame = frames("seconds=1&ambient_degc=20&netd_degc=0", "thermal", "synthetic:?")[0]
    assert (frame.scale_degc, frame.offset_degc) == (0.01, -273.15)
    degc = frame.image * frame.scale_degc + frame.offset_degc
    assert 18.0 < degc.min() < 22.0
    assert 33.5 < degc.max() < 36.5
    camera = opened("seconds=1&ambient_degc=20&netd_degc=0", "thermal", "synthetic:?")
    true = camera.scene.render_thermal([frame.pts_ns * 1e-9], camera.view)[0]
    assert np.abs(degc - true).max() <= 0.0051


def test_rates_and_jitter_are_as_asked():
    even = seconds(frames("seconds=10&fps=29.97&face=none"))
    assert np.diff(even) == pytest.approx(1.0 / 29.97, abs=1e-8)
    late = seconds(frames("seconds=10&fps=29.97&face=none&jitter_ms=4"))
    assert (late - even).std() == pytest.approx(0.004, rel=0.15)
    assert (np.diff(late) > 0.0).all()
    wild = seconds(frames("seconds=10&fps=29.97&face=none&jitter_ms=100"))
    assert (np.diff(wild) > 0.0).all()
    slow = seconds(frames("seconds=20&thermal_fps=5&offset_ms=200&face=none", "thermal"))
    np.testing.assert_allclose(slow, 0.2 + np.arange(99) / 5.0, atol=1e-9)


def test_drops_are_gaps_in_seq_at_true_stamps():
    kept = frames("seconds=20&drop=0.1&thermal_drop=0.5&face=none")
    assert len(kept) == pytest.approx(540, abs=25)
    np.testing.assert_allclose(seconds(kept), np.array([f.seq for f in kept]) / 30.0, atol=1e-9)
    assert len(frames("seconds=20&drop=0.1&thermal_drop=0.5&face=none", "thermal")) == pytest.approx(87, abs=20)


def test_the_shutter_gives_frozen_frames_and_says_so():
    read = frames("seconds=7&ffc_every_s=3&ffc_s=0.6", "thermal")
    shut = [frame for frame in read if frame.shutter]
    times = seconds(shut)
    assert (((times >= 3.0) & (times < 3.6)) | ((times >= 6.0) & (times < 6.6))).all()
    assert len(shut) in range(9, 12)
    for a, b in itertools.pairwise(read):
        assert same(a, b) == (a.shutter and b.shutter)
    assert not any(frame.shutter for frame in frames("seconds=7&ffc_every_s=3"))


@pytest.mark.parametrize(("kind", "prefix"), [("rgb", ""), ("thermal", "thermal_")])
def test_a_frozen_camera_repeats_one_frame_with_true_stamps(kind: FrameKind, prefix: str):
    read = frames(f"seconds=4&{prefix}freeze_at_s=1&{prefix}freeze_s=2", kind)
    assert np.diff(seconds(read)) == pytest.approx(1.0 / (30.0 if kind == "rgb" else 8.7), abs=1e-8)
    for a, b in itertools.pairwise(read):
        assert same(a, b) == (a.pts_ns >= 1_000_000_000 and b.pts_ns < 3_000_000_000)
    other = frames(f"seconds=4&{prefix}freeze_at_s=1&{prefix}freeze_s=2", "thermal" if kind == "rgb" else "rgb")
    assert not any(same(a, b) for a, b in itertools.pairwise(other))


@pytest.mark.parametrize(("kind", "prefix"), [("rgb", ""), ("thermal", "thermal_")])
def test_a_camera_pulled_out_breaks_the_stream(kind: FrameKind, prefix: str):
    camera = opened(f"seconds=4&{prefix}stop_at_s=1", kind)
    for _ in range(30 if kind == "rgb" else 9):
        last = camera.read()
    assert last is not None
    assert 0.85e9 < last.pts_ns < 1e9
    for _ in range(2):
        with pytest.raises(InputError, match=r"stopped at 1.0 s"):
            camera.read()
    other = frames(f"seconds=2&{prefix}stop_at_s=1", "thermal" if kind == "rgb" else "rgb")
    assert seconds(other)[-1] > 1.8


def test_a_covered_lens_gives_black_frames():
    read = frames("seconds=3&black_at_s=1&black_s=1")
    dark = [not frame.image.any() for frame in read]
    assert dark == [1.0 <= t < 2.0 for t in seconds(read)]


@pytest.mark.parametrize("event", ["leave", "occlude"])
def test_the_face_goes_and_comes_back(event: str):
    read = frames(f"seconds=9&{event}_at_s=2&{event}_s=4&noise=0&nuisance=0", "thermal")
    warm = np.array([(frame.image * 0.01 - 273.15 > 31.0).mean() for frame in read])
    times = seconds(read)
    assert warm[times < 2.0].min() > 0.05
    assert warm[(times > 3.0) & (times < 5.0)].max() < 0.02
    assert warm[times > 6.1].min() > 0.05


def test_truth_is_the_mean_over_the_windows_of_the_rates():
    camera = opened("seconds=40&hr=80&rr=18&seed=5")
    times = np.arange(20.0, 30.0, 0.01)
    body = camera.scene.truth(times)
    truth = camera.truth_at(30_000_000_000)
    assert truth is not None
    assert truth.hr_per_min == pytest.approx(body.hr_per_min.mean(), abs=0.1)
    assert truth.rr_per_min == pytest.approx(camera.scene.truth(np.arange(0.0, 30.0, 0.01)).rr_per_min.mean(), abs=0.1)
    assert opened("seconds=40&hr=80&rr=18&seed=5", "thermal").truth_at(30_000_000_000) == truth
    early = camera.truth_at(0)
    assert early is not None
    assert 60.0 < early.hr_per_min < 100.0
    assert camera.truth_at(60_000_000_000) is None
    assert opened("face=photo").truth_at(0) is None
    assert opened("face=none").truth_at(0) is None


def test_a_parallax_moves_the_thermal_picture_by_rgb_pixels():
    base = "synthetic:?seconds=1&nuisance=0&netd_degc=0&"
    straight, moved = (frames(f"parallax_px={px}", "thermal", base)[0].image.astype(float) for px in (0, 40))
    np.testing.assert_allclose(moved[:, :-10], straight[:, 10:], atol=6.0)
    assert np.abs(moved - straight).max() > 500.0


def test_every_parameter_of_the_scene_and_its_cameras_can_be_written_in_the_uri():
    defaults = {name: getattr(SyntheticQuery(), name) for name in SyntheticQuery.__struct_fields__}
    assert set(SceneParams.__struct_fields__) < set(defaults)
    defaults |= {"hr_to": 90.0, "rr_to": 20.0}
    asked = {name: 1.0 if value is None else value for name, value in defaults.items()}
    text = "&".join(f"{name}={value}" for name, value in asked.items())
    camera = camera_from_uri(f"synthetic:?{text}", "rgb")
    assert isinstance(camera, SyntheticCamera)
    assert msgspec.structs.asdict(camera.query) == asked


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?hrs=72", "did you mean 'hr'"),
        ("?thermalfps=9", "did you mean 'thermal_fps'"),
        ("?hr=fast", r"hr"),
        ("?hr=500", "<= 240.0"),
        ("?tone=0", ">= 1.0"),
        ("?nuisance=2", "<= 1.0"),
        ("?face=cat", "face"),
        ("?seconds=0", "> 0.0"),
        ("?hr=nan", "hr"),
        ("?flicker=inf", "flicker"),
        ("?hr=70&hr=71", "twice"),
        ("face.mp4", "no target"),
    ],
)
def test_a_bad_uri_is_one_line_that_says_what_is_wrong(query: str, words: str):
    with pytest.raises(UsageError, match=words) as caught:
        camera_from_uri(f"synthetic:{query}", "rgb")
    assert "\n" not in str(caught.value)
