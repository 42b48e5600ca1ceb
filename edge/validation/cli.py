"""The command ``mmrphys validate``. Importing it needs no numpy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from edge.errors import EvidenceError, UsageError

__all__ = ["validate"]


def validate(
    *,
    records: Annotated[Path, typer.Argument(metavar="RECORDS", help="Records of the kit, from --sink jsonl:FILE.")],
    reference: Annotated[
        Path, typer.Option(metavar="CSV", help="The reference: columns time, hr and optionally rr, per minute.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for validate.json and validate.html; both are replaced.")
    ] = Path("validate"),
    zone: Annotated[str | None, typer.Option(metavar="NAME", help="The zone, where the records hold several.")] = None,
    person: Annotated[int | None, typer.Option(metavar="N", help="The person, where the zone holds several.")] = None,
    offset_s: Annotated[
        float | None,
        typer.Option(
            "--offset-s",
            metavar="SECONDS",
            help="Known offset: the reference's clock less the kit's; for times since a start, the reference's time at "
            "the kit's first look.",
        ),
    ] = None,
    max_offset_s: Annotated[
        float | None,
        typer.Option(
            "--max-offset-s",
            metavar="SECONDS",
            help="Search no further. Default: 120 for times of day, any overlap for times since a start.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Compare a kit's records with a reference device: bias, limits of agreement, A_RMS, coverage, false confidence."""
    _check(offset_s, max_offset_s)
    from rich.console import Console  # noqa: PLC0415 - commands import their work when called

    from edge.validation.compare import OffsetRules  # noqa: PLC0415
    from edge.validation.report import dict_from_report, print_report  # noqa: PLC0415
    from edge.validation.run import report_from_files, write_report  # noqa: PLC0415

    report = report_from_files(records, reference, zone, person, OffsetRules(offset_s, max_offset_s))
    written = write_report(report, out)
    if as_json:
        typer.echo(json.dumps(dict_from_report(report), indent=2))
    else:
        print_report(report, Console(highlight=False, markup=False, emoji=False))
        typer.echo("\n".join(map(str, written)))
    if not report.result.paired:
        raise EvidenceError(
            f"no value of {records.name} that was ok has a reference in {reference.name}, so nothing can be judged; "
            f"see {written[-1]}"
        )


def _check(offset_s: float | None, max_offset_s: float | None) -> None:
    if offset_s is not None and max_offset_s is not None:
        raise UsageError("--offset-s fixes what --max-offset-s would search; keep one of them")
    if offset_s is not None and not math.isfinite(offset_s):
        raise UsageError(f"--offset-s {offset_s}: want seconds, for example 37.4")
    if max_offset_s is not None and not 0.0 < max_offset_s < math.inf:
        raise UsageError(f"--max-offset-s {max_offset_s:g}: want seconds above 0, for example 600")
