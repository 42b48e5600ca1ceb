"""A V4L2 device that answers the real request codes with real structures, as uvcvideo does.

It makes up no picture: tests queue the bytes that the camera sends.

Its structures are written here once more, with ctypes, whose padding is the C compiler's: an error in the layouts of
``edge/cameras/uvc_structs.py`` shows as a wrong answer. What a driver may not do (queue a buffer twice, set a format
while streaming, dequeue before the start) is refused as the kernel refuses it.
"""

from __future__ import annotations

import ctypes
import errno
from collections import deque
from collections.abc import Callable
from ctypes import c_int32, c_int64, c_uint8, c_uint32, c_uint64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FakeCamera", "FakeDevice", "FakeMode", "Machine", "Sent", "number_of"]

MONOTONIC_SOE, MONOTONIC_EOF, NO_CLOCK, ERROR_FLAG = 0x2000 | 0x10000, 0x2000, 0, 0x40


class Capability(ctypes.Structure):
    _fields_ = [
        ("driver", c_uint8 * 16), ("card", c_uint8 * 32), ("bus_info", c_uint8 * 32), ("version", c_uint32),
        ("capabilities", c_uint32), ("device_caps", c_uint32), ("reserved", c_uint32 * 3),
    ]  # fmt: skip


class FormatDescription(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32), ("type", c_uint32), ("flags", c_uint32), ("description", c_uint8 * 32),
        ("pixelformat", c_uint32), ("mbus_code", c_uint32), ("reserved", c_uint32 * 3),
    ]  # fmt: skip


class Pixels(ctypes.Structure):
    _fields_ = [
        (name, c_uint32)
        for name in (
            "width", "height", "pixelformat", "field", "bytesperline", "sizeimage", "colorspace", "priv", "flags",
            "ycbcr_enc", "quantization", "xfer_func",
        )
    ]  # fmt: skip


class FormatUnion(ctypes.Union):
    _fields_ = [("pix", Pixels), ("raw", c_uint8 * 200), ("pointer", c_uint64)]  # v4l2_window holds pointers


class Format(ctypes.Structure):
    _fields_ = [("type", c_uint32), ("fmt", FormatUnion)]


class Fraction_(ctypes.Structure):  # noqa: N801 - v4l2_fract
    _fields_ = [("numerator", c_uint32), ("denominator", c_uint32)]


class CaptureParameters(ctypes.Structure):
    _fields_ = [
        ("capability", c_uint32), ("capturemode", c_uint32), ("timeperframe", Fraction_), ("extendedmode", c_uint32),
        ("readbuffers", c_uint32), ("reserved", c_uint32 * 4),
    ]  # fmt: skip


class ParametersUnion(ctypes.Union):
    _fields_ = [("capture", CaptureParameters), ("raw", c_uint8 * 200)]


class Parameters(ctypes.Structure):
    _fields_ = [("type", c_uint32), ("parm", ParametersUnion)]


class FrameSizes(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32), ("pixel_format", c_uint32), ("type", c_uint32), ("stepwise", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    ]  # fmt: skip


class FrameIntervals(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32), ("pixel_format", c_uint32), ("width", c_uint32), ("height", c_uint32),
        ("type", c_uint32), ("stepwise", Fraction_ * 3), ("reserved", c_uint32 * 2),
    ]  # fmt: skip


class RequestBuffers(ctypes.Structure):
    _fields_ = [
        ("count", c_uint32), ("type", c_uint32), ("memory", c_uint32), ("capabilities", c_uint32),
        ("flags", c_uint8), ("reserved", c_uint8 * 3),
    ]  # fmt: skip


class TimeValue(ctypes.Structure):
    _fields_ = [("seconds", c_int64), ("microseconds", c_int64)]


class Place(ctypes.Union):
    _fields_ = [("offset", c_uint32), ("userptr", c_uint64)]


