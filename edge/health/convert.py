"""A file of records into another format: read twice, written beside its name, and renamed when it is whole."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from edge.errors import FaultError, UsageError
from edge.health.source import RecordSource
from edge.health.survey import Choice, Run, Survey, survey_of
from edge.sinks.records import Record

if TYPE_CHECKING:  # its library belongs to the extra `convert`
    from edge.health.edf import EdfFile

__all__ = ["Format", "Report", "convert"]

Format = Literal["fhir", "fhir-bundle", "csv", "edf"]

_Parts = Callable[[Record, Run, Choice], Iterable[bytes]]


@dataclass(slots=True)
class Report:
    """What was read and written: files, and how many of ``what`` they hold; ``notices`` are for people."""

    records: int
    damaged: int
    written: int = 0
    what: str = ""
    files: list[Path] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def convert(path: Path, form: Format, out: Path | None, choice: Choice) -> Report:
    """Write the records of ``path`` as ``form`` to the new file ``out``, or to standard output when that is None.

    Raises
    ------
    InputError
        ``path`` cannot be read, holds nothing that can be converted, or what one file must not mix.
    UsageError
        ``out`` exists, cannot be made or is missing; a zone or person must be named.
    FaultError
        ``out`` cannot be written to its end; it is removed then.
    """
    if out is not None and out.exists():
        raise UsageError(f"--out {out}: it exists; name a new file")
    source = RecordSource(path)
    survey = survey_of(source)
    survey = Survey(survey.runs, survey.records, source.damaged)
    one_person = form == "edf" or choice.subject is not None
    survey.check(choice, one_person=one_person, what="--subject" if choice.subject is not None else "--to edf")
    report = Report(survey.records, survey.damaged)
    if form == "edf":
        _to_edf(path, out, survey, choice, report)
    else:
        _to_text(path, form, out, survey, choice, report)
    return report


def _again(path: Path, survey: Survey) -> Iterator[tuple[Record, Run]]:
    for record in RecordSource(path, survey.records):
        yield record, survey.run_of(record)


def _to_text(path: Path, form: Format, out: Path | None, survey: Survey, choice: Choice, report: Report) -> None:
    begin, parts, between, end, report.what = _text_format(form)
    with _opened(out, report) as file:
        file.write(begin)
        for record, run in _again(path, survey):
            for part in parts(record, run, choice):
                file.write(between if report.written else b"")
                file.write(part)
                report.written += 1
        file.write(end)


def _text_format(form: Format) -> tuple[bytes, _Parts, bytes, bytes, str]:
    """What stands before, the parts of a record, what stands between and behind, and what a part is."""
    if form == "csv":
        from edge.health.table import COLUMNS, row_from_cells, rows  # noqa: PLC0415 - each format loads its own

        return row_from_cells(COLUMNS), rows, b"", b"", "rows"
    from edge.health.fhir import observations  # noqa: PLC0415

    def lines(record: Record, run: Run, choice: Choice) -> Iterator[bytes]:
        for one in observations(record, run, choice):
            text = json.dumps(one, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            yield (text if form == "fhir" else f'{{"fullUrl":"urn:uuid:{one["id"]}","resource":{text}}}').encode()

    if form == "fhir":
        return b"", lines, b"\n", b"\n", "Observations"
    return b'{"resourceType":"Bundle","type":"collection","entry":[\n', lines, b",\n", b"\n]}\n", "Observations"


@contextmanager
def _opened(out: Path | None, report: Report) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _whole(out, report) as part:
        try:
            file = part.open("xb")
        except OSError as error:
            raise UsageError(f"--out {out}: {error.strerror}; name a new file in a folder you may write to") from error
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _whole(out: Path, report: Report) -> Iterator[Path]:
    """A name beside ``out`` to write under; it becomes ``out`` at the end, and is removed when something fails."""
    part = out.with_name(f"{out.name}.part")
    try:
        yield part
        part.rename(out)
    except OSError as error:
        raise FaultError(f"--out {out}: {error.strerror or error}; make room and try again") from error
    finally:
        part.unlink(missing_ok=True)
    report.files.append(out)


def _to_edf(path: Path, out: Path | None, survey: Survey, choice: Choice, report: Report) -> None:
    """One file a run, one after another, for a file's records stand in the order of their making."""
    if out is None:
        raise UsageError("--to edf writes files: add --out FILE.edf")
    report.what = "files"
    series = _EdfSeries(out, choice, report)
    try:
        for record, run in _again(path, survey):
            if choice.takes(record):
                series.write(record, run)
    except BaseException:
        series.end(whole=False)
        raise
    series.end(whole=True)


class _EdfSeries:
    """Files of a run each: the first is ``out``, the next have a number in their name."""

    def __init__(self, out: Path, choice: Choice, report: Report) -> None:
        self._out = out
        self._choice = choice
        self._report = report
        self._file: EdfFile | None = None
        self._run: Run | None = None
        self._done: set[str] = set()
        self._stray = 0

    def write(self, record: Record, run: Run) -> None:
        if run.boot in self._done:
            self._stray += 1
            return
        if run is not self._run:
            self._finish()
            self._begin(run)
        assert self._file is not None
        self._file.write(record)

    def end(self, *, whole: bool) -> None:
        if whole:
            self._finish()
        elif self._file is not None:
            self._file.abandon()
            self._part.unlink(missing_ok=True)
        if self._stray:
            self._report.notices.append(f"{self._stray} records stood behind those of a later run and were left out")

    @property
    def _name(self) -> Path:
        number = len(self._done) + 1
        return self._out if number == 1 else self._out.with_name(f"{self._out.stem}-{number}{self._out.suffix}")

    @property
    def _part(self) -> Path:
        return self._name.with_name(f"{self._name.name}.part")

    def _begin(self, run: Run) -> None:
        from edge.health.edf import EdfFile  # noqa: PLC0415 - the library belongs to the extra `convert`

        if self._name.exists():
            raise UsageError(f"{self._name} exists, and is where run {run.boot} would go; name another --out")
        zone = run.zones[self._choice.zone] if self._choice.zone is not None else next(iter(run.zones.values()))
        self._run, self._file = run, EdfFile(self._part, run, zone, self._choice.subject)

    def _finish(self) -> None:
        if self._file is None or self._run is None:
            return
        self._file.close()
        name, part = self._name, self._part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(name)
        self._done.add(self._run.boot)
        self._report.files.append(name)
        self._report.written += 1
        self._tell(self._file, self._run.boot)
        self._file = self._run = None

    def _tell(self, file: EdfFile, boot: str) -> None:
        if file.lost:
            self._report.notices.append(f"run {boot}: {file.lost} samples had no place of their own and were left out")
        if file.untold:
            self._report.notices.append(f"run {boot}: {file.untold} annotations found no room")
