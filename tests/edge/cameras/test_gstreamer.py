"""Real pipelines through PyGObject where this machine has it, and what is said where it has not."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.cameras.gstreamer import ArgusQuery, GstSource
from edge.errors import GoneError, InputError, MissingExtraError, SilentError, UsageError
from edge.frames import Frame

SYSTEM = Path("/usr/lib/python3/dist-packages")
TEST = "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=162,height=120,framerate=60/1"


@pytest.fixture
def gst(monkeypatch: pytest.MonkeyPatch) -> Any:
    """GStreamer's module: of this environment, or the system's where it is built for this Python."""
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}-"
    if importlib.util.find_spec("gi") is None and any((SYSTEM / "gi").glob(f"_gi.{tag}*")):
        monkeypatch.setattr(sys, "path", [*sys.path, str(SYSTEM)])
    try:
        import gi

        gi.require_version("Gst", "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        pytest.skip(f"no PyGObject with GStreamer for this Python ({error})")
    Gst.init(None)
    for element in ("videotestsrc", "videoconvert", "appsink"):
        if Gst.ElementFactory.find(element) is None:
            pytest.skip(f"no GStreamer element {element}: apt-get install gstreamer1.0-plugins-base")
    return Gst


def taken(camera: Any, count: int) -> Iterator[Frame]:
    return itertools.islice((camera.read() for _ in itertools.count()), count)


def test_frames_of_a_live_pipeline_are_stamped_when_they_were_taken(gst: Any) -> None:
    camera = camera_from_uri(f"gstreamer:{TEST}", "rgb")
    camera.open()
    begun_ns = time.monotonic_ns()
    frames = list(taken(camera, 12))
    ended_ns = time.monotonic_ns()
    camera.close()
    camera.close()
    assert [frame.image.shape for frame in frames] == [(120, 162, 3)] * 12
    assert {frame.clock for frame in frames} == {"monotonic"}
    assert frames[0].seq == 0
    numbers, stamps = (np.array([getattr(frame, key) for frame in frames]) for key in ("seq", "pts_ns"))
    assert np.diff(stamps) / np.diff(numbers) == pytest.approx(1e9 / 60, abs=10)  # the pipeline's stamps, not arrivals
    assert begun_ns - 5 * 10**9 < stamps[0] < stamps[-1] < ended_ns
    bars = frames[0].image[30, 10:160:23].astype(int)  # white, yellow, cyan, green, magenta, red, blue
    assert (bars > 128).tolist() == [[c in name for c in "rgb"] for name in ("rgb", "rg", "gb", "g", "rb", "r", "b")]


def test_thermal_counts_of_a_file_pass_untouched_at_their_own_pace(gst: Any, tmp_path: Path) -> None:
    counts = np.random.default_rng(5).integers(0, 2**16, (4, 12, 162)).astype("<u2")
    (tmp_path / "counts.raw").write_bytes(counts.tobytes())
    parse = "rawvideoparse format=gray16-le width=162 height=12 framerate=60/1"
    uri = f"gstreamer:filesrc location={tmp_path}/counts.raw ! {parse}?scale=0.5&offset=-10"
    camera = camera_from_uri(uri, "thermal")
    camera.open()
    frames = [(frame, time.monotonic_ns()) for frame in taken(camera, 4)]
    camera.close()
    for (frame, now_ns), image in zip(frames, counts, strict=True):
        assert np.array_equal(frame.image, image)
        assert (frame.scale_degc, frame.offset_degc, frame.image.dtype) == (0.5, -10.0, np.uint16)
        assert frame.pts_ns <= now_ns


def test_a_pipeline_that_ends_is_made_anew_and_goes_on(gst: Any) -> None:
    camera: Any = camera_from_uri(f"gstreamer:{TEST.replace('is-live', 'num-buffers=3 is-live')}", "rgb")
    camera.open()
    frames: list[Frame] = []
    while len(frames) < 6:
        try:
            frames.append(camera.read())
        except SilentError:
            continue
    camera.close()
    assert [frame.seq for frame in frames] == list(range(6))
    assert (np.diff([frame.pts_ns for frame in frames]) > 0).all()
    assert camera.returns == 1


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ("nosuchthing", 'is no pipeline: no element "nosuchthing"; try it with gst-launch-1.0'),
        ("filesrc location=/nowhere ! decodebin", "Resource not found"),
        ("videotestsrc ! video/x-raw,width=", "is no pipeline"),
    ],
)
def test_what_does_not_start_is_told_in_one_line(gst: Any, pipeline: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        camera_from_uri(f"gstreamer:{pipeline}", "rgb").open()
    assert "\n" not in str(caught.value)


def test_pictures_of_another_size_than_told_are_refused(gst: Any) -> None:
    source = GstSource("gstreamer:short", "rgb", f"{TEST} ! identity name=cut")
    session = source.session(10.0)
    sample = session._sink.emit("pull-sample")
    short = gst.Sample.new(gst.Buffer.new_allocate(None, 100, None), sample.get_caps(), sample.get_segment(), None)
    with pytest.raises(InputError, match="gives 100 bytes for 162x120; want 58560"):
        session._image(short)
    session.close()


def test_notices_of_the_pipeline_do_not_pile_up_and_an_error_ends_it(gst: Any) -> None:
    """In weeks they would fill the memory: nothing but this driver takes messages from the bus."""
    from gi.repository import GLib  # there where the fixture found it

    session = GstSource("gstreamer:notes", "rgb", TEST).session(10.0)
    bus = session._pipeline.get_bus()
    for _ in range(3):
        bus.post(gst.Message.new_application(session._sink, gst.Structure.new_empty("note")))
        assert session.next(1.0) is not None
    assert not bus.have_pending()
    broken = gst.Message.new_error(session._sink, GLib.Error("the sensor burnt"), "")
    bus.post(broken)
    with pytest.raises(GoneError, match="broke off: the sensor burnt"):
        session.next(1.0)
    session.close()


def test_a_stamp_from_the_future_is_not_believed(gst: Any) -> None:
    session = GstSource("gstreamer:early", "rgb", TEST).session(10.0)
    sample = session._sink.emit("pull-sample")
    early = gst.Buffer.new_allocate(None, 100, None)
    early.pts = 3600 * gst.SECOND
    stamp_ns, is_true = session._stamp(gst.Sample.new(early, sample.get_caps(), sample.get_segment(), None))
    session.close()
    assert not is_true
    assert stamp_ns <= time.monotonic_ns()


def test_without_pygobject_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(MissingExtraError, match=r"apt-get install python3-gi .* --system-site-packages"):
        camera_from_uri("gstreamer:argus", "rgb").open()


def test_the_preset_names_what_nvidias_source_takes() -> None:
    query = ArgusQuery(sensor=1, width=1920, height=1080, fps=60)
    assert GstSource("gstreamer:argus", "rgb", query.pipeline()).text() == (
        "nvarguscamerasrc name=mmrphys_sensor sensor-id=1 ! "
        "video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080,framerate=60/1 ! nvvidconv ! "
        "video/x-raw,format=NV12 ! videoconvert ! capsfilter caps=video/x-raw,format=RGB ! "
        "appsink name=frames max-buffers=4 drop=true"
    )


@pytest.mark.parametrize(
    ("uri", "kind", "says"),
    [
        ("gstreamer:", "rgb", "names no pipeline"),
        ("gstreamer:videotestsrc ! autovideosink", "rgb", "the sink is added here"),
        ("gstreamer:videotestsrc?scale=1", "rgb", "belong to thermal cameras"),
        ("gstreamer:argus?sensr=1", "rgb", "did you mean 'sensor'"),
        ("gstreamer:argus", "thermal", "give it as --rgb"),
    ],
)
def test_wrong_uris_are_explained(uri: str, kind: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(uri, kind)


def test_a_password_in_a_pipeline_stays_in_it() -> None:
    camera = camera_from_uri("gstreamer:rtspsrc location=rtsp://ward:geheim@10.0.0.9/face ! decodebin", "rgb")
    assert camera.name == "gstreamer:rtspsrc location=rtsp://ward:***@10.0.0.9/face ! decodebin"
