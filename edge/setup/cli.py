"""The command ``mmrphys setup``. Importing it needs no numpy."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.config import kit_from_toml
from edge.errors import UsageError
from edge.interrupt import stop_on_signal

__all__ = ["setup"]


def setup(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The kit to write.")] = Path("kit.toml"),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, take the best; never replaces a file.")] = False,
) -> int:
    """Find cameras, broker and serial ports, check the frame rate, and write a kit.toml that was tried.

    Ends with 0 when the kit was tried, 2 when its file may not be written,
    3 when no camera can be used.
    """
    from rich.console import Console  # noqa: PLC0415 - commands import their work when called

    from edge.setup.ask import Best, Person  # noqa: PLC0415
    from edge.setup.kit_file import write_kit  # noqa: PLC0415
    from edge.setup.steps import Surroundings, kit_from_answers  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    asker = Best() if yes else Person(console)
    replaces = out.exists()
    if replaces and not asker.yes(f"{out} is there; replace it?", default=False):
        raise UsageError(f"{out} is there and stays as it is; name another with --out")
    kit = kit_from_answers(Surroundings(), asker, lambda text: console.print(_wrapped(text, console.width)))
    if out.exists() and not replaces:
        raise UsageError(f"{out} has come meanwhile and stays as it is; name another with --out")
    write_kit(out, kit)
    console.print(f"Wrote {out}; trying it", soft_wrap=True)
    return _tried(out)


def _wrapped(text: str, width: int) -> str:
    """Text for ``width`` characters, in which no address is broken: it has to be pasted."""
    below = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(text, width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _tried(path: Path) -> int:
    """What ``run --check`` says of the file that was written; the console needs no trying."""
    with stop_on_signal() as stop:
        from edge.app import run_kit  # noqa: PLC0415

        kit = kit_from_toml(path)
        links = tuple(uri for uri in kit.sinks if not uri.startswith("console:"))
        code = run_kit(msgspec.structs.replace(kit, sinks=links), check=True, as_json=False, stop=stop)
    if kit.rgb is not None and kit.rgb.startswith("synthetic:"):
        typer.echo("this kit plays a drawn scene, no patient: plug in a camera, then set up again")
    typer.echo(f"next: mmrphys measure --config {path}, then mmrphys run --config {path}")
    return code
