"""V4L2 devices, once for all drivers: what a device offers, its format and rate, controls, and pictures with stamps.

:class:`Device` is the kernel's side (ioctl, mmap, poll), so that tests run this very code against a device that answers
with real structures. Everything above it is :class:`UvcStream`. Layouts are in ``uvc_structs``.

    with closing(UvcStream(open_device("/dev/video0"))) as stream:
        stream.negotiate("MJPG", (1280, 720), Fraction(30))
        stream.start()
        shot = stream.next(1.0)        # None: nothing came in time; GoneError: unplugged
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from edge.cameras import uvc_structs as structs
from edge.cameras.uvc_structs import BufferState, Capability, Control, ControlInfo, PixelLayout, Request
from edge.errors import GoneError, InputError

__all__ = ["Device", "KernelDevice", "Mode", "Shot", "UvcStream", "open_device"]

BUFFERS = 4
"""Pictures the driver may hold: enough for one late turn of the reader at 60 /s, and at most 4 frames of delay."""
_MANY = 512
"""No device lists more formats, sizes or rates."""


class Device(Protocol):
    """An open V4L2 node. Every method may raise OSError with the kernel's own number."""

    def ioctl(self, request: int, argument: bytearray) -> None:
        """Answers in place."""

    def mmap(self, length: int, offset: int) -> memoryview:
        """A driver's buffer, shared."""

    def wait(self, timeout_s: float) -> bool:
        """True when a picture, or an error, can be taken."""

    def close(self) -> None:
        """Give the node back; may be called twice."""


class KernelDevice:
    """A node below ``/dev``."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._maps: list[tuple[mmap.mmap, memoryview]] = []

    def ioctl(self, request: int, argument: bytearray) -> None:
        """See :class:`Device`."""
        fcntl.ioctl(self._fd, request, argument, True)  # noqa: FBT003 - the standard library's own signature

    def mmap(self, length: int, offset: int) -> memoryview:
        """See :class:`Device`."""
        mapped = mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)
        view = memoryview(mapped)
        self._maps.append((mapped, view))
        return view

    def wait(self, timeout_s: float) -> bool:
        """See :class:`Device`."""
        return bool(self._poll.poll(timeout_s * 1000.0))

    def close(self) -> None:
        """See :class:`Device`."""
        for mapped, view in self._maps:
            view.release()
            mapped.close()
        self._maps.clear()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def open_device(path: str) -> Device:
    """The node at ``path``; OSError when it cannot be opened."""
    return KernelDevice(path)


@dataclass(frozen=True, slots=True)
class Mode:
    """One thing a device can send. ``rate`` (pictures per second) is None where the driver does not say."""

    fourcc: str
    width: int
    height: int
    rate: Fraction | None

    def __str__(self) -> str:
        """For messages: ``MJPG 1280x720 at 30.00 /s``."""
        at = f" at {float(self.rate):.2f} /s" if self.rate else ""
        return f"{self.fourcc} {self.width}x{self.height}{at}"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture as the driver handed it over: its bytes, undecoded, and what the driver says of it.

    ``stamp_ns`` is on CLOCK_MONOTONIC where ``monotonic``, else of no use. ``at_exposure``: at the start of exposure,
    else when its last byte came. ``sequence`` counts what the driver has produced since the stream began.
    """

    data: bytes
    stamp_ns: int
    monotonic: bool
    at_exposure: bool
    sequence: int
    damaged: bool


