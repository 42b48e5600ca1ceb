"""The commands ``mmrphys train``, ``import`` and ``evaluate``. Importing this needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from edge.errors import UsageError
from training.recipe import preset_from_toml, preset_with

__all__ = ["evaluate", "import_", "train"]

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


def import_(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A published .pth file of weights.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where NAME.safetensors and its card are written.")],
    size: Annotated[int | None, typer.Option(metavar="9|36|72", help="Pixels a side, if the name has it not.")] = None,
    fps: Annotated[
        float | None, typer.Option(metavar="F", help="Frames per second it was trained at, if the name has it not.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", help="Frames of a window, if the name has it not, or another length.")
    ] = None,
    input_scale: Annotated[
        Literal["255", "1"], typer.Option(help="The largest RGB value of the frames it was trained on.")
    ] = "255",
    channel_order: Annotated[Literal["rgb", "bgr"], typer.Option(help="The order of their colours.")] = "rgb",
    thermal_unit: Annotated[
        Literal["celsius", "kelvin", "centikelvin"], typer.Option(help="The unit of their thermal channel.")
    ] = "celsius",
    golden: Annotated[
        Path | None,
        typer.Option(metavar="IO.npz", help="input, bvp, rsp of your own code: must match, become the self-test."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Turn a published checkpoint into one of this package's: weights without code, and a card saying what they are."""
    if size not in (None, 9, 36, 72):
        raise UsageError(f"--size {size}: want 9, 36 or 72")
    if fps is not None and not 5.0 <= fps <= 240.0:
        raise UsageError(f"--fps {fps:g}: want 5 to 240 frames per second")
    from training.feeding import Feeding  # noqa: PLC0415 - commands import their work when called
    from training.importing import Answers, import_checkpoint  # noqa: PLC0415

    scale: Literal[255, 1] = 255 if input_scale == "255" else 1
    feeding = Feeding(input_scale=scale, channel_order=channel_order, thermal_unit=thermal_unit)
    done = import_checkpoint(checkpoint, out, Answers(size=size, fps=fps, frames=frames, feeding=feeding), golden)
    for note in done.notes:
        typer.echo(note, err=as_json)
    typer.echo(msgspec.json.encode(done.card).decode() if as_json else str(done.path))


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
    protocol: Annotated[
        Literal["deployed", "paper"],
        typer.Option(help="deployed: every look of the whole chain. paper: one rate a recording, as papers report it."),
    ] = "deployed",
    window_s: Annotated[
        float | None,
        typer.Option(metavar="S", min=1.0, help="Protocol paper: read windows of S seconds, not whole recordings."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path("report"),
    beside: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Of published and random, or none. Default: both, as far as they fit."),
    ] = None,
    published: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The published 9x9 ONNX graph to stand beside.")
    ] = None,
    clip: Annotated[Path | None, typer.Option(metavar="FILE", help="The real clip that 'real' perturbs.")] = None,
    tapes: Annotated[
        Path, typer.Option(metavar="DIR", help="Where recordings already played are kept, for the next evaluation.")
    ] = Path("runs/tapes"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of a table.")] = False,
) -> int:
    """Judge a model on the fixed recordings, through the whole deployed chain or as papers do.

    The same command continues.
    """
    if bundle and checkpoint:
        raise UsageError("--bundle and --checkpoint name two models; give one")
    if window_s is not None and protocol != "paper":
        raise UsageError("--window-s is of --protocol paper; the deployed chain has windows of its own")
    from training.checkpoint import folder_for_writing  # noqa: PLC0415
    from training.progress import shown_progress  # noqa: PLC0415 - commands import their work when called
    from training.yardstick.beside import beside_from_words  # noqa: PLC0415
    from training.yardstick.evaluation import reference_file, sources_from_words  # noqa: PLC0415
    from training.yardstick.layout import json_bytes  # noqa: PLC0415
    from training.yardstick.networks import Choice  # noqa: PLC0415
    from training.yardstick.protocols import PROTOCOLS  # noqa: PLC0415

    sources = sources_from_words(data, clip or reference_file("data/face.mp4"))
    folder_for_writing(out)
    kind: Literal["checkpoint", "bundle"] = "checkpoint" if checkpoint else "bundle"
    path = checkpoint or bundle
    chosen = Choice(kind, str(path) if path else None)
    graph = reference_file("reference/onnx/SCAMPS_MultiTask_9x9.onnx")
    others, notes = beside_from_words(beside, chosen, published, graph)
    for note in notes:
        typer.echo(note, err=True)
    judge = PROTOCOLS[protocol]
    with shown_progress() as on_progress:
        own = {} if window_s is None else {"window_s": window_s}
        done = judge.evaluate(chosen, data, sources, others, tapes, on_progress, **own)
    if done is None:
        typer.echo(f"interrupted; what was played is kept in {tapes}, the same command continues", err=True)
        return INTERRUPTED
    result, rows = done
    typer.echo(json_bytes(result).decode() if as_json else judge.text(result), nl=False)
    for path in judge.save(result, rows, out):
        typer.echo(str(path), err=True)
    return 0


def _line(metrics: dict[str, object]) -> str:
    """Numbers of one rate on one line, then by band of the rate."""
    words = [f"{name} {value}" for name, value in metrics.items() if not isinstance(value, dict)]
    bands = metrics.get("by_rate")
    if isinstance(bands, dict):
        words += [f"[{band} /min: {_line(inside)}]" for band, inside in bands.items()]
    return ", ".join(words)
