"""``export --precision`` and ``compare``, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.bundle import load_bundle
from edge.cli import main
from edge.errors import BundleError
from edge.runtimes.onnxrt import open_runtime
from export import agreement, window_graphs
from export.clip_set import Clips, Geometry, clips_from_scene, npz_from_clips
from training.checkpoint import Card, save_checkpoint
from training.model import Mmrphys, ModelSpec

DEFAULT = Path(__file__).resolve().parents[2] / "training/results/default/default.safetensors"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of 20 s, raw ones, which are quick to draw."""
    path, geometry = tmp_path_factory.mktemp("clips") / "clips.npz", Geometry(("rgb", "thermal"), 30.0, 181, 9)
    drawn = clips_from_scene(geometry, 2)
    npz_from_clips(path, Clips(drawn.frames[:, :, :600], drawn.origin), geometry)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    out = tmp_path_factory.mktemp("export") / "bundle"
    words = ["--precision", "fp16", "--precision", "int8", "--clips", str(clips)]
    assert main(["export", str(DEFAULT), "--out", str(out), *words]) == 0
    return out


def test_every_precision_is_in_the_bundle_and_passes_its_self_test(bundle: Path) -> None:
    held = load_bundle(bundle)
    assert [(g.file, g.runtime, g.precision, g.refused) for g in held.manifest.graphs] == [
        ("window.fp32.onnx", "tensorrt", "fp32", ""),
        ("window.cpu-fp32.onnx", "onnxrt", "fp32", ""),
        ("window.fp16.onnx", "tensorrt", "fp16", ""),
        ("window.int8.onnx", "tensorrt", "int8", ""),
        ("window.cpu-int8.onnx", "onnxrt", "int8", ""),
    ]
    assert [g.tolerance for g in held.manifest.graphs[:2]] == [0.001, 0.001]
    assert all(0.001 <= g.tolerance < 0.5 for g in held.manifest.graphs[2:])
    default = load_bundle(None)
    for name in ("window.fp32.onnx", "window.cpu-fp32.onnx", "window.fp16.onnx"):
        assert held.files[name] == default.files[name]
    for precision, name in (("fp16", "window.fp16"), ("int8", "window.cpu-int8"), ("auto", "window.cpu-fp32")):
        runtime = open_runtime(held, "exact", precision)
        assert runtime.graph.name == name
        runtime.close()


def test_compare_tells_of_every_graph(
    bundle: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--clips", str(clips), "--checkpoint", str(DEFAULT), "--out", str(tmp_path / "out")]
    assert main(["compare", str(bundle), *words]) == 0
    said = capsys.readouterr().out
    assert "against torch, on 2 recordings of clips.npz" in said
    assert said.count("holds") == 10
    report = json.loads((tmp_path / "out/compare.json").read_text())
    by_file = {graph["file"]: graph for graph in report["graphs"]}
    assert all(graph["usable"] for graph in by_file.values())
    errors = [by_file[f"window.{name}.onnx"]["agreements"][0]["max_error"] for name in ("fp32", "fp16", "int8")]
    assert errors == sorted(errors)
    assert errors[0] < 1e-4 < errors[1] < 0.02
    hop = by_file["window.cpu-int8.onnx"]["hops"][-1]
    assert {"recording", "t_s", "task", "max_error", "pearson", "shift_per_min", "quality_db"} <= set(hop)
    assert (tmp_path / "out/waveforms.png").read_bytes().startswith(b"\x89PNG")


def test_compare_without_a_checkpoint_takes_the_bundles_own_fp32(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--clips", str(clips), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["bundle"], report["reference"]) == ("default", "window.fp32.onnx")


def test_another_checkpoint_is_refused(
    bundle: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec(9, "NF", 4)
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, Mmrphys(spec).state_dict(), Card(name="other", fps=30.0, frames=181, **spec.as_dict()))
    assert main(["compare", str(bundle), "--clips", str(clips), "--checkpoint", str(other)]) == 3
    assert "other weights than those of bundle 'default'" in capsys.readouterr().err


def test_a_precision_that_shifts_a_rate_is_refused_or_kept_as_refused(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    words = ["export", str(DEFAULT), "--out", str(out), "--precision", "fp16", "--clips", str(clips)]
    monkeypatch.setattr(window_graphs, "refusal", lambda _: "HR shifts by 2.00/min in one hop of twenty (limit 0.5)")
    assert main(words) == 3
    assert "window.fp16.onnx is not usable: HR shifts by 2.00/min" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--force"]) == 0
    held = load_bundle(out)
    assert held.manifest.graphs[2].refused.startswith("HR shifts")
    with pytest.raises(BundleError, match="force-fp16"):
        open_runtime(held, "exact", "fp16")
    runtime = open_runtime(held, "exact", "force-fp16")
    assert "forced" in runtime.graph.why
    waves = runtime.infer(np.zeros((1, *held.input_shape), np.float32))
    assert set(waves) == {"bvp", "rsp"}


def test_where_no_layer_may_be_int8_the_whole_graph_is_kept_as_refused(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_graphs, "inner_convs", lambda _: [1, 10])
    monkeypatch.setitem(agreement.LIMITS_PER_MIN, "bvp", -1.0)
    monkeypatch.setitem(agreement.LIMITS_PER_MIN, "rsp", -1.0)
    out = tmp_path / "bundle"
    words = ["export", str(DEFAULT), "--out", str(out), "--precision", "int8", "--clips", str(clips)]
    assert main([*words, "--force"]) == 0
    held = load_bundle(out)
    assert [bool(graph.refused) for graph in held.manifest.graphs] == [False, False, True, True]
    assert "HR shifts" in held.manifest.graphs[3].refused
