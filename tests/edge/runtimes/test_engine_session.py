"""The engine's process from within: the fake TensorRT on the fake devices; on a GPU, the real ones (marker gpu)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes import tensorrt_module
from fakes.cuda_packages import STREAM, BindingsDriver, Device, PycudaDriver
from fakes.engine_devices import SHAPE, Graphs, ShapedMemory

from edge.bundle import load_bundle
from edge.errors import FaultError, MissingExtraError
from edge.runtimes import engine_session
from edge.runtimes.cuda_memory import BindingsMemory, Cuda, PycudaMemory
from edge.runtimes.engine_session import EngineSession, open_session
from edge.runtimes.onnxrt import check_golden, selftest_from_bundle


@pytest.fixture(params=["pycuda", "cuda-bindings"])
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    device = Device()
    tensorrt_module.calls.clear()
    monkeypatch.setattr(tensorrt_module, "memory", ShapedMemory(device))
    pycuda = request.param == "pycuda"
    yield PycudaMemory(PycudaDriver(device)) if pycuda else BindingsMemory(BindingsDriver(device))
    tensorrt_module.trouble.clear()


def session(cuda: Cuda, graphs: Any = None) -> EngineSession:
    return EngineSession(tensorrt_module, b"plan", SHAPE, cuda, graphs)


@pytest.mark.parametrize("graphs", [None, Graphs()])
def test_each_clip_gives_its_own_waves(cuda: Cuda, graphs: Graphs | None) -> None:
    engine = session(cuda, graphs)
    assert engine.name == f"tensorrt 10.3.0{' CUDA graph' if graphs else ''}"
    rng = np.random.default_rng(1)
    before = []
    for _ in range(3):
        clip = rng.normal(size=SHAPE).astype(np.float32)
        waves = engine.infer(clip)
        assert set(waves) == {"bvp", "rsp"}
        np.testing.assert_allclose(waves["bvp"], clip.mean(axis=(1, 3, 4))[:, 1:], rtol=1e-5)
        before.append((waves["rsp"], waves["rsp"].copy()))
    for given, kept in before:  # what was given out does not change with the next clip
        np.testing.assert_array_equal(given, kept)
    assert set(tensorrt_module.calls) == {f"execute on {STREAM}"}
    if graphs:
        assert graphs.launches >= 3


def test_without_a_cuda_graph_it_launches_one_by_one(cuda: Cuda, caplog: pytest.LogCaptureFixture) -> None:
    engine = session(cuda, Graphs("cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901)"))
    assert engine.name == "tensorrt 10.3.0"
    assert "no CUDA graph" in caplog.text
    assert np.isfinite(engine.infer(np.ones(SHAPE, np.float32))["bvp"]).all()


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("load", r"cannot load its engine \(version tag does not match\)"),
        ("dtype", "wanted float32 'frames'"),
        ("shape", r"does not take frames of shape \[1, 4, 181, 9, 9\]"),
        ("address", "refuses memory for"),
        ("run", "does not run the engine"),
    ],
)
def test_an_engine_that_does_not_fit_is_a_fault(cuda: Cuda, trouble: str, says: str) -> None:
    tensorrt_module.trouble.add(trouble)
    with pytest.raises(FaultError, match=says):
        session(cuda)


def test_layers_are_timed_in_a_context_of_their_own(cuda: Cuda) -> None:
    engine = session(cuda)
    clip = np.ones(SHAPE, np.float32)
    before = engine.infer(clip)
    runs = engine.layer_ms(tensorrt_module, 3)
    assert runs == [[("conv + tanh", 0.75), ("reformat", 0.25)]] * 3
    np.testing.assert_array_equal(engine.infer(clip)["bvp"], before["bvp"])
    assert engine.context_bytes() == 3_000_000
    tensorrt_module.trouble.add("profile")
    with pytest.raises(FaultError, match="does not profile its layers"):
        engine.layer_ms(tensorrt_module, 1)


def test_without_a_driver_tensorrt_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_session, "find_tensorrt", lambda: tensorrt_module)
    monkeypatch.setattr(engine_session, "open_driver", lambda: None)
    tensorrt_module.calls.clear()
    with pytest.raises(FaultError, match="no CUDA driver that works"):
        open_session(load_bundle(None).graph("exact", "tensorrt"), SHAPE, lambda _phase, _share: True)
    assert tensorrt_module.calls == []


@pytest.mark.gpu
def test_on_a_gpu_the_engine_gives_the_golden_waves() -> None:
    bundle = load_bundle(None)
    graph = bundle.graph("exact", "tensorrt")
    try:
        engine = open_session(graph, (1, *bundle.input_shape), lambda _phase, _share: True)
    except MissingExtraError as error:
        pytest.skip(str(error))
    frames, expected = selftest_from_bundle(bundle)
    for _ in range(3):
        check_golden(engine.name, graph.entry.tolerance, engine.infer(frames), expected)
