from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from edge.errors import InputError, UsageError
from training.checkpoint import (
    Card,
    card_path,
    load_checkpoint,
    model_from_checkpoint,
    save_checkpoint,
    write_atomically,
)
from training.model import Mmrphys, ModelSpec

SPEC = ModelSpec(9, "NF", 4)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Mmrphys]:
    torch.manual_seed(1)
    model, path = Mmrphys(SPEC).eval(), tmp_path / "model.safetensors"
    save_checkpoint(path, model.state_dict(), Card(name="t", fps=29.97, frames=25, seed=1, **SPEC.as_dict()))
    return path, model


def test_a_checkpoint_gives_back_the_model_and_its_card(saved: tuple[Path, Mmrphys]) -> None:
    path, model = saved
    again = model_from_checkpoint(path)
    clip = 255 * torch.rand(1, 4, 25, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(again(clip), model(clip), rtol=0, atol=0)
    assert not again.training
    _, card = load_checkpoint(path)
    assert (card.spec, card.fps, card.frames, card.seed) == (SPEC, 29.97, 25, 1)
    assert card.input.rgb == "R, G, B in 0..255"


def test_weights_that_are_not_the_cards_are_refused(saved: tuple[Path, Mmrphys]) -> None:
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="hash differs"):
        model_from_checkpoint(path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"{}"])
def test_what_is_no_safetensors_file_is_refused(saved: tuple[Path, Mmrphys], data: bytes) -> None:
    path, _ = saved
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a safetensors file"):
        model_from_checkpoint(path)


def test_a_missing_card_or_file_is_named(saved: tuple[Path, Mmrphys]) -> None:
    path, _ = saved
    card = card_path(path).read_bytes()
    card_path(path).unlink()
    with pytest.raises(InputError, match=r"model\.json"):
        model_from_checkpoint(path)
    card_path(path).write_bytes(card)
    path.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors"):
        model_from_checkpoint(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"format": 1', b'"format": 2', "card format 2"),
        (b'"size": 9', b'"size": "nine"', "not a checkpoint card"),
        (b'"fps": 29.97', b'"fpz": 29.97', "not a checkpoint card"),
    ],
)
def test_a_card_of_another_kind_is_refused(saved: tuple[Path, Mmrphys], old: bytes, new: bytes, says: str) -> None:
    path, _ = saved
    card = card_path(path).read_bytes()
    assert old in card
    card_path(path).write_bytes(card.replace(old, new))
    with pytest.raises(InputError, match=says):
        model_from_checkpoint(path)


def test_tensors_of_another_layout_are_refused(saved: tuple[Path, Mmrphys]) -> None:
    path, model = saved
    card = Card(name="t", fps=30.0, frames=25, size=9, fusion="EF", channels=3, tasks=("bvp", "rsp"))
    save_checkpoint(path, model.state_dict(), card)
    with pytest.raises(InputError, match="do not fit"):
        model_from_checkpoint(path)


def test_a_size_at_odds_with_the_card_is_refused(saved: tuple[Path, Mmrphys]) -> None:
    assert model_from_checkpoint(saved[0], size=9).spec.size == 9
    with pytest.raises(UsageError, match="size 9, asked for 36"):
        model_from_checkpoint(saved[0], size=36)


# ------------------------------------------------------------------------------------------------ published files


def reference_state(model: Mmrphys) -> dict[str, torch.Tensor]:
    """The weights under the published names, wrapped as published, with tensors that inference does not use."""
    names = (
        ("bvp.features.", "bvp_feature_extractor.bvp_feature_extractor."),
        ("bvp.head.", "rppg_head.conv_layer."),
        ("bvp.final.", "rppg_head.final_layer."),
        ("rsp.features.", "rsp_feature_extractor.rsp_feature_extractor."),
        ("rsp.head.", "rBr_head.conv_block."),
        ("rsp.final.", "rBr_head.final_layer."),
    )
    state = {"module.rppg_head.fsam.pre_conv_block.0.weight": torch.zeros(1), "module.rBP_head.x": torch.zeros(1)}
    for key, value in model.state_dict().items():
        for ours, theirs in names:
            if key.startswith(ours):
                name = theirs + key.removeprefix(ours).replace(".conv.weight", ".conv_block_3d.0.weight")
                state[f"module.{name}"] = value.half()
    return state


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_published_checkpoint_is_read_by_its_names(tmp_path: Path, wrapped: bool) -> None:
    model = Mmrphys(ModelSpec(36, "EF", 1))
    state = reference_state(model)
    path = tmp_path / "BP4D_MMRPhysMEF_BVP_RSP_Tx180x36_Base.pth"
    torch.save({"model_state_dict": state, "precision": "half"} if wrapped else state, path)
    again = model_from_checkpoint(path)
    assert again.spec == model.spec
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours.half().float(), theirs)


def test_the_size_is_asked_for_when_the_name_does_not_tell_and_must_agree_when_it_does(tmp_path: Path) -> None:
    state = reference_state(Mmrphys(ModelSpec(9, "NF", 4)))
    silent, telling = tmp_path / "weights.pth", tmp_path / "MMRPhysSNF_RGBTx180x9_x.pth"
    for path in (silent, telling):
        torch.save(state, path)
    with pytest.raises(UsageError, match="cannot be told"):
        model_from_checkpoint(silent)
    assert model_from_checkpoint(silent, size=9).spec == ModelSpec(9, "NF", 4)
    with pytest.raises(UsageError, match="name says size 9, asked for 72"):
        model_from_checkpoint(telling, size=72)


class Harmful:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.place,)


def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "x9.pth", tmp_path / "trace"
    torch.save({"weight": Harmful(trace)}, path)
    with pytest.raises(InputError, match="never run"):
        model_from_checkpoint(path, size=9)
    path.write_bytes(pickle.dumps(Harmful(trace)))
    with pytest.raises(InputError, match="never run"):
        model_from_checkpoint(path, size=9)
    assert not trace.exists()


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], {"something.weight": torch.zeros(3)}])
def test_a_foreign_pth_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "x9_.pth"
    torch.save(content, path)
    with pytest.raises(InputError):
        model_from_checkpoint(path, size=9)


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
