"""Doctor: what keeps this machine from measuring, each finding with its fix. One file per kind of finding.

To add one: write ``edge/doctor/<name>.py`` with ``look(subject: Subject) -> Iterator[Finding]`` and one row in
``CHECKS``. A check looks and changes nothing; what it needs of the machine it asks through ``subject``, so that tests
can give it another one.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from edge.config import Kit
from edge.errors import FaultError, MmrphysError

__all__ = ["CHECKS", "Check", "Finding", "Subject", "exit_code_of", "explained", "findings", "ok", "poor"]

log = logging.getLogger(__name__)

CHECKS: dict[str, str] = {
    "software": "edge.doctor.software",
    "telemetry": "edge.doctor.telemetry",
    "permissions": "edge.doctor.permissions",
    "cameras": "edge.doctor.cameras",
    "bundle": "edge.doctor.bundle",
    "runtime": "edge.doctor.runtime",
    "broker": "edge.doctor.broker",
    "receiver": "edge.doctor.receiver",
    "serial": "edge.doctor.serial_port",
    "storage": "edge.doctor.storage",
    "clock": "edge.doctor.clock",
    "board": "edge.doctor.board",
    "memory": "edge.doctor.memory",
}
"""In the order in which they are told."""

Status = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    ``fail``: something needed does not work; ``warn``: something is missing that is not needed now, or that makes
    figures worse. ``fix`` is empty exactly when ``ok``. ``exit_code`` is what a failure ends the command with.
    """

    check: str = ""
    status: Status
    seen: str
    fix: str = ""
    exit_code: int = 0

    def __post_init__(self) -> None:
        if (self.status == "ok") != (not self.fix):
            raise ValueError(f"every finding but ok has a fix; seen {self.status}, {self.seen!r}, {self.fix!r}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at. ``named``: the kit was given, so that what it names is needed. ``root``: the file system."""

    kit: Kit = field(default_factory=Kit)
    named: bool = False
    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


class Check(Protocol):
    """One kind of finding."""

    def __call__(self, subject: Subject) -> Iterator[Finding]:
        """What there is to say, in the order in which it is best read."""


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding(status="ok", seen=seen)


def poor(seen: str, fix: str, *, needed: bool, exit_code: int = FaultError.exit_code) -> Finding:
    """Something is missing: a failure when it is ``needed``, else a warning."""
    return Finding(status="fail" if needed else "warn", seen=seen, fix=fix, exit_code=exit_code if needed else 0)


def explained(error: MmrphysError, *, needed: bool = True) -> Finding:
    """An error of this program as a finding: what was seen, and, behind the last semicolon, what to do."""
    seen, semicolon, fix = str(error).rpartition("; ")
    if not semicolon:
        seen, fix = fix, "correct it in the kit, or install mmrphys-edge again"
    return poor(seen, fix, needed=needed, exit_code=error.exit_code)


def findings(subject: Subject, checks: Mapping[str, str] = CHECKS) -> Iterator[Finding]:
    """Everything, check by check; one that breaks is itself a finding and stops no other."""
    for name, module in checks.items():
        try:
            look: Check = importlib.import_module(module).look
            for finding in look(subject):
                yield msgspec.structs.replace(finding, check=name)
        except MmrphysError as error:
            yield msgspec.structs.replace(explained(error), check=name)
        except Exception as error:  # the edge of a check: told, never silent
            log.debug("the check %s broke", name, exc_info=True)
            seen = f"this check broke ({type(error).__name__}: {error})"
            yield Finding(check=name, status="warn", seen=seen, fix="run doctor --debug -v and report it")


def exit_code_of(found: Iterable[Finding]) -> int:
    """0 when nothing needed fails, else the code of the first failure."""
    return next((finding.exit_code for finding in found if finding.status == "fail"), 0)
