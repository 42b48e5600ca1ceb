"""The CUDA driver through its C interface: which GPU there is, and CUDA graphs.

It needs no package: ``libcuda.so.1`` comes with the driver. Graphs are here because pycuda (2026.1) has no stream
capture; they are made on the raw handle of a stream, so that any wrapper of memory and streams can use them.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.errors import FaultError

__all__ = ["Driver", "Gpu", "open_driver"]

log = logging.getLogger(__name__)

LIBRARY = "libcuda.so.1"
_SM_MAJOR, _SM_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_CAPTURE_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do cannot spoil it
_NAME_BYTES = 128


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device: its name and its compute capability, for example ``8.7`` on Orin."""

    name: str
    sm: str


class Driver:
    """An initialised driver. Every call that fails is a FaultError with the driver's own name for it."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._call("cuInit", ctypes.c_uint(0))

    def gpu(self) -> Gpu:
        """The first device; FaultError when there is none."""
        device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self._call("cuDeviceGetName", name, ctypes.c_int(_NAME_BYTES), device)
        return Gpu(name.value.decode(errors="replace"), f"{self._attribute(_SM_MAJOR, device)}."
                   f"{self._attribute(_SM_MINOR, device)}")  # fmt: skip

    def version(self) -> str:
        """The newest CUDA that the driver knows, for example ``12.6``."""
        number = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def capture(self, stream: int, work: Callable[[], None]) -> Callable[[], None]:
        """What ``work`` puts on ``stream``, recorded without being run; the answer puts all of it there at once.

        FaultError when something in it cannot be captured. ``work`` may raise; the capture is ended before.
        """
        handle, graph, launchable = ctypes.c_void_p(stream), ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", handle, ctypes.c_int(_CAPTURE_THREAD_LOCAL))
        try:
            work()
        except BaseException:
            self._library.cuStreamEndCapture(handle, ctypes.byref(graph))
            raise
        self._call("cuStreamEndCapture", handle, ctypes.byref(graph))
        self._call("cuGraphInstantiateWithFlags", ctypes.byref(launchable), graph, ctypes.c_ulonglong(0))
        self._call("cuGraphDestroy", graph)
        return lambda: self._call("cuGraphLaunch", launchable, handle)

    def _attribute(self, number: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(ctypes.c_int(code), ctypes.byref(text))
            raise FaultError(f"{name}: {(text.value or b'unknown error').decode()} ({code}); see dmesg for the GPU")


def open_driver(library: str = LIBRARY) -> Driver | None:
    """The initialised CUDA driver; None, with the reason in the log, where there is none that works."""
    try:
        return Driver(ctypes.CDLL(library))
    except (OSError, AttributeError, FaultError) as error:
        log.debug("no CUDA driver: %s", error)
        return None
