"""The runtime over real processes: lost, standing in, starting anew, giving up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import crashing_engine

from edge.bundle import Bundle, load_bundle
from edge.engine_build import MODULES, BuildStoppedError
from edge.errors import FaultError, MissingExtraError, UsageError
from edge.runtimes import RUNTIMES
from edge.runtimes.engine_process import EngineLostError, EngineProcess, Limits
from edge.runtimes.onnxrt import OnnxRuntime, selftest_from_bundle
from edge.runtimes.tensorrt import Breaker, TensorRtRuntime, open_runtime

Open = Callable[..., TensorRtRuntime]
CPU = "onnxrt window.cpu-fp32 CPU"
GPU = "fake 1.0 window.fp32 GPU"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(None)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def open_(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, now: list[float]) -> Iterator[Open]:
    made: list[TensorRtRuntime] = []

    def begin(how: str = "", answer_s: float = 20.0) -> TensorRtRuntime:
        monkeypatch.setenv("FAKE_ENGINE", how)
        graph = bundle.graph("exact", "tensorrt")
        process = EngineProcess(
            graph, (1, *bundle.input_shape), bundle.tasks, limits=Limits(60.0, answer_s),
            open_session="fakes.crashing_engine:open_session",
        )  # fmt: skip
        standby = OnnxRuntime(bundle, bundle.graph("exact", "onnxrt"))
        made.append(TensorRtRuntime(bundle, graph, process, standby, clock=lambda: now[0]))
        made[-1].begin()
        return made[-1]

    yield begin
    for runtime in made:
        runtime.close()


def clip(bundle: Bundle, first: float) -> np.ndarray:
    frames = selftest_from_bundle(bundle)[0].copy()
    frames.flat[0] = first
    return frames


def wait_for_the_engine(runtime: TensorRtRuntime) -> None:
    runtime._process.poll(60.0)


def test_it_answers_the_golden_waves_and_a_batch_clip_by_clip(open_: Open, bundle: Bundle) -> None:
    runtime = open_("builds")
    frames, expected = selftest_from_bundle(bundle)
    assert (runtime.name, runtime.graph.name) == (GPU, "window.fp32")
    waves = runtime.infer(np.concatenate([frames, frames[:, :, ::-1], frames]))
    for task, golden in expected.items():
        assert waves[task].shape == (3, bundle.frames - 1)
        for i in (0, 2):
            assert np.abs(waves[task][i] - golden[0]).max() <= 1e-4 * golden.std()


@pytest.mark.parametrize("first", [crashing_engine.DIES, crashing_engine.FAILS, crashing_engine.SHORT])
def test_when_it_is_lost_the_cpu_answers_until_a_new_one_is_ready(
    open_: Open, bundle: Bundle, first: float, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = open_()
    frames = clip(bundle, first)
    wanted = OnnxRuntime(bundle, bundle.graph("exact", "onnxrt")).infer(frames)
    for task, wave in runtime.infer(frames).items():
        np.testing.assert_array_equal(wave, wanted[task])
    assert (runtime.name, runtime.graph.name) == (CPU, "window.cpu-fp32")
    assert "starting it anew" in caplog.text
    wait_for_the_engine(runtime)
    runtime.infer(clip(bundle, 0.0))
    assert (runtime.name, runtime.graph.name) == (GPU, "window.fp32")
    assert "answers again" in caplog.text


def test_after_three_losses_the_cpu_keeps_the_work(
    open_: Open, bundle: Bundle, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    runtime = open_()
    for _ in range(3):
        wait_for_the_engine(runtime)
        now[0] += 100.0
        assert np.isfinite(runtime.infer(clip(bundle, crashing_engine.DIES))["bvp"]).all()
    assert "the CPU takes over" in caplog.text
    assert runtime._process.pid is None
    for _ in range(3):
        assert np.isfinite(runtime.infer(clip(bundle, 0.0))["bvp"]).all()
    assert runtime._process.pid is None
    assert runtime.name == CPU


def test_processes_that_do_not_start_again_count_too(open_: Open, bundle: Bundle, tmp_path: Path) -> None:
    runtime = open_(f"once:{tmp_path / 'started'}")
    runtime.infer(clip(bundle, crashing_engine.DIES))
    for _ in range(2):
        with pytest.raises(EngineLostError):
            wait_for_the_engine(runtime)
        runtime.infer(clip(bundle, 0.0))
    assert runtime._breaker.open
    assert runtime.name == CPU


def test_an_output_that_is_not_finite_is_answered_by_the_cpu(open_: Open, bundle: Bundle) -> None:
    runtime = open_()
    assert np.isfinite(runtime.infer(clip(bundle, crashing_engine.NOT_FINITE))["bvp"]).all()
    assert runtime.name == CPU


def test_frames_of_another_shape_are_a_clear_fault_and_no_loss(open_: Open, bundle: Bundle) -> None:
    runtime = open_()
    with pytest.raises(FaultError, match=r"wanted float32 \[B, 4, 181, 9, 9\]; seen"):
        runtime.infer(np.zeros((1, 4, 180, 9, 9), np.float32))
    assert runtime.name == GPU


@pytest.mark.parametrize(("how", "says"), [("wrong", "self-test failed"), ("fault", "told to be fault")])
def test_an_engine_that_is_not_sound_at_the_start_is_a_fault(open_: Open, how: str, says: str) -> None:
    with pytest.raises(FaultError, match=says):
        open_(how)


def test_three_losses_far_apart_do_not_open_the_breaker() -> None:
    breaker = Breaker(window_s=600.0)
    for at_s in (0.0, 400.0, 800.0, 1200.0):
        breaker.failed(at_s)
        assert not breaker.open
    breaker.failed(1390.0)
    assert breaker.open
    breaker.failed(9999.0)
    assert breaker.open


def test_it_stands_in_the_table() -> None:
    assert RUNTIMES["tensorrt"] == "edge.runtimes.tensorrt"


def test_without_tensorrt_it_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in MODULES:  # what is on sys.path here comes first in the process too
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="TensorRT is not installed"):
        open_runtime(bundle, "exact", "auto")


def test_a_wish_to_stop_ends_a_build_in_order(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, open_: Open) -> None:
    monkeypatch.setenv("FAKE_ENGINE", "silent")
    graph = bundle.graph("exact", "tensorrt")
    process = EngineProcess(
        graph, (1, *bundle.input_shape), bundle.tasks, open_session="fakes.crashing_engine:open_session"
    )
    runtime = TensorRtRuntime(bundle, graph, process, OnnxRuntime(bundle, bundle.graph("exact", "onnxrt")))
    stop = threading.Event()
    stop.set()
    with pytest.raises(BuildStoppedError, match=r"window\.fp32: stopped before its engine was ready"):
        runtime.begin(stop)
    assert process.pid is None


def test_stream_mode_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="does not run on TensorRT"):
        open_runtime(bundle, "stream", "auto")
