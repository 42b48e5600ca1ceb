"""An engine for the process of an engine: it computes on the CPU, and fails as a GPU would when it is told to.

How it starts is told by the environment variable ``FAKE_ENGINE``; what a clip does to it by the clip's first value.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import Graph
from edge.engine_build import Progress
from edge.errors import BundleError, FaultError, MissingExtraError

DIES, FAILS, HANGS, NOT_FINITE, SHORT, STALLS = 1e6, 2e6, 3e6, 4e6, 5e6, 6e6


class Stalling(dict[str, Any]):
    """Waves whose length is told at once and whose values do not come."""

    asked = 0

    def __getitem__(self, name: str) -> Any:
        self.asked += 1
        if self.asked > 1:
            time.sleep(60.0)
        return super().__getitem__(name)


class CrashingEngine:
    name = "fake 1.0"

    def __init__(self, data: bytes, error: float) -> None:
        self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self._error = error

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        what = float(frames.flat[0])
        if what == DIES:
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == FAILS:
            raise FaultError("CUDA_ERROR_ILLEGAL_ADDRESS (700)")
        if what == HANGS:
            time.sleep(60.0)
        names = [node.name for node in self._session.get_outputs()]
        waves = dict(zip(names, self._session.run(names, {"frames": frames}), strict=True))
        if what == NOT_FINITE:
            return {name: wave * np.float32(np.nan) for name, wave in waves.items()}
        if what == SHORT:
            return {name: wave[:, :-1] for name, wave in waves.items()}
        if what == STALLS:
            return Stalling(waves)
        return {name: wave + np.float32(self._error) for name, wave in waves.items()}


def open_session(graph: Graph, shape: tuple[int, ...], progress: Progress) -> CrashingEngine:
    how, _, argument = os.environ.get("FAKE_ENGINE", "").partition(":")
    if how == "once" and not Path(argument).exists():  # sound at its first start, dead at every other one
        Path(argument).touch()
    elif how in {"once", "dies"}:
        os.kill(os.getpid(), signal.SIGKILL)
    refusals: dict[str, Any] = {"missing": MissingExtraError, "bundle": BundleError, "fault": FaultError}
    if how in refusals:
        raise refusals[how](f"told to be {how}")
    if how == "silent":
        time.sleep(60.0)
    if how == "builds":
        for step in range(11):
            if not progress("Timing", step / 10):
                sys.exit(1)
    os.write(1, b"words of a library\n")
    assert shape[0] == 1
    return CrashingEngine(graph.data, 1.0 if how == "wrong" else 0.0)
