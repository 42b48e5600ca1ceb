from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge.bundle import SELFTEST, Bundle, load_bundle
from edge.errors import BundleError, FaultError, UsageError
from edge.runtimes import onnxrt
from edge.runtimes.onnxrt import OnnxRuntime, open_runtime, selftest_from_bundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(None)


def with_selftest(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle with other arrays in its self-test."""
    with np.load(io.BytesIO(bundle.files[SELFTEST])) as arrays:
        held = dict(arrays) | changes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in held.items() if array is not None})
    return dataclasses.replace(bundle, files={**bundle.files, SELFTEST: buffer.getvalue()})


def test_the_golden_clip_gives_the_golden_waves_in_both_forms(bundle: Bundle) -> None:
    frames, expected = selftest_from_bundle(bundle)
    for form in ("onnxrt", "tensorrt"):
        waves = OnnxRuntime(bundle, bundle.graph("exact", form)).infer(frames)
        for task, golden in expected.items():
            assert np.abs(waves[task] - golden).max() <= 1e-4 * golden.std()


def test_opening_takes_the_form_for_this_runtime_and_tells_why(bundle: Bundle) -> None:
    runtime = open_runtime(bundle, "exact", "auto")
    assert runtime.name == "onnxrt window.cpu-fp32 CPU"
    assert "default precision" in runtime.graph.why


def test_a_batch_gives_what_its_clips_give_alone(bundle: Bundle) -> None:
    runtime = open_runtime(bundle, "exact", "fp32")
    clips = np.random.default_rng(3).uniform(0, 255, (3, *bundle.input_shape)).astype(np.float32)
    together = runtime.infer(clips)
    for i in range(len(clips)):
        alone = runtime.infer(clips[i : i + 1])
        for task in bundle.tasks:
            np.testing.assert_allclose(together[task][i], alone[task][0], atol=1e-4 * float(alone[task].std()))


def test_a_failed_self_test_is_a_fault(bundle: Bundle) -> None:
    _, expected = selftest_from_bundle(bundle)
    shifted = with_selftest(bundle, bvp=expected["bvp"] + 0.01 * expected["bvp"].std())
    with pytest.raises(FaultError, match=r"self-test failed, bvp differs by 0\.01"):
        open_runtime(shifted, "exact", "auto")


@pytest.mark.parametrize(
    "changes",
    [
        {"thermal": None},
        {"bvp": None},
        {"rgb": np.zeros((1, 3, 180, 9, 9), np.uint8)},
        {"bvp": np.zeros((1, 181), np.float32)},
        {"rsp": np.array([None])},  # would need a pickle
    ],
)
def test_a_self_test_of_another_shape_is_refused(bundle: Bundle, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"self-test|shapes"):
        open_runtime(with_selftest(bundle, **changes), "exact", "auto")


@pytest.mark.parametrize("shape", [(1, 4, 180, 9, 9), (1, 3, 181, 9, 9), (4, 181, 9, 9), (1, 4, 181, 36, 36)])
def test_frames_of_another_shape_are_a_clear_fault(bundle: Bundle, shape: tuple[int, ...]) -> None:
    runtime = open_runtime(bundle, "exact", "auto")
    with pytest.raises(FaultError, match=r"wanted float32 \[B, 4, 181, 9, 9\]; seen"):
        runtime.infer(np.zeros(shape, np.float32))


def test_frames_of_another_type_are_a_clear_fault(bundle: Bundle) -> None:
    runtime = open_runtime(bundle, "exact", "auto")
    with pytest.raises(FaultError, match="seen float64"):
        runtime.infer(np.zeros((1, *bundle.input_shape)))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_a_fault(bundle: Bundle, bad: float) -> None:
    runtime = open_runtime(bundle, "exact", "auto")
    frames, _ = selftest_from_bundle(bundle)
    frames[0, 0, 90, 4, 4] = bad
    with pytest.raises(FaultError, match="not finite"):
        runtime.infer(frames)


def test_a_graph_that_does_not_load_is_a_fault(bundle: Bundle) -> None:
    name = bundle.graph("exact", "onnxrt").entry.file
    broken = dataclasses.replace(bundle, files={**bundle.files, name: bundle.files[name][:1000]})
    with pytest.raises(FaultError, match="cannot load the graph"):
        open_runtime(broken, "exact", "auto")


def test_a_stream_is_not_run_as_windows(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="a stream is no window"):
        open_runtime(bundle, "stream", "auto")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_cuda_provider_that_does_not_work_leads_to_the_cpu(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider is announced but absent, as with a GPU build of ONNX Runtime where the driver is missing."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has a CUDA provider")
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxrt.onnxruntime, "get_available_providers", lambda: both)
    runtime = open_runtime(bundle, "exact", "auto")
    assert runtime.name == "onnxrt window.cpu-fp32 CPU"
    assert "using the CPU" in caplog.text
