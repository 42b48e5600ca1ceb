from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge import bundle as bundle_module
from edge.bundle import (
    MANIFEST,
    MANIFEST_HASH,
    Channel,
    RuntimeForm,
    default_bundle_dir,
    load_bundle,
    manifest_hash_line,
)
from edge.errors import BundleError, FaultError, MmrphysError
from edge.runtimes.onnxrt import OnnxRuntime, open_runtime, selftest_from_bundle
from edge.vitals import Mode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the default bundle that a test may damage."""
    return Path(shutil.copytree(default_bundle_dir(), tmp_path / "bundle"))


def rewrite_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and keep its own hash right, as somebody who knows the format would."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    (folder / MANIFEST).write_bytes(data)
    (folder / MANIFEST_HASH).write_bytes(manifest_hash_line(data))


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Put other content into a file, with right size and hash in the manifest."""
    (folder / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    rewrite_manifest(folder, lambda manifest: manifest["files"].__setitem__(name, entry))


def test_default_bundle_says_what_it_is() -> None:
    bundle = load_bundle(None)
    assert bundle.id == "sha256:" + hashlib.sha256((default_bundle_dir() / MANIFEST).read_bytes()).hexdigest()
    assert (bundle.fps, bundle.frames, bundle.size) == (30.0, 181, 9)
    assert bundle.channels == ("rgb", "thermal")
    assert (bundle.channel_count, bundle.input_shape) == (4, (4, 181, 9, 9))
    assert bundle.tasks == ("bvp", "rsp")
    assert bundle.manifest.sources == {"bvp": ("rgb",), "rsp": ("thermal",)}
    assert bundle.signature == "none"


@pytest.mark.parametrize(
    ("mode", "precision", "runtime", "name"),
    [
        ("exact", "auto", "onnxrt", "window.cpu-fp32"),
        ("exact", "auto", "tensorrt", "window.fp32"),
        ("exact", "fp16", "tensorrt", "window.fp16"),
        ("exact", "int8", "onnxrt", "window.cpu-int8"),
        ("exact", "int8", "tensorrt", "window.int8"),
        ("stream", "auto", "onnxrt", "stream.cpu-fp32"),
        ("stream", "auto", "tensorrt", "stream.fp32"),
        ("stream", "fp16", "tensorrt", "stream.fp16"),
        ("stream", "int8", "tensorrt", "stream.int8"),
        ("stream", "int8", "onnxrt", "stream.cpu-int8"),
    ],
)
def test_each_runtime_gets_its_form_and_the_bytes_that_were_hashed(
    mode: Mode, precision: str, runtime: RuntimeForm, name: str
) -> None:
    bundle = load_bundle(None)
    graph = bundle.graph(mode, runtime, precision)
    assert (graph.name, graph.entry.refused) == (name, "")
    assert hashlib.sha256(graph.data).hexdigest() == bundle.manifest.files[graph.entry.file].sha256
    assert runtime in graph.why


def test_every_graph_but_the_reference_says_what_its_export_measured() -> None:
    bundle = load_bundle(None)
    manifest = bundle.manifest
    assert "recordings" in manifest.judged_on
    for entry in manifest.graphs:
        fp32 = entry.precision == "fp32"
        against = {"exact": [] if fp32 else ["windows"], "stream": ["windows"] if fp32 else ["windows", "fp32 stream"]}
        assert [one.against for one in entry.measured] == [name for name in against[entry.mode] for _ in bundle.tasks]
        assert all(one.judged >= 20 and one.shift_median <= 0.5 for one in entry.measured)
        apart = [one for one in entry.measured if entry.mode == "exact" or one.against == "fp32 stream"]
        assert all(one.shift_p95 <= 0.5 and one.far <= 1 for one in apart)


def test_a_runtime_without_its_own_form_gets_the_other_and_says_so(folder: Path) -> None:
    (folder / "window.cpu-fp32.onnx").unlink()

    def drop(manifest: dict[str, Any]) -> None:
        del manifest["files"]["window.cpu-fp32.onnx"]
        manifest["graphs"] = [entry for entry in manifest["graphs"] if entry["runtime"] == "tensorrt"]

    rewrite_manifest(folder, drop)
    graph = load_bundle(folder).graph("exact", "onnxrt", "fp32")
    assert graph.name == "window.fp32"
    assert "no form for onnxrt" in graph.why


def test_a_refused_graph_is_taken_only_when_forced_and_says_so(folder: Path) -> None:
    def refuse(manifest: dict[str, Any]) -> None:
        manifest["graphs"][1] |= {"precision": "int8", "refused": "HR shifts by 2.00/min"}

    rewrite_manifest(folder, refuse)
    bundle = load_bundle(folder)
    with pytest.raises(BundleError, match=r"not usable: HR shifts by 2.00/min; .* --precision force-int8"):
        bundle.graph("exact", "onnxrt", "int8")
    assert "forced, its export refused it: HR shifts" in bundle.graph("exact", "onnxrt", "force-int8").why
    assert "forced" not in bundle.graph("exact", "onnxrt", "auto").why
    assert "force" not in bundle.graph("exact", "onnxrt", "force-fp32").why


@pytest.mark.parametrize(("mode", "precision"), [("stream", "auto"), ("exact", "int8"), ("exact", "fp16")])
def test_a_graph_that_is_not_there_is_named(folder: Path, mode: Mode, precision: str) -> None:
    rewrite_manifest(folder, lambda manifest: manifest.__setitem__("graphs", manifest["graphs"][:2]))
    with pytest.raises(BundleError, match=r"no (stream/fp32|exact/int8|exact/fp16) graph; it has exact/fp32"):
        load_bundle(folder).graph(mode, "onnxrt", precision)


@pytest.mark.parametrize(
    ("sources", "bvp", "rsp"),
    [(("rgb",), False, False), (("thermal",), True, True), (("rgb", "thermal"), False, True)],
)
def test_what_comes_from_thermal_needs_it_and_a_pulse_only_where_there_is_no_rgb(
    sources: tuple[Channel, ...], bvp: bool, rsp: bool
) -> None:
    bundle = load_bundle(None)
    manifest = msgspec.structs.replace(bundle.manifest, sources={"bvp": sources, "rsp": sources})
    bundle = dataclasses.replace(bundle, manifest=manifest)
    assert (bundle.needs_thermal("bvp"), bundle.needs_thermal("rsp")) == (bvp, rsp)


def test_any_changed_byte_in_any_file_is_refused(folder: Path) -> None:
    rng = np.random.default_rng(7)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in {0, len(whole) - 1, *rng.integers(len(whole), size=12).tolist()}:
            changed = bytearray(whole)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            with pytest.raises(BundleError):
                load_bundle(folder)
        path.write_bytes(whole)
    assert load_bundle(folder).id == load_bundle(None).id


def test_a_cut_or_longer_file_is_refused(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for other in (whole[:-1], whole + b"\0", b""):
            path.write_bytes(other)
            with pytest.raises(BundleError):
                load_bundle(folder)
        path.write_bytes(whole)


def test_each_missing_file_is_refused(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(BundleError, match=path.name):
            load_bundle(folder)
        path.write_bytes(whole)


def test_what_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    (folder / "extra.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"extra\.onnx"):
        load_bundle(folder)


def test_too_many_files_are_refused_before_they_are_read(folder: Path) -> None:
    for number in range(bundle_module.MAX_FILES):
        (folder / f"extra-{number}").write_bytes(b"")
    with pytest.raises(BundleError, match="more than"):
        load_bundle(folder)


def test_links_pipes_and_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    licence = folder / "LICENSE"
    outside = tmp_path / "outside"
    licence.rename(outside)
    makers: list[Callable[[], None]] = [
        lambda: licence.symlink_to(outside),
        lambda: os.mkfifo(licence),
        licence.mkdir,
    ]
    for make in makers:
        make()
        with pytest.raises(BundleError, match="plain file"):
            load_bundle(folder)
        licence.rename(tmp_path / f"tried-{licence.lstat().st_ino}")


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/b", "", ".hidden", "manifest.json", "manifest.sha256"]
)
def test_names_that_lead_elsewhere_are_refused(folder: Path, name: str) -> None:
    entry = {"sha256": "0" * 64, "size": 1}
    rewrite_manifest(folder, lambda manifest: manifest["files"].__setitem__(name, entry))
    with pytest.raises(BundleError, match="no name for a bundle file"):
        load_bundle(folder)


def test_another_format_version_is_refused_by_its_number(folder: Path) -> None:
    rewrite_manifest(folder, lambda manifest: manifest.update(format=2, news="whatever"))
    with pytest.raises(BundleError, match="format 2, this version reads 1"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fps", 0.0),
        ("frames", 1),
        ("size", 0),
        ("channels", ["thermal", "rgb"]),
        ("tasks", []),
        ("tasks", ["bvp", "bvp"]),
        ("sources", {"bvp": ["rgb"]}),
        ("sources", {"bvp": [], "rsp": ["thermal"]}),
        ("channels", ["rgb"]),  # and RSP from thermal
        ("graphs", []),
        ("unknown", 1),
        ("name", 5),
    ],
)
def test_a_manifest_that_cannot_be_run_is_refused(folder: Path, key: str, value: Any) -> None:
    rewrite_manifest(folder, lambda manifest: manifest.__setitem__(key, value))
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_a_graph_that_is_no_onnx_or_too_new_is_refused(folder: Path) -> None:
    name = "window.cpu-fp32.onnx"
    whole = (folder / name).read_bytes()
    assert whole[:2] == b"\x08\x0a"  # ir_version = 10
    for data, says in ((b"\x08\x0b" + whole[2:], "IR version 11"), (b"no protobuf at all", "not an ONNX file")):
        replace_file(folder, name, data)
        with pytest.raises(BundleError, match=says):
            load_bundle(folder)


def test_a_graph_with_external_data_is_refused(folder: Path) -> None:
    """Protobuf messages merge: what is appended adds an initializer that lies in another file."""
    name = "window.cpu-fp32.onnx"
    initializer = b"\x70\x01"  # data_location = EXTERNAL
    replace_file(folder, name, (folder / name).read_bytes() + b"\x3a\x04\x2a\x02" + initializer)
    with pytest.raises(BundleError, match="another file"):
        load_bundle(folder)


@pytest.mark.parametrize("flips", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_damage_that_the_hashes_do_not_show_ends_in_one_line_or_passes_the_self_test(folder: Path, flips: int) -> None:
    """Seeded flips of bytes, in the nodes as often as in the weights, by somebody who mends the manifest."""
    name, rng, refused = "window.cpu-fp32.onnx", np.random.default_rng(11), []
    whole = (folder / name).read_bytes()
    golden = selftest_from_bundle(load_bundle(folder))
    nodes = max(whole.find(b"constant_0"), len(whole) // 2)
    for number in range(flips):
        changed = bytearray(whole)
        changed[int(rng.integers(nodes if number % 2 else len(whole)))] ^= int(rng.integers(1, 256))
        replace_file(folder, name, bytes(changed))
        try:
            runtime = open_runtime(load_bundle(folder), "exact", "fp32")
        except MmrphysError as error:
            refused.append(str(error))
            continue
        for task, wave in runtime.infer(golden[0]).items():
            assert np.abs(wave - golden[1][task]).max() <= 1e-3 * golden[1][task].std()
    assert flips / 10 < len(refused) < flips
    assert not [says for says in refused if "\n" in says]


@pytest.mark.parametrize(
    "change", [{"size": 18}, {"frames": 121}, {"channels": ["rgb"], "sources": {"bvp": ["rgb"], "rsp": ["rgb"]}}]
)
def test_graphs_of_other_shapes_than_the_manifest_says_are_refused(folder: Path, change: dict[str, Any]) -> None:
    rewrite_manifest(folder, lambda manifest: manifest.update(change))
    bundle = load_bundle(folder)
    with pytest.raises(BundleError, match=r"selftest\.npz: not a self-test"):
        open_runtime(bundle, "exact", "auto")
    with pytest.raises(FaultError) as caught:
        OnnxRuntime(bundle, bundle.graph("exact", "onnxrt")).infer(np.zeros((1, *bundle.input_shape), np.float32))
    assert "\n" not in str(caught.value)


def test_the_default_bundle_must_have_the_known_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy with a consistent but other manifest passes as a named bundle and not as the default one."""
    rewrite_manifest(folder, lambda manifest: manifest.update(name="other"))
    assert load_bundle(folder).manifest.name == "other"
    shutil.copy(default_bundle_dir().parent / "default.sha256", folder.parent)
    monkeypatch.setattr(bundle_module, "default_bundle_dir", lambda: folder)
    with pytest.raises(BundleError, match="default bundle's manifest was changed"):
        load_bundle(None)


@pytest.mark.parametrize("place", ["absent", "file"])
def test_something_else_than_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(BundleError, match="a bundle is a folder"):
        load_bundle(tmp_path / place)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        load_bundle(tmp_path)
