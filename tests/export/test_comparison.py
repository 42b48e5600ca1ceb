"""``export --precision`` and ``compare``, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edge.bundle import load_bundle
from edge.cli import main
from edge.errors import BundleError
from edge.runtimes.onnxrt import open_runtime
from export import agreement, window_graphs
from export.pack import write_bundle
from training.checkpoint import Card, save_checkpoint
from training.model import Mmrphys, ModelSpec

DEFAULT = Path(__file__).resolve().parents[2] / "training/results/default/default.safetensors"


@pytest.fixture
def bundle(bundle_folder: Path) -> Path:
    return bundle_folder


def test_every_precision_is_in_the_bundle_and_passes_its_self_test(bundle: Path) -> None:
    held = load_bundle(bundle)
    assert [(g.file, g.runtime, g.precision, g.refused) for g in held.manifest.graphs] == [
        ("window.fp32.onnx", "tensorrt", "fp32", ""),
        ("window.cpu-fp32.onnx", "onnxrt", "fp32", ""),
        ("window.fp16.onnx", "tensorrt", "fp16", ""),
        ("window.int8.onnx", "tensorrt", "int8", ""),
        ("window.cpu-int8.onnx", "onnxrt", "int8", ""),
        ("stream.fp32.onnx", "tensorrt", "fp32", ""),
        ("stream.cpu-fp32.onnx", "onnxrt", "fp32", ""),
        ("stream.fp16.onnx", "tensorrt", "fp16", ""),
        ("stream.int8.onnx", "tensorrt", "int8", ""),
        ("stream.cpu-int8.onnx", "onnxrt", "int8", ""),
    ]
    assert held.manifest.judged_on == (
        "windows: 1 of 2 recordings of clips.npz; ranges chosen on 1 of 2 recordings of clips.npz; "
        "fp32 streams: 2 recordings of clips.npz"
    )
    assert [g.tolerance for g in held.manifest.graphs[:2]] == [0.001, 0.001]
    assert all(0.001 <= g.tolerance < 0.5 for g in held.manifest.graphs[2:])
    default = load_bundle(None)
    for name in (
        "window.fp32.onnx", "window.cpu-fp32.onnx", "window.fp16.onnx",
        "stream.fp32.onnx", "stream.cpu-fp32.onnx", "stream.fp16.onnx",
    ):  # fmt: skip
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
    assert "against torch, on 2 recordings of clips.npz; no engines" in said
    assert said.count("holds") == 2 * (5 + 5 + 3)  # three streams beside the fp32 stream too
    report = json.loads((tmp_path / "out/compare.json").read_text())
    by_file = {graph["file"]: graph for graph in report["graphs"]}
    assert all(graph["usable"] for graph in by_file.values())
    errors = [by_file[f"window.{name}.onnx"]["agreements"][0]["max_error"] for name in ("fp32", "fp16", "int8")]
    assert errors == sorted(errors)
    assert errors[0] < 1e-4 < errors[1] < 0.02
    for file in ("window.cpu-int8.onnx", "stream.cpu-int8.onnx"):
        hop = by_file[file]["hops"][-1]
        assert {"recording", "t_s", "task", "max_error", "pearson", "shift_per_min", "quality_db"} <= set(hop)
    beside = [by_file[f"stream.{name}.onnx"]["beside_stream"] for name in ("fp32", "fp16", "int8")]
    assert [len(rows) for rows in beside] == [0, 2, 2]
    assert beside[1][0]["max_error"] < 0.02 < beside[2][0]["max_error"]
    assert (tmp_path / "out/waveforms.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_compare_without_a_checkpoint_takes_the_bundles_own_fp32(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--clips", str(clips), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["bundle"], report["reference"]) == ("default", "window.fp32.onnx")


def test_a_graph_that_shifts_a_rate_ends_with_6_and_its_name(
    bundle: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a stream whose breath is another one: the head's kernels changed places in time."""
    held = load_bundle(bundle)
    entries = [entry for entry in held.manifest.graphs if entry.file in ("window.fp32.onnx", "stream.cpu-fp32.onnx")]
    graph = onnx.load_from_string(held.files["stream.cpu-fp32.onnx"])
    for kernel in (tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4):
        values = numpy_helper.to_array(kernel)
        kernel.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[::-1]), kernel.name))
    fields = ("name", "fps", "frames", "size", "channels", "tasks", "sources", "card", "stream")
    about = {field: getattr(held.manifest, field) for field in fields}
    files = {entry.file: held.files[entry.file] for entry in entries} | {"selftest.npz": held.files["selftest.npz"]}
    files["stream.cpu-fp32.onnx"] = graph.SerializeToString()
    write_bundle(about, entries, files, tmp_path / "b")
    assert main(["compare", str(tmp_path / "b"), "--clips", str(clips), "--out", str(tmp_path / "out")]) == 6
    said = capsys.readouterr()
    assert "stream.cpu-fp32.onnx: not usable" in said.out
    assert "window.fp32.onnx: not usable" not in said.out
    assert said.err.strip() == "mmrphys: stream.cpu-fp32.onnx: not usable on these recordings; see the table"
    assert (tmp_path / "out/compare.json").is_file()


def test_real_clips_judge_beside_the_scene_and_are_named(
    shared_dir: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten seconds are too short for a stream's statistics and an RR; without thermal there is no RSP."""
    video = str(shared_dir / "data/face.mp4")
    assert main(["compare", str(bundle), "--clips", video, "--json"]) == 6
    report = json.loads(capsys.readouterr().out)
    assert report["clips"] == "face.mp4 (no thermal)"
    rows = {graph["file"]: {one["task"]: one for one in graph["agreements"]} for graph in report["graphs"]}
    assert rows["window.fp32.onnx"]["rsp"]["hops"] == 0
    for file in ("window.fp16.onnx", "window.int8.onnx", "window.cpu-int8.onnx"):
        assert rows[file]["bvp"]["judged"] == rows[file]["bvp"]["hops"] == 4
        assert rows[file]["bvp"]["shift_max"] <= 0.5
    assert rows["stream.fp32.onnx"]["bvp"]["hops"] == 0


def test_one_recording_cannot_choose_ranges_and_judge(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(clips) as held:
        one = {name: held[name][:1] if held[name].ndim else held[name] for name in held.files}
    np.savez(tmp_path / "one.npz", **one)
    words = ["export", str(DEFAULT), "--out", str(tmp_path / "b"), "--precision", "int8"]
    assert main([*words, "--clips", str(tmp_path / "one.npz")]) == 3
    assert "one.npz: each has one recording, which judges; int8 chooses its ranges on others" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


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


@pytest.mark.slow
def test_where_no_layer_may_be_int8_the_whole_graph_is_kept_as_refused(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_graphs, "inner_convs", lambda _: [1, 10])
    never = agreement.Gate(0.95, -1.0, 0.0)
    monkeypatch.setattr(window_graphs, "agreements", lambda hops, tasks: agreement.agreements(hops, tasks, never))
    out = tmp_path / "bundle"
    words = ["export", str(DEFAULT), "--out", str(out), "--precision", "int8", "--clips", str(clips)]
    assert main([*words, "--force"]) == 0
    held = load_bundle(out)
    assert [bool(graph.refused) for graph in held.manifest.graphs] == [False, False, True, True]
    assert "HR shifts" in held.manifest.graphs[3].refused
