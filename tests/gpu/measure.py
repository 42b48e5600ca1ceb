"""Everything that needs a CUDA device, part by part, each in a process of its own: a crash costs one part.

``python -m gpu.measure [OUT.json] [--quick] [--bundle DIR]`` with ``tests`` on the path; ``tests/gpu/run.sh`` does it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from gpu.machine import NO_GPU, ROOT, SkipPart, commit, gpu, versions
from gpu.results import PARTS, GpuResults, Part

from edge.errors import MissingExtraError
from edge.profile_board import machine
from edge.profile_types import Plan

__all__ = ["main"]

TIMEOUT_S = 1800.0
FULL, QUICK = Plan(2_000, 10.0, warm_up_runs=200), Plan(50, 1.0, warm_up_runs=5)


def main(arguments: list[str]) -> int:
    """0, also where nothing could run; 1 when a part that ran failed."""
    options = _options(arguments)
    if options.part:
        options.out.write_bytes(msgspec.json.encode(_part_here(options)))
        return 0
    device = gpu()
    results = GpuResults(
        "gpu-results", 1, datetime.now(timezone.utc).isoformat(timespec="seconds"), commit(), device, machine(),
        versions(), {name: _part_apart(name, options) if device else Part(skipped=NO_GPU) for name in PARTS},
    )  # fmt: skip
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return _tell(results, options.out)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/gpu/run.sh", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("gpu-results.json"), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works, not to be published")
    parser.add_argument("--bundle", type=Path, help="a bundle for the engines; default: the package's")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _part_apart(name: str, options: argparse.Namespace) -> Part:
    """One part in a process of its own."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "part.json"
        words = [sys.executable, "-m", "gpu.measure", str(out), "--part", name]
        words += ["--quick"] * options.quick + (["--bundle", str(options.bundle.resolve())] if options.bundle else [])
        sys.stderr.write(f"{name} ...\n")
        try:
            done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, check=False, timeout=TIMEOUT_S)
            part = msgspec.json.decode(out.read_bytes(), type=Part) if out.exists() else Part(failed=_ended(done))
        except subprocess.TimeoutExpired:
            part = Part(failed=f"it took longer than {TIMEOUT_S:.0f} s")
    return msgspec.structs.replace(part, seconds=round(time.monotonic() - start, 1))


def _ended(done: subprocess.CompletedProcess[bytes]) -> str:
    how = f"by signal {-done.returncode}" if done.returncode < 0 else f"with {done.returncode}"
    return f"its process ended {how} and left nothing; see what it printed"


def _part_here(options: argparse.Namespace) -> Part:
    """What the process of a part does; whatever goes wrong is told."""
    plan = QUICK if options.quick else FULL
    try:
        return _work(options.part)(plan, options.bundle)
    except (SkipPart, MissingExtraError) as why:
        return Part(skipped=" ".join(str(why).split()))
    except Exception as error:  # noqa: BLE001 - the edge of the part's process
        return Part(failed=f"{type(error).__name__}: {' '.join(str(error).split())}")


def _work(name: str) -> Callable[[Plan, Path | None], Part]:
    """Imported when its turn comes: the parts need different packages."""
    if name.startswith("torch_"):
        from gpu import torch_latency

        return torch_latency.windows if name == "torch_window" else torch_latency.streams
    from gpu import engines

    return {"engine": engines.numerics_and_latency, "wrapper": engines.crash_and_restart}.get(
        name, engines.marked_tests
    )


def _tell(results: GpuResults, out: Path) -> int:
    for name, part in results.parts.items():
        state = f"skipped: {part.skipped}" if part.skipped else f"FAILED: {part.failed}" if part.failed else "ran"
        sys.stderr.write(f"{name}: {state}\n")
    failed = [name for name, part in results.parts.items() if part.failed]
    if all(part.skipped for part in results.parts.values()):
        sys.stderr.write(f"nothing was measured: no part can run on this machine; {out} says why for each\n")
    else:
        sys.stderr.write(f"{out}: {results.gpu.name if results.gpu else 'no GPU'}, {len(failed)} parts failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
