"""``pycuda.driver`` and ``cuda.bindings.driver`` over ordinary memory: device memory is an array found by its address.

pycuda has no wheel and does not import without a driver, so its half follows the source of release 2026.1
(src/wrapper/wrap_cudadrv.cpp); the half of cuda-bindings is compared with the package where it is installed.
"""

from __future__ import annotations

import ctypes
import enum
from types import SimpleNamespace
from typing import Any

import numpy as np

STREAM = 0x5EA
TO_DEVICE_MS, TO_HOST_MS = 0.2, 0.05
FREE_BYTES = 1_000_000_000


class Device:
    """Memory by address, what was called, and which call shall fail."""

    def __init__(self) -> None:
        self.memory: dict[int, np.ndarray] = {}
        self.calls: list[str] = []
        self.failing = ""
        self.host: list[Any] = []
        self.now_ms = 0.0

    def passes(self, ms: float) -> None:
        self.now_ms += ms

    def allocate(self, size: int) -> int:
        address = 0x1000_0000 * (len(self.memory) + 1)
        self.memory[address] = np.zeros(size // 4, np.float32)
        return address


class PycudaError(Exception):
    pass


class PycudaDriver:
    """The module ``pycuda.driver``."""

    Error = PycudaError

    def __init__(self, device: Device) -> None:
        self._device = device

    def init(self, flags: int = 0) -> None:
        self._note("init")

    def Device(self, number: int) -> Any:  # noqa: N802 - its name, as below
        return SimpleNamespace(retain_primary_context=lambda: SimpleNamespace(push=lambda: self._note("push")))

    def Stream(self, flags: int = 0) -> Any:  # noqa: N802
        self._note(f"Stream {flags}")
        return SimpleNamespace(handle=STREAM, synchronize=lambda: self._note("synchronize"))

    def pagelocked_empty(self, shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        return np.empty(shape, dtype)

    def mem_alloc(self, size: int) -> Any:
        return Allocation(self._device.allocate(size))

    def memcpy_htod_async(self, dest: int, src: np.ndarray, stream: Any = None) -> None:
        self._note("to device")
        self._device.passes(TO_DEVICE_MS)
        self._device.memory[dest][:] = src.ravel()

    def memcpy_dtoh_async(self, dest: np.ndarray, src: int, stream: Any = None) -> None:
        self._note("to host")
        self._device.passes(TO_HOST_MS)
        dest.ravel()[:] = self._device.memory[src]

    def Event(self, flags: int = 0) -> Any:  # noqa: N802
        self._note("event")
        return PycudaEvent(self._device)

    def mem_get_info(self) -> tuple[int, int]:
        self._note("memory")
        return FREE_BYTES, 2 * FREE_BYTES

    def _note(self, name: str) -> None:
        self._device.calls.append(name)
        if name == self._device.failing:
            raise PycudaError(f"{name} failed: an illegal memory access was encountered")


class PycudaEvent:
    def __init__(self, device: Device) -> None:
        self._device, self.at_ms = device, -1.0

    def record(self, stream: Any = None) -> None:
        self.at_ms = self._device.now_ms

    def time_since(self, event: PycudaEvent) -> float:
        return self.at_ms - event.at_ms


class Allocation:
    def __init__(self, address: int) -> None:
        self._address = address

    def __int__(self) -> int:
        return self._address


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


class BindingsDriver:
    """Each function gives its code first; ``__init__`` of the real package's objects takes no arguments here."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def _note(self, name: str, *values: Any) -> tuple[Any, ...]:
        self._device.calls.append(name)
        if name == self._device.failing:
            return (CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, *(None for _ in values))
        return (CUresult.CUDA_SUCCESS, *values)

    def cuInit(self, Flags: int) -> Any:  # noqa: N802, N803 - its names, here and below
        return self._note("init")

    def cuDeviceGet(self, ordinal: int) -> Any:  # noqa: N802
        return self._note("device", 0)

    def cuDevicePrimaryCtxRetain(self, dev: int) -> Any:  # noqa: N802
        return self._note("retain", "context")

    def cuCtxSetCurrent(self, ctx: str) -> Any:  # noqa: N802
        return self._note("push")

    def cuStreamCreate(self, Flags: int) -> Any:  # noqa: N802, N803
        return self._note(f"Stream {Flags}", STREAM)

    def cuMemHostAlloc(self, bytesize: int, Flags: int) -> Any:  # noqa: N802, N803
        self._device.host.append((ctypes.c_byte * bytesize)())
        return self._note("pinned", ctypes.addressof(self._device.host[-1]))

    def cuMemAlloc(self, bytesize: int) -> Any:  # noqa: N802
        return self._note("alloc", self._device.allocate(bytesize))

    def cuMemcpyHtoDAsync(self, dstDevice: int, srcHost: int, ByteCount: int, hStream: int) -> Any:  # noqa: N802, N803
        ctypes.memmove(self._device.memory[dstDevice].ctypes.data, srcHost, ByteCount)
        self._device.passes(TO_DEVICE_MS)
        return self._note("to device")

    def cuMemcpyDtoHAsync(self, dstHost: int, srcDevice: int, ByteCount: int, hStream: int) -> Any:  # noqa: N802, N803
        ctypes.memmove(dstHost, self._device.memory[srcDevice].ctypes.data, ByteCount)
        self._device.passes(TO_HOST_MS)
        return self._note("to host")

    def cuStreamSynchronize(self, hStream: int) -> Any:  # noqa: N802, N803
        return self._note("synchronize")

    def cuEventCreate(self, Flags: int) -> Any:  # noqa: N802, N803
        return self._note("event", [-1.0])

    def cuEventRecord(self, hEvent: list[float], hStream: int) -> Any:  # noqa: N802, N803
        hEvent[0] = self._device.now_ms
        return self._note("record")

    def cuEventElapsedTime(self, hStart: list[float], hEnd: list[float]) -> Any:  # noqa: N802, N803
        return self._note("elapsed", hEnd[0] - hStart[0])

    def cuMemGetInfo(self) -> Any:  # noqa: N802
        return self._note("memory", FREE_BYTES, 2 * FREE_BYTES)
