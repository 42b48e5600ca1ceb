"""Pinned and device memory and one stream, behind :class:`Cuda`: pycuda, or cuda-bindings where there is no pycuda.

Nothing else in the project names either package.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge.errors import FaultError, MissingExtraError

__all__ = ["Buffer", "Cuda", "open_cuda"]

log = logging.getLogger(__name__)

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the default stream of other code does not wait for this one


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Float32 of one shape twice: pinned on the host, and at an address on the device. ``owner`` keeps both alive."""

    host: npt.NDArray[np.float32]
    device: int
    owner: Any = None


class Cuda(Protocol):
    """The first device with its primary context current on this thread. Every failure is a FaultError."""

    @property
    def stream(self) -> int:
        """The raw handle of the one stream."""

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """New memory for float32 of ``shape``."""

    def to_device(self, buffer: Buffer) -> None:
        """Put a copy from host to device on the stream."""

    def to_host(self, buffer: Buffer) -> None:
        """Put a copy from device to host on the stream."""

    def synchronize(self) -> None:
        """Wait for all that is on the stream."""

    def event(self) -> Any:
        """A new event, which takes the time when it is recorded."""

    def record(self, event: Any) -> None:
        """Put ``event`` on the stream."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two recorded events, after :meth:`synchronize`; to about half a microsecond."""

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses now."""


class PycudaMemory:
    """By pycuda."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._do(driver.init)
        self._do(self._do(self._do(driver.Device, 0).retain_primary_context).push)
        self._stream = self._do(driver.Stream, _NON_BLOCKING)

    @property
    def stream(self) -> int:
        """The raw handle of the one stream."""
        return int(self._stream.handle)

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """New memory for float32 of ``shape``."""
        host = self._do(self._driver.pagelocked_empty, shape, np.float32)
        device = self._do(self._driver.mem_alloc, host.nbytes)
        return Buffer(host, int(device), device)

    def to_device(self, buffer: Buffer) -> None:
        """Put a copy from host to device on the stream."""
        self._do(self._driver.memcpy_htod_async, buffer.device, buffer.host, self._stream)

    def to_host(self, buffer: Buffer) -> None:
        """Put a copy from device to host on the stream."""
        self._do(self._driver.memcpy_dtoh_async, buffer.host, buffer.device, self._stream)

    def synchronize(self) -> None:
        """Wait for all that is on the stream."""
        self._do(self._stream.synchronize)

    def event(self) -> Any:
        """A new event."""
        return self._do(self._driver.Event)

    def record(self, event: Any) -> None:
        """Put ``event`` on the stream."""
        self._do(event.record, self._stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two recorded events."""
        return float(self._do(end.time_since, start))

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses now."""
        free, _all = self._do(self._driver.mem_get_info)
        return int(free)

    def _do(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except self._driver.Error as error:
            raise FaultError(f"pycuda: {error}; see dmesg for the GPU") from error


class BindingsMemory:
    """By cuda-bindings, whose functions give their error code first."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._do("cuInit", 0)
        context = self._do("cuDevicePrimaryCtxRetain", self._do("cuDeviceGet", 0))
        self._do("cuCtxSetCurrent", context)
        self._stream = self._do("cuStreamCreate", _NON_BLOCKING)

    @property
    def stream(self) -> int:
        """The raw handle of the one stream."""
        return int(self._stream)

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """New memory for float32 of ``shape``."""
        size = 4 * math.prod(shape)
        address = int(self._do("cuMemHostAlloc", size, 0))
        pinned = memoryview((ctypes.c_byte * size).from_address(address))
        return Buffer(np.frombuffer(pinned, np.float32).reshape(shape), int(self._do("cuMemAlloc", size)), pinned)

    def to_device(self, buffer: Buffer) -> None:
        """Put a copy from host to device on the stream."""
        self._do("cuMemcpyHtoDAsync", buffer.device, buffer.host.ctypes.data, buffer.host.nbytes, self._stream)

    def to_host(self, buffer: Buffer) -> None:
        """Put a copy from device to host on the stream."""
        self._do("cuMemcpyDtoHAsync", buffer.host.ctypes.data, buffer.device, buffer.host.nbytes, self._stream)

    def synchronize(self) -> None:
        """Wait for all that is on the stream."""
        self._do("cuStreamSynchronize", self._stream)

    def event(self) -> Any:
        """A new event."""
        return self._do("cuEventCreate", 0)

    def record(self, event: Any) -> None:
        """Put ``event`` on the stream."""
        self._do("cuEventRecord", event, self._stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two recorded events."""
        return float(self._do("cuEventElapsedTime", start, end))

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses now."""
        return int(self._do("cuMemGetInfo"))  # the free part comes first

    def _do(self, name: str, *arguments: Any) -> Any:
        try:
            code, *values = getattr(self._driver, name)(*arguments)
        except RuntimeError as error:  # no driver library
            raise FaultError(f"cuda-bindings: {str(error).splitlines()[0]}") from error
        if int(code) != 0:
            raise FaultError(f"cuda-bindings: {name} gave {code.name} ({int(code)}); see dmesg for the GPU")
        return values[0] if values else None


def open_cuda() -> Cuda:
    """The device through the first package that is installed.

    Raises
    ------
    MissingExtraError
        Neither is.
    FaultError
        No device, or one that does not work.
    """
    for name, backend in (("pycuda.driver", PycudaMemory), ("cuda.bindings.driver", BindingsMemory)):
        try:
            driver = importlib.import_module(name)
        except ImportError as error:
            log.debug("%s: %s", name, error)
            continue
        cuda: Cuda = backend(driver)
        return cuda
    install = "pip install 'mmrphys-edge[tensorrt]', or where pycuda does not build: pip install cuda-bindings"
    raise MissingExtraError(f"the tensorrt runtime needs pycuda or cuda-bindings; {install}")
