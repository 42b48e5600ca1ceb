"""How soon the CPU runtime is ready, and how soon a changed bundle is refused: ``python -m edge.benchmarks.start``.

Each is a process of its own, from its start to its end, as the shell sees it: Python, imports, hashes, self-test and,
of a run that is ready, ``run --check`` on a scene. A bundle is changed in one byte of its largest graph, of its
manifest and of its self-test. Medians of a few rounds; wall time, and processor time of the process, which other work
on the machine changes less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from edge.benchmarks.machine import machine
from edge.bundle import MANIFEST, SELFTEST, default_bundle_dir
from edge.errors import BundleError, FaultError

__all__ = ["KIND", "Result", "Row", "main", "rows"]

KIND = "start"
READY = ("--rgb", "synthetic:?seconds=1", "--sink", f"jsonl:{os.devnull}", "--check")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Median seconds of ``rounds`` processes; ``code`` is how they ended."""

    what: str
    code: int
    rounds: int
    wall_s: float
    cpu_s: float


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    kind: str
    machine: str
    rows: list[Row]


def changed(bundle: Path, file: str) -> None:
    """Turn one bit in the middle of a file of a bundle."""
    data = bytearray((bundle / file).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / file).write_bytes(data)


def rows(rounds: int) -> list[Row]:
    """Ready in both modes, and refusals."""
    largest = max(default_bundle_dir().glob("*.onnx"), key=lambda path: path.stat().st_size).name
    found = [_row(f"ready, mode {mode}", (*READY, "--mode", mode), 0, rounds) for mode in ("exact", "stream")]
    with tempfile.TemporaryDirectory() as folder:
        for file in (largest, MANIFEST, SELFTEST):
            bundle = Path(folder) / file.replace(".", "-")
            shutil.copytree(default_bundle_dir(), bundle)
            changed(bundle, file)
            words = (*READY, "--bundle", str(bundle))
            found.append(_row(f"refused, a bit of {file} changed", words, BundleError.exit_code, rounds))
    return found


def _row(what: str, words: Sequence[str], code: int, rounds: int) -> Row:
    times = np.median([_times_s(words, code) for _ in range(rounds)], axis=0).round(2).tolist()
    return Row(what, code, rounds, *times)


def _times_s(words: Sequence[str], code: int) -> tuple[float, float]:
    """Wall and processor seconds of one ``mmrphys run``; FaultError when it ends with another code."""
    start_s = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "edge", "run", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != code:
        raise FaultError(f"run {' '.join(words)} ended with {process.returncode}, wanted {code}: {said.strip()}")
    return wall_s, usage.ru_utime + usage.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="Where the result goes as JSON.")
    given = parser.parse_args(arguments)
    result = Result(KIND, machine(), rows(given.rounds))
    table = Table("what", "exit", "wall s", "processor s", title=f"start to end, medians of {given.rounds}")
    for row in result.rows:
        table.add_row(row.what, str(row.code), f"{row.wall_s:.2f}", f"{row.cpu_s:.2f}")
    Console(width=120).print(table, result.machine)
    if given.out:
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


if __name__ == "__main__":
    main()
