"""The command ``mmrphys convert``. Importing it needs no numpy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from edge.errors import UsageError
from edge.health.convert import Format
from edge.health.convert import convert as converted
from edge.health.survey import Choice

__all__ = ["convert"]

_SUBJECT = re.compile(r"(https?://\S+/)?(Patient|Group|Device|Location)/[A-Za-z0-9.-]{1,64}|urn:uuid:[0-9a-f-]{36}")


def convert(
    *,
    records: Annotated[
        Path, typer.Argument(metavar="RECORDS", help="Records of --sink jsonl:FILE, or a recording of mmrphys record.")
    ],
    to: Annotated[
        Format,
        typer.Option(
            help="FHIR R4 Observations, one a line or in one Bundle; CSV, one row a second; EDF+, one file a run."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file. Default: standard output (not for edf).")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Whose measurements they are, for example Patient/7: you say so, no one here checks it."
        ),
    ] = None,
    zone: Annotated[str | None, typer.Option(metavar="NAME", help="This zone only.")] = None,
    person: Annotated[int | None, typer.Option(metavar="N", help="This track only.")] = None,
) -> None:
    """Convert records to FHIR, CSV or EDF+. Research use, not a medical device."""
    if subject is not None and not _SUBJECT.fullmatch(subject):
        raise UsageError(f"--subject {subject}: want a FHIR reference, for example Patient/7 or urn:uuid:...")
    report = converted(records, to, out, Choice(zone, person, subject))
    where = f" in {', '.join(map(str, report.files))}" if report.files else ""
    typer.echo(f"{records}: {report.records} records read, {report.written} {report.what} written{where}", err=True)
    if report.damaged:
        typer.echo(f"{records}: {report.damaged} damaged records were left out", err=True)
    for notice in report.notices:
        typer.echo(f"{records}: {notice}", err=True)