class UvcStream:
    """One open device, from its offers to its pictures. Owns the device: ``close`` gives it back."""

    def __init__(self, device: Device, name: str = "the camera") -> None:
        self._device, self._name = device, name
        self._buffers: list[memoryview] = []
        self._on = False

    # ---------------------------------------------------------------------------------------------- what there is

    def capability(self) -> Capability:
        """What the node is; OSError when it is no V4L2 node."""
        return Capability.decode(self._asked(Request.QUERYCAP, bytearray(Request.QUERYCAP.size)))

    def modes(self) -> list[Mode]:
        """All formats, sizes and rates it offers."""
        return [
            Mode(structs.text_from_fourcc(fourcc), *size, rate)
            for fourcc in self._formats()
            for size in self._sizes(fourcc)
            for rate in (*self._rates(fourcc, size),) or (None,)
        ]

    def _formats(self) -> list[int]:
        answers = self._listed(Request.ENUM_FMT, structs.format_query)
        return [structs.format_answer(answer) for answer in answers]

    def _sizes(self, fourcc: int) -> list[tuple[int, int]]:
        sizes: list[tuple[int, int]] = []
        for answer in self._listed(Request.ENUM_FRAMESIZES, lambda index: structs.size_query(index, fourcc)):
            found, more = structs.size_answer(answer)
            sizes += found
            if not more:
                break
        return sizes

    def _rates(self, fourcc: int, size: tuple[int, int]) -> list[Fraction]:
        rates: list[Fraction] = []
        query: Callable[[int], bytearray] = lambda index: structs.interval_query(index, fourcc, size)  # noqa: E731
        for answer in self._listed(Request.ENUM_FRAMEINTERVALS, query):
            found, more = structs.interval_answer(answer)
            rates += found
            if not more:
                break
        return rates

    def _listed(self, request: Request, query: Callable[[int], bytearray]) -> Iterator[bytearray]:
        """The answers for index 0, 1, ... until the driver says EINVAL (no more) or ENOTTY (knows no such list)."""
        for index in range(_MANY):
            try:
                yield self._asked(request, query(index))
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return
                raise

    # ---------------------------------------------------------------------------------------------- format and rate

    def negotiate(
        self, fourcc: str, size: tuple[int, int], rate: Fraction | None
    ) -> tuple[PixelLayout, Fraction | None]:
        """Ask for a format and read back what it really is; InputError when another program holds the camera."""
        wanted = PixelLayout(*size, structs.fourcc_from_text(fourcc))
        self._set(Request.S_FMT, wanted.encode())
        if rate is not None:
            self._set_rate(rate)
        got = PixelLayout.decode(self._asked(Request.G_FMT, structs.format_request()))
        return got, self._rate()

    def _set(self, request: Request, argument: bytearray) -> bytearray:
        try:
            return self._asked(request, argument)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise InputError(f"{self._name} is used by another program; close that one first") from error
            raise

    def _set_rate(self, rate: Fraction) -> None:
        try:
            self._set(Request.S_PARM, structs.rate_request(rate))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):  # a fixed rate; what it is will be read back
                raise

    def _rate(self) -> Fraction | None:
        try:
            return structs.rate_answer(self._asked(Request.G_PARM, structs.rate_request()))
        except OSError:
            return None

    # ---------------------------------------------------------------------------------------------- controls

    def control(self, control: Control) -> int | None:
        """The present value of a control that can be set; None where the camera has no such control."""
        try:
            if not ControlInfo.decode(self._asked(Request.QUERYCTRL, structs.control_query(control))).usable:
                return None
            return structs.control_answer(self._asked(Request.G_CTRL, structs.control_value(control)))
        except OSError as error:
            self._check_gone(error)
            return None

    def set_control(self, control: Control, value: int) -> int | None:
        """Set a control and give back what it then is; None where the camera refused."""
        try:
            self._asked(Request.S_CTRL, structs.control_value(control, value))
            return structs.control_answer(self._asked(Request.G_CTRL, structs.control_value(control)))
        except OSError as error:
            self._check_gone(error)
            return None

    def _check_gone(self, error: OSError) -> None:
        if error.errno == errno.ENODEV:
            raise GoneError(f"{self._name} was unplugged") from error

    # ---------------------------------------------------------------------------------------------- pictures

    def is_busy(self) -> bool:
        """Whether another program has the buffers. Asks for none, so nobody is disturbed."""
        try:
            self._asked(Request.REQBUFS, structs.buffers_request(0))
        except OSError as error:
            return error.errno == errno.EBUSY
        return False

    def start(self) -> None:
        """Map the buffers, queue them all, begin. InputError when another program streams."""
        count = structs.buffers_answer(self._set(Request.REQBUFS, structs.buffers_request(BUFFERS)))
        for index in range(count):
            state = BufferState.decode(self._asked(Request.QUERYBUF, BufferState(index).encode()))
            self._buffers.append(self._device.mmap(state.length, state.offset))
            self._asked(Request.QBUF, BufferState(index).encode())
        self._set(Request.STREAMON, structs.stream_request())
        self._on = True

    def next(self, timeout_s: float) -> Shot | None:
        """The next picture; None when none came in time.

        Raises
        ------
        GoneError
            The device was unplugged, or its stream broke and has to be started anew.
        """
        try:
            if not self._device.wait(timeout_s):
                return None
            state = BufferState.decode(self._asked(Request.DQBUF, BufferState(0).encode()))
            data = bytes(self._buffers[state.index][: state.used])
            self._asked(Request.QBUF, BufferState(state.index).encode())
        except OSError as error:
            if error.errno == errno.EAGAIN:  # woken for nothing
                return None
            why = "was unplugged" if error.errno == errno.ENODEV else f"broke off ({error.strerror})"
            raise GoneError(f"{self._name} {why}; check its plug, cable and the load of the bus") from error
        return Shot(data, state.stamp_ns, state.monotonic, state.at_exposure, state.sequence, state.damaged)

    def close(self) -> None:
        """Stop the stream and give the device back; may be called twice, and after it was unplugged."""
        if self._on:
            self._on = False
            with contextlib.suppress(OSError):  # unplugged: nothing is left to stop
                self._asked(Request.STREAMOFF, structs.stream_request())
        self._buffers.clear()
        self._device.close()

    def _asked(self, request: Request, argument: bytearray) -> bytearray:
        assert len(argument) == request.size
        self._device.ioctl(request.value, argument)
        return argument
