"""What the documents say: links lead somewhere, commands are the program's, figures those of the committed reports."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from edge.cli import app, main

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("edge", "export", "training", "calibration", "tests", "docker")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("README.md"))])

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def _found(pattern: str, path: Path) -> list[str]:
    return re.findall(pattern, path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@documents
def test_documents_name_files_that_exist(document: Path) -> None:
    links = _found(r"\]\((?!https?:|#)([^)#]+)", document)
    named = _found(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", document)
    places = [*(document.parent / link for link in links), *(ROOT / name for name in named)]
    assert [str(place) for place in places if not place.exists()] == []


@documents
def test_links_to_sections_find_them(document: Path) -> None:
    links = [link.split("#") for link in _found(r"\]\((?!https?:)([^)#]*#[^)]+)\)", document)]
    pages = [(document.parent / page if page else document, section) for page, section in links]
    assert [f"{page}#{section}" for page, section in pages if section not in _sections(page)] == []


@documents
def test_nothing_stands_twice(document: Path) -> None:
    """Headings, and long rows and list items: merging documents line by line doubles them without a word."""
    lines = [*_found(r"^#+ .+$", document), *_found(r"^(?:- |\| `).{40,}$", document)]
    assert sorted({line for line in lines if lines.count(line) > 1}) == []


def test_the_first_page_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 20_000


def _sections(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _found(r"^#+ (.+)$", page)]
    return {heading.replace(" ", "-") for heading in kept}


def _command_lines(document: Path) -> Iterator[list[str]]:
    """The words of every command of the program that stands on a line of its own."""
    for block in re.findall(r"^```\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.startswith("mmrphys "):
                yield shlex.split(line.partition(" > ")[0], comments=True)[1:]


@documents
def test_commands_of_documents_are_the_programs(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is parsed: options, choices, numbers. Of a run, the kit is checked; files need not be there."""
    wrong = []
    for words in _command_lines(document):
        try:
            _parse(get_command(app), words)
            code = main([*words, "--print-config"]) if words[0] in KITS and "--config" not in words else 0
        except Exception as error:  # noqa: BLE001 - typer's errors have no public name
            wrong.append(f"{shlex.join(words)}: {error}")
        else:
            wrong += [f"{shlex.join(words)}: {capsys.readouterr().err}"] * (code != 0)
    assert wrong == []


KITS = ("run", "record")


def _parse(command: Any, words: list[str]) -> None:
    name, *rest = words
    command = command.get_command(None, name)
    assert command is not None, f"there is no command {name}"
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    if "--help" not in rest:
        command.make_context(name, rest)


def test_the_readme_shows_the_command_that_make_demo_runs() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    dry_run = ["make", "-n", "demo"]
    printed = subprocess.run(dry_run, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    command = printed.stdout.splitlines()[-1].removeprefix(".venv/bin/")
    assert command.startswith("mmrphys run ")
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


REPORTS = {
    "": ("default/report",),
    "default ": ("default/paper",),
    "published 9x9 ": ("published-9/report", "published-9/paper"),
    "published 72x72 ": ("published-72/report", "published-72/paper"),
}


@pytest.mark.parametrize("weights", REPORTS)
def test_the_figures_are_those_of_the_committed_reports(weights: str) -> None:
    places = [ROOT / "training/results" / name / "tables.md" for name in REPORTS[weights]]
    reported = [line for place in places for line in place.read_text(encoding="utf-8").splitlines()]
    head = f"| {weights}| " if weights else "| "
    shown = _found(rf"^{re.escape(head)}(?:moderate|hard|faults|real) \|.*$", ROOT / "training/results/README.md")
    assert len(shown) >= 4
    assert [line for line in shown if line.replace(head, "| ", 1) not in reported] == []


def test_the_short_table_is_that_of_the_committed_report() -> None:
    with (ROOT / "training/results/default/report/figures.csv").open(encoding="utf-8", newline="") as file:
        rows = {
            (row["data"], row["rate"]): row
            for row in csv.DictReader(file)
            if (row["method"], row["split"]) == ("network+cues", "all")
        }
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for data in ("moderate", "hard", "faults"):
        cells = " | ".join(
            f"{100 * float(row['coverage']):.1f} % | {float(row['published_mae']):.2f} | "
            f"{100 * float(row['false_confidence']):.1f} %"
            for row in (rows[data, "hr"], rows[data, "rr"])
        )
        assert re.search(rf"^\| `{data}`: [^|]+ \| {re.escape(cells)} \|$", page, flags=re.MULTILINE), cells
