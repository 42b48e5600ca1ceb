"""The profile of an engine: our own arithmetic and calls, on the fake TensorRT and devices whose time stands still."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fakes import tensorrt_module
from fakes.cuda_packages import TO_DEVICE_MS, TO_HOST_MS, BindingsDriver, Device, PycudaDriver
from fakes.engine_devices import SHAPE, Graphs, ShapedMemory

from edge import engine_build, engines, profile_trtexec
from edge.bundle import load_bundle
from edge.cli import main
from edge.errors import FaultError, MissingExtraError, UsageError
from edge.profile_engine import PhaseTimer, engine_layers, measure_phases, open_subject, profile_engine
from edge.profile_limits import device_of_gpu
from edge.profile_nvtx import ranges
from edge.profile_page import html
from edge.profile_report import lines
from edge.profile_subject import Subject, random_frames, subject_from_bundle
from edge.profile_types import Plan, Report
from edge.runtimes import engine_session
from edge.runtimes.cuda_memory import BindingsMemory, Cuda, PycudaMemory
from edge.runtimes.engine_session import EngineSession, Opened

EXECUTE_MS = tensorrt_module.EXECUTE_MS
PLAN = Plan(3, 1.0, warm_up_runs=1, layer_runs=2)


@pytest.fixture(params=["pycuda", "cuda-bindings"])
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    device = Device()
    monkeypatch.setattr(tensorrt_module, "memory", ShapedMemory(device))
    monkeypatch.setattr(tensorrt_module, "passes", [device.passes])
    tensorrt_module.calls.clear()
    pycuda = request.param == "pycuda"
    yield PycudaMemory(PycudaDriver(device)) if pycuda else BindingsMemory(BindingsDriver(device))
    tensorrt_module.trouble.clear()


@pytest.fixture
def here(cuda: Cuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Graphs:
    """This machine has the fake TensorRT, a GPU, and engines of its own."""
    driver = Graphs()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(engine_build, "find_tensorrt", lambda: tensorrt_module)
    monkeypatch.setattr(engine_session, "find_tensorrt", lambda: tensorrt_module)
    monkeypatch.setattr(engine_session, "open_driver", lambda: driver)
    monkeypatch.setattr(engines, "open_driver", lambda: driver)
    monkeypatch.setattr(engine_session, "open_cuda", lambda: cuda)
    return driver


@pytest.fixture
def subject() -> Subject:
    """The default bundle's; the fake engine gives other waves than its golden ones."""
    whole = subject_from_bundle(load_bundle(None), "exact", "auto", "tensorrt")
    return dataclasses.replace(whole, expected={})


def opened(subject: Subject) -> Opened:
    return open_subject(subject, lambda _phase, _share: True)


@pytest.fixture
def report(here: Graphs, subject: Subject, tmp_path: Path) -> Report:
    return profile_engine(subject, opened(subject), PLAN, 1.0, None, tmp_path)


def test_each_phase_lies_between_its_two_events(cuda: Cuda) -> None:
    driver = Graphs()
    session = EngineSession(tensorrt_module, b"plan", SHAPE, cuda, None)
    timer = PhaseTimer(session, driver, ranges()[0], iter(range(0, 10**12, 10**4)).__next__)
    frames = random_frames(SHAPE, 3)
    for graph in (False, True):
        h2d, compute, d2h, latency, enqueue = timer.step(frames, graph=graph)
        assert (h2d, compute, d2h) == pytest.approx((TO_DEVICE_MS, EXECUTE_MS, 2 * TO_HOST_MS))
        assert latency == pytest.approx(h2d + compute + d2h)
        assert enqueue == pytest.approx(0.01)  # of the processor's clock
    assert driver.launches == 1


def test_inputs_and_ways_take_turns(cuda: Cuda) -> None:
    session = EngineSession(tensorrt_module, b"plan", SHAPE, cuda, None)
    timer = PhaseTimer(session, Graphs(), ranges()[0])
    order: list[tuple[float, bool]] = []
    step = timer.step
    timer.step = lambda frames, *, graph: (order.append((float(frames.flat[0]), graph)), step(frames, graph=graph))[1]  # type: ignore[method-assign]
    clips = {"self-test": [random_frames(SHAPE, 3)], "random": [random_frames(SHAPE, 3) * 0.5]}
    found = measure_phases(timer, clips, Plan(2, 1.0, warm_up_runs=10))
    assert [(one.input, one.cuda_graph, one.runs) for one in found] == [
        ("self-test", False, 2), ("self-test", True, 2), ("random", False, 2), ("random", True, 2),
    ]  # fmt: skip
    assert order == order[:4] * 3
    assert len(set(order)) == 4
    assert found[0].latency.p99_ms is None