class Buffer(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32), ("type", c_uint32), ("bytesused", c_uint32), ("flags", c_uint32), ("field", c_uint32),
        ("timestamp", TimeValue), ("timecode", c_uint32 * 4), ("sequence", c_uint32), ("memory", c_uint32),
        ("m", Place), ("length", c_uint32), ("reserved2", c_uint32), ("request_fd", c_int32),
    ]  # fmt: skip


class QueryControl(ctypes.Structure):
    _fields_ = [
        ("id", c_uint32), ("type", c_uint32), ("name", c_uint8 * 32), ("minimum", c_int32), ("maximum", c_int32),
        ("step", c_int32), ("default_value", c_int32), ("flags", c_uint32), ("reserved", c_uint32 * 2),
    ]  # fmt: skip


class ControlValue(ctypes.Structure):
    _fields_ = [("id", c_uint32), ("value", c_int32)]


_WRITE, _READ = 1, 2
_TABLE: dict[str, tuple[int, int, Any]] = {
    "QUERYCAP": (0, _READ, Capability), "ENUM_FMT": (2, 3, FormatDescription), "G_FMT": (4, 3, Format),
    "S_FMT": (5, 3, Format), "REQBUFS": (8, 3, RequestBuffers), "QUERYBUF": (9, 3, Buffer), "QBUF": (15, 3, Buffer),
    "DQBUF": (17, 3, Buffer), "STREAMON": (18, _WRITE, c_int32), "STREAMOFF": (19, _WRITE, c_int32),
    "G_PARM": (21, 3, Parameters), "S_PARM": (22, 3, Parameters), "G_CTRL": (27, 3, ControlValue),
    "S_CTRL": (28, 3, ControlValue), "QUERYCTRL": (36, 3, QueryControl), "ENUM_FRAMESIZES": (74, 3, FrameSizes),
    "ENUM_FRAMEINTERVALS": (75, 3, FrameIntervals),
}  # fmt: skip


def number_of(name: str) -> int:
    """The request code of a VIDIOC_ name, by the kernel's macro: direction, size, type 'V', number."""
    number, direction, kind = _TABLE[name]
    return direction << 30 | ctypes.sizeof(kind) << 16 | ord("V") << 8 | number


_NAMES = {number_of(name): name for name in _TABLE}


@dataclass(frozen=True)
class FakeMode:
    fourcc: str
    width: int
    height: int
    rates: tuple[int, ...] = (30,)
    line: int | None = None
    """Bytes a row, where it is padded."""

    @property
    def bytes_per_line(self) -> int:
        return self.line or self.width * (1 if self.fourcc == "NV12" else 2)

    @property
    def code(self) -> int:
        return int.from_bytes(self.fourcc.ljust(4).encode(), "little")


@dataclass(frozen=True)
class Sent:
    """One turn of the camera: a picture, an error of the kernel (``errno``), or silence (``data`` None)."""

    data: bytes | None = None
    stamp_ns: int = 0
    sequence: int = 0
    flags: int = MONOTONIC_SOE
    errno: int = 0


@dataclass
class FakeCamera:
    """What is plugged in. ``controls`` by id; ``automatic`` ids make their partner change by itself while not off."""

    modes: list[FakeMode]
    card: str = "C920 HD"
    bus: str = "usb-0000:00:14.0-2"
    driver: str = "uvcvideo"
    capabilities: int = 0x0420_0001
    controls: dict[int, int] = field(default_factory=dict)
    busy: bool = False
    gives: FakeMode | None = None
    """What it gives whatever is asked for."""
    rate: int | None = None
    """The rate it runs at whatever is asked for."""
    sends: deque[Sent] = field(default_factory=deque)
    gone: bool = False
    log: list[str] = field(default_factory=list)
    on_stream: Callable[[], None] | None = None


