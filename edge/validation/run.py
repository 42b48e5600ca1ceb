"""From two files to a report, and from a report to its files."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from edge.errors import UsageError
from edge.validation.compare import OffsetRules, compare
from edge.validation.page import html_from_report
from edge.validation.record_file import looks_from_numerics, numerics_of_one, records_from_jsonl
from edge.validation.reference_csv import reference_from_csv
from edge.validation.report import Report, dict_from_report

__all__ = ["report_from_files", "write_report"]


def report_from_files(
    records: Path, reference: Path, zone: str | None, person: int | None, rules: OffsetRules
) -> Report:
    """Read and compare; InputError for files that cannot be used, UsageError for an open or impossible choice."""
    file = records_from_jsonl(records)
    truth = reference_from_csv(reference)
    numerics = numerics_of_one(file.numerics, zone, person)
    looks = looks_from_numerics(numerics)
    torn = (f"Lines of the records that were cut short and skipped: {file.torn}.",) if file.torn else ()
    notices = torn + looks.notices + truth.notices
    software = metadata.version("mmrphys-edge")
    return Report(software, file.source, truth.source, tuple(numerics), compare(looks, truth, rules), notices)


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``validate.json`` and ``validate.html`` into a folder, which is made; UsageError where that cannot be."""
    data, page = folder / "validate.json", folder / "validate.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data.write_text(json.dumps(dict_from_report(report), indent=2) + "\n", encoding="utf-8")
        page.write_text(html_from_report(report), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {folder}: {error.strerror}; name a folder you may write to") from error
    return data, page
