"""``mmrphys compare``: every graph of a bundle on the same recordings, judged by the vital signs they give.

All are beside one reference: whole windows, as torch or the plain fp32 graph computes them. Streams, which approximate
them, have a gate of their own; those in other precisions are held to the fp32 stream too. Engines that this machine has
run as on a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from edge.bundle import Bundle, load_bundle
from edge.errors import InputError
from export.agreement import STREAM_GATE, Agreement, Hop, Infer, Judge, agreements, refusal
from export.clip_set import Geometry, joined
from export.clip_video import clips_from_words
from export.compare import infer_from_model, infer_from_onnx
from export.engines_here import ENGINE, NO_ENGINES, engines_here
from export.stream_agreement import WINDOW_S, Waves, apart, streamed, unit
from training.checkpoint import load_card, model_from_checkpoint

__all__ = ["Comparison", "Report", "agreement_line", "compare_bundle", "table_lines", "write_comparison"]

Floats = npt.NDArray[np.float32]
FIRST_HELD_OUT = 1000
"""Number of the first recording: export chooses ranges on those from 0 on."""


class GraphReport(msgspec.Struct, frozen=True):
    """One graph beside the reference. ``usable``: it passes here; ``refused`` is what its export wrote.

    ``file`` names an engine by its graph's file, with ``engine`` before it. ``beside_stream``: of a stream that is not
    fp32, against the one that is.
    """

    file: str
    mode: str
    precision: str
    usable: bool
    why_not: str
    refused: str
    agreements: list[Agreement]
    hops: list[Hop]
    beside_stream: list[Agreement] = []


class Report(msgspec.Struct, frozen=True):
    """The whole comparison; ``engines`` says which were run, or why none."""

    bundle: str
    id: str
    reference: str
    clips: str
    engines: str
    graphs: list[GraphReport]

    @property
    def failing(self) -> list[str]:
        """Graphs that do not pass here."""
        return [graph.file for graph in self.graphs if not graph.usable]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The report, and what the picture shows: a judge with the reference's waveforms, and what gave the others.

    ``streams`` has the waveforms of each recording.
    """

    report: Report
    judge: Judge
    infers: dict[str, Infer]
    streams: dict[str, list[Waves]]


def compare_bundle(
    place: Path | None, checkpoint: Path | None, clips: Sequence[str], recordings: int, *, engines: bool = True
) -> Comparison:
    """Compare the graphs of the bundle at ``place`` (None: the default one) with torch or its own fp32 graph.

    ``clips`` as of :func:`export.clip_video.clips_from_words`; ``engines``: those that were built here too.

    Raises
    ------
    BundleError, InputError
        Bundle, checkpoint or clips cannot be used, or do not belong together.
    """
    bundle = load_bundle(place)
    geometry = Geometry(bundle.channels, bundle.fps, bundle.frames, bundle.size)
    seen = joined(clips_from_words(clips, geometry, recordings, FIRST_HELD_OUT))
    name, reference = _reference(bundle, checkpoint)
    thermal = {task for task in bundle.tasks if bundle.needs_thermal(task)}
    judge = Judge(reference, seen.recordings, bundle.frames, bundle.fps, thermal)
    infers = {
        entry.file: infer_from_onnx(bundle.files[entry.file], bundle.tasks)
        for entry in bundle.manifest.graphs
        if entry.mode == "exact"
    }
    streams = {
        entry.file: [streamed(bundle.files[entry.file], recording.frames) for recording in seen.recordings]
        for entry in bundle.manifest.graphs
        if entry.mode == "stream"
    }
    with engines_here(bundle) if engines else nullcontext(NO_ENGINES) as found:
        infers |= found.infers
        graphs = [_windows(bundle, judge, file, infer) for file, infer in infers.items()]
        graphs += _streams(bundle, judge, streams)
        report = Report(bundle.manifest.name, bundle.id, name, seen.origin, found.why, graphs)
        return Comparison(report, judge, infers, streams)


def _windows(bundle: Bundle, judge: Judge, file: str, infer: Infer) -> GraphReport:
    hops = judge.hops(infer)
    return _row(bundle, file, hops, agreements(hops, bundle.tasks))


def _streams(bundle: Bundle, judge: Judge, streams: dict[str, list[Waves]]) -> Iterator[GraphReport]:
    whole = [judge.whole(number) for number in range(len(judge.recordings))] if streams else []
    for file, waves in streams.items():
        hops = apart(judge, waves, whole)
        fp32 = "stream.fp32.onnx"
        beside = [] if "fp32" in file or fp32 not in streams else apart(judge, waves, streams[fp32])
        found = agreements(beside, bundle.tasks) if beside else []
        yield _row(bundle, file, hops, agreements(hops, bundle.tasks, STREAM_GATE), found)


