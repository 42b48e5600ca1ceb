"""Real processes, started, lost and ended; the engine in them is fakes/crashing_engine.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import crashing_engine

from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError, MissingExtraError, MmrphysError
from edge.runtimes.engine_process import EngineLostError, EngineProcess, Limits
from edge.runtimes.onnxrt import selftest_from_bundle

Start = Callable[..., EngineProcess]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(None)


@pytest.fixture
def start(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts processes; all are gone at the end."""
    made: list[EngineProcess] = []

    def begin(how: str = "", **limits: float) -> EngineProcess:
        monkeypatch.setenv("FAKE_ENGINE", how)
        graph = bundle.graph("exact", "tensorrt")
        process = EngineProcess(
            graph,
            (1, *bundle.input_shape),
            bundle.tasks,
            limits=Limits(**limits),
            open_session="fakes.crashing_engine:open_session",
        )
        made.append(process)
        process.start()
        return process

    yield begin
    for process in made:
        process.stop()


def clip(bundle: Bundle, first: float = 0.0) -> np.ndarray:
    frames = selftest_from_bundle(bundle)[0].copy()
    frames.flat[0] = first
    return frames


def test_it_answers_what_the_graph_gives(start: Start, bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    process = start()
    frames, expected = selftest_from_bundle(bundle)
    assert process.poll(60.0)
    assert process.engine == "fake 1.0"
    for _ in range(3):
        waves = process.infer(frames)
        assert list(waves) == list(bundle.tasks)
        for task, golden in expected.items():
            assert np.abs(waves[task] - golden).max() <= 1e-4 * golden.std()
    process.stop()
    assert process.pid is None
    out, err = capfd.readouterr()
    assert "words of a library" not in out  # standard output belongs to the run's records
    assert "words of a library" in err


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (crashing_engine.DIES, "ended by signal 11"),
        (crashing_engine.FAILS, r"CUDA_ERROR_ILLEGAL_ADDRESS \(700\)"),
        (crashing_engine.HANGS, "no answer for 1 s"),
        (crashing_engine.STALLS, "it ended"),
    ],
)
def test_a_lost_process_is_known_and_a_new_one_takes_its_place(
    start: Start, bundle: Bundle, first: float, says: str
) -> None:
    process = start(answer_s=1.0)
    assert process.poll(60.0)
    before = process.pid
    with pytest.raises(EngineLostError, match=says):
        process.infer(clip(bundle, first))
    assert process.engine is None
    assert process.pid is None
    with pytest.raises(EngineLostError, match="not started"):
        process.infer(clip(bundle))
    process.start()
    assert process.poll(60.0)
    assert process.pid != before
    assert np.isfinite(process.infer(clip(bundle))["bvp"]).all()


def test_a_process_that_is_stopped_does_not_stop_the_run(start: Start, bundle: Bundle) -> None:
    process = start(answer_s=1.0)
    assert process.poll(60.0)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"takes no frames|no answer"):
        process.infer(clip(bundle))
    assert time.monotonic() - began < 20.0


def test_modules_that_lie_where_it_is_started_are_not_its_own(
    start: Start, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    process = start()
    assert process.poll(60.0)
    assert np.isfinite(process.infer(clip(bundle))["bvp"]).all()


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("missing", MissingExtraError, "told to be missing"),
        ("bundle", BundleError, "told to be bundle"),
        ("fault", EngineLostError, "lost: told to be fault"),
        ("dies", EngineLostError, "ended by signal 9"),
        ("silent", EngineLostError, "silent for 1 s"),
    ],
)
def test_a_start_that_fails_says_whose_fault_it_is(start: Start, how: str, kind: type[MmrphysError], says: str) -> None:
    process = start(how, silence_s=1.0 if how == "silent" else 60.0)
    with pytest.raises(kind, match=says):
        process.poll(60.0)
    assert process.pid is None


def test_progress_of_a_build_is_told_and_can_stop_it(start: Start) -> None:
    told: list[tuple[str, float]] = []
    assert start("builds").poll(60.0, lambda phase, share: told.append((phase, share)) or True)
    assert told == [("Timing", step / 10) for step in range(11)]
    with pytest.raises(EngineLostError, match="build was stopped"):
        start("builds").poll(60.0, lambda _phase, share: share < 0.5)


def test_a_signal_to_all_processes_of_a_service_leaves_the_engine_to_its_run(start: Start, bundle: Bundle) -> None:
    process = start()
    assert process.poll(60.0)
    assert process.pid is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
    assert np.isfinite(process.infer(clip(bundle))["bvp"]).all()


def test_asking_a_process_that_still_starts_takes_no_time(start: Start) -> None:
    process = start("silent")
    began = time.monotonic()
    assert not process.poll(0.0)
    assert time.monotonic() - began < 0.5


def test_the_process_ends_with_the_run_that_started_it(tmp_path: Path) -> None:
    code = """
import os, sys
from edge.bundle import load_bundle
from edge.runtimes.engine_process import EngineProcess
bundle = load_bundle(None)
process = EngineProcess(bundle.graph("exact", "tensorrt"), (1, *bundle.input_shape), bundle.tasks,
                        open_session="fakes.crashing_engine:open_session")
process.start()
assert process.poll(60.0)
print(process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    path = os.pathsep.join(name for name in sys.path if name)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path, "FAKE_ENGINE": ""},
        stdout=(tmp_path / "out").open("w"),
        check=False,
        timeout=60,
    )
    assert done.returncode == -9
    pid = int((tmp_path / "out").read_text().split()[0])
    end = time.monotonic() + 20.0
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < end, "the process outlived its run"
        time.sleep(0.05)
