"""The command ``mmrphys export``. Importing it needs neither torch nor onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.errors import UsageError

__all__ = ["export"]


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .safetensors file with its card beside it.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="BUNDLE_DIR", help="Folder of the bundle; an older bundle is replaced.")],
    mode: Annotated[list[str] | None, typer.Option(help="Graphs to write: window (stream is not built yet).")] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="Number formats: fp32 (fp16 and int8 are not built yet).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a bundle of ONNX graphs from a checkpoint, compared with the model they come from."""
    _check_built("--mode", mode or ["window"], ("window",), ("stream",))
    _check_built("--precision", precision or ["fp32"], ("fp32",), ("fp16", "int8"))
    from export.pack import bundle_from_checkpoint  # noqa: PLC0415 - commands import their work when called

    packed = bundle_from_checkpoint(checkpoint, out)
    if as_json:
        report = {"bundle": str(out), "id": packed.bundle.id, "differences": packed.differences}
        typer.echo(msgspec.json.encode(report).decode())
        return
    for difference in packed.differences:
        typer.echo(str(difference))
    typer.echo(f"{out}: {packed.bundle.manifest.name}, {packed.bundle.id}")


def _check_built(option: str, given: list[str], built: tuple[str, ...], planned: tuple[str, ...]) -> None:
    """UsageError for a value that does not exist or is not built yet, which it then says."""
    for value in given:
        if value in planned:
            raise UsageError(f"{option} {value} is planned and not built yet in this version; use {' or '.join(built)}")
        if value not in built:
            raise UsageError(f"{option} {value!r} does not exist; use {' or '.join(built)}")
