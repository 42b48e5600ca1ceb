from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from edge import bundle_folder
from edge.bundle import MANIFEST, MANIFEST_HASH, SELFTEST, load_bundle
from edge.errors import FaultError, InputError, UsageError
from edge.runtimes.onnxrt import open_runtime, selftest_from_bundle
from export.compare import compare_forms
from export.graphs import Form, onnx_from_model
from export.pack import bundle_from_checkpoint
from export.sbom import SBOM
from training.checkpoint import Card, model_from_checkpoint, save_checkpoint
from training.model import Mmrphys, ModelSpec

ROOT = Path(__file__).resolve().parents[2]


def checkpoint(folder: Path, spec: ModelSpec, frames: int = 61) -> Path:
    torch.manual_seed(5)
    path = folder / "tiny.safetensors"
    card = Card(name="tiny", fps=29.97, frames=frames, seed=5, **spec.as_dict())
    save_checkpoint(path, Mmrphys(spec).state_dict(), card)
    return path


@pytest.mark.parametrize(
    ("spec", "channels", "sources"),
    [
        (ModelSpec(9, "NF", 4), ("rgb", "thermal"), {"bvp": ("rgb",), "rsp": ("thermal",)}),
        (ModelSpec(9, "EF", 4), ("rgb", "thermal"), {"bvp": ("rgb", "thermal"), "rsp": ("rgb", "thermal")}),
        (ModelSpec(9, "EF", 3, ("bvp",)), ("rgb",), {"bvp": ("rgb",)}),
        (ModelSpec(9, "LF", 4), ("rgb", "thermal"), {"bvp": ("rgb", "thermal"), "rsp": ("rgb", "thermal")}),
        (ModelSpec(36, "EF", 1), ("thermal",), {"bvp": ("thermal",), "rsp": ("thermal",)}),
    ],
    ids=str,
)
def test_a_bundle_runs_on_the_device_and_gives_what_torch_gives(
    tmp_path: Path, spec: ModelSpec, channels: tuple[str, ...], sources: dict[str, tuple[str, ...]]
) -> None:
    path = checkpoint(tmp_path, spec)
    bundle_from_checkpoint(path, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.channels, bundle.manifest.sources, bundle.fps) == (channels, sources, 29.97)
    assert bundle.input_shape == (spec.channels, 61, spec.size, spec.size)
    assert bundle.manifest.card["weights_sha256"]

    clips = np.random.default_rng(1).uniform(0, 255, (2, *bundle.input_shape)).astype(np.float32)
    waves = open_runtime(bundle, "exact", "auto").infer(clips)
    with torch.inference_mode():
        reference = model_from_checkpoint(path)(torch.from_numpy(clips))
    for task, wave in reference.items():
        assert np.abs(waves[task] - wave.numpy()).max() <= 1e-4 * float(wave.std())


def test_the_same_checkpoint_gives_the_same_bundle(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, ModelSpec(9, "NF", 4))
    ids = {bundle_from_checkpoint(path, tmp_path / name).bundle.id for name in ("a", "b")}
    assert len(ids) == 1


def test_the_default_checkpoint_gives_the_default_bundle(tmp_path: Path) -> None:
    """Byte for byte, but for the last bits of the self-test's waveforms on another processor.

    Other precisions need recordings, which take minutes: that of float16 is made in ``test_comparison.py``.
    """
    made = bundle_from_checkpoint(ROOT / "training/results/default/default.safetensors", tmp_path / "bundle").bundle
    default = load_bundle(None)
    assert {"LICENSE", "window.fp32.onnx", "window.cpu-fp32.onnx"} <= set(made.files) <= set(default.files)
    for name in set(made.files) - {SELFTEST, MANIFEST, MANIFEST_HASH, SBOM}:  # which lists what there is
        assert made.files[name] == default.files[name], name
    assert made.manifest.graphs == default.manifest.graphs[:2]
    one, other = (
        msgspec.structs.replace(bundle.manifest, graphs=(), files={}, stream=None, judged_on="")
        for bundle in (made, default)
    )
    assert one == other
    frames, waves = selftest_from_bundle(made)
    expected_frames, expected = selftest_from_bundle(default)
    np.testing.assert_array_equal(frames, expected_frames)
    for task, wave in expected.items():
        assert np.abs(waves[task] - wave).max() <= 1e-5 * wave.std()


def test_the_card_is_carried_word_for_word(tmp_path: Path) -> None:
    """A card of an older version lacks fields that this one has, and its bundle stays the same."""
    path = checkpoint(tmp_path, ModelSpec(9, "NF", 4))
    card = json.loads(path.with_suffix(".json").read_bytes())
    del card["geometry"], card["golden"]
    path.with_suffix(".json").write_text(json.dumps(card))
    assert bundle_from_checkpoint(path, tmp_path / "bundle").bundle.manifest.card == card


@pytest.mark.parametrize(("frames", "says"), [(60, "60 frames, wanted one more than a multiple of 4"), (1, "1 frames")])
def test_a_card_with_windows_that_do_not_fit_is_refused(tmp_path: Path, frames: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        bundle_from_checkpoint(checkpoint(tmp_path, ModelSpec(9, "NF", 4), frames), tmp_path / "bundle")


def test_an_older_bundle_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    first = bundle_from_checkpoint(checkpoint(tmp_path, ModelSpec(9, "NF", 4)), out)
    second = bundle_from_checkpoint(checkpoint(tmp_path, ModelSpec(9, "EF", 3)), out)
    assert first.bundle.id != second.bundle.id == load_bundle(out).id
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "tiny.json", "tiny.safetensors"]


def test_a_failing_export_leaves_the_older_bundle_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = checkpoint(tmp_path, ModelSpec(9, "NF", 4)), tmp_path / "bundle"
    before = bundle_from_checkpoint(path, out).bundle.id

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_folder, "load_bundle", fail)
    with pytest.raises(FaultError, match="No space left on device; the bundle is not written"):
        bundle_from_checkpoint(path, out)
    assert load_bundle(out).id == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle", "tiny.json", "tiny.safetensors"]


def test_a_folder_with_other_content_is_never_replaced(tmp_path: Path) -> None:
    path, out = checkpoint(tmp_path, ModelSpec(9, "NF", 4)), tmp_path / "home"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="other content"):
        bundle_from_checkpoint(path, out)
    with pytest.raises(UsageError, match="not a folder"):
        bundle_from_checkpoint(path, out / "letter.txt")
    assert (out / "letter.txt").read_text() == "dear"


def test_a_graph_that_computes_something_else_is_refused() -> None:
    spec = ModelSpec(9, "EF", 1)
    torch.manual_seed(0)
    model = Mmrphys(spec).eval()
    graphs: dict[Form, bytes] = {}
    for form in ("plain", "fast"):
        graph = onnx_from_model(model, 61, form)
        if form == "fast":
            kernel = next(tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4)
            values = onnx.numpy_helper.to_array(kernel) * np.float32(1.001)
            kernel.CopyFrom(onnx.numpy_helper.from_array(values, kernel.name))
        graphs[form] = graph.SerializeToString()
    clips = np.random.default_rng(0).uniform(20, 40, (1, 1, 61, 9, 9)).astype(np.float32)
    assert len(compare_forms(model, {"plain": graphs["plain"]}, clips)) == 2
    with pytest.raises(InputError, match="fast vs torch bvp"):
        compare_forms(model, graphs, clips)