class FakeDevice:
    """One open file of a camera."""

    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        self.format = camera.modes[0] if camera.modes else FakeMode("YUYV", 0, 0)
        self.rate = 30
        self.memory: list[bytearray] = []
        self.queued: deque[int] = deque()
        self.streaming = self.closed = False

    def ioctl(self, request: int, argument: bytearray) -> None:
        name = _NAMES.get(request)
        if name is None:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        if self.camera.gone:
            raise OSError(errno.ENODEV, "No such device")
        self.camera.log.append(name)
        kind = _TABLE[name][2]
        assert len(argument) == ctypes.sizeof(kind), name
        getattr(self, f"_{name.lower()}")(kind.from_buffer(argument))

    def mmap(self, length: int, offset: int) -> memoryview:
        memory = self.memory[offset // 0x10000]
        assert len(memory) == length
        return memoryview(memory)

    def wait(self, timeout_s: float) -> bool:
        assert self.streaming
        if not self.camera.sends:
            return False
        if self.camera.sends[0].data is None and not self.camera.sends[0].errno:
            self.camera.sends.popleft()
            return False
        return True

    def close(self) -> None:
        self.closed = True

    # ---------------------------------------------------------------------------------------------- requests

    def _querycap(self, data: Any) -> None:
        for place, text in (("driver", self.camera.driver), ("card", self.camera.card), ("bus_info", self.camera.bus)):
            raw = text.encode()
            ctypes.memmove(getattr(data, place), raw, len(raw))
        data.capabilities, data.device_caps = 0x84A0_0001, self.camera.capabilities

    def _refuse_unless(self, condition: object) -> None:
        if not condition:
            raise OSError(errno.EINVAL, "Invalid argument")

    def _check_free(self) -> None:
        if self.camera.busy or self.streaming:
            raise OSError(errno.EBUSY, "Device or resource busy")

    def _enum_fmt(self, data: Any) -> None:
        codes = list(dict.fromkeys(mode.code for mode in self.camera.modes))
        self._refuse_unless(data.type == 1 and data.index < len(codes))
        data.pixelformat = codes[data.index]

    def _enum_framesizes(self, data: Any) -> None:
        sizes = [(m.width, m.height) for m in self.camera.modes if m.code == data.pixel_format]
        self._refuse_unless(data.index < len(sizes))
        data.type, (data.stepwise[0], data.stepwise[1]) = 1, sizes[data.index]

    def _enum_frameintervals(self, data: Any) -> None:
        wanted = (data.pixel_format, data.width, data.height)
        mode = next((m for m in self.camera.modes if (m.code, m.width, m.height) == wanted), None)
        self._refuse_unless(mode is not None and data.index < len(mode.rates))
        assert mode is not None
        data.type, data.stepwise[0].numerator, data.stepwise[0].denominator = 1, 1, mode.rates[data.index]

    def _s_fmt(self, data: Any) -> None:
        self._check_free()
        wanted = (data.fmt.pix.pixelformat, data.fmt.pix.width, data.fmt.pix.height)
        known = [m for m in self.camera.modes if (m.code, m.width, m.height) == wanted]
        self.format = self.camera.gives or (known or self.camera.modes)[0]
        self._g_fmt(data)

    def _g_fmt(self, data: Any) -> None:
        assert data.type == 1
        pix, mode = data.fmt.pix, self.format
        pix.width, pix.height, pix.pixelformat = mode.width, mode.height, mode.code
        pix.bytesperline, pix.sizeimage = mode.bytes_per_line, self._image_size()

    def _image_size(self) -> int:
        return max(self.format.bytes_per_line * self.format.height * 3 // 2, 8192)

    def _s_parm(self, data: Any) -> None:
        assert data.type == 1
        interval = data.parm.capture.timeperframe
        self.rate = self.camera.rate or interval.denominator // interval.numerator
        self._g_parm(data)

    def _g_parm(self, data: Any) -> None:
        capture = data.parm.capture
        capture.capability, capture.timeperframe.numerator = 0x1000, 1
        capture.timeperframe.denominator = self.camera.rate or self.rate

    def _reqbufs(self, data: Any) -> None:
        assert (data.type, data.memory) == (1, 1)
        self._check_free()
        data.count = min(data.count, 3)  # a driver may give fewer than asked for
        self.memory = [bytearray(self._image_size()) for _ in range(data.count)]

    def _querybuf(self, data: Any) -> None:
        self._refuse_unless((data.type, data.memory) == (1, 1) and data.index < len(self.memory))
        data.length, data.m.offset = len(self.memory[data.index]), data.index * 0x10000

    def _qbuf(self, data: Any) -> None:
        self._refuse_unless((data.type, data.memory) == (1, 1) and data.index < len(self.memory))
        self._refuse_unless(data.index not in self.queued)
        self.queued.append(data.index)

    def _dqbuf(self, data: Any) -> None:
        self._refuse_unless(self.streaming and (data.type, data.memory) == (1, 1))
        sent = self.camera.sends.popleft()
        if sent.errno:
            self.camera.gone = sent.errno == errno.ENODEV
            raise OSError(sent.errno, "from the kernel")
        assert sent.data is not None
        data.index = self.queued.popleft()
        self.memory[data.index][: len(sent.data)] = sent.data
        data.bytesused, data.flags, data.sequence = len(sent.data), sent.flags, sent.sequence
        data.timestamp.seconds, rest = divmod(sent.stamp_ns, 10**9)
        data.timestamp.microseconds = rest // 1000

    def _streamon(self, data: Any) -> None:
        assert data.value == 1
        self._check_free()
        self._refuse_unless(self.queued)
        self.streaming = True
        if self.camera.on_stream:
            self.camera.on_stream()

    def _streamoff(self, data: Any) -> None:
        assert data.value == 1
        self.streaming = False

    def _queryctrl(self, data: Any) -> None:
        self._refuse_unless(data.id in self.camera.controls)
        data.minimum, data.maximum, data.step = 0, 10_000, 1

    def _g_ctrl(self, data: Any) -> None:
        self._refuse_unless(data.id in self.camera.controls)
        data.value = self.camera.controls[data.id]

    def _s_ctrl(self, data: Any) -> None:
        self._refuse_unless(data.id in self.camera.controls)
        self.camera.controls[data.id] = data.value


class Machine:
    """The folders ``/dev`` and ``/sys/class/video4linux`` of a machine, with cameras that are plugged in and pulled."""

    def __init__(self, folder: Path, device: type[FakeDevice] = FakeDevice) -> None:
        self._device = device
        self.dev, self.sys, self.usb = folder / "dev", folder / "sys", folder / "usb"
        for place in (self.dev, self.sys, self.usb):
            place.mkdir(parents=True)
        self.cameras: dict[str, FakeCamera] = {}
        self.denied: dict[str, int] = {}
        self.devices: list[FakeDevice] = []

    def plug(self, number: int, camera: FakeCamera, *, by_id: str | None = None, usb_id: str | None = None) -> str:
        """Make ``/dev/video<number>`` and what udev makes beside it; gives its path."""
        camera.gone = False
        node = self.dev / f"video{number}"
        node.touch()
        self.cameras[str(node)] = camera
        if by_id:
            (self.dev / "v4l" / "by-id").mkdir(parents=True, exist_ok=True)
            (self.dev / "v4l" / "by-id" / by_id).symlink_to(node)
        if usb_id:
            device = self.usb / f"device{number}"
            (device / "interface").mkdir(parents=True)
            (self.sys / node.name).mkdir()
            (self.sys / node.name / "name").write_text(f"{camera.card}\n")
            (self.sys / node.name / "device").symlink_to(device / "interface")
            for name, text in zip(("idVendor", "idProduct"), usb_id.split(":"), strict=True):
                (device / name).write_text(f"{text}\n")
        return str(node)

    def pull(self, number: int) -> None:
        """Unplug; a file that is still open answers ENODEV."""
        node = self.dev / f"video{number}"
        self.cameras.pop(str(node)).gone = True
        node.unlink()
        for link in (self.dev / "v4l" / "by-id").glob("*"):
            if not link.exists():
                link.unlink()

    def open(self, path: str) -> FakeDevice:
        real = str(Path(path).resolve())
        if real in self.denied:
            raise OSError(self.denied[real], "refused")
        if real not in self.cameras:
            raise OSError(errno.ENOENT, "No such file or directory")
        self.devices.append(self._device(self.cameras[real]))
        return self.devices[-1]
