"""A TensorRT plan from ONNX bytes, by one path for TensorRT 10.3 to 11 and TensorRT-RTX.

Precision is the graph's own (FP16 types, INT8 as Q/DQ): the network is strongly typed, no precision flag is set and no
calibrator used, for TensorRT 11 has neither. TF32 is switched off, because FP32 here means FP32.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.errors import BundleError, FaultError, MissingExtraError

__all__ = [
    "STREAM_SPAN",
    "BuildStoppedError",
    "Plan",
    "Progress",
    "Span",
    "find_tensorrt",
    "make_logger",
    "plan_from_onnx",
    "version_of",
]

log = logging.getLogger(__name__)

MODULES = ("tensorrt", "tensorrt_rtx")
WORKSPACE_BYTES = 1 << 30
"""What a layer may use while it runs; TensorRT's own default is all memory, which on a Jetson is everybody's."""

Progress = Callable[[str, float], bool]
"""Told the phase and the share done (0..1) of a build; answers whether to go on."""


class BuildStoppedError(FaultError):
    """A build was told to stop."""


@dataclass(frozen=True, slots=True)
class Span:
    """Of the one dimension that a graph leaves free: the least, the size to optimise for, the most.

    It is the batch of a window graph and the length of a chunk of a stream graph.
    """

    least: int = 1
    usual: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.usual <= self.most <= 64:
            raise ValueError(f"sizes {self}: want 1 <= least <= usual <= most <= 64")

    def __str__(self) -> str:
        return f"{self.least}:{self.usual}:{self.most}"


STREAM_SPAN = Span(1, 12, 12)
"""Frames a chunk of a stream graph."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A serialized engine, and the builder's measurements, which make the next build of such a graph faster."""

    data: bytes
    timing: bytes


def find_tensorrt() -> Any:
    """The module of TensorRT that works here, the system's first.

    A module without ``Logger`` is none: some packages leave an empty ``tensorrt`` behind.

    Raises
    ------
    MissingExtraError
        There is none; says what to install.
    """
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library that it links to is missing
            log.debug("%s: %s", name, error)
            continue
        if hasattr(module, "Logger"):
            return module
    jetson = "on a Jetson: apt-get install tensorrt, and a venv made with --system-site-packages"
    raise MissingExtraError(f"TensorRT is not installed; {jetson}; elsewhere: pip install tensorrt-rtx")


def version_of(trt: Any) -> str:
    """Name and release of a TensorRT module, for example ``tensorrt 10.3.0``."""
    return f"{trt.__name__.partition('.')[0]} {trt.__version__}"


def make_logger(trt: Any) -> Any:
    """A logger that hands TensorRT's words to ours and keeps its last error in ``last_error``."""
    severity = trt.ILogger.Severity if hasattr(trt.ILogger, "Severity") else trt.Logger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]  # TensorRT has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # its classes want this spelling
            self.last_error = ""

        def log(self, severity_seen: Any, msg: str) -> None:
            if severity_seen in (severity.INTERNAL_ERROR, severity.ERROR):
                self.last_error = self.last_error or msg.strip()
            log.debug("%s", msg)

    return Logger()


def plan_from_onnx(
    trt: Any, onnx: bytes, *, span: Span, timing: bytes = b"", progress: Progress = lambda _phase, _share: True
) -> Plan:
    """Build ``onnx``, whose one free dimension gets ``span``, with what earlier builds measured in ``timing``.

    Raises
    ------
    BundleError
        TensorRT cannot read the graph.
    BuildStoppedError
        ``progress`` said so.
    FaultError
        TensorRT reads the graph and builds nothing.
    """
    logger = make_logger(trt)
    builder = _builder(trt, logger)
    network = _network(trt, builder, logger, onnx)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    _bound(builder, network, config, span)
    cache = _attach_timing(config, timing)
    monitor = _make_monitor(trt, progress)
    config.progress_monitor = monitor
    data = builder.build_serialized_network(network, config)
    if monitor.stopped:
        raise BuildStoppedError("the build was stopped; nothing was written")
    if data is None:
        why = _first_line(logger.last_error)
        raise FaultError(f"{version_of(trt)} builds no engine from the graph ({why}); use --runtime onnxrt")
    return Plan(bytes(data), _serialized(cache))


def _builder(trt: Any, logger: Any) -> Any:
    try:
        return trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # what pybind raises for an object that cannot be made
        why = _first_line(logger.last_error or str(error))
        raise FaultError(f"{version_of(trt)} finds no GPU to build for ({why}); check the driver") from error


def _network(trt: Any, builder: Any, logger: Any, onnx: bytes) -> Any:
    """The parsed graph, strongly typed: 10.x asks for it, 11 knows no other."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        seen = parser.get_error(0).desc() if parser.num_errors else logger.last_error
        raise BundleError(f"{version_of(trt)} cannot read the graph ({_first_line(seen)}); export it anew")
    return network


def _bound(builder: Any, network: Any, config: Any, span: Span) -> None:
    """Give the free dimension of every input that has one its range; BundleError when it has several."""
    profile, dynamic = builder.create_optimization_profile(), False
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shape = list(tensor.shape)
        if shape.count(-1) > 1:
            raise BundleError(f"input {tensor.name} of shape {shape}: only one dimension may be free; export it anew")
        if -1 in shape:
            dynamic = True
            sizes = (span.least, span.usual, span.most)
            profile.set_shape(tensor.name, *(tuple(size if n == -1 else n for n in shape) for size in sizes))
    if dynamic:
        config.add_optimization_profile(profile)


def _attach_timing(config: Any, timing: bytes) -> Any:
    """The cache of measurements, empty when ``timing`` is another TensorRT's or GPU's. RTX calls it obsolete."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        cache = config.create_timing_cache(timing)
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            log.warning("the timing cache is another TensorRT's or another GPU's; building without it")
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, ignore_mismatch=False)
        return cache


def _serialized(cache: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bytes(cache.serialize())


def _make_monitor(trt: Any, progress: Progress) -> Any:
    """Turns TensorRT's nested phases into one share."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # TensorRT has no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped = False
            self._most = 0.0  # phases of unknown number come and go; a share never falls
            self._phases: dict[str, tuple[int, int]] = {}  # steps done and in all, outermost first

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase  # phases end in the opposite order of their start
            self._phases[phase_name] = (0, max(num_steps, 1))

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._phases:
                self._phases[phase_name] = (step + 1, self._phases[phase_name][1])
            self.stopped = self.stopped or not progress(phase_name, self._share())
            return not self.stopped

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

        def _share(self) -> float:
            share, width = 0.0, 1.0
            for done, steps in self._phases.values():
                share += width * min(done, steps) / steps
                width /= steps
            self._most = max(self._most, min(share, 1.0))
            return self._most

    return Monitor()


def _first_line(text: str) -> str:
    return text.strip().split("\n", maxsplit=1)[0] or "no reason given"
