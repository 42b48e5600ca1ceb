"""The command ``mmrphys doctor``. Importing it needs no numpy."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.config import Kit, kit_from_toml

if TYPE_CHECKING:  # commands import their work when called
    from edge.doctor import Finding

__all__ = ["doctor"]


def doctor(
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The kit.toml whose cameras, bundle and links are needed.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.zip", help="Write a report without frames, rates and secrets.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
) -> int:
    """Find what keeps this machine from measuring, each finding with its fix.

    Ends with 0 when all that is needed is well, 2 when the kit itself is wrong,
    3 when a camera fails, 4 when the bundle does, 5 when another part does; the
    first failure decides. Without a kit, no camera and no link is needed.
    """
    from edge.doctor import Subject, exit_code_of, findings  # noqa: PLC0415

    subject = Subject(kit_from_toml(config), named=True) if config else Subject(Kit())
    found = []
    for finding in findings(subject):
        found.append(finding)
        if not as_json:
            typer.echo("\n".join(_lines(finding, min(100, shutil.get_terminal_size().columns))))
    code = exit_code_of(found)
    if report is not None:
        from edge.doctor.report import write_report  # noqa: PLC0415

        write_report(report, found, subject)
    if as_json:
        from msgspec import to_builtins  # noqa: PLC0415

        typer.echo(json.dumps({"findings": [to_builtins(one) for one in found], "exit_code": code}, indent=2))
        return code
    counts = [f"{sum(one.status == status for one in found)} {status}" for status in ("ok", "warn", "fail")]
    typer.echo(f"\n{', '.join(counts)}" + (f"; report: {report}" if report else ""))
    return code


def _lines(finding: Finding, width: int) -> Iterator[str]:
    head, below = f"{finding.status:<5}{finding.check:<12}", " " * 17
    yield from textwrap.wrap(finding.seen, width, initial_indent=head, subsequent_indent=below)
    if finding.fix:
        yield from textwrap.wrap(f"fix: {finding.fix}", width, initial_indent=below, subsequent_indent=below + "     ")
