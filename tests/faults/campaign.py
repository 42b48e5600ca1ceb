"""Faults, injected by program: broken brokers, killed processes, full disks. Prints a table; ``--json FILE`` keeps it.

    .venv/bin/python tests/faults/campaign.py            # the short version that `make test` runs
    .venv/bin/python tests/faults/campaign.py --full     # the figures of edge/sinks/README.md; a quarter of an hour

To add one: a file here with ``run(folder: Path, *, full: bool) -> Finding`` and a row in ``CAMPAIGNS``. It draws from a
seed, needs nothing but the folder, and says in ``failures`` which promise was broken. Ends with 1 when any was.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.environ["PATH"] += ":/usr/sbin"  # Debian keeps the broker where only root looks

from faults.finding import Finding

__all__ = ["CAMPAIGNS", "run_one"]

CAMPAIGNS: dict[str, tuple[str, str]] = {
    "outages": ("faults.outages", "the broker is down, hung, slow, refuses, or is cut off within a packet"),
    "kills": ("faults.kills", "kill -9 of the process that writes"),
    "prefixes": ("faults.prefixes", "the outbox's database and WAL, cut short anywhere"),
    "full_disk": ("faults.full_disk", "a disk without a free byte"),
    "clock_jumps": ("faults.clock_jumps", "wall clocks that jump, and a clock that starts anew"),
    "capacity": ("faults.capacity", "two days without a broker, then all of it beside what is new"),
    "seen_offline": ("faults.seen_offline", "how soon others see that a kit has crashed or hangs"),
    "serial_damage": ("faults.serial_damage", "frames and lines that a cable damages, against both decoders"),
    "serial_replug": ("faults.serial_replug", "a serial port that is pulled out and put back"),
}
"""Module and subject by name, in the order in which they run."""


def run_one(name: str, folder: Path, *, full: bool) -> Finding:
    """Run one campaign in an empty folder."""
    finding: Finding = importlib.import_module(CAMPAIGNS[name][0]).run(folder, full=full)
    return finding


def main() -> int:
    parser = argparse.ArgumentParser(description="Fault campaigns.")
    parser.add_argument("--full", action="store_true", help="as many rounds as the figures in edge/sinks/README.md")
    parser.add_argument("--only", nargs="+", choices=list(CAMPAIGNS), default=list(CAMPAIGNS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was found, with facts of the machine")
    given = parser.parse_args()
    logging.disable()  # what the product says of all these faults is the tests' business
    found: dict[str, Any] = {}
    for name in given.only:
        begin_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"mmrphys-{name}-") as folder:
            finding = run_one(name, Path(folder), full=given.full)
        found[name] = {**asdict(finding), "took_s": round(time.monotonic() - begin_s, 1)}
        print("\n".join(_lines(name, found[name])), flush=True)  # noqa: T201 - the table
    if given.json:
        report = {"full": given.full, "date": _now(), "machine": _machine(), "found": found}
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(one["failures"] for one in found.values()))


def _lines(name: str, found: dict[str, Any]) -> list[str]:
    verdict = "skipped" if found["skipped"] else "FAILED" if found["failures"] else "held"
    head = f"{verdict:8} {name}: {CAMPAIGNS[name][1]} ({found['rounds']} rounds, {found['took_s']} s)"
    figures = [f"           {what:48} {value}" for what, value in found["figures"].items()]
    return [head, *figures, *(f"         ! {line}" for line in (*found["failures"], found["skipped"]) if line)]


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ")


def _machine() -> dict[str, str]:
    from edge.benchmarks.machine import machine

    said = subprocess.run(["mosquitto", "-h"], check=False, capture_output=True, text=True).stdout.splitlines()
    broker = said[0] if said else "no broker"
    return {"machine": machine(), "sqlite": sqlite3.sqlite_version, "broker": broker}


if __name__ == "__main__":
    sys.exit(main())
