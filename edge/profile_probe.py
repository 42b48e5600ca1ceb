"""What one core of this machine reaches: single-precision GEMM and a stream through memory.

Run as a program of its own (``python -m edge.profile_probe``), because the number of threads of a BLAS is fixed when
NumPy is imported; :func:`probe` does that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np

from edge.errors import FaultError

__all__ = ["Probe", "best_s", "probe"]

GEMM_SIDE = 512
STREAM_BYTES = 64 * 1024 * 1024
"""Of each of three arrays: more than a last-level cache of usual size holds."""
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "VECLIB")}


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``gflop_s`` of the fastest product of two float32 matrices, ``gb_s`` of the fastest sum of two large arrays."""

    gflop_s: float
    gb_s: float


def best_s(call: Callable[[], object], repeats: int, clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Seconds of the fastest of ``repeats`` calls, after one that is not timed."""
    call()
    found = []
    for _ in range(repeats):
        start = clock()
        call()
        found.append(clock() - start)
    return min(found) * 1e-9


def probe(repeats: int = 60) -> Probe:
    """Measure one core, in a process of its own; FaultError when that fails."""
    words = [sys.executable, "-m", "edge.profile_probe", str(repeats)]
    try:
        done = subprocess.run(words, env=os.environ | _ONE_THREAD, capture_output=True, timeout=120, check=True)  # noqa: S603
        return msgspec.json.decode(done.stdout, type=Probe)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        raise FaultError(f"the probe of this processor failed ({error}); name a device with --limit") from error


def _measure(repeats: int) -> Probe:
    rng = np.random.default_rng(0)
    left, right = (rng.random((GEMM_SIDE, GEMM_SIDE), np.float32) for _ in range(2))
    product = np.empty_like(left)
    gemm_s = best_s(lambda: np.matmul(left, right, out=product), repeats)
    one, two, total = (np.ones(STREAM_BYTES // 8) for _ in range(3))
    stream_s = best_s(lambda: np.add(one, two, out=total), max(3, repeats // 4))
    return Probe(round(2e-9 * GEMM_SIDE**3 / gemm_s, 2), round(3e-9 * STREAM_BYTES / stream_s, 2))


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(_measure(int(sys.argv[1]))).decode())
