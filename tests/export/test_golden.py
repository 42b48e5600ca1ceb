"""A bundle's self-test where the code that trained the weights gave input and output of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from edge.bundle import SELFTEST
from edge.errors import InputError
from edge.runtimes.onnxrt import open_runtime
from edge.selftest import SelfTest, selftest_from_npz
from export.golden import npz_from_golden
from export.pack import Packed, bundle_from_checkpoint
from training.checkpoint import Card, card_path, load_card, model_from_checkpoint, save_checkpoint
from training.model import Mmrphys, ModelSpec

FRAMES = 61
SPEC = ModelSpec(9, "EF", 4)
SHIFT = 5e-5
"""By how much of their standard deviation the given outputs differ from what torch computes here."""


def checkpoint(folder: Path, spec: ModelSpec = SPEC) -> Path:
    torch.manual_seed(6)
    path = folder / "published.safetensors"
    save_checkpoint(path, Mmrphys(spec).state_dict(), Card(name="published", fps=25.0, frames=FRAMES, **spec.as_dict()))
    return path


def pair_for(path: Path, rgb: Any = np.float32, thermal: Any = np.float32, shift: float = SHIFT) -> dict[str, Any]:
    """Noise of the whole range, and what torch gives for it, shifted."""
    model, size = model_from_checkpoint(path), (FRAMES, load_card(path).size, load_card(path).size)
    rng = np.random.default_rng(8)
    clip = {
        "rgb": rng.uniform(0, 255, (1, 3, *size)).astype(rgb),
        "thermal": rng.uniform(20, 40, (1, 1, *size)).astype(thermal),
    }
    clip = {name: part for name, part in clip.items() if name in model.spec.modalities}
    frames = np.concatenate([part.astype(np.float32) for part in clip.values()], axis=1)
    with torch.inference_mode():
        waves = {task: wave.numpy() for task, wave in model(torch.from_numpy(frames)).items()}
    return clip | {task: wave + np.float32(shift * wave.std()) for task, wave in waves.items()}


def name_golden(path: Path, arrays: dict[str, Any], **card: Any) -> None:
    """Put ``arrays`` beside the checkpoint and their name and hash into its card."""
    place = path.with_name("published.golden.npz")
    np.savez_compressed(place, **arrays)
    named = {"golden": place.name, "golden_sha256": hashlib.sha256(place.read_bytes()).hexdigest()} | card
    card_path(path).write_bytes(msgspec.json.encode(msgspec.structs.replace(load_card(path), **named)))


def export(path: Path) -> Packed:
    return bundle_from_checkpoint(path, path.with_name("bundle"))


@pytest.mark.parametrize(
    ("spec", "rgb", "thermal"),
    [
        (SPEC, np.float32, np.float32),
        (SPEC, np.uint8, np.float16),
        (ModelSpec(9, "LF", 4, ("bvp",)), np.float32, np.float16),
        (ModelSpec(9, "EF", 1, ("rsp",)), np.uint8, np.float16),
        (ModelSpec(36, "EF", 3, input_scale=(1 / 255, 1.0)), np.float32, np.float32),
    ],
    ids=str,
)
def test_the_given_pair_is_the_self_test_as_it_was_given(
    tmp_path: Path, spec: ModelSpec, rgb: Any, thermal: Any
) -> None:
    path = checkpoint(tmp_path, spec)
    given = pair_for(path, rgb, thermal)
    name_golden(path, given)
    packed = export(path)
    differences = {(entry.what, entry.task): entry.value for entry in packed.differences}
    for task in spec.tasks:
        assert differences["torch vs golden", task] == pytest.approx(SHIFT, rel=0.1)
        assert differences["fast vs torch", task] < SHIFT / 2  # compared with torch, not with what was given
    data = packed.bundle.files[SELFTEST]
    held = selftest_from_npz(data, spec.modalities, spec.tasks, FRAMES, spec.size)
    stored = {**held.clip, **held.waves}
    assert stored.keys() == given.keys()
    for name, array in given.items():
        assert stored[name].dtype == array.dtype
        np.testing.assert_array_equal(stored[name], array)
    open_runtime(packed.bundle, "exact", "auto").close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"thermal": None}, "it holds 'bvp, rgb, rsp', wanted bvp, rsp, rgb, thermal"),
        ({"rgb": np.zeros((1, 3, FRAMES, 9, 9), np.float16)}, "rgb is float16"),
        ({"thermal": np.zeros((1, 1, FRAMES + 4, 9, 9), np.float32)}, r"thermal is float32 \[1, 1, 65, 9, 9\], wanted"),
        ({"bvp": np.full((1, FRAMES - 1), np.nan, np.float32)}, "bvp has values that are not finite"),
        ({"rsp": np.array([None])}, "rsp is object"),
    ],
)
def test_another_content_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = checkpoint(tmp_path)
    held = pair_for(path) | changes
    name_golden(path, {name: array for name, array in held.items() if array is not None})
    with pytest.raises(InputError, match=f"published.golden.npz: not a golden pair of this model .*{says}") as caught:
        export(path)
    assert "\n" not in str(caught.value)
    assert not path.with_name("bundle").exists()


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({"golden_sha256": ""}, "its hash differs from the card's"),
        ({"golden": "gone.npz"}, "gone.npz: No such file"),
        ({"golden": "../published.golden.npz"}, "wanted the name of a file beside it"),
        ({"golden": "/etc/passwd"}, "wanted the name of a file beside it"),
        ({"golden": ".."}, "Is a directory"),
    ],
)
def test_a_file_that_is_not_the_one_the_card_means_is_refused(tmp_path: Path, card: dict[str, str], says: str) -> None:
    path = checkpoint(tmp_path)
    name_golden(path, pair_for(path), **card)
    with pytest.raises(InputError, match=says):
        export(path)


def test_the_output_of_another_model_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    name_golden(path, pair_for(path, shift=1e-3))
    with pytest.raises(InputError, match="does not give its golden output: torch vs golden bvp"):
        export(path)


def test_the_largest_pair_there_is_fits_a_bundle() -> None:
    """Noise, which does not pack: 72x72 pixels, four channels, 181 frames of float32."""
    rng = np.random.default_rng(3)
    clip = {"rgb": rng.random((1, 3, 181, 72, 72), np.float32), "thermal": rng.random((1, 1, 181, 72, 72), np.float32)}
    golden = SelfTest(clip, {task: rng.random((1, 180), np.float32) for task in ("bvp", "rsp")})
    held = selftest_from_npz(npz_from_golden(golden), ("rgb", "thermal"), ("bvp", "rsp"), 181, 72)
    np.testing.assert_array_equal(held.frames, golden.frames)
