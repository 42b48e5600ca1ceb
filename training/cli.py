"""The command ``mmrphys train``. Importing it needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from training.recipe import preset_from_toml, preset_with

__all__ = ["train"]


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


def _line(metrics: dict[str, object]) -> str:
    """Numbers of one rate on one line, then by band of the rate."""
    words = [f"{name} {value}" for name, value in metrics.items() if not isinstance(value, dict)]
    bands = metrics.get("by_rate")
    if isinstance(bands, dict):
        words += [f"[{band} /min: {_line(inside)}]" for band, inside in bands.items()]
    return ", ".join(words)