def test_without_a_cuda_graph_the_other_way_is_timed_and_the_reason_told(cuda: Cuda) -> None:
    session = EngineSession(tensorrt_module, b"plan", SHAPE, cuda, None)
    timer = PhaseTimer(session, Graphs("cuStreamEndCapture: invalidated (901)"), ranges()[0])
    assert list(timer.launches) == [False]
    assert "901" in timer.no_graph


def test_a_report_of_an_engine_is_whole(report: Report) -> None:
    times = report.engine
    assert times is not None
    assert (times.engine, times.gpu, times.cuda, times.no_graph) == ("tensorrt 10.3.0", "Orin", "12.6", "")
    assert times.origin == "built (the first of this graph)"
    assert (times.plan_mb, times.context_mb, times.device_mb) == (0.003, 3.0, 0.0)
    assert {(one.input, one.cuda_graph) for one in times.phases} == {
        (name, graph) for name in ("self-test", "random") for graph in (False, True)
    }
    assert [(layer.name, layer.us, layer.share) for layer in report.layers] == [
        ("conv + tanh", 750.0, 0.75), ("reformat", 250.0, 0.25),
    ]  # fmt: skip
    assert (report.limit, report.graph.runtime) == (None, "tensorrt")
    said = "\n".join(lines(report))
    assert "GPU Orin (SM 8.7), tensorrt 10.3.0, driver for CUDA 12.6" in said
    assert "Latency               H2D       GPU Compute               D2H           Enqueue" in said
    assert "self-test, CUDA graph        3   1.3000 (1.3000)   0.2000 (0.2000)   1.0000 (1.0000)" in said
    assert "random: a CUDA graph makes GPU Compute 1.00 times as fast" in said
    assert said.splitlines()[-1] == "no limit to compare with: edge/devices.toml knows no 'Orin'; name one with --limit"
    page = html(report)
    assert "GPU Compute" in page
    assert "conv + tanh" in page
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_the_limit_is_that_of_the_gpu_it_ran_on(here: Graphs, subject: Subject, tmp_path: Path) -> None:
    own = profile_engine(subject, opened(subject), PLAN, 1.0, "thor-t5000", tmp_path)
    assert "no ratio: the times are of Orin, the limit is that of a Jetson Thor T5000" in "\n".join(lines(own))
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_text("NVIDIA Jetson AGX Orin Developer Kit\0")
    board = profile_engine(subject, opened(subject), PLAN, 1.0, None, tmp_path)
    assert board.limit is not None
    assert (board.limit.device, board.limit.measured_here) == ("Jetson AGX Orin 64GB, GPU alone", True)
    assert 1.2e9 < board.limit.flops < 1.6e9
    assert list(lines(board))[-1] == f"{1.0 / board.limit.floor_ms:.1f} times from the limit"


@pytest.mark.parametrize(
    ("wanted", "seen", "name", "here", "why"),
    [
        (None, "NVIDIA H100 80GB HBM3", "H100 SXM5 80GB", True, ""),
        (None, "NVIDIA H100 PCIe", None, False, "knows no 'NVIDIA H100 PCIe'; name one with --limit"),
        (None, "NVIDIA Jetson Orin Nano Developer Kit Orin", None, False, "has orin-nano-8gb, orin-nano-super for"),
        ("orin-nano-super", "NVIDIA Jetson Orin Nano Developer Kit Orin", "Jetson Orin Nano 8GB Super", True, ""),
        ("thor-t5000", "Orin", "Jetson Thor T5000", False, ""),
    ],
)
def test_a_gpu_is_found_by_what_it_calls_itself(
    wanted: str | None, seen: str, name: str | None, here: bool, why: str
) -> None:
    device, same, told = device_of_gpu(wanted, seen)
    assert (device.name if device else "").startswith(name or "")
    assert (device is None, same) == (name is None, here)
    assert why in told


def test_an_engine_that_gives_other_waves_is_not_profiled(here: Graphs) -> None:
    whole = subject_from_bundle(load_bundle(None), "exact", "auto", "tensorrt")
    with pytest.raises(FaultError, match="self-test failed"):
        opened(whole)


