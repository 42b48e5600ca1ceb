"""An engine that is ready to run, in the process that owns the GPU: buffers, one stream, a CUDA graph.

Only tensors' names are used, never their numbers: one path for TensorRT 10.3 to 11.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Graph
from edge.cuda_driver import Driver, open_driver
from edge.engine_build import Progress, Span, find_tensorrt, make_logger, version_of
from edge.engines import default_cache, engine_from_graph, fingerprint_of, machine_of
from edge.errors import FaultError
from edge.runtimes.cuda_memory import Buffer, Cuda, open_cuda

__all__ = ["EngineSession", "open_session"]

log = logging.getLogger(__name__)


class EngineSession:
    """One engine on one stream. ``name`` tells the release and whether a CUDA graph is used."""

    def __init__(self, trt: Any, plan: bytes, shape: tuple[int, ...], cuda: Cuda, driver: Driver | None) -> None:
        self._cuda = cuda
        self._logger = make_logger(trt)  # TensorRT keeps no reference to it
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            why = self._logger.last_error or "no reason given"
            raise FaultError(f"{version_of(trt)} cannot load its engine ({why}); 'mmrphys engine clean --all'")
        self._context = self._engine.create_execution_context()
        self._input, self._outputs = self._bind(trt, shape)
        self._put = self._graph(driver) or self._enqueue
        self.name = f"{version_of(trt)}{'' if self._put == self._enqueue else ' CUDA graph'}"

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Every output of one batch of frames of the engine's shape; FaultError when the device fails."""
        np.copyto(self._input.host, frames)
        self._put()
        self._cuda.synchronize()
        return {name: buffer.host.copy() for name, buffer in self._outputs.items()}

    def _bind(self, trt: Any, shape: tuple[int, ...]) -> tuple[Buffer, dict[str, Buffer]]:
        """Memory for every tensor: the input ``frames`` of ``shape``, and outputs of the shapes that follow from it."""
        engine, context = self._engine, self._context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        types = {name: np.dtype(trt.nptype(engine.get_tensor_dtype(name))) for name in names}
        if inputs != ["frames"] or set(types.values()) != {np.dtype(np.float32)}:
            raise FaultError(
                f"the engine has inputs {inputs} and types {types}, wanted float32 'frames'; build it anew"
            )
        if not context.set_input_shape("frames", shape):
            raise FaultError(f"the engine does not take frames of shape {list(shape)}; build it anew")
        buffers = {name: self._cuda.buffer(tuple(context.get_tensor_shape(name))) for name in names}
        for name, buffer in buffers.items():
            if not context.set_tensor_address(name, buffer.device):
                raise FaultError(f"TensorRT refuses memory for {name} ({self._logger.last_error})")
        return buffers.pop("frames"), buffers

    def _enqueue(self) -> None:
        self._cuda.to_device(self._input)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise FaultError(f"TensorRT does not run the engine ({self._logger.last_error or 'no reason given'})")
        for buffer in self._outputs.values():
            self._cuda.to_host(buffer)

    def _graph(self, driver: Driver | None) -> Callable[[], None] | None:
        """The whole of :meth:`_enqueue` as one launch; None where that cannot be had."""
        self._input.host.fill(0.0)
        self._enqueue()  # TensorRT does work of its own in the first call after shapes were set
        self._cuda.synchronize()
        if driver is None:
            return None
        try:
            return driver.capture(self._cuda.stream, self._enqueue)
        except FaultError as error:
            log.warning("no CUDA graph, launching one by one: %s", error)
            return None


def open_session(graph: Graph, shape: tuple[int, ...], progress: Progress) -> EngineSession:
    """The engine of ``graph`` for ``[B, C, F, S, S]``, from the cache of this machine or built now.

    MmrphysError, of any kind, when it cannot be had.
    """
    trt = find_tensorrt()
    driver = open_driver()
    if driver is None:  # TensorRT without one may crash instead of saying so
        raise FaultError("no CUDA driver that works: check nvidia-smi or dmesg, or use --runtime onnxrt")
    span = Span(shape[0], shape[0], shape[0])
    wanted = fingerprint_of(graph, span, machine_of(trt))
    engine = engine_from_graph(trt, graph, wanted, default_cache(), span=span, progress=progress)
    log.info("%s: %s", graph.name, engine.why)
    return EngineSession(trt, engine.plan, shape, open_cuda(), driver)
