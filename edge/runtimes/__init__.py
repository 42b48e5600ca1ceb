"""Runtimes: clips to waveforms. One file per engine behind :class:`Runtime`, found by name in ``RUNTIMES``.

To add one: write ``edge/runtimes/<name>.py`` with ``open_runtime(bundle: Bundle, mode: Mode, precision: str, stop:
threading.Event | None = None) -> Runtime`` and add one row to the table. What takes long to open looks at ``stop`` and
raises :class:`edge.engine_build.BuildStoppedError` when it is set.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.bundle import Graph

__all__ = ["RUNTIMES", "Runtime"]

RUNTIMES: dict[str, str] = {"onnxrt": "edge.runtimes.onnxrt", "tensorrt": "edge.runtimes.tensorrt"}


class Runtime(Protocol):
    """A loaded graph that passed its golden self-test."""

    @property
    def name(self) -> str:
        """Engine, graph and device, for example ``onnxrt window.cpu-fp32 CPU``."""

    @property
    def graph(self) -> Graph:
        """The graph that runs, with the reason why it was chosen."""

    def infer(self, frames: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Waveforms ``{"bvp": [B, T], "rsp": [B, T]}`` (only the tasks the model has) of float32 ``[B, C, F, S, S]``.

        FaultError when the engine fails or gives a number that is not finite.
        """

    def close(self) -> None:
        """Release the engine."""
