"""ONNX Runtime: the CPU by default, CUDA when a real inference on it works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import SELFTEST, Bundle, Graph
from edge.errors import BundleError, FaultError, UsageError, first_line
from edge.runtimes import Runtime
from edge.selftest import selftest_from_npz
from edge.vitals import Mode

__all__ = ["OnnxRuntime", "check_golden", "open_runtime", "selftest_from_bundle", "session_options"]

log = logging.getLogger(__name__)

Waves = dict[str, npt.NDArray[np.float32]]


class OnnxRuntime:
    """One loaded graph of a bundle on one provider. Not safe for use by several threads at once."""

    def __init__(self, bundle: Bundle, graph: Graph, provider: str = "CPUExecutionProvider") -> None:
        self.graph = graph
        self.name = f"onnxrt {graph.name} {provider.removesuffix('ExecutionProvider')}"
        self._tasks = bundle.tasks
        self._shape = bundle.input_shape
        self._samples = bundle.frames - 1
        try:
            self._session = onnxruntime.InferenceSession(graph.data, session_options(), providers=[provider])
        except Exception as error:  # its exceptions share no base class below Exception
            raise FaultError(f"{self.name}: ONNX Runtime cannot load the graph ({first_line(error)})") from error
        if self._session.get_providers()[0] != provider:  # it falls back without an error
            raise FaultError(f"{self.name}: ONNX Runtime cannot use {provider} on this machine")
        self._check_signature()

    def infer(self, frames: npt.NDArray[np.float32]) -> Waves:
        """Waveforms ``{task: [B, T]}`` of float32 ``[B, C, F, S, S]``.

        Raises
        ------
        FaultError
            Another shape or type, a failing engine, or an output that is not finite.
        """
        if frames.shape[1:] != self._shape or frames.dtype != np.float32:
            wanted = ", ".join(str(n) for n in self._shape)
            raise FaultError(f"{self.name}: wanted float32 [B, {wanted}]; seen {frames.dtype} {list(frames.shape)}")
        try:
            outputs = self._session.run(list(self._tasks), {"frames": frames})
        except Exception as error:  # its exceptions share no base class below Exception
            raise FaultError(f"{self.name}: inference failed ({first_line(error)})") from error
        waves: Waves = dict(zip(self._tasks, outputs, strict=True))
        for task, wave in waves.items():
            if wave.shape != (len(frames), self._samples) or not np.isfinite(wave).all():
                raise FaultError(f"{self.name}: {task} of shape {list(wave.shape)} is not finite numbers per frame")
        return waves

    def close(self) -> None:
        """Release the session."""
        del self._session

    def _check_signature(self) -> None:
        inputs = [node.name for node in self._session.get_inputs()]
        outputs = {node.name for node in self._session.get_outputs()}
        if inputs != ["frames"] or not outputs >= set(self._tasks):
            raise BundleError(
                f"{self.graph.entry.file}: inputs {inputs} and outputs {sorted(outputs)}, wanted ['frames'] and "
                f"{sorted(self._tasks)}; export it anew"
            )


def open_runtime(
    bundle: Bundle,
    mode: Mode,
    precision: str,
    stop: threading.Event | None = None,  # noqa: ARG001 - the table's signature; it opens in a moment
) -> Runtime:
    """The fastest sound runtime for ``bundle`` here; ``precision`` may be ``auto``.

    Raises
    ------
    UsageError
        Mode ``stream``: :func:`edge.runtimes.onnxrt_stream.open_stream` opens those graphs.
    BundleError
        No such graph, or a self-test that cannot be read.
    FaultError
        The graph does not load or fails its self-test.
    """
    if mode == "stream":
        raise UsageError("a stream is no window; streams are run by 'mmrphys run --mode stream'")
    frames, expected = selftest_from_bundle(bundle)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        graph = bundle.graph(mode, "tensorrt", precision)
        try:
            return _tested(OnnxRuntime(bundle, graph, "CUDAExecutionProvider"), graph, frames, expected)
        except FaultError as error:
            log.warning("%s; using the CPU", error)
    graph = bundle.graph(mode, "onnxrt", precision)
    runtime = _tested(OnnxRuntime(bundle, graph), graph, frames, expected)
    log.log(logging.WARNING if graph.entry.refused else logging.INFO, "%s: %s", runtime.name, graph.why)
    return runtime


def selftest_from_bundle(bundle: Bundle) -> tuple[npt.NDArray[np.float32], Waves]:
    """The golden input float32 ``[1, C, F, S, S]`` and the waveforms a sound runtime gives for it.

    BundleError when ``selftest.npz`` holds something else than :mod:`edge.selftest` says.
    """
    try:
        golden = selftest_from_npz(bundle.files[SELFTEST], bundle.channels, bundle.tasks, bundle.frames, bundle.size)
    except ValueError as error:
        raise BundleError(f"{bundle.place / SELFTEST}: not a self-test ({error}); export it anew") from error
    return golden.frames, dict(golden.waves)


def _tested(
    runtime: OnnxRuntime, graph: Graph, frames: npt.NDArray[np.float32], expected: Mapping[str, npt.NDArray[np.float32]]
) -> OnnxRuntime:
    """``runtime`` after it gave the golden waveforms; FaultError when it did not."""
    check_golden(runtime.name, graph.entry.tolerance, runtime.infer(frames), expected)
    return runtime


def check_golden(
    name: str,
    tolerance: float,
    waves: Mapping[str, npt.NDArray[np.float32]],
    expected: Mapping[str, npt.NDArray[np.float32]],
) -> None:
    """FaultError when ``waves`` of the runtime ``name`` are further from the golden ones than ``tolerance``."""
    for task, golden in expected.items():
        difference = float(np.abs(waves[task] - golden).max()) / max(float(golden.std()), 1e-12)
        if not difference <= tolerance:
            raise FaultError(
                f"{name}: self-test failed, {task} differs by {difference:.2g} of its standard deviation, "
                f"wanted at most {tolerance:.2g}; use another runtime or precision"
            )


def session_options() -> onnxruntime.SessionOptions:
    """One thread without spinning: at these sizes a second one costs more than it gives, and others need the core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
