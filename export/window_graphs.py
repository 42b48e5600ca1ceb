"""The window graphs of a bundle in every precision asked for, each judged by vital signs.

fp32 is the reference and always there. For the others half of the recordings choose ranges and layers, and the other
half judge what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from edge.bundle import GraphEntry, RuntimeForm, Task, needs_thermal
from edge.selftest import SelfTest
from export.agreement import Agreement, Infer, Judge, agreements, refusal
from export.clip_set import Clips, held_apart
from export.compare import infer_from_model, infer_from_onnx, share_of_deviation
from export.forms_int8 import LayerRange
from export.graphs import Form, form_name, onnx_from_model
from export.precision import half_from_plain
from export.quantize import conv_names, inner_convs, int8_from_plain, ranges_from_windows
from export.search import Ranges, Sensitivity, greedy, sensitivities
from training.model import Mmrphys, ModelSpec

__all__ = [
    "CPU_FORM", "SELFTEST_TOLERANCE", "MadeGraph", "Precision", "Workshop", "cpu_forms", "fp32_graphs", "thermal_tasks",
    "tolerance_of",
]  # fmt: skip

Precision = Literal["fp32", "fp16", "int8"]
SELFTEST_TOLERANCE = 1e-3
"""For fp32: ten times what torch and ONNX may differ by, so that other CPUs' and GPUs' rounding passes."""
TOLERANCE_MARGIN = 2.0
"""For the others: by how much another machine may differ more from the self-test than this one."""
CPU_FORM: dict[tuple[str, int], Form] = {
    ("bvp", 9): "fast",
    ("rsp", 9): "fast",
    ("bvp", 36): "fast",
    ("rsp", 36): "fast",
    ("bvp", 72): "fast",
    ("rsp", 72): "plain",
}
"""The form that ONNX Runtime runs a branch faster with: ``python -m export.benchmarks.precision_cpu``, one thread."""
RANGE_WINDOWS = 3
"""Windows a recording that ranges are chosen on; sensitivities are measured on one."""


@dataclass(frozen=True, slots=True, eq=False)
class MadeGraph:
    """A graph, its row of the manifest, and for what is not fp32 how it agrees and what each layer costs."""

    entry: GraphEntry
    data: bytes
    form: str
    agreements: tuple[Agreement, ...] = ()
    layers: tuple[Sensitivity, ...] = ()
    dropped: tuple[str, ...] = ()


def cpu_forms(spec: ModelSpec) -> dict[str, Form]:
    """The form of each branch on a CPU."""
    return {task: CPU_FORM[task, spec.size] for task in spec.tasks}


def fp32_graphs(model: Mmrphys, frames: int) -> list[MadeGraph]:
    """The reference graphs: plain for TensorRT, and the faster forms for ONNX Runtime on a CPU."""
    plain: dict[str, Form] = dict.fromkeys(model.spec.tasks, "plain")
    rows: tuple[tuple[str, dict[str, Form], RuntimeForm], ...] = (
        ("window.fp32.onnx", plain, "tensorrt"),
        ("window.cpu-fp32.onnx", cpu_forms(model.spec), "onnxrt"),
    )
    return [
        MadeGraph(
            GraphEntry(name, "exact", runtime, "fp32", SELFTEST_TOLERANCE),
            onnx_from_model(model, frames, forms).SerializeToString(),
            form_name(forms),
        )
        for name, forms, runtime in rows
    ]


def tolerance_of(apart: float) -> float:
    """Of a self-test: twice the difference ``apart`` here, rounded up to one digit, and at least that of fp32."""
    step = 10.0 ** math.floor(math.log10(max(TOLERANCE_MARGIN * apart, SELFTEST_TOLERANCE)))
    return max(SELFTEST_TOLERANCE, round(math.ceil(TOLERANCE_MARGIN * apart / step) * step, 6))


def thermal_tasks(spec: ModelSpec) -> set[str]:
    """The tasks that say nothing where thermal is absent, as :meth:`edge.bundle.Bundle.needs_thermal` has it."""
    tasks: tuple[Task, ...] = get_args(Task)
    return {task for task in tasks if task in spec.tasks and needs_thermal(task, spec.sources(task))}


class Workshop:
    """Makes graphs of other precisions from ``model`` and judges them against it on ``clips``."""

    def __init__(self, model: Mmrphys, frames: int, fps: float, golden: SelfTest, sources: Sequence[Clips]) -> None:
        self.model, self.frames, self.golden = model, frames, golden
        self.tasks: tuple[str, ...] = model.spec.tasks
        self.names = conv_names(model)
        self.plain = onnx_from_model(model, frames, "plain")
        self.reference = infer_from_model(model)
        self.to_range, self.to_judge = held_apart(sources)
        self.judge = Judge(self.reference, self.to_judge.recordings, frames, fps, thermal_tasks(model.spec))
        self.int8_layers: dict[int, LayerRange] = {}

    def fp16(self) -> list[MadeGraph]:
        """``window.fp16``; a CPU computes float32, so there is no form for it."""
        data: bytes = half_from_plain(self.plain).SerializeToString()
        return [self._made("window.fp16.onnx", "tensorrt", "fp16", data, self._agreements(data))]

    def int8(self) -> list[MadeGraph]:
        """``window.int8``, and ``window.cpu-int8`` where a branch has the fast form on a CPU.

        ``int8_layers`` are then the ranges of those convolutions that are INT8 in the first.
        """
        ranges = ranges_from_windows(self.plain, self._windows(RANGE_WINDOWS))
        inner = {number: ranges[number] for number in inner_convs(self.model)}
        forms = cpu_forms(self.model.spec)
        fast = {number: seen for number, seen in inner.items() if forms[self.names[number][:3]] == "fast"}

        def plain_data(chosen: Ranges) -> bytes:
            data: bytes = half_from_plain(int8_from_plain(self.plain, chosen)).SerializeToString()
            return data

        def cpu_data(chosen: Ranges) -> bytes:
            data: bytes = onnx_from_model(self.model, self.frames, forms, chosen).SerializeToString()
            return data

        made = [self._int8("window.int8.onnx", "tensorrt", plain_data, inner)]
        self.int8_layers = {number: seen for number, seen in inner.items() if self.names[number] not in made[0].dropped}
        return [*made, self._int8("window.cpu-int8.onnx", "onnxrt", cpu_data, fast)] if fast else made

    def _int8(self, name: str, runtime: RuntimeForm, data_of: Callable[[Ranges], bytes], inner: Ranges) -> MadeGraph:
        """The graph of the convolutions in INT8 that the rates allow."""

        def infer_of(chosen: Ranges) -> Infer:
            return infer_from_onnx(data_of(chosen), self.tasks)

        table = sensitivities(infer_of, self.names, inner, self.reference, self._windows(1))
        found = greedy(inner, table, lambda chosen: self._agreements(data_of(chosen)))
        kept = found.kept or tuple(inner)  # nothing passes: all of it, which the gate then refuses
        data = data_of({number: inner[number] for number in kept})
        made = self._made(name, runtime, "int8", data, found.agreements if found.kept else self._agreements(data))
        dropped = tuple(self.names[number] for number in found.dropped if number not in kept)
        return replace(made, layers=tuple(table), dropped=dropped)

    def _made(
        self, name: str, runtime: RuntimeForm, precision: Precision, data: bytes, found: list[Agreement]
    ) -> MadeGraph:
        """The graph with what the gate says of it."""
        measured = tuple(one.measured("windows") for one in found)
        entry = GraphEntry(name, "exact", runtime, precision, self._tolerance(data), refusal(found), measured)
        form = form_name(cpu_forms(self.model.spec)) if runtime == "onnxrt" else "plain"
        return MadeGraph(entry, data, form, tuple(found))

    def _agreements(self, data: bytes) -> list[Agreement]:
        return agreements(self.judge.hops(infer_from_onnx(data, self.tasks)), self.tasks)

    def _tolerance(self, data: bytes) -> float:
        waves = infer_from_onnx(data, self.tasks)(self.golden.frames)
        return tolerance_of(max(share_of_deviation(waves[task], wave) for task, wave in self.golden.waves.items()))

    def _windows(self, each: int) -> list[npt.NDArray[np.float32]]:
        """So many windows of each recording that ranges are chosen on, evenly placed."""
        found = []
        for frames in (recording.frames for recording in self.to_range.recordings):
            last = frames.shape[1] - self.frames
            starts = [round(last * (place + 0.5) / each) for place in range(each)]
            found += [np.ascontiguousarray(frames[None, :, start : start + self.frames]) for start in starts]
        return found
