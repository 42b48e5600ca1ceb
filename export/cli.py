"""The commands ``mmrphys export`` and ``compare``. Importing them needs neither torch nor onnx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec
import typer

from edge.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from export.window_graphs import MadeGraph

__all__ = ["compare", "export"]

PRECISIONS = ("fp32", "fp16", "int8")


def export(
    source: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT|MODEL.onnx", help="A .safetensors file with its card beside it.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="BUNDLE_DIR", help="Folder of the bundle; an older bundle is replaced.")],
    mode: Annotated[
        list[str] | None, typer.Option(help="Graphs beside window, which is always there: stream; repeatable.")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="Number formats beside fp32, which is always there: fp16, int8; repeatable."),
    ] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Recordings to range and judge on: .npz, videos, scene; repeatable."),
    ] = None,
    card: Annotated[Path | None, typer.Option(metavar="CARD.toml", help="What a foreign MODEL.onnx takes.")] = None,
    force: Annotated[bool, typer.Option(help="Keep a graph that shifts the rates, marked as refused.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a bundle of ONNX graphs from a checkpoint, compared with the model they come from."""
    _check_built("--mode", mode or ["window"], ("window", "stream"), ())
    _check_built("--precision", precision or ["fp32"], PRECISIONS, ())
    if card or source.suffix == ".onnx":
        if clips or force:
            raise UsageError("--clips and --force are of precisions, made from a checkpoint only; leave them out")
        if "stream" in (mode or []):
            raise UsageError("--mode stream is made from a checkpoint only; a foreign network stays as it is")
        _export_foreign(source, card, out, precision or [], as_json=as_json)
        return
    from export.pack import bundle_from_checkpoint  # noqa: PLC0415 - commands import their work when called

    chosen = cast("list[Literal['fp32', 'fp16', 'int8']]", precision or [])
    packed = bundle_from_checkpoint(source, out, chosen, clips or (), force=force, stream="stream" in (mode or []))
    judged = [graph for graph in packed.graphs if graph.agreements]
    if as_json:
        report = {"bundle": str(out), "id": packed.bundle.id, "differences": packed.differences}
        report |= {"graphs": [_as_json(graph) for graph in judged]} if judged else {}
        typer.echo(msgspec.json.encode(report).decode())
        return
    for line in (*packed.differences, *(line for graph in judged for line in _lines(graph))):
        typer.echo(str(line))
    typer.echo(f"{out}: {packed.bundle.manifest.name}, {packed.bundle.id}")


def compare(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="BUNDLE", help="Its folder; the default bundle without.")
    ] = None,
    *,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The bundle's checkpoint: torch is then the reference.")
    ] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Recordings to compare: .npz, videos, scene; repeatable."),
    ] = None,
    recordings: Annotated[int, typer.Option(min=1, help="How many synthetic recordings, 32 s each.")] = 8,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write compare.json and waveforms.png there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, every hop.")] = False,
) -> None:
    """Run every graph of a bundle on the same recordings and tell how the vital signs differ.

    Engines that this machine has built run too. Exit code 6 when a graph shifts the rates by more than its limit.
    """
    from export.comparison import compare_bundle, table_lines, write_comparison  # noqa: PLC0415

    found = compare_bundle(bundle, checkpoint, clips or (), recordings)
    if out:
        write_comparison(found, out)
    for line in [msgspec.json.encode(found.report).decode()] if as_json else table_lines(found.report):
        typer.echo(line)
    if found.report.failing:
        raise EvidenceError(f"{', '.join(found.report.failing)}: not usable on these recordings; see the table")


def _export_foreign(source: Path, card: Path | None, out: Path, precision: list[str], *, as_json: bool) -> None:
    if card is None:
        raise UsageError(f"{source}: a foreign network needs --card CARD.toml, which says what it takes")
    if set(precision) - {"fp32"}:
        raise UsageError(f"--precision {precision[0]} is made from a checkpoint only; a foreign network stays as it is")
    from export.foreign import bundle_from_foreign  # noqa: PLC0415

    packed = bundle_from_foreign(source, card, out)
    typer.echo(
        msgspec.json.encode({"bundle": str(out), "id": packed.id}).decode()
        if as_json
        else f"{out}: {packed.manifest.name}, {packed.id}"
    )


def _check_built(option: str, given: list[str], built: tuple[str, ...], planned: tuple[str, ...]) -> None:
    """UsageError for a value that does not exist or is not built yet, which it then says."""
    for value in given:
        if value in planned:
            raise UsageError(f"{option} {value} is planned and not built yet in this version; use {' or '.join(built)}")
        if value not in built:
            raise UsageError(f"{option} {value!r} does not exist; use {' or '.join(built)}")


def _as_json(graph: MadeGraph) -> dict[str, object]:
    return {
        "file": graph.entry.file,
        "refused": graph.entry.refused,
        "tolerance": graph.entry.tolerance,
        "agreements": graph.agreements,
        "layers": graph.layers,
        "dropped": graph.dropped,
    }


def _lines(graph: MadeGraph) -> list[str]:
    """What the gate says of a graph, and what each of its layers costs alone."""
    from export.agreement import PRECISION_GATE  # noqa: PLC0415
    from export.comparison import agreement_line  # noqa: PLC0415

    is_stream = graph.entry.mode == "stream"
    lines = [
        agreement_line("  against fp32 stream" if is_stream and one.gate == PRECISION_GATE else graph.entry.file, one)
        for one in graph.agreements
    ]
    for one in graph.layers:
        fate = "left in float" if one.layer in graph.dropped else "int8"
        lines.append(f"  {one.layer:20} {fate:14} 1 - r " + ", ".join(f"{t} {v:.1e}" for t, v in one.loss.items()))
    return lines + ([f"{graph.entry.file}: REFUSED, {graph.entry.refused}"] if graph.entry.refused else [])
