"""The kernel's structures, and the stream above them, against a device that answers with real bytes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from fakes.uvc_kernel import ERROR_FLAG, MONOTONIC_EOF, MONOTONIC_SOE, NO_CLOCK, FakeCamera, FakeDevice, FakeMode, Sent
from fakes.uvc_kernel import number_of as number_by_ctypes

from edge.cameras import uvc_structs as structs
from edge.cameras.uvc import KernelDevice, Mode, UvcStream
from edge.cameras.uvc_structs import BufferState, Control, PixelLayout, Request
from edge.errors import GoneError, InputError

HEADER = Path("/usr/include/linux/videodev2.h")
FROM_THE_KERNEL = {  # printed by a C program with linux/videodev2.h, 64-bit
    "QUERYCAP": 0x80685600, "ENUM_FMT": 0xC0405602, "G_FMT": 0xC0D05604, "S_FMT": 0xC0D05605, "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609, "QBUF": 0xC058560F, "DQBUF": 0xC0585611, "STREAMON": 0x40045612, "STREAMOFF": 0x40045613,
    "G_PARM": 0xC0CC5615, "S_PARM": 0xC0CC5616, "G_CTRL": 0xC008561B, "S_CTRL": 0xC008561C, "QUERYCTRL": 0xC0445624,
    "ENUM_FRAMESIZES": 0xC02C564A, "ENUM_FRAMEINTERVALS": 0xC034564B,
}  # fmt: skip
CONTROLS = {
    Control.AUTO_WHITE_BALANCE: "V4L2_CID_AUTO_WHITE_BALANCE", Control.AUTOGAIN: "V4L2_CID_AUTOGAIN",
    Control.GAIN: "V4L2_CID_GAIN", Control.WHITE_BALANCE_TEMPERATURE: "V4L2_CID_WHITE_BALANCE_TEMPERATURE",
    Control.EXPOSURE_AUTO: "V4L2_CID_EXPOSURE_AUTO", Control.EXPOSURE_ABSOLUTE: "V4L2_CID_EXPOSURE_ABSOLUTE",
    Control.EXPOSURE_AUTO_PRIORITY: "V4L2_CID_EXPOSURE_AUTO_PRIORITY",
}  # fmt: skip
OFFSETS = {
    ("v4l2_buffer", "timestamp"): 24, ("v4l2_buffer", "sequence"): 56, ("v4l2_buffer", "m"): 64,
    ("v4l2_buffer", "length"): 72, ("v4l2_format", "fmt"): 8, ("v4l2_streamparm", "parm"): 4,
    ("v4l2_frmsizeenum", "discrete"): 12, ("v4l2_frmivalenum", "discrete"): 20, ("v4l2_fmtdesc", "pixelformat"): 44,
    ("v4l2_queryctrl", "flags"): 56,
}  # fmt: skip
YUYV = FakeMode("YUYV", 64, 48, (30, 15))


def stream_of(*sends: Sent, modes: tuple[FakeMode, ...] = (YUYV,)) -> tuple[UvcStream, FakeCamera, FakeDevice]:
    camera = FakeCamera(list(modes))
    camera.sends.extend(sends)
    device = FakeDevice(camera)
    return UvcStream(device, "v4l2:cam"), camera, device


def started(*sends: Sent) -> tuple[UvcStream, FakeCamera, FakeDevice]:
    stream, camera, device = stream_of(*sends)
    stream.negotiate("YUYV", (64, 48), Fraction(30))
    stream.start()
    return stream, camera, device


def test_request_codes_are_those_of_the_kernel_and_of_a_second_implementation() -> None:
    assert {request.name: request.value for request in Request} == FROM_THE_KERNEL
    assert {request.name: number_by_ctypes(request.name) for request in Request} == FROM_THE_KERNEL


def test_codes_and_offsets_agree_with_the_header_of_this_machine(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not HEADER.exists():
        pytest.skip("no C compiler or no linux/videodev2.h here")
    values = [f"VIDIOC_{request.name}" for request in Request] + list(CONTROLS.values())
    values += ["V4L2_BUF_FLAG_ERROR", "V4L2_BUF_FLAG_TIMESTAMP_MASK", "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC"]
    values += ["V4L2_BUF_FLAG_TSTAMP_SRC_MASK", "V4L2_BUF_FLAG_TSTAMP_SRC_SOE", "V4L2_CAP_STREAMING"]
    values += [f"offsetof(struct {struct}, {member})" for struct, member in OFFSETS]
    lines = "".join(f'printf("%lu\\n", (unsigned long)({value}));' for value in values)
    source = tmp_path / "print.c"
    source.write_text(
        f"#include <linux/videodev2.h>\n#include <stdio.h>\n#include <stddef.h>\nint main(void){{{lines}}}"
    )
    subprocess.run([compiler, str(source), "-o", str(tmp_path / "print")], check=True)
    printed = subprocess.run([str(tmp_path / "print")], check=True, capture_output=True, text=True).stdout.split()
    flags = [structs.FLAG_ERROR, structs.FLAG_CLOCK, structs.FLAG_CLOCK_MONOTONIC]
    flags += [structs.FLAG_SOURCE, structs.FLAG_SOURCE_SOE, structs.CAP_STREAMING]
    ours = [*(request.value for request in Request), *(control.value for control in CONTROLS), *flags]
    assert [int(number) for number in printed] == ours + list(OFFSETS.values())


def test_what_a_device_is_and_offers() -> None:
    modes = (FakeMode("MJPG", 1280, 720, (30, 60)), FakeMode("MJPG", 640, 480), YUYV)
    stream, camera, _ = stream_of(modes=modes)
    capability = stream.capability()
    assert (capability.driver, capability.card, capability.bus) == ("uvcvideo", "C920 HD", "usb-0000:00:14.0-2")
    assert capability.captures
    camera.capabilities = 0x04A0_0000
    assert not stream.capability().captures  # metadata
    assert [str(mode) for mode in stream.modes()] == [
        "MJPG 1280x720 at 30.00 /s", "MJPG 1280x720 at 60.00 /s", "MJPG 640x480 at 30.00 /s",
        "YUYV 64x48 at 30.00 /s", "YUYV 64x48 at 15.00 /s",
    ]  # fmt: skip


def uint32s(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


@pytest.mark.parametrize(
    ("stepwise", "sizes"),
    [
        ((16, 1920, 8, 16, 1080, 8), [(640, 480), (1280, 720), (1920, 1080)]),
        ((32, 3280, 2, 32, 2464, 2), [(640, 480), (1280, 720), (1920, 1080), (3280, 2464)]),
        ((1, 800, 1, 1, 600, 1), [(640, 480), (800, 600)]),
        ((60, 1000, 50, 60, 1000, 50), [(1000, 1000)]),
        ((720, 720, 0, 576, 576, 0), [(720, 576)]),
    ],
)
def test_a_range_of_sizes_gives_the_usual_ones_in_it_and_its_largest(
    stepwise: tuple[int, ...], sizes: list[tuple[int, int]]
) -> None:
    answer = bytearray(structs.size_query(0, 1))
    answer[8:36] = uint32s(3, *stepwise)
    assert structs.size_answer(answer) == (sizes, False)


@pytest.mark.parametrize(
    ("kind", "intervals", "rates"),
    [
        (2, (1, 90, 1, 2), [25, 30, 60, 90]),
        (3, (1, 50, 1, 1), [25, 30, 50]),
        (3, (1, 30, 1, 30), [30]),
        (2, (0, 0, 0, 0), []),
        (1, (1, 15, 0, 0), [15]),
    ],
)
def test_a_range_of_rates_gives_the_usual_ones_in_it_and_its_fastest(
    kind: int, intervals: tuple[int, ...], rates: list[int]
) -> None:
    answer = bytearray(structs.interval_query(0, 1, (1920, 1080)))
    answer[16:36] = uint32s(kind, *intervals)
    assert structs.interval_answer(answer) == ([Fraction(rate) for rate in rates], kind == 1)


def test_what_was_negotiated_is_read_back() -> None:
    stream, camera, _ = stream_of()
    camera.gives, camera.rate = FakeMode("YUYV", 80, 60, line=176), 24
    assert stream.negotiate("YUYV", (64, 48), Fraction(30)) == (
        PixelLayout(80, 60, structs.fourcc_from_text("YUYV"), 176, 176 * 90),
        Fraction(24),
    )


def test_pictures_come_with_stamp_clock_and_number() -> None:
    stream, _, _ = started(
        Sent(b"first", 5_000_001_000, 7, MONOTONIC_SOE),
        Sent(b"second one", 5_033_334_000, 9, MONOTONIC_EOF | ERROR_FLAG),
        Sent(b"3", 1, 10, NO_CLOCK),
    )
    shots = [stream.next(1.0) for _ in range(4)]
    seen = [(s.data, s.stamp_ns, s.monotonic, s.at_exposure, s.sequence, s.damaged) for s in shots if s]
    assert seen == [
        (b"first", 5_000_001_000, True, True, 7, False),
        (b"second one", 5_033_334_000, True, False, 9, True),
        (b"3", 0, False, False, 10, False),
    ]
    assert shots[3] is None


def test_buffers_go_round_and_a_picture_does_not_change_after_it_was_taken() -> None:
    stream, _, device = started(*(Sent(bytes([n]) * 8, n, n) for n in range(20)))
    assert len(device.memory) == 3
    shots = [stream.next(1.0) for _ in range(20)]
    assert [shot.data for shot in shots if shot] == [bytes([n]) * 8 for n in range(20)]
    assert sorted(device.queued) == [0, 1, 2]


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENODEV, "was unplugged"), (errno.EIO, r"broke off \(from the kernel\)")]
)
def test_a_device_that_is_gone_or_broken_says_so_and_can_still_be_closed(number: int, says: str) -> None:
    stream, _, device = started(Sent(errno=number))
    with pytest.raises(GoneError, match=says):
        stream.next(1.0)
    stream.close()
    stream.close()
    assert device.closed


def test_woken_for_nothing_is_no_error() -> None:
    stream, _, _ = started(Sent(errno=errno.EAGAIN), Sent(b"x", 1, 1))
    assert stream.next(1.0) is None
    shot = stream.next(1.0)
    assert shot is not None
    assert shot.data == b"x"


def test_a_camera_in_use_is_told() -> None:
    stream, camera, _ = stream_of()
    assert not stream.is_busy()
    camera.busy = True
    assert stream.is_busy()
    with pytest.raises(InputError, match="used by another program; close that one first"):
        stream.negotiate("YUYV", (64, 48), None)
    with pytest.raises(InputError, match="used by another program"):
        stream.start()


def test_closing_stops_the_stream() -> None:
    stream, camera, device = started()
    stream.close()
    assert (device.streaming, device.closed, camera.log[-1]) == (False, True, "STREAMOFF")


def test_controls_are_read_and_set_where_the_camera_has_them() -> None:
    stream, camera, _ = stream_of()
    camera.controls = {Control.GAIN: 40}
    assert stream.control(Control.GAIN) == 40
    assert stream.set_control(Control.GAIN, 70) == 70
    assert stream.control(Control.AUTOGAIN) is None
    assert stream.set_control(Control.AUTOGAIN, 0) is None
    camera.gone = True
    with pytest.raises(GoneError, match="unplugged"):
        stream.control(Control.GAIN)


def test_the_kernels_device_passes_everything_on(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_bytes(bytes(range(100)) * 50)
    device = KernelDevice(str(path))
    with pytest.raises(OSError, match="ioctl") as caught:
        device.ioctl(Request.QUERYCAP.value, bytearray(Request.QUERYCAP.size))
    assert caught.value.errno == errno.ENOTTY
    assert bytes(device.mmap(100, 4096 if os.sysconf("SC_PAGESIZE") == 4096 else 0)[:4]) == bytes([96, 97, 98, 99])
    assert device.wait(0.0)  # a plain file is always ready
    device.close()
    device.close()


def test_stamps_are_whole_microseconds() -> None:
    data = BufferState(2).encode()
    data[24:40] = (1234).to_bytes(8, "little") + (567890).to_bytes(8, "little")
    state = BufferState.decode(data)
    assert (state.index, state.stamp_ns) == (2, 1_234_567_890_000)
    assert Mode("Y16", 160, 120, None).rate is None
