"""Graphs against the model they were made from, and that against its golden pair.

Named tolerances, a printable result, an error when exceeded.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from edge.errors import InputError
from edge.selftest import SelfTest
from export.graphs import Form
from training.model import Mmrphys

__all__ = ["FAST_TOLERANCE", "GOLDEN_TOLERANCE", "TORCH_TOLERANCE", "Difference", "compare_forms", "compare_golden"]

TORCH_TOLERANCE = 1e-4
"""A graph against torch, largest difference as a share of the output's standard deviation."""
FAST_TOLERANCE = 1e-5
"""The fast form against the plain form, likewise."""
GOLDEN_TOLERANCE = 2e-4
"""Torch against a golden output, likewise: twice what an import allows, which may have run on another processor."""

Waves = Mapping[str, npt.NDArray[np.float32]]


class Difference(msgspec.Struct, frozen=True):
    """``value``: largest difference of an output as a share of its standard deviation; ``limit``: what is allowed."""

    what: str
    task: str
    value: float
    limit: float

    def __str__(self) -> str:
        return f"{self.what} {self.task}: {self.value:.2e} of its standard deviation (limit {self.limit:.0e})"


def compare_golden(model: Mmrphys, golden: SelfTest) -> list[Difference]:
    """Compare torch with the output of a golden pair; InputError when they differ by more than allowed."""
    found = _differences("torch vs golden", _torch(model, golden.frames), golden.waves, GOLDEN_TOLERANCE)
    return _within_limits(found, "the model does not give its golden output")


def compare_forms(model: Mmrphys, graphs: Mapping[Form, bytes], frames: npt.NDArray[np.float32]) -> list[Difference]:
    """Compare each graph with torch, and the fast with the plain form, on ``frames`` ``[B, C, F, S, S]``.

    Raises
    ------
    InputError
        A difference is above its limit (or not a number).
    """
    reference = _torch(model, frames)
    waves = {form: _run(data, frames, tuple(reference)) for form, data in graphs.items()}
    found = [d for form in graphs for d in _differences(f"{form} vs torch", waves[form], reference, TORCH_TOLERANCE)]
    if {"plain", "fast"} <= set(waves):
        found += _differences("fast vs plain", waves["fast"], waves["plain"], FAST_TOLERANCE)
    return _within_limits(found, "the graph does not compute the model")


def _within_limits(found: list[Difference], problem: str) -> list[Difference]:
    for difference in found:
        if not difference.value <= difference.limit:
            raise InputError(f"{problem}: {difference}; report this checkpoint")
    return found


def _torch(model: Mmrphys, frames: npt.NDArray[np.float32]) -> Waves:
    with torch.inference_mode():
        return {task: wave.numpy() for task, wave in model(torch.from_numpy(frames)).items()}


def _run(graph: bytes, frames: npt.NDArray[np.float32], tasks: tuple[str, ...]) -> Waves:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return dict(zip(tasks, session.run(list(tasks), {"frames": frames}), strict=True))


def _differences(what: str, waves: Waves, reference: Waves, limit: float) -> list[Difference]:
    return [
        Difference(what, task, float(np.abs(waves[task] - wave).max()) / max(float(wave.std()), 1e-12), limit)
        for task, wave in reference.items()
    ]