def _row(
    bundle: Bundle, file: str, hops: list[Hop], found: list[Agreement], beside: Sequence[Agreement] = ()
) -> GraphReport:
    entry = next(entry for entry in bundle.manifest.graphs if entry.file == file.removeprefix(ENGINE))
    why_not = refusal([*found, *beside])
    return GraphReport(
        file, entry.mode, entry.precision, not why_not, why_not, entry.refused, found, hops, list(beside)
    )


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
        f"r {one.pearson_least:.5f} (median {one.pearson_median:.5f})   shift /min median {one.shift_median:.3f}  "
        f"p95 {one.shift_p95:.3f}  max {one.shift_max:.2f}  beyond 3: {one.far}   quality {one.quality_db:+.2f} dB   "
        f"{'holds' if one.holds else 'FAILS'}"
    )


def table_lines(report: Report) -> Iterator[str]:
    """The comparison as lines."""
    yield f"{report.bundle} ({report.id[:19]}), against {report.reference}, on {report.clips}; {report.engines}"
    for graph in report.graphs:
        for one in graph.agreements:
            yield agreement_line(graph.file.removesuffix(".onnx"), one)
        for one in graph.beside_stream:
            yield agreement_line("  against fp32 stream", one)
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
    """For each task the window where some window graph, and the seconds where some stream, is furthest off.

    All graphs of that kind over each other.
    """
    tasks = list(found.judge.wanted[0][0][1])
    modes = [mode for mode in ("exact", "stream") if any(graph.mode == mode for graph in found.report.graphs)]
    figure = Figure(figsize=(9.0, 2.8 * len(tasks) * len(modes)), layout="constrained")
    axes = iter(figure.subplots(len(tasks) * len(modes), 1, squeeze=False)[:, 0])
    for mode in modes:
        for task in tasks:
            hop = _furthest(found.report, task, mode)
            if hop is not None:
                _draw(next(axes), found, hop, mode)
    return figure


def _furthest(report: Report, task: str, mode: str) -> Hop | None:
    hops = [hop for graph in report.graphs if graph.mode == mode for hop in graph.hops if hop.task == task]
    return min(hops, key=lambda hop: hop.pearson, default=None)


def _draw(axis: Any, found: Comparison, hop: Hop, mode: str) -> None:
    waves = _window_waves(found, hop) if mode == "exact" else _stream_waves(found, hop)
    for name, (t_s, wave) in waves.items():
        style = {"color": "0.75", "linewidth": 4.0} if name == found.report.reference else {"linewidth": 0.9}
        axis.plot(t_s, wave, label=name.removesuffix(".onnx"), **style)
    axis.set(title=f"{hop.task}, recording {hop.recording}, least r {hop.pearson:.5f}", xlabel="s")
    axis.legend(fontsize=7, ncols=3)
    axis.grid(alpha=0.3)


def _window_waves(found: Comparison, hop: Hop) -> dict[str, tuple[Floats, Floats]]:
    """Times and values of the reference, then of every window graph."""
    judge = found.judge
    windows = judge.wanted[hop.recording]
    start, wanted = next(
        (start, waves) for start, waves in windows if abs((start + judge.frames - 1) / judge.fps - hop.t_s) < 1e-3
    )
    t_s = ((start + np.arange(judge.frames - 1)) / judge.fps).astype(np.float32)
    frames = judge.recordings[hop.recording].frames[None, :, start : start + judge.frames]
    window = np.ascontiguousarray(frames)
    given = {name: infer(window)[hop.task][0] for name, infer in found.infers.items()}
    return {name: (t_s, wave) for name, wave in ({found.report.reference: wanted[hop.task]} | given).items()}


def _stream_waves(found: Comparison, hop: Hop) -> dict[str, tuple[Floats, Floats]]:
    """Likewise of every stream, over the seconds of the hop, of unit deviation: windows are overlap-added so."""
    fps = found.judge.fps
    end, length = round(hop.t_s * fps), round(WINDOW_S[hop.task] * fps)
    t_s = (np.arange(end - length, end) / fps).astype(np.float32)
    waves: dict[str, Waves] = {found.report.reference: found.judge.whole(hop.recording)}
    waves |= {name: some[hop.recording] for name, some in found.streams.items()}
    return {name: (t_s, unit(wave[hop.task][end - length : end])) for name, wave in waves.items()}
