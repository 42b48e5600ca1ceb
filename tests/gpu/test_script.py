"""The script for machines with a GPU, where there is none: it says why nothing is measured, and keeps its schema."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
from fakes import tensorrt_module
from fakes.cuda_packages import BindingsDriver, Device
from fakes.engine_devices import Graphs, ShapedMemory
from gpu import engines, measure, torch_latency
from gpu.machine import ROOT, SkipPart
from gpu.onnx_in_torch import StreamInTorch
from gpu.results import PARTS, GpuResults, Part

from edge import engines as edge_engines
from edge import profile_engine
from edge.bundle import Bundle
from edge.profile_subject import random_frames
from edge.profile_types import Plan
from edge.runtimes import engine_session
from edge.runtimes.cuda_memory import BindingsMemory
from edge.runtimes.engine_process import EngineProcess
from edge.runtimes.onnxrt import OnnxRuntime
from edge.runtimes.onnxrt_stream import StreamSession
from edge.runtimes.tensorrt import TensorRtRuntime
from edge.stream_graph import StreamRunner
from export.stream import onnx_stream_from_model
from training.model import Mmrphys, ModelSpec

SCRIPT = ROOT / "tests/gpu/run.sh"
RESULTS = sorted((ROOT / "export/results").glob("gpu-*.json"))


def run(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Without devices, whatever this machine has."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([SCRIPT, out, *words], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def without_a_gpu(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("gpu") / "gpu.json"
    return run(out, "--quick"), out


def test_without_a_gpu_every_part_is_skipped_with_its_reason(
    without_a_gpu: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, out = without_a_gpu
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"nothing was measured: no part can run on this machine; {out} says why for each"
    )
    found = msgspec.json.decode(out.read_bytes(), type=GpuResults)
    assert tuple(found.parts) == PARTS
    assert {part.skipped for part in found.parts.values()} == {
        "no CUDA device: libcuda.so.1 is not here, or finds no GPU"
    }
    assert all(part.failed is None and not part.rows and not part.profiles for part in found.parts.values())
    assert found.gpu is None
    assert {"mmrphys-edge", "onnxruntime"} <= found.versions.keys()


def test_the_json_holds_its_schema(without_a_gpu: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    found, schema = json.loads(without_a_gpu[1].read_bytes()), msgspec.json.schema(GpuResults)
    jsonschema.validate(found, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found | {"parts": {"engine": {"passed": True}}}, schema)


def results(**parts: Part) -> GpuResults:
    whole = dict.fromkeys(PARTS, Part(skipped="not here")) | parts
    return GpuResults("gpu-results", 1, "", "", None, measure.machine(), {}, whole)


def test_only_a_part_that_ran_and_failed_ends_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert measure._tell(results(wrapper=Part(facts={"ok": True})), tmp_path) == 0
    assert measure._tell(results(wrapper=Part(failed="AssertionError: no")), tmp_path) == 1
    assert "wrapper: FAILED: AssertionError: no" in capsys.readouterr().err


def test_a_part_whose_process_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = measure._options([str(tmp_path / "out.json")])
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(measure.sys, "executable", str(program))
    assert measure._part_apart("engine", options).failed == (
        "its process ended by signal 11 and left nothing; see what it printed"
    )


def test_what_a_part_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(error: Exception) -> Part:
        def work(*_: object) -> Part:
            raise error

        monkeypatch.setattr(measure, "_work", lambda _name: work)
        return measure._part_here(measure._options(["out", "--part", "engine"]))

    assert part(SkipPart("no\nGPU")).skipped == "no GPU"
    assert part(ValueError("odd")).failed == "ValueError: odd"


@pytest.mark.parametrize(
    "spec", [ModelSpec(9, "NF", 4, reach="long"), ModelSpec(9, "LF", 4), ModelSpec(36, "EF", 4)], ids=str
)
def test_a_stream_graph_gives_in_torch_what_onnx_runtime_gives(spec: ModelSpec) -> None:
    torch_latency.torch.manual_seed(1)
    model = Mmrphys(spec).eval()
    graph = onnx_stream_from_model(model, "plain")
    runner = StreamRunner(StreamSession("it", graph.SerializeToString()))
    in_torch, in_half = (StreamInTorch(graph, "cpu", half=half) for half in (False, True))
    state = torch_latency.torch.zeros(1, runner.state.shape[1])
    for number in range(3):
        chunk = random_frames((1, 4, 12, spec.size, spec.size), 3) * np.float32(1.0 - 0.2 * number)
        wanted = runner.step(chunk)
        given = {"frames": torch_latency.torch.from_numpy(chunk), "state": state}
        found, rough = in_torch(**given), in_half(**given)
        for task, wave in wanted.items():
            assert np.abs(found[task][0].numpy() - wave).max() <= 1e-4 * max(wave.std(), 1e-3)
            assert np.abs(rough[task][0].numpy() - wave).max() <= 0.1 * max(wave.std(), 1e-3)
        state = found["state_out"]
        np.testing.assert_allclose(state.numpy(), runner.state, rtol=1e-3, atol=1e-4)


def test_both_calls_run_the_network_on_any_device() -> None:
    (name, model) = next(torch_latency.networks())
    assert (name, model.spec.size) == ("default", 9)
    window = torch_latency.window_call(model, random_frames((1, 4, 181, 9, 9), 3), "fp32", "cpu")()
    assert window["bvp"].shape == (1, 180)
    chunk = torch_latency.stream_call(model, random_frames((1, 4, 12, 9, 9), 3), "fp32", "cpu")()
    assert chunk["bvp"].shape == (1, 12)


class Event:
    """A CUDA event where there is no CUDA."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None: ...

    def elapsed_time(self, _other: Event) -> float:
        return 1.5


