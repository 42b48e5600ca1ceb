"""Graphs against the model they were made from: named tolerances, a printable result, an error when exceeded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from edge.errors import InputError
from export.graphs import Form
from training.model import Mmrphys

__all__ = ["FAST_TOLERANCE", "TORCH_TOLERANCE", "Difference", "compare_forms"]

TORCH_TOLERANCE = 1e-4
"""A graph against torch, largest difference as a share of the output's standard deviation."""
FAST_TOLERANCE = 1e-5
"""The fast form against the plain form, likewise."""

Waves = dict[str, npt.NDArray[np.float32]]


class Difference(msgspec.Struct, frozen=True):
    """``value``: largest difference of an output as a share of its standard deviation; ``limit``: what is allowed."""

    what: str
    task: str
    value: float
    limit: float

    def __str__(self) -> str:
        return f"{self.what} {self.task}: {self.value:.2e} of its standard deviation (limit {self.limit:.0e})"


def compare_forms(model: Mmrphys, graphs: Mapping[Form, bytes], frames: npt.NDArray[np.float32]) -> list[Difference]:
    """Compare each graph with torch, and the fast with the plain form, on ``frames`` ``[B, C, F, S, S]``.

    Raises
    ------
    InputError
        A difference is above its limit (or not a number).
    """
    with torch.inference_mode():
        reference = {task: wave.numpy() for task, wave in model(torch.from_numpy(frames)).items()}
    waves = {form: _run(data, frames, tuple(reference)) for form, data in graphs.items()}
    found = [d for form in graphs for d in _differences(f"{form} vs torch", waves[form], reference, TORCH_TOLERANCE)]
    if {"plain", "fast"} <= set(waves):
        found += _differences("fast vs plain", waves["fast"], waves["plain"], FAST_TOLERANCE)
    for difference in found:
        if not difference.value <= difference.limit:
            raise InputError(f"the graph does not compute the model: {difference}; report this checkpoint")
    return found


def _run(graph: bytes, frames: npt.NDArray[np.float32], tasks: tuple[str, ...]) -> Waves:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return dict(zip(tasks, session.run(list(tasks), {"frames": frames}), strict=True))


def _differences(what: str, waves: Waves, reference: Waves, limit: float) -> list[Difference]:
    return [
        Difference(what, task, float(np.abs(waves[task] - wave).max() / wave.std()), limit)
        for task, wave in reference.items()
    ]
