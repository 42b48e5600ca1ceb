"""The report for somebody who helps from afar: versions, board, configuration, log, health. No frames, no measurements.

Every file of it goes through the scrubber of :mod:`edge.doctor.redact`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import msgspec

from edge.config import toml_from_kit
from edge.doctor import Finding, Subject
from edge.doctor.redact import scrubber_for
from edge.doctor.software import versions
from edge.errors import UsageError
from edge.profile_board import board, machine
from edge.sinks import RESERVED, SCHEMES
from edge.sinks.records import NOTICE
from edge.uri import parse_uri

__all__ = ["write_report"]

LOG_LINES, HEALTH_LINES = 300, 200
TAIL_BYTES = 2_000_000
"""So much of a record file's end is looked through: about an hour of numerics between two health records."""
_HEALTH_KINDS = frozenset({"health", "status", "meta"})
_TECHNICAL = frozenset({"input_ended", "input_broken", "runtime_fault"})
UNITS = "mmrphys*"
_RATE = re.compile(r"\b[HR]R +[\d.]+ /min")
"""What the sink ``console:`` prints into the journal of a service."""


def write_report(path: Path, found: list[Finding], subject: Subject) -> None:
    """Write the ZIP file, whole or not at all; UsageError where it cannot be."""
    scrub = scrubber_for(subject.kit, subject.environment)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in _members(found, subject):
                archive.writestr(name, scrub(text))
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"--report {path}: {error.strerror}; name a file in a folder you may write to") from error
    finally:
        temporary.unlink(missing_ok=True)


def _members(found: list[Finding], subject: Subject) -> Iterator[tuple[str, str]]:
    """Name and text of every file of the report, and a text that says where each is from."""
    log, log_from = _log()
    health, health_from = _health(subject)
    yield "findings.json", _json([msgspec.to_builtins(one) for one in found])
    yield (
        "versions.json",
        _json({"python": platform.python_version(), "kernel": platform.release(), "packages": versions()}),
    )
    yield "board.json", _json({"board": board(subject.root), "machine": machine()})
    if subject.named:
        yield "kit.toml", toml_from_kit(subject.kit)
    yield "log.txt", log
    yield "health.jsonl", health
    told = {
        "findings.json": "what mmrphys doctor found",
        "versions.json": "releases of Python, kernel and packages",
        "board.json": "model, power mode, clocks, temperatures, processor",
        **({"kit.toml": "the kit, passwords as ***, without comments"} if subject.named else {}),
        "log.txt": log_from,
        "health.jsonl": health_from,
    }
    lines = [f"{name}: {text}" for name, text in told.items()]
    yield "README.txt", "\n".join(["mmrphys doctor", *lines, "No frames, no rates, no waveforms.", NOTICE, ""])


def _log() -> tuple[str, str]:
    """The newest lines of the services' journal, and where they are from."""
    program = which("journalctl")
    if program is None:
        return "", "empty: this machine keeps no journal"
    asked = [program, "-u", UNITS, "-n", str(LOG_LINES), "--no-pager", "--no-hostname", "-o", "short-iso"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=10.0, check=False)  # noqa: S603 - a fixed command
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"empty: the journal does not answer ({error})"
    if answer.returncode or not answer.stdout.strip():
        return "", f"empty: the journal has nothing of the units {UNITS} that this user may read"
    kept = [line for line in answer.stdout.splitlines() if not _RATE.search(line)]
    return "\n".join(kept), f"of the last {LOG_LINES} lines of the journal of the units {UNITS}, those without a rate"


def _health(subject: Subject) -> tuple[str, str]:
    """The newest records that are no measurement, and the files they are from."""
    targets = [text for text in subject.kit.sinks if text.startswith("jsonl:") and not text.startswith("jsonl:-")]
    paths = [Path(parse_uri(text, "sink", SCHEMES, RESERVED).target) for text in targets if subject.named]
    kept = [line for path in paths for line in _technical_lines(path)][-HEALTH_LINES:]
    if not paths:
        return "", "empty: the kit names no jsonl file" if subject.named else "empty: give the kit with --config"
    return "\n".join(kept), f"health, status, meta and technical events from {', '.join(map(str, paths))}"


def _technical_lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # torn, or begun before the tail
        if isinstance(record, dict) and _is_technical(record):
            yield json.dumps(record)


def _is_technical(record: dict[str, Any]) -> bool:
    return record.get("kind") in _HEALTH_KINDS or record.get("code") in _TECHNICAL


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
