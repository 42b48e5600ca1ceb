"""A GPU for the fake TensorRT: memory in the shapes of its tensors, CUDA graphs, and a driver that names it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fakes.cuda_packages import STREAM, Device

from edge.cuda_driver import Gpu
from edge.errors import FaultError

SHAPE = (1, 4, 181, 9, 9)


class Graphs:
    """A driver that captures by remembering the work, as a real one does by recording it."""

    def __init__(self, error: str = "") -> None:
        self.launches = 0
        self._error = error

    def capture(self, stream: int, work: Callable[[], None]) -> Callable[[], None]:
        assert stream == STREAM
        if self._error:
            raise FaultError(self._error)

        def launch() -> None:
            self.launches += 1
            work()

        return launch

    def gpu(self) -> Gpu:
        return Gpu("Orin", "8.7")

    def version(self) -> str:
        return "12.6"


class ShapedMemory(dict[int, np.ndarray]):
    """The engine sees the device's memory in the shapes of its tensors."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def __getitem__(self, address: int) -> np.ndarray:
        flat = self._device.memory[address]
        return flat.reshape(SHAPE if flat.size == np.prod(SHAPE) else (1, SHAPE[2] - 1))
