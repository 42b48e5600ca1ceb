"""The RGB driver on a machine of the tests: real JPEGs and raw pictures in real structures, unplugged and back."""

from __future__ import annotations

import errno
import logging
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from fakes.uvc_kernel import ERROR_FLAG, MONOTONIC_SOE, NO_CLOCK, FakeCamera, FakeDevice, FakeMode, Machine, Sent

from edge.cameras import camera_from_uri
from edge.cameras.returning import ReturningCamera
from edge.cameras.uvc import Mode
from edge.cameras.uvc_find import Nodes
from edge.cameras.uvc_structs import Control
from edge.cameras.v4l2 import V4l2Query, choose, from_uri
from edge.errors import InputError, SilentError, UsageError
from edge.frames import Frame
from edge.uri import parse_uri

MS = 1_000_000
MJPEG, YUYV, NV12 = FakeMode("MJPG", 64, 48), FakeMode("YUYV", 64, 48), FakeMode("NV12", 64, 48)
BARS = np.repeat(np.array([[200, 30, 30], [30, 160, 60], [40, 60, 210], [120, 120, 120]], np.uint8), 16, axis=0)
PICTURE = np.ascontiguousarray(np.broadcast_to(BARS, (48, 64, 3)))


class Clock:
    """Passes only when the camera waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def camera_on(machine: Machine, target: str, query: str = "", clock: Clock | None = None) -> ReturningCamera:
    uri = parse_uri(f"v4l2:{target}{query}", "camera", ["v4l2"])
    nodes = Nodes(machine.dev, machine.sys, machine.open)
    camera: Any = from_uri(uri, "rgb", nodes)
    clock = clock or Clock()
    camera._clock, camera._sleep = clock, clock.sleep
    assert isinstance(camera, ReturningCamera)
    return camera


def taken(camera: ReturningCamera, turns: int) -> list[Frame]:
    """The frames of so many turns; a silent turn gives none."""
    frames = []
    for _ in range(turns):
        try:
            frame = camera.read()
        except SilentError:
            continue
        assert frame is not None
        frames.append(frame)
    return frames


def jpeg(image: npt.NDArray[np.uint8] = PICTURE) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def yuyv(line: int = 128) -> bytes:
    """By the definition of BT.601 in limited range, not by the code under test."""
    y, u, v = yuv()
    packed = np.zeros((48, line), np.uint8)
    packed[:, 0:128:2], packed[:, 1:128:4], packed[:, 3:128:4] = y, u[:, ::2], v[:, ::2]
    return packed.tobytes()


def nv12(line: int = 64) -> bytes:
    y, u, v = yuv()
    planes = np.zeros((72, line), np.uint8)
    planes[:48, :64], planes[48:, 0:64:2], planes[48:, 1:64:2] = y, u[::2, ::2], v[::2, ::2]
    return planes.tobytes()


def yuv() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    r, g, b = (PICTURE[..., channel].astype(float) for channel in range(3))
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    return tuple(np.rint(plane).astype(np.uint8) for plane in (y, u, v))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("mode", "data"),
    [
        (MJPEG, jpeg()),
        (MJPEG, jpeg() + bytes(100)),  # cameras fill up with zeros
        (YUYV, yuyv()),
        (FakeMode("YUYV", 64, 48, line=144), yuyv(144)),
        (NV12, nv12()),
        (FakeMode("NV12", 64, 48, line=96), nv12(96)),
    ],
    ids=["mjpeg", "mjpeg-filled", "yuyv", "yuyv-padded", "nv12", "nv12-padded"],
)
def test_colours_arrive_as_they_were(machine: Machine, mode: FakeMode, data: bytes) -> None:
    source = FakeCamera([mode])
    source.sends.append(Sent(data, 7_000 * MS, 3))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    (frame,) = taken(camera, 1)
    assert (frame.pts_ns, frame.clock, frame.seq, frame.kind) == (7_000 * MS, "monotonic", 0, "rgb")
    assert frame.image.shape == (48, 64, 3)
    assert np.abs(frame.image.astype(int) - PICTURE)[2:14].max() <= 4
    assert np.abs(frame.image.astype(int) - PICTURE).mean() < 3
    camera.close()


def damaged_jpegs() -> dict[str, bytes]:
    whole = jpeg(cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8), (0, 0), 0.5))
    return {
        "cut in half": whole[: len(whole) // 2],
        "without its end": whole[:-2],
        "no jpeg": b"USB video class" * 30,
        "a few bytes": whole[:10],
        "nothing": b"",
        "head and end only": b"\xff\xd8\xff\xd9",
    }


@pytest.mark.parametrize("damage", damaged_jpegs())
def test_a_damaged_jpeg_is_left_out_and_counted(machine: Machine, damage: str) -> None:
    source = FakeCamera([MJPEG])
    source.sends.extend([Sent(jpeg(), 1, 0), Sent(damaged_jpegs()[damage], 33 * MS, 1), Sent(jpeg(), 66 * MS, 2)])
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    assert [frame.seq for frame in taken(camera, 3)] == [0, 2]


def test_a_lost_usb_packet_is_seen_wherever_it_was(machine: Machine) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8), (0, 0), 2)
    whole = jpeg(np.asarray(picture, np.uint8))
    places = range(1000, len(whole) - 1124, 997)
    source = FakeCamera([FakeMode("MJPG", 640, 480)])
    lost = [whole[:place] + whole[place + 1024 :] for place in places]
    source.sends.extend(Sent(data, n, n) for n, data in enumerate([*lost, whole]))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    assert [frame.seq for frame in taken(camera, len(places) + 1)] == [len(places)]
    assert len(places) > 50


@pytest.mark.parametrize("data", [yuyv()[:-1], yuyv()[:100], b""])
def test_a_short_raw_picture_is_left_out(machine: Machine, data: bytes) -> None:
    source = FakeCamera([YUYV])
    source.sends.extend([Sent(data, 1, 0), Sent(yuyv(), 33 * MS, 1)])
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    assert [frame.seq for frame in taken(camera, 2)] == [1]


def test_what_the_driver_marks_as_damaged_or_loses_shows_in_seq(machine: Machine) -> None:
    source = FakeCamera([YUYV])
    marked = Sent(yuyv(), 33 * MS, 11, MONOTONIC_SOE | ERROR_FLAG)
    source.sends.extend([Sent(yuyv(), 1, 10), marked, Sent(yuyv(), 200 * MS, 16)])
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    assert [frame.seq for frame in taken(camera, 3)] == [0, 6]


def test_a_driver_without_a_clock_is_stamped_at_arrival(machine: Machine) -> None:
    source = FakeCamera([YUYV])
    source.sends.append(Sent(yuyv(), 5, 0, NO_CLOCK))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    (frame,) = taken(camera, 1)
    assert frame.clock == "monotonic_arrival"
    assert frame.pts_ns > 10**6


def test_a_stamp_from_the_future_is_no_stamp_and_hides_no_later_one(machine: Machine) -> None:
    """uvcvideo can be told to stamp by the wall clock, and flags it as monotonic all the same."""
    now_ns = time.monotonic_ns()
    source = FakeCamera([YUYV])
    stamps = (now_ns, time.time_ns())
    source.sends.extend(Sent(yuyv(), stamp_ns, n) for n, stamp_ns in enumerate(stamps))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    (first, second) = taken(camera, 2)
    assert (first.clock, second.clock) == ("monotonic", "monotonic_arrival")
    assert now_ns < second.pts_ns <= time.monotonic_ns()


def test_format_and_stamps_are_told(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = FakeCamera([FakeMode("MJPG", 64, 48, (60, 30))])
    source.rate = 25
    source.sends.append(Sent(jpeg(), 1, 0))
    camera = camera_on(machine, machine.plug(0, source), "?fps=30")
    camera.open()
    taken(camera, 1)
    assert "was asked for MJPG 64x48 at 30.00 /s and gives MJPG 64x48 at 25.00 /s" in caplog.text
    assert "sends MJPG 64x48 at 25.00 /s; stamps: CLOCK_MONOTONIC at the start of exposure" in caplog.text


def test_a_camera_that_gives_another_format_is_refused(machine: Machine) -> None:
    source = FakeCamera([MJPEG], gives=FakeMode("MJPG", 32, 24))
    path = machine.plug(0, source)
    with pytest.raises(InputError, match=r"asked for MJPG 64x48 .* gives MJPG 32x24"):
        camera_on(machine, path).open()
    assert all(device.closed for device in machine.devices)


def test_what_cannot_be_opened_says_why_and_what_to_do(machine: Machine) -> None:
    busy = machine.plug(0, FakeCamera([MJPEG], busy=True))
    metadata = machine.plug(1, FakeCamera([MJPEG], capabilities=0x04A0_0000))
    denied, foreign = machine.plug(2, FakeCamera([MJPEG])), machine.plug(3, FakeCamera([MJPEG]))
    machine.denied = {denied: errno.EACCES, foreign: errno.ENOTTY}
    for path, says in {
        busy: "used by another program; close that one first",
        metadata: "no pictures",
        denied: "permission denied; add yourself to the group video: sudo usermod -aG video",
        foreign: "it is no camera",
        str(machine.dev / "video9"): "there is no such device; plug it in",
    }.items():
        with pytest.raises(InputError, match=says) as caught:
            camera_on(machine, path).open()
        assert "\n" not in str(caught.value)
    assert all(device.closed for device in machine.devices)


def test_the_real_kernel_refuses_what_is_not_there() -> None:
    with pytest.raises(InputError, match="there is no such device"):
        camera_from_uri("v4l2:/dev/video97", "rgb").open()
    with pytest.raises(InputError, match="it is no camera"):
        camera_from_uri("v4l2:/dev/null", "rgb").open()


# ---------------------------------------------------------------------------------------------------- locks

AUTOMATIC = {Control.EXPOSURE_AUTO: 3, Control.AUTO_WHITE_BALANCE: 1, Control.EXPOSURE_AUTO_PRIORITY: 1}
PRESENT = {Control.EXPOSURE_ABSOLUTE: 157, Control.WHITE_BALANCE_TEMPERATURE: 4600, Control.GAIN: 32}
LOCKED = {Control.EXPOSURE_AUTO: 1, Control.AUTO_WHITE_BALANCE: 0, Control.EXPOSURE_AUTO_PRIORITY: 0}


def test_automatics_are_locked_where_they_have_settled(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = FakeCamera([YUYV], controls={**AUTOMATIC, **PRESENT})
    source.sends.extend(Sent(yuyv(), n * 500 * MS, n) for n in range(6))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    taken(camera, 4)  # 1.5 s
    assert source.controls[Control.EXPOSURE_AUTO] == 3
    assert source.controls[Control.EXPOSURE_AUTO_PRIORITY] == 0  # at once: the frame rate must not fall
    source.controls[Control.EXPOSURE_ABSOLUTE] = 201  # where the automatic has gone
    taken(camera, 2)
    assert source.controls == {**PRESENT, **LOCKED, Control.EXPOSURE_ABSOLUTE: 201}
    assert "locked: exposure 201, white_balance 4600, gain 32" in caplog.text


class GainFollowsExposure(FakeDevice):
    """Automatic exposure moves the gain, too; when it goes off, the gain falls back to where a user had left it."""

    def _s_ctrl(self, data: Any) -> None:
        super()._s_ctrl(data)
        if data.id == Control.EXPOSURE_AUTO and data.value == 1:
            self.camera.controls[Control.GAIN] = 0


def test_gain_is_locked_where_automatic_exposure_had_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, GainFollowsExposure)
    source = FakeCamera([YUYV], controls={**AUTOMATIC, **PRESENT})
    source.sends.extend(Sent(yuyv(), n * 1000 * MS, n) for n in range(3))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    taken(camera, 3)
    assert source.controls == {**PRESENT, **LOCKED}


def test_given_values_are_set_at_once_and_lock_0_touches_nothing(machine: Machine) -> None:
    given = FakeCamera([YUYV], controls={**AUTOMATIC, **PRESENT})
    camera_on(machine, machine.plug(0, given), "?exposure=80&gain=0").open()
    assert (given.controls[Control.EXPOSURE_AUTO], given.controls[Control.EXPOSURE_ABSOLUTE]) == (1, 80)
    assert (given.controls[Control.GAIN], given.controls[Control.AUTO_WHITE_BALANCE]) == (0, 1)
    free = FakeCamera([YUYV], controls={**AUTOMATIC, **PRESENT})
    free.sends.extend(Sent(yuyv(), n * 1500 * MS, n) for n in range(4))
    camera = camera_on(machine, machine.plug(1, free), "?lock=0")
    camera.open()
    taken(camera, 4)
    assert free.controls == {**AUTOMATIC, **PRESENT}


# ---------------------------------------------------------------------------------------------------- unplugged

BY_ID = "usb-046d_HD_Pro_Webcam_C920_2E2A1B3F-video-index0"


def run_until_gone(camera: ReturningCamera, source: FakeCamera) -> None:
    source.sends.extend([*(Sent(yuyv(), n * 33 * MS, n) for n in range(100)), Sent(errno=errno.ENODEV)])
    camera.open()
    assert [frame.seq for frame in taken(camera, 101)] == list(range(100))


def test_a_camera_comes_back_by_its_id_and_goes_on(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock, source = Clock(), FakeCamera([YUYV], controls={**AUTOMATIC, **PRESENT})
    path = machine.plug(0, source, by_id=BY_ID)
    camera = camera_on(machine, path, clock=clock)
    run_until_gone(camera, source)
    locked = dict(source.controls)
    machine.pull(0)
    assert taken(camera, 20) == []
    stranger = FakeCamera([YUYV], card="Another camera")
    machine.plug(0, stranger)  # takes the old name
    assert taken(camera, 20) == []
    source.controls = {**AUTOMATIC, **PRESENT}  # it was without power
    source.bus = "usb-0000:00:14.0-7"  # another port
    machine.plug(4, source, by_id=BY_ID)
    source.sends.extend(Sent(yuyv(), 60_000 * MS + n * 33 * MS, n) for n in range(3))
    frames = taken(camera, 30)
    assert [(frame.seq, frame.pts_ns) for frame in frames] == [(100 + n, (60_000 + n * 33) * MS) for n in range(3)]
    assert source.controls == locked
    assert stranger.log == []
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "was unplugged; check its plug, cable and the load of the bus; the run goes on and waits" in warnings[0]
    assert "is back after" in warnings[1]
    assert sum(not device.closed for device in machine.devices) == 1


def test_without_an_id_the_same_model_at_the_same_port_is_the_camera(machine: Machine) -> None:
    source = FakeCamera([YUYV])
    camera = camera_on(machine, machine.plug(0, source))
    run_until_gone(camera, source)
    machine.pull(0)
    twin = FakeCamera([YUYV], bus="usb-0000:00:14.0-9")
    machine.plug(0, twin)
    assert taken(camera, 20) == []
    machine.plug(2, source)
    source.sends.append(Sent(yuyv(), 50_000 * MS, 0))
    assert [frame.seq for frame in taken(camera, 30)] == [100]
    assert "STREAMON" not in twin.log


def test_attempts_become_rarer_and_no_turn_waits_long(machine: Machine) -> None:
    clock, source = Clock(), FakeCamera([YUYV])
    camera = camera_on(machine, machine.plug(0, source), clock=clock)
    run_until_gone(camera, source)
    machine.pull(0)
    attempts: list[float] = []
    connect = camera._connect

    def counted() -> Any:
        attempts.append(clock.now_s)
        return connect()

    camera._connect = counted
    while clock.now_s < 60.0:
        before_s = clock.now_s
        assert taken(camera, 1) == []
        assert clock.now_s - before_s <= 0.5
    assert np.diff(attempts[:6]) == pytest.approx([0.5, 1.0, 2.0, 4.0, 5.0], abs=1e-6)
    assert np.diff(attempts[5:]) == pytest.approx(5.0)


def test_a_camera_that_hangs_is_opened_anew(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock, source = Clock(), FakeCamera([YUYV])
    camera = camera_on(machine, machine.plug(0, source), clock=clock)
    source.sends.append(Sent(yuyv(), 1, 0))
    camera.open()
    assert len(taken(camera, 1)) == 1
    for _ in range(11):
        clock.now_s += 0.5  # what a real wait takes
        assert taken(camera, 1) == []
    assert "has sent nothing for 5 s" in caplog.text
    source.sends.append(Sent(yuyv(), 9_000 * MS, 0))
    assert [frame.seq for frame in taken(camera, 3)] == [1]
    assert len(machine.devices) == 2


def test_a_stream_that_breaks_is_started_anew_on_the_spot(machine: Machine) -> None:
    source = FakeCamera([YUYV])
    camera = camera_on(machine, machine.plug(0, source))
    source.sends.extend([Sent(yuyv(), 1, 0), Sent(errno=errno.EIO), Sent(yuyv(), 40 * MS, 0)])
    camera.open()
    assert [(frame.seq, frame.pts_ns) for frame in taken(camera, 4)] == [(0, 0), (1, 40 * MS)]


def test_a_stamp_that_goes_back_is_left_out(machine: Machine) -> None:
    source = FakeCamera([YUYV])
    source.sends.extend(Sent(yuyv(), t * MS, n) for n, t in enumerate((100, 133, 50, 166)))
    camera = camera_on(machine, machine.plug(0, source))
    camera.open()
    assert [(frame.seq, frame.pts_ns // MS) for frame in taken(camera, 4)] == [(0, 100), (1, 133), (3, 166)]


# ---------------------------------------------------------------------------------------------------- choice

OFFERED = [
    Mode(code, *size, Fraction(rate))
    for code, size, rate in [
        ("YUYV", (640, 480), 30), ("YUYV", (1280, 720), 10), ("YUYV", (1920, 1080), 5), ("MJPG", (640, 480), 60),
        ("MJPG", (1280, 720), 60), ("MJPG", (1280, 720), 30), ("MJPG", (1920, 1080), 30), ("H264", (1280, 720), 30),
    ]
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        (V4l2Query(), "MJPG 1280x720 at 30.00 /s"),
        (V4l2Query(width=640, height=480), "YUYV 640x480 at 30.00 /s"),
        (V4l2Query(format="yuyv"), "YUYV 640x480 at 30.00 /s"),
        (V4l2Query(fps=60), "MJPG 1280x720 at 60.00 /s"),
        (V4l2Query(format="yuyv", fps=10), "YUYV 1280x720 at 10.00 /s"),
        (V4l2Query(width=1920, height=1080), "MJPG 1920x1080 at 30.00 /s"),
    ],
)
def test_the_mode_that_serves_a_pulse_is_chosen(query: V4l2Query, chosen: str) -> None:
    assert str(choose(query, OFFERED, "v4l2:x")) == chosen


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    with pytest.raises(InputError, match=r"offers H264 1280x720 at 30.00 /s; MJPG 1280x720 at 30.00 /s; MJPG"):
        choose(V4l2Query(width=800, height=600), OFFERED, "v4l2:x")
    with pytest.raises(InputError, match="it offers nothing"):
        choose(V4l2Query(), [], "v4l2:x")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("v4l2:", "names no camera"),
        ("v4l2:/dev/video0?width=640", "give both or neither"),
        ("v4l2:/dev/video0?format=h264", "format"),
        ("v4l2:/dev/video0?lock=0&gain=3", "exclude each other"),
        ("v4l2:/dev/video0?exposur=3", "did you mean 'exposure'"),
    ],
)
def test_wrong_parameters_are_named(uri: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        camera_from_uri(uri, "rgb")


def test_as_thermal_camera_it_is_refused() -> None:
    with pytest.raises(UsageError, match="lepton: and y16:"):
        camera_from_uri("v4l2:/dev/video0", "thermal")
