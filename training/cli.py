"""The commands ``mmrphys train`` and ``mmrphys evaluate``. Importing this needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from edge.errors import UsageError
from training.recipe import preset_from_toml, preset_with

__all__ = ["evaluate", "train"]

INTERRUPTED = 130


def train(
    *,
    preset: Annotated[str, typer.Option(metavar="NAME", help="A preset by name, or a .toml file.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; default runs/NAME.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of data, weights and order.")] = 100,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the preset; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train a model. The same command continues an interrupted run; Ctrl-C saves and stops."""
    chosen = preset_with(preset_from_toml(preset), settings or [])
    folder = out or Path("runs") / chosen.name
    from training.progress import shown_progress  # noqa: PLC0415 - commands import their work when called
    from training.run import run_training  # noqa: PLC0415

    with shown_progress() as on_progress:
        result = run_training(chosen, folder, seed, on_progress)
    if result.card is None:
        typer.echo(f"interrupted; saved in {folder}, the same command continues", err=True)
    elif as_json:
        typer.echo(msgspec.json.encode(result.card).decode())
    else:
        typer.echo(f"{folder / chosen.name}.safetensors")
        for rate, metrics in result.card.metrics.items():
            typer.echo(f"{rate}: {_line(metrics)}")


def evaluate(
    *,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A bundle; without it and --checkpoint the default one.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .safetensors checkpoint with its card, instead of a bundle.")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="SPLIT:PARTS", help="test or validation, and of moderate, hard, faults, real.")
    ] = "test:moderate,hard,faults",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path("report"),
    published: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The published 9x9 ONNX graph to stand beside.")
    ] = None,
    clip: Annotated[Path | None, typer.Option(metavar="FILE", help="The real clip that 'real' perturbs.")] = None,
    tapes: Annotated[
        Path, typer.Option(metavar="DIR", help="Where recordings already played are kept, for the next evaluation.")
    ] = Path("runs/tapes"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of a table.")] = False,
) -> int:
    """Judge a model on the fixed recordings, through the whole deployed chain. The same command continues."""
    if bundle and checkpoint:
        raise UsageError("--bundle and --checkpoint name two models; give one")
    from training.progress import shown_progress  # noqa: PLC0415 - commands import their work when called
    from training.yardstick.evaluation import evaluate as measured  # noqa: PLC0415
    from training.yardstick.evaluation import reference_file, sources_from_words  # noqa: PLC0415
    from training.yardstick.networks import Choice  # noqa: PLC0415
    from training.yardstick.report import folder_for_writing, save_report  # noqa: PLC0415
    from training.yardstick.tables import json_from_evaluation, text_from_evaluation  # noqa: PLC0415

    sources = sources_from_words(data, clip or reference_file("data/face.mp4"))
    beside = published or reference_file("reference/onnx/SCAMPS_MultiTask_9x9.onnx")
    folder_for_writing(out)
    if beside is None:
        typer.echo("no --published graph: it is left out of the comparison", err=True)
    kind: Literal["checkpoint", "bundle"] = "checkpoint" if checkpoint else "bundle"
    path = checkpoint or bundle
    with shown_progress() as on_progress:
        done = measured(Choice(kind, str(path) if path else None), data, sources, beside, tapes, on_progress)
    if done is None:
        typer.echo(f"interrupted; what was played is kept in {tapes}, the same command continues", err=True)
        return INTERRUPTED
    result, rows = done
    typer.echo(json_from_evaluation(result).decode() if as_json else text_from_evaluation(result), nl=False)
    for path in save_report(result, rows, out):
        typer.echo(str(path), err=True)
    return 0


def _line(metrics: dict[str, object]) -> str:
    """Numbers of one rate on one line, then by band of the rate."""
    words = [f"{name} {value}" for name, value in metrics.items() if not isinstance(value, dict)]
    bands = metrics.get("by_rate")
    if isinstance(bands, dict):
        words += [f"[{band} /min: {_line(inside)}]" for band, inside in bands.items()]
    return ", ".join(words)
