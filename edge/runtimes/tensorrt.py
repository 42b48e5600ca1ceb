"""TensorRT on an NVIDIA GPU, in a process of its own, with the CPU standing by.

A CUDA error may spoil its process for good, so the engine never runs in the process of the cameras. When it is lost,
the CPU answers at once, and goes on answering while a new process starts and passes the self-test. After three losses
in ten minutes there is no fourth try: the CPU keeps the work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle, Graph
from edge.engine_build import BuildStoppedError
from edge.errors import FaultError, MmrphysError, UsageError
from edge.runtimes import Runtime, onnxrt
from edge.runtimes.engine_process import EngineLostError, EngineProcess
from edge.runtimes.onnxrt import check_golden, selftest_from_bundle
from edge.vitals import Mode

__all__ = ["Breaker", "TensorRtRuntime", "open_runtime"]

log = logging.getLogger(__name__)

Waves = dict[str, npt.NDArray[np.float32]]
_STOP_AFTER_S = 0.2
"""How long the wish to stop may go unheard while an engine starts."""


class Breaker:
    """Opens for good at the third failure within ``window_s``."""

    LOSSES = 3

    def __init__(self, window_s: float = 600.0) -> None:
        self.open = False
        self._window_s = window_s
        self._at_s: deque[float] = deque(maxlen=self.LOSSES)

    def failed(self, now_s: float) -> None:
        """Note a failure at ``now_s`` (monotonic seconds)."""
        self._at_s.append(now_s)
        self.open = self.open or (len(self._at_s) == self.LOSSES and now_s - self._at_s[0] <= self._window_s)


class TensorRtRuntime:
    """One engine of a bundle, with ``standby`` for when it is lost. Not safe for use by several threads at once."""

    def __init__(
        self, bundle: Bundle, graph: Graph, process: EngineProcess, standby: Runtime, *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bundle, self._engine_graph = bundle, graph
        self._process, self._standby = process, standby
        self._breaker, self._clock = Breaker(), clock
        self._golden = selftest_from_bundle(bundle)
        self._tested = False

    @property
    def name(self) -> str:
        """What answers now, and on which graph."""
        engine = self._process.engine
        return f"{engine} {self._engine_graph.name} GPU" if self._tested and engine else self._standby.name

    @property
    def graph(self) -> Graph:
        """The graph that answers now."""
        return self._engine_graph if self._tested else self._standby.graph

    def begin(self, stop: threading.Event | None = None) -> None:
        """Start the engine and wait for it, however long it takes to build.

        Raises
        ------
        BuildStoppedError
            ``stop`` was set meanwhile: the process is ended, and an engine half built leaves nothing.
        MissingExtraError
            Something is not installed.
        BundleError
            TensorRT cannot read the graph.
        FaultError
            The engine does not start or fails its self-test: at the start this is told, not worked around.
        """
        self._process.start()
        told = -1

        def progress(phase: str, share: float) -> bool:
            nonlocal told
            if int(share * 10) > told:
                told = int(share * 10)
                log.info("%s: building, %d %% (%s)", self._engine_graph.name, 10 * told, phase)
            return True

        while not self._process.poll(_STOP_AFTER_S, progress):
            if stop is not None and stop.is_set():
                self._process.stop()
                raise BuildStoppedError(f"{self._engine_graph.name}: stopped before its engine was ready")
        self._test()

    def infer(self, frames: npt.NDArray[np.float32]) -> Waves:
        """Waveforms ``{task: [B, T]}`` of float32 ``[B, C, F, S, S]``; FaultError when the CPU fails too."""
        shape = self._bundle.input_shape
        if frames.shape[1:] == shape and frames.dtype == np.float32:  # the CPU refuses the rest in words
            try:
                if self._is_ready():
                    return self._from_engine(frames)
            except MmrphysError as error:
                self._lost(error)
        return self._standby.infer(frames)

    def close(self) -> None:
        """End the process and release the CPU."""
        self._process.stop()
        self._standby.close()

    def _is_ready(self) -> bool:
        """Whether the engine may answer; a new process is tested when its turn comes."""
        if self._breaker.open:
            return False
        if not self._tested and self._process.poll(0.0):
            self._test()
            log.warning("%s: answers again", self.name)
        return self._tested

    def _test(self) -> None:
        """The golden self-test; the process is ended when it fails."""
        frames, expected = self._golden
        name = f"{self._process.engine} {self._engine_graph.name}"
        try:
            check_golden(name, self._engine_graph.entry.tolerance, self._from_engine(frames), expected)
        except FaultError:
            self._process.stop()
            raise
        self._tested = True

    def _from_engine(self, frames: npt.NDArray[np.float32]) -> Waves:
        """Clip by clip, for the engine is built for one."""
        parts = [self._process.infer(frames[i : i + 1]) for i in range(len(frames))]
        waves: Waves = {task: np.concatenate([part[task] for part in parts]) for task in self._bundle.tasks}
        for task, wave in waves.items():
            if wave.shape != (len(frames), self._bundle.frames - 1) or not np.isfinite(wave).all():
                raise EngineLostError(f"{task} of shape {list(wave.shape)} is not finite numbers per frame")
        return waves

    def _lost(self, error: MmrphysError) -> None:
        """Count it, and start anew or give up; whatever happens the CPU answers."""
        self._tested = False
        self._breaker.failed(self._clock())
        if self._breaker.open:
            self._process.stop()
            log.error("%s; %d times now, the CPU takes over: %s", error, Breaker.LOSSES, self._standby.name)
            return
        log.warning("%s; starting it anew, %s answers meanwhile", error, self._standby.name)
        try:
            self._process.start()
        except (EngineLostError, OSError) as again:
            log.warning("%s", again)  # the next clip finds it so, and counts it


def open_runtime(bundle: Bundle, mode: Mode, precision: str, stop: threading.Event | None = None) -> Runtime:
    """The engine of ``bundle`` on this machine's GPU, built when there is none yet; ``precision`` may be ``auto``.

    Raises
    ------
    BuildStoppedError
        ``stop`` was set before the engine was ready.
    UsageError
        Mode ``stream``, whose graphs run on the CPU, or something that is not installed.
    BundleError
        No such graph, a graph that TensorRT cannot read, or a self-test that cannot be read.
    FaultError
        No GPU, or an engine or CPU graph that fails its self-test.
    """
    if mode == "stream":
        raise UsageError("mode 'stream' does not run on TensorRT: streams run on the CPU, and only their windows here")
    graph = bundle.graph(mode, "tensorrt", precision)
    process = EngineProcess(graph, (1, *bundle.input_shape), bundle.tasks)
    runtime = TensorRtRuntime(bundle, graph, process, onnxrt.open_runtime(bundle, mode, "auto"))
    try:
        runtime.begin(stop)
    except BaseException:
        runtime.close()
        raise
    log.log(logging.WARNING if graph.entry.refused else logging.INFO, "%s: %s", runtime.name, graph.why)
    return runtime
