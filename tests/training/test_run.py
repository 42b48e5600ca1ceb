"""A training that was interrupted gives what an uninterrupted one gives."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.errors import FaultError, UsageError
from training.checkpoint import load_checkpoint
from training.datasets import Recordings, Windows
from training.model import ModelSpec
from training.recipe import Preset, Recipe, preset_from_toml, preset_with
from training.run import run_training
from training.train import PartState, parts_of, train_part

SPEC = ModelSpec(9, "EF", 3, ("bvp",))
RECIPE = Recipe(steps=8, batch=2)


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    recordings = Recordings.at(tmp_path / "data", (3, 3, 40, 9, 9))
    rng = np.random.default_rng(0)
    recordings.frames[:] = rng.uniform(0, 255, recordings.frames.shape)
    recordings.series["bvp"][:] = rng.standard_normal((3, 40))
    return Windows(recordings, 25, slice(0, 3), seed=4)


def trained(path: Path, windows: Windows, stops: tuple[int, ...], recipe: Recipe = RECIPE) -> PartState:
    """Train, leaving the program and starting anew at each of ``stops``."""
    for stop in (*stops, recipe.steps):
        state = PartState.new(SPEC, recipe, seed=4)
        if path.is_file():
            state.load(path)
        finished = train_part(state, windows, recipe, 4, path, lambda _: None, lambda s=state, n=stop: s.step >= n)
        assert finished == (stop == recipe.steps)
    return state


@pytest.mark.parametrize("stops", [(3,), (1, 2, 7), (0,)])
def test_resumed_weights_and_losses_are_bit_for_bit_those_without_a_stop(
    tmp_path: Path, windows: Windows, stops: tuple[int, ...]
) -> None:
    whole = trained(tmp_path / "whole.pt", windows, ())
    parted = trained(tmp_path / "parted.pt", windows, stops)
    assert whole.losses == parted.losses
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, parted.model.state_dict()[key]), key


def test_training_learns(tmp_path: Path) -> None:
    """A pulse in the green channel alone is found within a few steps."""
    recordings = Recordings.at(tmp_path / "data", (4, 3, 80, 9, 9))
    rng = np.random.default_rng(0)
    for n, hz in enumerate((1.0, 1.3, 1.6, 2.0)):
        pulse = np.sin(2 * np.pi * hz * np.arange(80) / 30.0 + n)
        recordings.frames[n] = 120 + rng.normal(0.0, 0.2, (3, 80, 9, 9))
        recordings.frames[n, 1] -= pulse[:, None, None]
        recordings.series["bvp"][n] = pulse
    windows = Windows(recordings, 61, slice(0, 3), seed=4)
    state = trained(tmp_path / "state.pt", windows, (), Recipe(steps=60, batch=2, learning_rate=3e-3))
    assert state.losses[0] > 0.7
    assert np.mean(state.losses[-5:]) < 0.2


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path, windows: Windows) -> None:
    state = PartState.new(SPEC, RECIPE, seed=4)
    with torch.no_grad():
        next(state.model.parameters())[:] = torch.nan
    with pytest.raises(FaultError, match="lower the learning rate"):
        train_part(state, windows, RECIPE, 4, tmp_path / "x.pt", lambda _: None, lambda: False)


def test_parts_of_a_model_share_nothing() -> None:
    assert parts_of(ModelSpec(9, "NF", 4)) == {
        "bvp": ModelSpec(9, "EF", 3, ("bvp",)),
        "rsp": ModelSpec(9, "EF", 1, ("rsp",)),
    }
    assert parts_of(ModelSpec(36, "EF", 3)) == {"bvp+rsp": ModelSpec(36, "EF", 3)}


# ----------------------------------------------------------------------------------------------------------- whole runs


def tiny() -> Preset:
    return preset_with(
        preset_from_toml("quick"),
        [
            "data.recordings=3",
            "data.seconds=1.5",
            "data.validation_recordings=1",
            "data.validation_seconds=30.5",
            "data.frames=25",
            "parts.bvp.steps=40",
            "parts.bvp.batch=1",
            "parts.rsp.steps=2",
            "parts.rsp.batch=1",
            "data.coded=0.3",
        ],
    )


def test_an_interrupt_saves_and_the_same_call_goes_on(tmp_path: Path) -> None:
    preset, out = tiny(), tmp_path / "run"

    def interrupt(what: str, done: int, _of: int, _remark: str) -> None:
        if what == "bvp" and done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    assert run_training(preset, out, 9, interrupt).card is None
    assert signal.getsignal(signal.SIGINT) is handler
    assert not list(out.glob("*.safetensors"))

    card = run_training(preset, out, 9, lambda *_: None).card
    assert card is not None
    weights, _ = load_checkpoint(out / "quick.safetensors")
    assert {key.split(".")[0] for key in weights} == {"bvp", "rsp"}

    recordings = Recordings.at(out / "data" / "train", (3, 4, 46, 9, 9))
    torch.set_num_threads(1)
    state = PartState.new(SPEC, preset.parts["bvp"], 9)
    windows = Windows(recordings, 25, slice(0, 3), 9)
    train_part(state, windows, preset.parts["bvp"], 9, tmp_path / "alone.pt", lambda _: None, lambda: False)
    for key, value in state.model.state_dict().items():
        assert torch.equal(value, weights[key]), key

    with pytest.raises(UsageError, match="another preset, setting or seed"):
        run_training(preset, out, 10, lambda *_: None)


def test_trainings_of_two_seeds_may_share_their_recordings(tmp_path: Path) -> None:
    preset = preset_with(tiny(), ["data.seed=9", "parts.bvp.steps=2"])
    weights = []
    for seed in (9, 10):
        out = tmp_path / str(seed)
        run_training(preset, out, seed, lambda *_: None)
        weights.append(load_checkpoint(out / "quick.safetensors")[0]["bvp.features.0.conv.weight"])
    first, other = (np.load(tmp_path / seed / "data/train/frames.npy") for seed in ("9", "10"))
    np.testing.assert_array_equal(first, other)
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.size=10", "size is 9, 36 or 72"),
        ("model.fusion=EF", r"recipes for \['bvp', 'rsp'\]; its model's parts are \['bvp\+rsp'\]"),
        ("data.seconds=0.5", "shorter than 25 frames"),
    ],
)
def test_a_preset_that_does_not_fit_together_is_refused_before_anything_is_written(
    tmp_path: Path, setting: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        run_training(preset_with(tiny(), [setting]), tmp_path / "run", 1, lambda *_: None)
    assert not (tmp_path / "run").exists()
