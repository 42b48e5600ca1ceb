from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge.errors import InputError, UsageError
from training.attention import AttentionSpec
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
        (b'"size": 9', b'"size": 10', "not a model of this version"),
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


def test_a_half_precision_checkpoint_is_read_as_float32(saved: tuple[Path, Mmrphys]) -> None:
    path, model = saved
    _, card = load_checkpoint(path)
    save_checkpoint(path, {key: value.half() for key, value in model.state_dict().items()}, card)
    state, _ = load_checkpoint(path)
    assert {value.dtype for value in state.values()} == {torch.float32}
    again = model_from_checkpoint(path)
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours.half().float(), theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(36, "LF", 4, ("rsp",)),
        ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
        ModelSpec(72, "EF", 1, ("bvp",), geometry="factorizephys"),
        ModelSpec(9, "NF", 4, reach="long", input_scale=(1 / 255, 100.0)),
    ],
    ids=str,
)
def test_a_card_holds_the_whole_specification(tmp_path: Path, spec: ModelSpec) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Mmrphys(spec).state_dict(), Card(name="t", fps=25.0, frames=161, **spec.as_dict()))
    assert model_from_checkpoint(str(path)).spec == spec


def test_trained_attention_is_kept_and_left_out_at_inference(tmp_path: Path) -> None:
    path, attention = tmp_path / "model.safetensors", AttentionSpec()
    model = Mmrphys(SPEC, attention).eval()
    save_checkpoint(path, model.state_dict(), Card(name="t", fps=30.0, frames=25, **SPEC.as_dict()))
    assert not any("attention" in key for key in model_from_checkpoint(path).state_dict())
    again = model_from_checkpoint(path, attention=attention)
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_attention_that_was_not_trained_is_not_invented(saved: tuple[Path, Mmrphys]) -> None:
    with pytest.raises(InputError, match="without attention"):
        model_from_checkpoint(saved[0], attention=AttentionSpec())


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
