"""A module that looks like TensorRT to our code, with an engine that gives means of the frames.

Every class and method that our code calls is here with the real names and parameters; ``test_engine_build.py`` holds
them against the real module where one is installed. ``memory`` is the device memory that the engine reads and writes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

__name__ = "tensorrt"  # what version_of reads
__version__ = "10.3.0"

MODELLED = {
    "Builder": ["create_network", "create_builder_config", "create_optimization_profile", "build_serialized_network"],
    "IBuilderConfig": [
        "set_memory_pool_limit", "clear_flag", "create_timing_cache", "set_timing_cache", "add_optimization_profile",
    ],
    "INetworkDefinition": ["get_input"],
    "OnnxParser": ["parse", "get_error"],
    "ParserError": ["desc"],
    "IOptimizationProfile": ["set_shape"],
    "ITimingCache": ["serialize"],
    "IProgressMonitor": ["phase_start", "step_complete", "phase_finish"],
    "ILogger": ["log"],
    "Runtime": ["deserialize_cuda_engine"],
    "ICudaEngine": ["create_execution_context", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype"],
    "IExecutionContext": [
        "set_input_shape", "get_tensor_shape", "set_tensor_address", "execute_async_v3", "report_to_profiler",
    ],
    "IProfiler": ["report_layer_time"],
}  # fmt: skip
"""The methods that our code calls."""
ATTRIBUTES = {
    "INetworkDefinition": ["num_inputs"], "OnnxParser": ["num_errors"],
    "ICudaEngine": ["num_io_tensors", "device_memory_size_v2"],
    "ITensor": ["name", "shape"], "IBuilderConfig": ["progress_monitor"],
    "IExecutionContext": ["profiler", "enqueue_emits_profile"],
    "TensorIOMode": ["INPUT", "OUTPUT"], "MemoryPoolType": ["WORKSPACE"],
    "NetworkDefinitionCreationFlag": ["STRONGLY_TYPED"], "BuilderFlag": ["TF32"],
}  # fmt: skip

memory: dict[int, np.ndarray] = {}
EXECUTE_MS = 1.0
passes: list[Callable[[float], None]] = []
"""Told how long an engine took, where a test keeps the device's time."""
calls: list[str] = []
trouble: set[str] = set()
"""What shall go wrong: ``parse``, ``build``, ``builder``, ``load``, ``run``, ``dtype``, ``shape``, ``address``,
``profile``."""


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.IntEnum):
    TF32 = 7


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class TensorIOMode(enum.IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class DataType(enum.IntEnum):
    FLOAT, HALF = range(2)


def nptype(trt_type: DataType) -> type:
    return np.float32 if trt_type == DataType.FLOAT else np.float16


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class Logger(ILogger):
    pass


class IProgressMonitor:
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class ITensor:
    name, shape = "frames", (-1, 4, 181, 9, 9)


class INetworkDefinition:
    num_inputs = 1

    def get_input(self, index: int) -> ITensor:
        return ITensor()


class ParserError:
    def desc(self) -> str:
        return "no such operator\nsecond line"


class OnnxParser:
    num_errors = 0

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        pass

    def parse(self, model: bytes, path: str | None = None) -> bool:
        self.num_errors = int("parse" in trouble)
        return "parse" not in trouble

    def get_error(self, index: int) -> ParserError:
        return ParserError()


class IOptimizationProfile:
    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 - its names
        calls.append(f"profile {input} {min[0]}:{opt[0]}:{max[0]}")


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data + b"+"


class IBuilderConfig:
    progress_monitor: Any = None

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        calls.append(f"pool {pool.name} {pool_size}")

    def clear_flag(self, flag: BuilderFlag) -> None:
        calls.append(f"clear {flag.name}")

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return not cache.data.startswith(b"foreign")

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        calls.append("profile added")
        return 0


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        if "builder" in trouble:
            logger.log(ILogger.Severity.ERROR, "CUDA driver version is insufficient")
            raise TypeError("factory function returned nullptr")

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        calls.append(f"network {flags}")
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> bytes | None:
        if "build" in trouble:
            self._logger.log(ILogger.Severity.ERROR, "no tactic\nmore")
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 4)
        for step in range(4):
            if not monitor.step_complete("Building", step):
                return None
        monitor.phase_finish("Building")
        return b"a plan " * 400


class IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class IExecutionContext:
    profiler: Any = None
    enqueue_emits_profile = True

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._address: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = tuple(shape)
        return "shape" not in trouble

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shape if name == "frames" else (self._shape[0], self._shape[2] - 1)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._address[name] = memory
        return "address" not in trouble

    def execute_async_v3(self, stream_handle: int) -> bool:
        calls.append(f"execute on {stream_handle}")
        for tell in passes:
            tell(EXECUTE_MS)
        frames = memory[self._address["frames"]]
        means = frames.mean(axis=(1, 3, 4))
        memory[self._address["bvp"]][...] = means[:, 1:]
        memory[self._address["rsp"]][...] = -means[:, 1:]
        return "run" not in trouble

    def report_to_profiler(self) -> bool:
        assert not self.enqueue_emits_profile
        self.profiler.report_layer_time("conv + tanh", 0.75)
        self.profiler.report_layer_time("reformat", 0.25)
        return "profile" not in trouble


class ICudaEngine:
    num_io_tensors = 3
    device_memory_size_v2 = 3_000_000

    def create_execution_context(self) -> IExecutionContext:
        return IExecutionContext()

    def get_tensor_name(self, index: int) -> str:
        return ("rsp", "frames", "bvp")[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "frames" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.HALF if "dtype" in trouble else DataType.FLOAT


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if "load" in trouble:
            self._logger.log(ILogger.Severity.ERROR, "version tag does not match")
            return None
        return ICudaEngine()
