"""Engines on the device: their numbers, their times, and how a run gets over the death of their process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from gpu.machine import ROOT, want_a_gpu
from gpu.results import Part

from edge.bundle import Bundle, load_bundle
from edge.engine_build import find_tensorrt
from edge.errors import BundleError, FaultError
from edge.profile_engine import open_subject, profile_engine
from edge.profile_subject import subject_from_bundle
from edge.profile_types import Plan, Report
from edge.runtimes.onnxrt import selftest_from_bundle
from edge.runtimes.tensorrt import Breaker, TensorRtRuntime, open_runtime

__all__ = ["crash_and_restart", "marked_tests", "numerics_and_latency"]

RESTART_S = 300.0


def numerics_and_latency(plan: Plan, place: Path | None) -> Part:
    """Every window graph for TensorRT: how far its waves are from the golden ones, and a profile."""
    want_a_gpu()
    find_tensorrt()
    bundle = load_bundle(place)
    facts: dict[str, float | bool | str] = {"bundle": bundle.id}
    profiles: list[Report] = []
    failed: list[str] = []
    for entry in bundle.manifest.graphs:
        if (entry.runtime, entry.mode) == ("tensorrt", "exact"):
            subject = subject_from_bundle(bundle, "exact", f"force-{entry.precision}", "tensorrt")
            try:
                opened = open_subject(subject, _told)
            except (BundleError, FaultError) as error:  # one precision that does not run leaves the others
                failed.append(f"{entry.precision}: {error}")
                continue
            facts |= _differences(entry.precision, bundle, opened.session.infer(selftest_from_bundle(bundle)[0]))
            profiles.append(profile_engine(subject, opened, plan, 1.0, None))
    return Part(failed="; ".join(failed) or None, facts=facts, profiles=profiles)


def _differences(precision: str, bundle: Bundle, waves: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest difference from the golden waves as a share of their standard deviation."""
    golden = selftest_from_bundle(bundle)[1]
    return {
        f"{precision} {task} largest difference": float(np.abs(waves[task] - wave).max() / wave.std())
        for task, wave in golden.items()
    }


def crash_and_restart(_plan: Plan, place: Path | None) -> Part:
    """A run's runtime whose process is killed three times: the CPU answers, a new engine comes, the third is enough."""
    want_a_gpu()
    find_tensorrt()
    bundle = load_bundle(place)
    frames, golden = selftest_from_bundle(bundle)
    facts: dict[str, float | bool | str] = {}
    with contextlib.closing(open_runtime(bundle, "exact", "auto")) as runtime:
        assert isinstance(runtime, TensorRtRuntime)
        facts["runtime"] = runtime.name
        for loss in range(1, Breaker.LOSSES + 1):
            answered_s = _kill_and_ask(runtime, frames)
            facts[f"loss {loss}: seconds to the CPU's answer"] = round(answered_s, 4)
            if loss < Breaker.LOSSES:
                facts[f"loss {loss}: seconds to the next engine"] = round(_wait_for_the_engine(runtime, frames), 2)
        waves = runtime.infer(frames)
        assert runtime.name.startswith("onnxrt "), "after the third loss the CPU keeps the work"
        assert all(np.abs(waves[task] - wave).max() <= 1e-2 * wave.std() for task, wave in golden.items())
    return Part(facts=facts | {"the CPU kept the work": True})


def _kill_and_ask(runtime: TensorRtRuntime, frames: np.ndarray) -> float:
    """Seconds until waves came, from the CPU, after the engine's process was killed."""
    pid = runtime._process.pid
    assert pid is not None, "there is no process to kill"
    os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    waves = runtime.infer(frames)
    assert all(np.isfinite(wave).all() for wave in waves.values())
    assert runtime.name.startswith("onnxrt "), f"{runtime.name} answered after it was killed"
    return time.monotonic() - start


def _wait_for_the_engine(runtime: TensorRtRuntime, frames: np.ndarray) -> float:
    start = time.monotonic()
    assert runtime._process.poll(RESTART_S), f"no new engine after {RESTART_S} s"
    runtime.infer(frames)
    assert runtime.name.endswith(" GPU"), f"{runtime.name} answers though a new engine is ready"
    return time.monotonic() - start


def marked_tests(_plan: Plan, _place: Path | None) -> Part:
    """The tests that bear the mark ``gpu``, by pytest."""
    want_a_gpu()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run([*words, "tests"], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        counts = ET.parse(report).getroot().find("testsuite").attrib if report.exists() else {}
    facts: dict[str, float | bool | str] = {
        key: float(counts[key]) for key in ("tests", "failures", "errors", "skipped") if key in counts
    }
    if done.returncode:
        return Part(failed=f"pytest ended with {done.returncode}", facts=facts)
    return Part(facts=facts)


def _told(phase: str, share: float) -> bool:
    sys.stderr.write(f"\rbuilding, {share:.0%} ({phase})" + "\n" * (share >= 1.0))
    return True
