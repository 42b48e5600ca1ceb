"""16-bit thermal layouts: bytes as each camera sends them, through the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes.uvc_kernel import FakeCamera, FakeMode, Machine, Sent

from edge.cameras import camera_from_uri
from edge.cameras.uvc_find import Nodes
from edge.cameras.y16 import LAYOUTS, from_uri
from edge.errors import InputError, SilentError, UsageError
from edge.frames import Frame
from edge.uri import parse_uri

MS = 1_000_000
TC001 = FakeMode("YUYV", 256, 384, (25,))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def frames_of(machine: Machine, modes: list[FakeMode], sends: list[Sent], query: str) -> list[Frame]:
    source = FakeCamera(modes)
    source.sends.extend(sends)
    uri = parse_uri(f"y16:{machine.plug(0, source)}?{query}", "camera", ["y16"])
    camera: Any = from_uri(uri, "thermal", Nodes(machine.dev, machine.sys, machine.open))
    camera.open()
    frames = []
    for _ in sends:
        try:
            frames.append(camera.read())
        except SilentError:
            continue
    camera.close()
    return frames


def counts(number: int, shape: tuple[int, int], level: int) -> npt.NDArray[np.uint16]:
    return (level + np.random.default_rng(number).integers(-3, 4, shape)).astype(np.uint16)


def tc001(number: int, degc: float = 36.0) -> bytes:
    """A picture for people in YUYV above, kelvin x 64 in little-endian words below."""
    picture = np.random.default_rng(99).integers(0, 255, (192, 512), np.uint8)
    below = counts(number, (192, 256), round((degc + 273.15) * 64))
    return picture.tobytes() + below.astype("<u2").tobytes()


def test_the_lower_half_of_a_tc001_is_kelvin_by_64(machine: Machine) -> None:
    frames = frames_of(machine, [TC001], [Sent(tc001(n), n * 40 * MS, n) for n in range(3)], "layout=tc001")
    assert [(f.seq, f.image.shape, f.image.dtype) for f in frames] == [(n, (192, 256), np.uint16) for n in range(3)]
    for frame in frames:
        degc = frame.image * frame.scale_degc + frame.offset_degc
        assert degc.mean() == pytest.approx(36.0, abs=0.01)


@pytest.mark.parametrize(("layout", "width", "height"), [("boson320", 320, 256), ("boson640", 640, 512)])
def test_a_boson_in_tlinear(machine: Machine, layout: str, width: int, height: int) -> None:
    mode = FakeMode("Y16", width, height, (9, 60), line=2 * width + 64)
    image = counts(1, (height, width), 30_915)
    padded = np.zeros((height, width + 32), np.uint16)
    padded[:, :width] = image
    (frame,) = frames_of(machine, [mode], [Sent(padded.tobytes(), 5 * MS, 0)], f"layout={layout}&scale=0.01")
    assert np.array_equal(frame.image, image)
    assert (frame.image * frame.scale_degc + frame.offset_degc).mean() == pytest.approx(36.0, abs=0.01)


def test_a_shutter_pause_is_seen_by_equal_pictures(machine: Machine) -> None:
    pictures = [0, 1, 2, *[2] * 12, 3]
    frames = frames_of(
        machine, [TC001], [Sent(tc001(p), n * 40 * MS, n) for n, p in enumerate(pictures)], "layout=tc001"
    )
    assert [frame.shutter for frame in frames] == [False, False, False, True, True, True, True, False]


@pytest.mark.parametrize("data", [tc001(0)[:-1], tc001(0)[: 192 * 512], b""])
def test_a_short_picture_is_left_out(machine: Machine, data: bytes) -> None:
    frames = frames_of(machine, [TC001], [Sent(data, 1, 0), Sent(tc001(1), 40 * MS, 1)], "layout=tc001")
    assert [frame.seq for frame in frames] == [1]


def test_the_wanted_rate_is_taken_where_it_is_offered(machine: Machine) -> None:
    mode = FakeMode("Y16", 320, 256, (60, 30, 9))
    for query, rate in (("layout=boson320&scale=0.01", 60), ("layout=boson320&scale=0.01&fps=9", 9)):
        device_count = len(machine.devices)
        uri = parse_uri(f"y16:{machine.plug(device_count, FakeCamera([mode]))}?{query}", "camera", ["y16"])
        camera: Any = from_uri(uri, "thermal", Nodes(machine.dev, machine.sys, machine.open))
        camera.open()
        assert machine.devices[-1].rate == rate
        camera.close()


def test_a_layout_that_does_not_fit_is_refused_with_what_is_offered(machine: Machine) -> None:
    with pytest.raises(InputError, match=r"wants Y16 320x256 and the camera offers YUYV 256x384 at 25.00 /s"):
        frames_of(machine, [TC001], [], "layout=boson320&scale=0.01")


@pytest.mark.parametrize(
    ("uri", "kind", "says"),
    [
        ("y16:/dev/video0?layout=boson320", "thermal", "temperatures in TLinear only; set TLinear .* scale=0.01"),
        ("y16:/dev/video0?layout=tc100", "thermal", "did you mean 'tc001'"),
        ("y16:/dev/video0", "thermal", "layout"),
        ("y16:?layout=tc001", "thermal", "names no camera"),
        ("y16:/dev/video0?layout=tc001", "rgb", "give it as --thermal"),
    ],
)
def test_wrong_uris_are_explained(uri: str, kind: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(uri, kind)


def test_layouts_hold_together() -> None:
    for layout in LAYOUTS.values():
        assert 0 <= layout.top < layout.bottom <= layout.height
