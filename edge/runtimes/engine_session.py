"""An engine that is ready to run, in the process that owns the GPU: buffers, one stream, a CUDA graph.

Only tensors' names are used, never their numbers: one path for TensorRT 10.3 to 11.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Graph
from edge.cuda_driver import Driver, open_driver
from edge.engine_build import Progress, Span, find_tensorrt, make_logger, version_of
from edge.engines import Engine, default_cache, engine_from_graph, fingerprint_of, machine_of
from edge.errors import FaultError
from edge.runtimes.cuda_memory import Buffer, Cuda, open_cuda

__all__ = ["EngineSession", "Opened", "open_engine", "open_session"]

log = logging.getLogger(__name__)


class EngineSession:
    """One engine on one stream. ``name`` tells the release and whether a CUDA graph is used."""

    def __init__(self, trt: Any, plan: bytes, shape: tuple[int, ...], cuda: Cuda, driver: Driver | None) -> None:
        self.cuda, self._shape = cuda, shape
        self._logger = make_logger(trt)  # TensorRT keeps no reference to it
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            why = self._logger.last_error or "no reason given"
            raise FaultError(f"{version_of(trt)} cannot load its engine ({why}); 'mmrphys engine clean --all'")
        self._context = self._engine.create_execution_context()
        self._input, self._outputs = self._bind(trt)
        self._put = self._graph(driver) or self._enqueue
        self.name = f"{version_of(trt)}{'' if self._put == self._enqueue else ' CUDA graph'}"

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Every output of one batch of frames of the engine's shape; FaultError when the device fails."""
        self.fill(frames)
        self._put()
        self.cuda.synchronize()
        return {name: buffer.host.copy() for name, buffer in self._outputs.items()}

    def fill(self, frames: npt.NDArray[np.float32]) -> None:
        """Lay frames ready on the host."""
        np.copyto(self._input.host, frames)

    def put_in(self) -> None:
        """Put the frames' copy to the device on the stream."""
        self.cuda.to_device(self._input)

    def execute(self) -> None:
        """Put the engine on the stream."""
        self._execute(self._context)

    def take_out(self) -> None:
        """Put the copies of all outputs to the host on the stream."""
        for buffer in self._outputs.values():
            self.cuda.to_host(buffer)

    def layer_ms(self, trt: Any, runs: int) -> list[list[tuple[str, float]]]:
        """Name and milliseconds of every layer in each of ``runs`` runs over the frames on the device.

        By TensorRT's own profiler, in a context of its own: it slows every layer, and none of it shows elsewhere.
        """
        context, profiler = self._engine.create_execution_context(), _make_profiler(trt)
        self._shape_and_place(context, {"frames": self._input, **self._outputs})
        context.profiler, context.enqueue_emits_profile = profiler, False
        found = []
        for _ in range(runs + 1):  # the first one does work of its own
            profiler.seen.clear()
            self._execute(context)
            self.cuda.synchronize()
            if not context.report_to_profiler():
                raise FaultError(
                    f"TensorRT does not profile its layers ({self._logger.last_error or 'no reason given'})"
                )
            found.append(list(profiler.seen))
        return found[1:]

    def context_bytes(self) -> int:
        """Device memory that a context of the engine needs beside its weights, where this TensorRT tells; else 0."""
        return int(getattr(self._engine, "device_memory_size_v2", getattr(self._engine, "device_memory_size", 0)))

    def _execute(self, context: Any) -> None:
        if not context.execute_async_v3(self.cuda.stream):
            raise FaultError(f"TensorRT does not run the engine ({self._logger.last_error or 'no reason given'})")

    def _bind(self, trt: Any) -> tuple[Buffer, dict[str, Buffer]]:
        """Memory for every tensor: the input ``frames``, and outputs of the shapes that follow from its shape."""
        engine, context = self._engine, self._context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        types = {name: np.dtype(trt.nptype(engine.get_tensor_dtype(name))) for name in names}
        if inputs != ["frames"] or set(types.values()) != {np.dtype(np.float32)}:
            raise FaultError(
                f"the engine has inputs {inputs} and types {types}, wanted float32 'frames'; build it anew"
            )
        self._shape_and_place(context, {})
        buffers = {name: self.cuda.buffer(tuple(context.get_tensor_shape(name))) for name in names}
        self._shape_and_place(context, buffers)
        return buffers.pop("frames"), buffers

    def _shape_and_place(self, context: Any, buffers: Mapping[str, Buffer]) -> None:
        """Tell ``context`` the shape of its input, and where its tensors lie."""
        if not context.set_input_shape("frames", self._shape):
            raise FaultError(f"the engine does not take frames of shape {list(self._shape)}; build it anew")
        for name, buffer in buffers.items():
            if not context.set_tensor_address(name, buffer.device):
                raise FaultError(f"TensorRT refuses memory for {name} ({self._logger.last_error})")

    def _enqueue(self) -> None:
        self.put_in()
        self.execute()
        self.take_out()

    def _graph(self, driver: Driver | None) -> Callable[[], None] | None:
        """The whole of :meth:`_enqueue` as one launch; None where that cannot be had."""
        self._input.host.fill(0.0)
        self._enqueue()  # TensorRT does work of its own in the first call after shapes were set
        self.cuda.synchronize()
        if driver is None:
            return None
        try:
            return driver.capture(self.cuda.stream, self._enqueue)
        except FaultError as error:
            log.warning("no CUDA graph, launching one by one: %s", error)
            return None


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An engine that runs, with all that it stands on."""

    trt: Any
    driver: Driver
    cuda: Cuda
    engine: Engine
    session: EngineSession
    free_before: int
    """Bytes of the device that were free before the engine was loaded."""


def open_session(graph: Graph, shape: tuple[int, ...], progress: Progress) -> EngineSession:
    """The engine of ``graph`` for ``[B, C, F, S, S]``, from the cache of this machine or built now.

    MmrphysError, of any kind, when it cannot be had.
    """
    return open_engine(graph, shape, progress).session


def open_engine(graph: Graph, shape: tuple[int, ...], progress: Progress) -> Opened:
    """As :func:`open_session`, with what the engine was made of."""
    trt = find_tensorrt()
    driver = open_driver()
    if driver is None:  # TensorRT without one may crash instead of saying so
        raise FaultError("no CUDA driver that works: check nvidia-smi or dmesg, or use --runtime onnxrt")
    span = Span(shape[0], shape[0], shape[0])
    wanted = fingerprint_of(graph, span, machine_of(trt))
    engine = engine_from_graph(trt, graph, wanted, default_cache(), span=span, progress=progress)
    log.info("%s: %s", graph.name, engine.why)
    cuda = open_cuda()
    free = cuda.free_bytes()
    return Opened(trt, driver, cuda, engine, EngineSession(trt, engine.plan, shape, cuda, driver), free)


def _make_profiler(trt: Any) -> Any:
    """Keeps what TensorRT tells of each layer in ``seen``."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]  # TensorRT has no types
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)  # its classes want this spelling
            self.seen: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.seen.append((layer_name, ms))

    return Profiler()