def test_what_cannot_become_an_engine_is_refused_in_words(here: Graphs, subject: Subject) -> None:
    with pytest.raises(UsageError, match="wanted 'frames'; pack it"):
        opened(dataclasses.replace(subject, input_name="clip"))
    stream = dataclasses.replace(subject, card=msgspec.structs.replace(subject.card, mode="stream"))
    with pytest.raises(UsageError, match="does not run on TensorRT"):
        opened(stream)


def test_a_layer_that_runs_twice_counts_once_with_both_times() -> None:
    runs = [[("conv", 1.0), ("copy", 0.5), ("conv", 2.0)], [("conv", 1.0), ("copy", 0.7), ("conv", 2.2)]]
    assert [(layer.name, layer.us) for layer in engine_layers(runs)] == [("conv", 3100.0), ("copy", 600.0)]


def test_a_machine_without_a_gpu_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_session, "find_tensorrt", lambda: tensorrt_module)
    monkeypatch.setattr(engine_session, "open_driver", lambda: None)
    assert main(["profile", "--runtime", "tensorrt"]) == 5
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "mmrphys: no CUDA driver that works: check nvidia-smi or dmesg, or use --runtime onnxrt\n",
    )


def test_without_tensorrt_it_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_build, "MODULES", ("no_such_module",))
    assert main(["profile", "--runtime", "tensorrt"]) == 2
    assert capsys.readouterr().err.startswith("mmrphys: TensorRT is not installed; ")


def test_a_cpus_limit_is_none_of_an_engines() -> None:
    with pytest.raises(UsageError, match="this-cpu bounds no engine"):
        device_of_gpu("this-cpu", "Orin")


def trtexec(folder: Path, compute_ms: float) -> Path:
    program = folder / "trtexec"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {folder}/asked\ntest -s it.plan || exit 1\ncat <<LOG\n'
        "[I] H2D Latency: min = 0.1 ms, max = 0.3 ms, mean = 0.2 ms, median = 0.2 ms, percentile(90%) = 0.2 ms\n"
        f"[I] GPU Compute Time: min = 0.4 ms, max = 0.8 ms, mean = 0.4 ms, median = {compute_ms} ms\nLOG\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("compute_ms", "says"),
    [(0.96, "GPU Compute agrees within 10%"), (0.5, "GPU Compute differs by +100% on one and the same engine: ")],
)
def test_trtexec_is_given_the_engine_that_was_profiled(
    report: Report, compute_ms: float, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(profile_trtexec, "find_trtexec", lambda: str(trtexec(tmp_path, compute_ms)))
    said = list(profile_trtexec.check_lines(report, tmp_path, b"plan"))
    assert said[0] == "H2D Latency: 0.2000 ms, trtexec 0.2000 ms, ratio 1.00"
    assert said[-1].startswith(says)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("--loadEngine=it.plan --shapes=frames:1x4x181x9x9 --useCudaGraph ")
    assert "--onnx" not in asked
    assert "--stronglyTyped" not in asked


def test_trtexec_is_not_asked_to_load_what_it_cannot(report: Report, tmp_path: Path) -> None:
    assert report.engine is not None
    other = msgspec.structs.replace(report.engine, engine="tensorrt_rtx 1.7.1.116")
    (line,) = profile_trtexec._of_engine(msgspec.structs.replace(report, engine=other), "trtexec", b"plan")
    assert line == "trtexec: not run, for it does not load an engine of tensorrt_rtx 1.7.1.116"


def test_ranges_are_marked_by_the_real_package_or_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nvtx", reason="nvtx comes with the dev extra")
    mark, why = ranges()
    with mark("h2d"), mark("enqueue"):
        pass
    assert why == ""
    monkeypatch.setitem(__import__("sys").modules, "nvtx", None)
    mark, why = ranges()
    with mark("h2d"):
        assert why == "the package nvtx is not installed: pip install nvtx"


@pytest.mark.gpu
def test_on_a_gpu_every_phase_takes_time() -> None:
    subject = subject_from_bundle(load_bundle(None), "exact", "auto", "tensorrt")
    try:
        engine = opened(subject)
    except MissingExtraError as error:
        pytest.skip(str(error))
    report = profile_engine(subject, engine, PLAN, 1.0, None)
    assert report.engine is not None
    assert report.engine.no_graph == ""
    for phases in report.engine.phases:
        assert min(phases.h2d.p50_ms, phases.gpu_compute.p50_ms, phases.d2h.p50_ms, phases.enqueue.p50_ms) > 0.0
    assert sum(layer.us for layer in report.layers) > 0.0
