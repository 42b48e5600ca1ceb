"""``mmrphys compare``: every window graph of a bundle on the same recordings, judged by the vital signs they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib.figure import Figure

from edge.bundle import Bundle, load_bundle
from edge.errors import InputError
from export.agreement import Agreement, Hop, Infer, Judge, Waves, agreements, refusal
from export.clip_set import Clips, Geometry, clips_from_npz, clips_from_scene
from export.compare import infer_from_model, infer_from_onnx
from training.checkpoint import load_card, model_from_checkpoint

__all__ = ["Comparison", "Report", "agreement_line", "compare_bundle", "table_lines", "write_comparison"]

FIRST_HELD_OUT = 1000
"""Number of the first recording: export chooses ranges on those from 0 on."""


class GraphReport(msgspec.Struct, frozen=True):
    """One graph beside the reference. ``usable``: it passes here; ``refused`` is what its export wrote."""

    file: str
    precision: str
    usable: bool
    why_not: str
    refused: str
    agreements: list[Agreement]
    hops: list[Hop]


class Report(msgspec.Struct, frozen=True):
    """The whole comparison."""

    bundle: str
    id: str
    reference: str
    clips: str
    graphs: list[GraphReport]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The report, and what the picture shows: a judge with the reference's waveforms, and how each graph is run."""

    report: Report
    judge: Judge
    infers: dict[str, Infer]


def compare_bundle(place: Path | None, checkpoint: Path | None, clips: Path | None, recordings: int) -> Comparison:
    """Compare the graphs of the bundle at ``place`` (None: the default one) with torch or its own fp32 graph.

    Raises
    ------
    BundleError, InputError
        Bundle, checkpoint or clips cannot be used, or do not belong together.
    """
    bundle = load_bundle(place)
    geometry = Geometry(bundle.channels, bundle.fps, bundle.frames, bundle.size)
    seen = clips_from_npz(clips, geometry) if clips else clips_from_scene(geometry, recordings, FIRST_HELD_OUT)
    name, reference = _reference(bundle, checkpoint)
    judge = Judge(reference, seen.frames, bundle.frames, bundle.fps)
    entries = [entry for entry in bundle.manifest.graphs if entry.mode == "exact"]
    infers = {entry.file: infer_from_onnx(bundle.files[entry.file], bundle.tasks) for entry in entries}
    graphs = []
    for entry in entries:
        hops = judge.hops(infers[entry.file])
        found = agreements(hops)
        why_not = refusal(found)
        graphs.append(GraphReport(entry.file, entry.precision, not why_not, why_not, entry.refused, found, hops))
    return Comparison(_report(bundle, name, seen, graphs), judge, infers)


def _report(bundle: Bundle, reference: str, clips: Clips, graphs: list[GraphReport]) -> Report:
    return Report(bundle.manifest.name, bundle.id, reference, clips.origin, graphs)


def _reference(bundle: Bundle, checkpoint: Path | None) -> tuple[str, Infer]:
    """Torch where the checkpoint is given, else the plain fp32 graph."""
    if checkpoint is None:
        graph = bundle.graph("exact", "tensorrt", "fp32")
        return graph.entry.file, infer_from_onnx(graph.data, bundle.tasks)
    made_from = bundle.manifest.card.get("weights_sha256")
    if load_card(checkpoint).weights_sha256 != made_from:
        raise InputError(f"{checkpoint}: other weights than those of bundle {bundle.manifest.name!r}; name its own")
    return "torch", infer_from_model(model_from_checkpoint(checkpoint))


# ------------------------------------------------------------------------------------------------------------- output


def agreement_line(name: str, one: Agreement) -> str:
    """One task of one graph in a line."""
    return (
        f"{name:22} {one.rate}  judged {one.judged:4} of {one.hops:4} hops   max error {one.max_error:8.1e}   "
        f"r {one.pearson_least:.5f} (median {one.pearson_median:.5f})   shift /min mean {one.shift_mean:.3f}  "
        f"p95 {one.shift_p95:.3f}  max {one.shift_max:.2f}   quality {one.quality_db:+.2f} dB   "
        f"{'holds' if one.holds else 'FAILS'}"
    )


def table_lines(report: Report) -> Iterator[str]:
    """The comparison as lines."""
    yield f"{report.bundle} ({report.id[:19]}), against {report.reference}, on {report.clips}"
    for graph in report.graphs:
        for one in graph.agreements:
            yield agreement_line(graph.file.removesuffix(".onnx"), one)
        for what, why in (("not usable", graph.why_not), ("refused by its export", graph.refused)):
            if why:
                yield f"{graph.file}: {what}: {why}"


def write_comparison(found: Comparison, folder: Path) -> None:
    """``compare.json`` with every hop, and ``waveforms.png``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(found.report), indent=1)
        (folder / "compare.json").write_bytes(text + b"\n")
        _figure(found).savefig(folder / "waveforms.png", dpi=90)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name a folder that can be written") from error


def _figure(found: Comparison) -> Figure:
    """For each task the window where some graph is furthest from the reference, all graphs over each other."""
    tasks = list(found.judge.wanted[0][0][1])
    figure = Figure(figsize=(9.0, 2.8 * len(tasks)), layout="constrained")
    for axis, task in zip(figure.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        hop = _furthest(found.report, task)
        _draw(axis, found, hop)
    return figure


def _furthest(report: Report, task: str) -> Hop:
    hops = [hop for graph in report.graphs for hop in graph.hops if hop.task == task]
    return min(hops, key=lambda hop: hop.pearson)


def _draw(axis: Any, found: Comparison, hop: Hop) -> None:
    judge = found.judge
    windows: list[tuple[int, Waves]] = judge.wanted[hop.recording]
    start, wanted = next(
        (start, waves) for start, waves in windows if abs((start + judge.frames - 1) / judge.fps - hop.t_s) < 1e-3
    )
    t_s = start / judge.fps + np.arange(judge.frames - 1) / judge.fps
    axis.plot(t_s, wanted[hop.task], color="0.75", linewidth=4.0, label=found.report.reference)
    window = np.ascontiguousarray(judge.recordings[hop.recording][None, :, start : start + judge.frames])
    for name, infer in found.infers.items():
        axis.plot(t_s, infer(window)[hop.task][0], linewidth=0.9, label=name.removesuffix(".onnx"))
    axis.set(title=f"{hop.task}, recording {hop.recording}, least r {hop.pearson:.5f}", xlabel="s")
    axis.legend(fontsize=7, ncols=3)
    axis.grid(alpha=0.3)