@pytest.mark.parametrize("part", ["windows", "streams"])
def test_the_rows_of_torch_are_made_of_every_network_and_way(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_graph(_call: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    default = next(torch_latency.networks())
    monkeypatch.setattr(torch_latency, "networks", lambda: iter([default]))
    monkeypatch.setattr(torch_latency, "DEVICE", "cpu")
    monkeypatch.setattr(torch_latency, "torch_on_a_gpu", lambda: None)
    monkeypatch.setattr(torch_latency, "_captured", no_graph)
    monkeypatch.setattr(torch_latency.torch.cuda, "Event", Event)
    monkeypatch.setattr(torch_latency.torch.cuda, "synchronize", lambda: None)
    found = getattr(torch_latency, part)(Plan(2, 9.0, warm_up_runs=1), None)
    new = 30 if part == "windows" else 12
    assert [(row.precision, row.cuda_graph, row.runs, row.ms_per_new_frame) for row in found.rows] == [
        ("fp32", False, 2, 1.5 / new), ("fp32", True, 0, None), ("fp16", False, 2, 1.5 / new), ("fp16", True, 0, None),
    ]  # fmt: skip
    assert found.rows[1].why_not == "operation not permitted when stream is capturing"
    if part == "windows":
        assert found.facts["fp32 bvp largest difference"] <= 1e-4
        assert found.facts["fp16 rsp largest difference"] <= 0.5


def test_engines_are_measured_and_their_numbers_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Device()
    cuda = BindingsMemory(BindingsDriver(device))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tensorrt_module, "memory", ShapedMemory(device))
    monkeypatch.setattr(profile_engine, "check_golden", lambda *_: None)  # the fake engine gives other waves
    for module, name, value in (
        (engines, "want_a_gpu", lambda: None), (engines, "find_tensorrt", lambda: tensorrt_module),
        (engine_session, "find_tensorrt", lambda: tensorrt_module), (engine_session, "open_driver", Graphs),
        (edge_engines, "open_driver", Graphs), (engine_session, "open_cuda", lambda: cuda),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    found = engines.numerics_and_latency(Plan(2, 1.0, warm_up_runs=1, layer_runs=1), None)
    assert [report.graph.file for report in found.profiles] == [
        "window.fp32.onnx", "window.fp16.onnx", "window.int8.onnx",
    ]  # fmt: skip
    assert found.failed is None
    assert min(found.facts[f"{precision} bvp largest difference"] for precision in ("fp32", "fp16", "int8")) > 1.0


@pytest.mark.slow  # tests/edge/runtimes/test_tensorrt.py kills such processes in every run
def test_the_process_of_an_engine_is_killed_and_the_cpu_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real process and a real kill; the engine in it computes on the CPU."""

    def open_runtime(bundle: Bundle, mode: str, precision: str) -> TensorRtRuntime:
        graph = bundle.graph("exact", "tensorrt")
        session = "fakes.crashing_engine:open_session"
        process = EngineProcess(graph, (1, *bundle.input_shape), bundle.tasks, open_session=session)
        runtime = TensorRtRuntime(bundle, graph, process, OnnxRuntime(bundle, bundle.graph("exact", "onnxrt")))
        runtime.begin()
        return runtime

    monkeypatch.delenv("FAKE_ENGINE", raising=False)
    monkeypatch.setattr(engines, "want_a_gpu", lambda: None)
    monkeypatch.setattr(engines, "find_tensorrt", lambda: tensorrt_module)
    monkeypatch.setattr(engines, "open_runtime", open_runtime)
    found = engines.crash_and_restart(Plan(), None)
    assert found.facts["the CPU kept the work"] is True
    assert [key for key in found.facts if key.startswith("loss")] == [
        "loss 1: seconds to the CPU's answer", "loss 1: seconds to the next engine",
        "loss 2: seconds to the CPU's answer", "loss 2: seconds to the next engine",
        "loss 3: seconds to the CPU's answer",
    ]  # fmt: skip


def test_the_shell_is_sound() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here: apt-get install shellcheck")
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)


def test_committed_results_are_whole() -> None:
    if not RESULTS:
        pytest.skip("no results of a GPU are committed: none was at hand")
    for path in RESULTS:
        found = msgspec.json.decode(path.read_bytes(), type=GpuResults)
        assert found.gpu is not None
        assert not any(part.failed for part in found.parts.values())
        assert not found.commit.endswith("+"), "measure a commit, not a working tree"
