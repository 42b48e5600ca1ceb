from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes.cuda_packages import FREE_BYTES, STREAM, TO_DEVICE_MS, TO_HOST_MS, BindingsDriver, Device, PycudaDriver

from edge.cuda_driver import open_driver
from edge.errors import FaultError, MissingExtraError
from edge.runtimes import cuda_memory
from edge.runtimes.cuda_memory import BindingsMemory, Cuda, PycudaMemory, open_cuda

USED = [name for name in vars(BindingsDriver) if name.startswith("cu")]


def pycuda(device: Device) -> Cuda:
    return PycudaMemory(PycudaDriver(device))


def bindings(device: Device) -> Cuda:
    return BindingsMemory(BindingsDriver(device))


@pytest.fixture(params=[pycuda, bindings])
def wrap(request: pytest.FixtureRequest) -> Callable[[Device], Cuda]:
    made: Callable[[Device], Cuda] = request.param
    return made


def test_numbers_go_to_the_device_and_back_on_one_stream(wrap: Callable[[Device], Cuda]) -> None:
    device = Device()
    cuda = wrap(device)
    assert cuda.stream == STREAM
    assert "Stream 1" in device.calls  # not blocked by the default stream
    assert device.calls.index("init") < device.calls.index("push") < device.calls.index("Stream 1")
    buffer = cuda.buffer((2, 3))
    assert (buffer.host.shape, buffer.host.dtype) == ((2, 3), np.float32)
    buffer.host[...] = np.arange(6.0).reshape(2, 3)
    cuda.to_device(buffer)
    np.testing.assert_array_equal(device.memory[buffer.device], np.arange(6.0))
    device.memory[buffer.device] *= 2.0
    cuda.to_host(buffer)
    cuda.synchronize()
    np.testing.assert_array_equal(buffer.host, 2.0 * np.arange(6.0).reshape(2, 3))
    assert device.calls[-3:] == ["to device", "to host", "synchronize"]


def test_events_take_the_devices_time(wrap: Callable[[Device], Cuda]) -> None:
    device = Device()
    cuda = wrap(device)
    buffer, start, end = cuda.buffer((2, 3)), cuda.event(), cuda.event()
    cuda.record(start)
    cuda.to_device(buffer)
    cuda.to_host(buffer)
    cuda.record(end)
    cuda.synchronize()
    assert cuda.elapsed_ms(start, end) == pytest.approx(TO_DEVICE_MS + TO_HOST_MS)
    assert cuda.free_bytes() == FREE_BYTES


@pytest.mark.parametrize("failing", ["init", "to device", "to host", "synchronize"])
def test_every_error_is_a_fault_in_one_line(wrap: Callable[[Device], Cuda], failing: str) -> None:
    device = Device()
    if failing == "init":
        device.failing = failing
        with pytest.raises(FaultError, match=r"illegal|ILLEGAL"):
            wrap(device)
        return
    cuda = wrap(device)
    buffer = cuda.buffer((1,))
    device.failing = failing
    with pytest.raises(FaultError, match=r"(illegal memory access|ILLEGAL_ADDRESS).*; see dmesg"):
        {"to device": cuda.to_device, "to host": cuda.to_host}.get(failing, lambda _: cuda.synchronize())(buffer)


def test_pycuda_is_taken_first_and_neither_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    here: dict[str, Any] = {"pycuda.driver": PycudaDriver(Device()), "cuda.bindings.driver": BindingsDriver(Device())}

    def load(name: str) -> Any:
        if name in here:
            return here[name]
        raise ImportError(name)

    monkeypatch.setattr(cuda_memory.importlib, "import_module", load)
    assert isinstance(open_cuda(), PycudaMemory)
    del here["pycuda.driver"]
    assert isinstance(open_cuda(), BindingsMemory)
    here.clear()
    with pytest.raises(
        MissingExtraError, match=r"needs pycuda or cuda-bindings; pip install 'mmrphys-edge\[tensorrt\]'"
    ):
        open_cuda()


@pytest.fixture
def real() -> Any:
    pytest.importorskip("cuda.bindings", reason="cuda-bindings comes with the dev extra")
    return importlib.import_module("cuda.bindings.driver")


@pytest.mark.parametrize("name", USED)
def test_the_fake_has_the_parameters_of_cuda_bindings(real: Any, name: str) -> None:
    inside = re.search(r"\((.*)\)", getattr(real, name).__doc__.split("\n")[0])[1]
    seen = [re.search(r"(\w+)(?::.*)?$", part.strip())[1] for part in inside.split(",") if part]
    assert seen == list(inspect.signature(getattr(BindingsDriver, name)).parameters)[1:]


def test_cuda_bindings_without_a_driver_is_a_fault(real: Any) -> None:
    if not sys.platform.startswith("linux") or _has_driver():
        pytest.skip("this machine has a CUDA driver")
    with pytest.raises(FaultError, match="cuda-bindings: "):
        BindingsMemory(real)


@pytest.mark.gpu
def test_on_a_gpu_numbers_come_back_and_time_passes() -> None:
    try:
        cuda = open_cuda()
    except MissingExtraError as error:
        pytest.skip(str(error))
    buffer, start, end = cuda.buffer((1 << 20,)), cuda.event(), cuda.event()
    buffer.host[...] = np.arange(1 << 20)
    driver = open_driver()
    assert driver is not None
    copies = driver.capture(cuda.stream, lambda: (cuda.to_device(buffer), cuda.to_host(buffer)))
    cuda.to_device(buffer)
    cuda.synchronize()
    buffer.host[...] = 0.0
    cuda.to_host(buffer)
    cuda.synchronize()
    np.testing.assert_array_equal(buffer.host, np.arange(1 << 20))
    cuda.record(start)
    copies()
    cuda.record(end)
    cuda.synchronize()
    assert cuda.elapsed_ms(start, end) > 0.0
    assert cuda.free_bytes() > 0


def _has_driver() -> bool:
    return open_driver() is not None
