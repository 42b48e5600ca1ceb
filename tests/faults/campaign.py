"""Faults, injected by program: broken brokers, killed processes, full disks. Prints a table; ``--json FILE`` keeps it.

    .venv/bin/python tests/faults/campaign.py            # the short version that `make test` runs
    .venv/bin/python tests/faults/campaign.py --full --jobs 2    # the figures of edge/sinks/README.md

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.environ["PATH"] += ":/usr/sbin"  # Debian keeps the broker where only root looks

from _pytest.outcomes import Failed
from faults.finding import Finding

__all__ = ["CAMPAIGNS", "run_one"]

CAMPAIGNS: dict[str, tuple[str, str]] = {
    "outages": ("faults.outages", "the broker is down, hung, slow, refuses, or is cut off within a packet"),
    "killed_runs": ("faults.killed_runs", "kill -9 of a whole `mmrphys run`, and the next one on the same folders"),
    "kills": ("faults.kills", "kill -9 of a process that does nothing but write through the sink"),
    "prefixes": ("faults.prefixes", "the outbox's database and WAL, cut short anywhere"),
    "full_disk": ("faults.full_disk", "a disk without a free byte"),
    "clock_jumps": ("faults.clock_jumps", "wall clocks that jump, and a clock that starts anew"),
    "capacity": ("faults.capacity", "two days without a broker, then all of it beside what is new"),
    "seen_offline": ("faults.seen_offline", "how soon others see that a kit has crashed or hangs"),
    "serial_damage": ("faults.serial_damage", "frames and lines that a cable damages, against both decoders"),
    "serial_replug": ("faults.serial_replug", "a serial port that is pulled out and put back"),
    "serial_peers": ("faults.serial_peers", "a serial reader that stalls, or talks garbage"),
    "page_clients": ("faults.page_clients", "bedside pages that stop reading"),
}
"""Module and subject by name, in the order in which they run."""
ALONE = ("capacity", "seen_offline", "page_clients")
"""Those whose figures are times that others would disturb."""


def run_one(name: str, folder: Path, *, full: bool) -> Finding:
    """Run one campaign in an empty folder."""
    finding: Finding = importlib.import_module(CAMPAIGNS[name][0]).run(folder, full=full)
    return finding


def main() -> int:
    parser = argparse.ArgumentParser(description="Fault campaigns.")
    parser.add_argument("--full", action="store_true", help="as many rounds as the figures in edge/sinks/README.md")
    parser.add_argument("--only", nargs="+", choices=list(CAMPAIGNS), default=list(CAMPAIGNS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was found; rows of others stay in it")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="that many beside each other; some run alone")
    given = parser.parse_args()
    logging.disable()  # what the product says of all these faults is the tests' business
    found: dict[str, Any] = {}
    try:
        for name, one in _all(given.only, full=given.full, jobs=given.jobs):
            found[name] = one
            print("\n".join(_lines(name, one)), flush=True)  # noqa: T201 - the table
            if given.json:  # after each, so that what is broken off leaves what it found
                _keep(given.json, name, one)
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; not run: {', '.join(name for name in given.only if name not in found)}\n")
        return 130
    return int(any(one["failures"] for one in found.values()))


def _all(names: Sequence[str], *, full: bool, jobs: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and what was found, as it comes; with several ``jobs`` in processes of their own."""
    together = [name for name in names if name not in ALONE] if jobs > 1 else []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        begun = {pool.submit(_in_process, name, full=full): name for name in together}
        for done in as_completed(begun):
            yield begun[done], done.result()
    for name in names:
        if name not in together:
            _announce(name)
            yield name, _timed(name, full=full)


def _in_process(name: str, *, full: bool) -> dict[str, Any]:
    _announce(name)
    with tempfile.TemporaryDirectory(prefix=f"mmrphys-{name}-") as folder:
        kept = Path(folder) / "found.json"
        words = [sys.executable, __file__, "--only", name, "--json", str(kept), *(["--full"] if full else [])]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if not kept.exists():
            raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
        one: dict[str, Any] = json.loads(kept.read_bytes())["found"][name]
    return one


def _announce(name: str) -> None:
    sys.stderr.write(f"... {name}: {CAMPAIGNS[name][1]}\n")


def _timed(name: str, *, full: bool) -> dict[str, Any]:
    """What a campaign found, in a folder of its own, when, where, and how long it took."""
    begin_s, when = time.monotonic(), {"full": full, "date": _now(), "machine": _machine()}
    with tempfile.TemporaryDirectory(prefix=f"mmrphys-{name}-") as folder:
        try:
            finding = run_one(name, Path(folder), full=full)
        except Failed as waited:  # in vain, for something of the product
            finding = Finding(1, failures=(str(waited),))
    return {**asdict(finding), "took_s": round(time.monotonic() - begin_s, 1), **when}


def _keep(file: Path, name: str, one: dict[str, Any]) -> None:
    """Put a row into the report, whose other rows stay as they are."""
    report = json.loads(file.read_bytes()) if file.exists() else {}
    found = {**report.get("found", {}), name: one}
    report |= _programs() | {"found": {key: found[key] for key in CAMPAIGNS if key in found}}
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _lines(name: str, found: dict[str, Any]) -> list[str]:
    verdict = "skipped" if found["skipped"] else "FAILED" if found["failures"] else "held"
    head = f"{verdict:8} {name}: {CAMPAIGNS[name][1]} ({found['rounds']} rounds, {found['took_s']} s)"
    figures = [f"           {what:48} {value}" for what, value in found["figures"].items()]
    return [head, *figures, *(f"         ! {line}" for line in (*found["failures"], found["skipped"]) if line)]


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ")


def _machine() -> str:
    from edge.benchmarks.machine import machine

    return machine()


def _programs() -> dict[str, str]:
    said = subprocess.run(["mosquitto", "-h"], check=False, capture_output=True, text=True).stdout.splitlines()
    return {"sqlite": sqlite3.sqlite_version, "broker": said[0] if said else "no broker"}


if __name__ == "__main__":
    sys.exit(main())
