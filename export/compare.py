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
from export.agreement import Infer
from training.model import Mmrphys

__all__ = [
    "FAST_TOLERANCE",
    "GOLDEN_TOLERANCE",
    "TORCH_TOLERANCE",
    "Difference",
    "compare_forms",
    "compare_golden",
    "infer_from_model",
    "infer_from_onnx",
    "share_of_deviation",
]

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


def compare_forms(model: Mmrphys, graphs: Mapping[str, bytes], frames: npt.NDArray[np.float32]) -> list[Difference]:
    """Compare each graph with torch, and others with that of the plain form, on ``frames`` ``[B, C, F, S, S]``.

    Raises
    ------
    InputError
        A difference is above its limit (or not a number).
    """
    reference = _torch(model, frames)
    waves = {form: infer_from_onnx(data, tuple(reference))(frames) for form, data in graphs.items()}
    found = [d for form in graphs for d in _differences(f"{form} vs torch", waves[form], reference, TORCH_TOLERANCE)]
    for form in set(waves) - {"plain"} if "plain" in waves else ():
        found += _differences(f"{form} vs plain", waves[form], waves["plain"], FAST_TOLERANCE)
    return _within_limits(found, "the graph does not compute the model")


def _within_limits(found: list[Difference], problem: str) -> list[Difference]:
    for difference in found:
        if not difference.value <= difference.limit:
            raise InputError(f"{problem}: {difference}; report this checkpoint")
    return found


def _torch(model: Mmrphys, frames: npt.NDArray[np.float32]) -> Waves:
    with torch.inference_mode():
        return {task: wave.numpy() for task, wave in model(torch.from_numpy(frames)).items()}


def infer_from_onnx(graph: bytes, tasks: tuple[str, ...]) -> Infer:
    """``graph`` on one thread of the CPU; InputError when ONNX Runtime does not take it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class below Exception
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise InputError(f"ONNX Runtime cannot load the graph ({first}); export it anew") from error
    return lambda frames: dict(zip(tasks, session.run(list(tasks), {"frames": frames}), strict=True))


def infer_from_model(model: Mmrphys) -> Infer:
    """Torch."""
    return lambda frames: _torch(model, frames)


def share_of_deviation(wave: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    """Largest difference as a share of the reference's standard deviation."""
    return float(np.abs(wave - reference).max()) / max(float(reference.std()), 1e-12)


def _differences(what: str, waves: Waves, reference: Waves, limit: float) -> list[Difference]:
    return [Difference(what, task, share_of_deviation(waves[task], wave), limit) for task, wave in reference.items()]
