"""Lepton frames written word by word as the datasheet says, through the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes.uvc_kernel import FakeCamera, FakeMode, Machine, Sent

from edge.cameras import camera_from_uri
from edge.cameras.lepton import COUNTS_IN_A_ROW, Telemetry, from_uri
from edge.cameras.uvc_find import Nodes
from edge.errors import InputError, SilentError, UsageError
from edge.frames import Frame
from edge.uri import parse_uri

MS = 1_000_000
PLAIN, TOLD = FakeMode("Y16", 160, 120, (9,)), FakeMode("Y16", 160, 122, (9,))
SKIN = 30_915  # 36.0 degC in 0.01 K


def scene(number: int, level: int = SKIN) -> npt.NDArray[np.uint16]:
    noise = np.random.default_rng(number).integers(-5, 6, (120, 160))
    return (level + noise).astype(np.uint16)


def telemetry(
    count: int,
    *,
    ffc: int = 3,
    tlinear: int = 1,
    fine: int = 1,
    agc: int = 0,
    time_ms: int = 90_000,
    last_ffc_ms: int = 10_000,
) -> npt.NDArray[np.uint16]:
    """Rows A to D, 80 words each, in the last two rows of 160 pixels."""
    words = np.zeros(320, np.uint16)
    words[0] = 14
    status = ffc << 4 | agc << 12
    for place, value in ((1, time_ms), (3, status), (20, count), (30, last_ffc_ms)):
        words[place], words[place + 1] = value & 0xFFFF, value >> 16
    words[160 + 48], words[160 + 49] = tlinear, fine
    return words.reshape(2, 160)


def sent(image: npt.NDArray[np.uint16], number: int, told: npt.NDArray[np.uint16] | None = None) -> Sent:
    rows = image if told is None else np.vstack([image, told])
    return Sent(rows.astype("<u2").tobytes(), number * 111 * MS, number)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def frames_of(machine: Machine, modes: list[FakeMode], sends: list[Sent], query: str = "") -> list[Frame]:
    source = FakeCamera(modes, card="PureThermal")
    source.sends.extend(sends)
    uri = parse_uri(f"lepton:{machine.plug(0, source)}{query}", "camera", ["lepton"])
    camera: Any = from_uri(uri, "thermal", Nodes(machine.dev, machine.sys, machine.open))
    camera.open()
    frames = []
    try:
        for _ in sends:
            try:
                frames.append(camera.read())
            except SilentError:
                continue
    finally:
        camera.close()
    return frames


def degc(frame: Frame) -> npt.NDArray[np.float64]:
    return frame.image * frame.scale_degc + frame.offset_degc


def test_telemetry_is_asked_for_cut_off_and_read(machine: Machine) -> None:
    sends = [sent(scene(n), n, telemetry(1000 + n)) for n in range(4)]
    frames = frames_of(machine, [PLAIN, TOLD], sends)
    assert [(frame.seq, frame.pts_ns, frame.shutter) for frame in frames] == [
        (n, n * 111 * MS, False) for n in range(4)
    ]
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.image, scene(number))
        assert degc(frame).mean() == pytest.approx(36.0, abs=0.01)


def test_tenths_of_a_kelvin_are_told_by_telemetry(machine: Machine) -> None:
    (frame,) = frames_of(machine, [TOLD], [sent(scene(0, 3091), 0, telemetry(1, fine=0))])
    assert frame.scale_degc == 0.1
    assert degc(frame).mean() == pytest.approx(35.95, abs=0.05)


def test_pictures_sent_again_are_left_out_and_lost_ones_show(machine: Machine) -> None:
    """27 a second on the link, 9 a second from the core; picture 3 was lost."""
    counts = [0, 0, 0, 1, 1, 1, 2, 2, 2, 4, 4, 4]
    frames = frames_of(machine, [TOLD], [sent(scene(c), n, telemetry(500 + c)) for n, c in enumerate(counts)])
    assert [frame.seq for frame in frames] == [0, 1, 2, 4]


def test_pictures_are_stamped_by_the_cores_clock_where_it_runs(machine: Machine) -> None:
    """Captured every 115 ms; the link passes one every 37 ms, so the driver's stamps jump between 111 and 148 ms."""
    sends, stamps_ms, start_ms = [], [], 2**32 - 3_000  # the counter wraps on the way
    for n in range(600):
        taken_ms = 115 * n
        passed_ms = -(-(taken_ms + 5) // 37) * 37
        told = telemetry(n, time_ms=(start_ms + taken_ms) % 2**32)
        sends.append(Sent(np.vstack([scene(n % 5), told]).tobytes(), (50_000 + passed_ms) * MS, n))
        stamps_ms.append(passed_ms)
    frames = frames_of(machine, [TOLD], sends)
    assert len(frames) == 600
    assert sorted(set(np.diff(stamps_ms).tolist())) == [111, 148]
    assert np.diff([frame.pts_ns for frame in frames[40:]]) / MS == pytest.approx(115, abs=0.6)


def test_the_frame_counter_wraps(machine: Machine) -> None:
    last = 2**32 - 1
    counts = [last - 1, last, 0, 1, 3]
    frames = frames_of(machine, [TOLD], [sent(scene(n), n, telemetry(c)) for n, c in enumerate(counts)])
    assert [frame.seq for frame in frames] == [0, 1, 2, 3, 5]


def test_a_closed_shutter_is_told_even_while_the_counter_stands(machine: Machine) -> None:
    states = [(0, 3), (1, 1), (2, 2), (2, 2), (2, 2), (3, 3)]  # complete, imminent, running, complete
    frames = frames_of(machine, [TOLD], [sent(scene(c), n, telemetry(c, ffc=ffc)) for n, (c, ffc) in enumerate(states)])
    assert [frame.shutter for frame in frames] == [False, False, True, True, True, False]


@pytest.mark.parametrize("told", [telemetry(1, tlinear=0), telemetry(1, agc=1), telemetry(1, fine=7)])
def test_counts_that_are_no_temperatures_are_refused(machine: Machine, told: npt.NDArray[np.uint16]) -> None:
    with pytest.raises(InputError, match=r"counts and no temperatures .* switch TLinear on and AGC off"):
        frames_of(machine, [TOLD], [sent(scene(n), n, told) for n in range(COUNTS_IN_A_ROW)])


def test_a_broken_row_of_telemetry_costs_its_picture_and_not_the_run(machine: Machine) -> None:
    """Neither do nonsense numbers of one picture count as thousands of lost ones."""
    broken = [telemetry(12, tlinear=0), telemetry(10**9)]
    told = [telemetry(10), telemetry(11), broken[0], telemetry(13), broken[1], telemetry(15), telemetry(16)]
    frames = frames_of(machine, [TOLD], [sent(scene(n), n, rows) for n, rows in enumerate(told)])
    assert [frame.seq for frame in frames] == [0, 1, 3, 4, 5, 6]


def test_the_shutters_warmth_is_told_until_it_has_left_the_picture(machine: Machine) -> None:
    """As the recordings of ``cptv:`` are marked, whose files name the same time of the last FFC."""
    times_ms = [90_000, 90_115, 92_170, 92_285, 92_400, 93_100]
    shut = [telemetry(n, time_ms=t, last_ffc_ms=92_000 if n > 1 else 10_000) for n, t in enumerate(times_ms)]
    frames = frames_of(machine, [TOLD], [sent(scene(n), n, rows) for n, rows in enumerate(shut)])
    assert [frame.shutter for frame in frames] == [False, False, True, True, True, False]


def test_without_telemetry_pixels_tell_repetition_and_shutter(machine: Machine) -> None:
    pictures = [0, 0, 0, 1, 1, 1, 2, *[3] * 8, 4]
    frames = frames_of(machine, [PLAIN], [sent(scene(p), n) for n, p in enumerate(pictures)])
    assert [(frame.seq, frame.shutter) for frame in frames] == [
        (0, False), (1, False), (2, False), (3, False), (4, True), (5, True), (6, True), (7, True), (8, False),
    ]  # fmt: skip
    assert frames[4].pts_ns - frames[3].pts_ns == 4 * 111 * MS  # from the fourth repetition on: over 0.35 s


def test_empty_telemetry_rows_are_as_none(machine: Machine) -> None:
    empty = np.zeros((2, 160), np.uint16)
    frames = frames_of(machine, [TOLD], [sent(scene(n), n, empty) for n in range(3)], "?scale=0.1")
    assert [(frame.seq, frame.scale_degc, frame.image.shape) for frame in frames] == [
        (n, 0.1, (120, 160)) for n in range(3)
    ]
    assert Telemetry.decode(empty.ravel()) is None


def test_a_short_picture_is_left_out(machine: Machine) -> None:
    short = Sent(scene(0).tobytes()[:-2], 1, 0)
    assert [f.seq for f in frames_of(machine, [PLAIN], [short, sent(scene(1), 1)])] == [1]


def test_another_camera_is_no_lepton(machine: Machine) -> None:
    with pytest.raises(InputError, match="is no Lepton 3: want Y16 160x120 or 160x122; it offers YUYV 640x480"):
        frames_of(machine, [FakeMode("YUYV", 640, 480)], [])


@pytest.mark.parametrize(("uri", "kind", "says"), [
    ("lepton:/dev/video0", "rgb", "give it as --thermal"),
    ("lepton:", "thermal", "names no camera"),
    ("lepton:/dev/video0?scale=0", "thermal", "scale"),
])  # fmt: skip
def test_wrong_uris_are_explained(uri: str, kind: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(uri, kind)
