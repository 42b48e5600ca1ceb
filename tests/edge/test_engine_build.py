"""Plans, by NVIDIA's own parser and builder where tensorrt-rtx is installed, and by a fake for what they cannot show.

The fake is only as good as its likeness: its names and parameters are compared with the real module's.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fakes import tensorrt_module

from edge.bundle import Graph, load_bundle
from edge.engine_build import BuildStoppedError, Span, find_tensorrt, plan_from_onnx, version_of
from edge.errors import BundleError, FaultError, MissingExtraError

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(
    path.parent for folder in ("edge", "training", "export") for path in ROOT.glob(f"{folder}/**/manifest.json")
)


def graphs_for_tensorrt() -> list[Any]:
    found = []
    for place in BUNDLES:
        bundle = load_bundle(place)
        for entry in bundle.manifest.graphs:
            if entry.runtime == "tensorrt":
                graph = Graph(entry, bundle.files[entry.file], "")
                found.append(pytest.param(graph, id=f"{place.name}/{graph.name}"))
    return found


@pytest.fixture(scope="module")
def rtx() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with the dev extra on x86-64 and aarch64")


@pytest.fixture
def fake() -> Iterator[Any]:
    tensorrt_module.calls.clear()
    yield tensorrt_module
    tensorrt_module.trouble.clear()


def test_there_is_a_graph_to_build() -> None:
    assert graphs_for_tensorrt()


@pytest.mark.parametrize("graph", graphs_for_tensorrt())
def test_nvidias_builder_makes_a_plan_of_every_graph_meant_for_it(rtx: Any, graph: Graph) -> None:
    told: list[float] = []
    plan = plan_from_onnx(rtx, graph.data, span=Span(), progress=lambda _phase, share: told.append(share) or True)
    assert len(plan.data) > 100_000
    assert told == sorted(told)
    assert 0.5 < told[-1] <= 1.0


def test_nvidias_builder_takes_a_range_of_batches_and_its_own_timing_cache(rtx: Any) -> None:
    graph = load_bundle(None).graph("exact", "tensorrt")
    first = plan_from_onnx(rtx, graph.data, span=Span(1, 2, 4))
    assert first.timing
    assert plan_from_onnx(rtx, graph.data, span=Span(1, 2, 4), timing=first.timing).data


def test_nvidias_parser_refuses_in_one_line(rtx: Any) -> None:
    with pytest.raises(BundleError, match=r"tensorrt_rtx [\d.]+ cannot read the graph \(.*Failed to parse") as caught:
        plan_from_onnx(rtx, load_bundle(None).graph("exact", "tensorrt").data[:5000], span=Span())
    assert "\n" not in str(caught.value)


def test_nvidias_builder_stops_when_told(rtx: Any) -> None:
    with pytest.raises(BuildStoppedError, match="nothing was written"):
        plan_from_onnx(
            rtx,
            load_bundle(None).graph("exact", "tensorrt").data,
            span=Span(),
            progress=lambda _phase, share: share < 0.3,
        )


def real_parameters(function: Any) -> list[list[str]]:
    """Parameter names of each overload, from the signatures in the docstring, without ``self``."""
    lines = re.findall(rf"^(?:\d+\. )?{function.__name__}\((.*)\) ->", function.__doc__, flags=re.MULTILINE)
    return [re.findall(r"(?:^|, )(\w+): ", line)[1:] for line in lines]


@pytest.mark.parametrize(("owner", "name"), [(o, n) for o, names in tensorrt_module.MODELLED.items() for n in names])
def test_the_fake_has_the_real_methods_with_their_parameters(rtx: Any, owner: str, name: str) -> None:
    real, ours = getattr(getattr(rtx, owner), name), getattr(getattr(tensorrt_module, owner), name)
    parameters = list(inspect.signature(ours).parameters)[1:]
    assert any(seen[: len(parameters)] == parameters for seen in real_parameters(real)), real.__doc__


@pytest.mark.parametrize(("owner", "name"), [(o, n) for o, names in tensorrt_module.ATTRIBUTES.items() for n in names])
def test_the_fake_has_the_real_attributes(rtx: Any, owner: str, name: str) -> None:
    assert hasattr(getattr(rtx, owner), name)
    assert hasattr(getattr(tensorrt_module, owner), name)


def test_the_network_is_strongly_typed_without_tf32_and_the_batch_bounded(fake: Any) -> None:
    plan_from_onnx(fake, b"onnx", span=Span(1, 2, 4))
    assert fake.calls == [
        "network 2", "pool WORKSPACE 1073741824", "clear TF32", "profile frames 1:2:4", "profile added",
    ]  # fmt: skip


def test_eleven_without_the_flags_of_ten_is_served_too(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "BuilderFlag", object)
    monkeypatch.setattr(fake, "NetworkDefinitionCreationFlag", object)
    plan_from_onnx(fake, b"onnx", span=Span())
    assert fake.calls[0] == "network 0"
    assert "clear TF32" not in fake.calls


def test_a_timing_cache_of_another_gpu_is_left_out(fake: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert plan_from_onnx(fake, b"onnx", span=Span(), timing=b"known").timing == b"known+"
    assert plan_from_onnx(fake, b"onnx", span=Span(), timing=b"foreign").timing == b"+"
    assert "building without it" in caplog.text


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        ("parse", BundleError, r"tensorrt 10.3.0 cannot read the graph \(no such operator\); export it anew"),
        ("build", FaultError, r"builds no engine from the graph \(no tactic\); use --runtime onnxrt"),
        ("builder", FaultError, r"finds no GPU to build for \(CUDA driver version is insufficient\)"),
    ],
)
def test_what_goes_wrong_is_one_line(fake: Any, trouble: str, kind: type[Exception], says: str) -> None:
    fake.trouble.add(trouble)
    with pytest.raises(kind, match=says):
        plan_from_onnx(fake, b"onnx", span=Span())


def test_a_second_free_dimension_is_refused(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake.ITensor, "shape", (-1, 4, -1, 9, 9))
    with pytest.raises(BundleError, match="only one dimension may be free"):
        plan_from_onnx(fake, b"onnx", span=Span())


@pytest.mark.parametrize("numbers", [(0, 1, 1), (2, 1, 4), (1, 4, 2), (1, 1, 65)])
def test_a_span_that_makes_no_sense_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="want 1 <= least"):
        Span(*numbers)


def test_a_module_without_a_logger_is_no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingExtraError, match=r"TensorRT is not installed; on a Jetson: apt-get install") as caught:
        find_tensorrt()
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_no_tensorrt(monkeypatch: pytest.MonkeyPatch, fake: Any) -> None:
    def load(name: str) -> ModuleType:
        if name == "tensorrt":
            raise OSError("libnvdla_compiler.so: cannot open shared object file")
        return tensorrt_module

    monkeypatch.setattr(importlib, "import_module", load)
    assert version_of(find_tensorrt()) == "tensorrt 10.3.0"
