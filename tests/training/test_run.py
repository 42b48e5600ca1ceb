"""A training that was interrupted gives what an uninterrupted one gives."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import training.train
from edge.errors import FaultError, UsageError
from training.attention import AttentionSpec
from training.checkpoint import load_checkpoint, model_from_checkpoint
from training.datasets import Recordings, Windows
from training.model import ModelSpec
from training.recipe import Preset, Recipe, preset_from_toml, preset_with
from training.run import run_training
from training.train import CPU, LEAST_SCALE, PartState, parts_of, train_part, training_device

SPEC = ModelSpec(9, "EF", 3, ("bvp",))
RECIPE = Recipe(steps=8, batch=2)
HALF = Recipe(steps=8, batch=2, precision="half")
BREATH = ModelSpec(9, "EF", 1, ("rsp",))


def noise(folder: Path, channels: int) -> Windows:
    recordings = Recordings.at(folder, (3, channels, 40, 9, 9))
    rng = np.random.default_rng(0)
    recordings.frames[:] = rng.uniform(0, 255, recordings.frames.shape)
    for task in ("bvp", "rsp"):
        recordings.series[task][:] = rng.standard_normal((3, 40))
    return Windows(recordings, 25, slice(0, channels), seed=4)


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    return noise(tmp_path / "data", 3)


def trained(
    path: Path,
    windows: Windows,
    stops: tuple[int, ...],
    recipe: Recipe = RECIPE,
    spec: ModelSpec = SPEC,
    attention: AttentionSpec | None = None,
    scale: float | None = None,
) -> PartState:
    """Train, leaving the program and starting anew at each of ``stops``; the loss scale starts at ``scale``."""
    for stop in (*stops, recipe.steps):
        state = PartState.new(spec, recipe, 4, attention)
        if scale is not None:
            state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
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
    assert_same(whole, parted)


def assert_same(whole: PartState, parted: PartState) -> None:
    assert whole.losses == parted.losses
    assert whole.scaler.state_dict() == parted.scaler.state_dict()
    assert whole.model.state_dict().keys() == parted.model.state_dict().keys()
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, parted.model.state_dict()[key]), key


MODES = {
    "tsfm": (RECIPE, SPEC, AttentionSpec()),
    "fsam as published": (RECIPE, SPEC, AttentionSpec("fsam", "memory", "batch", form="iterative")),
    "half": (HALF, SPEC, None),
    "half with tsfm of all labels": (HALF, SPEC, AttentionSpec(targets="all")),
    "replay": (Recipe(steps=8, batch=2, loss="negative_pearson_batch_axis"), SPEC, AttentionSpec("gaussian")),
    "late fusion": (HALF, ModelSpec(9, "LF", 4), AttentionSpec(layout="memory")),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_way_to_train_resumes_bit_for_bit(tmp_path: Path, mode: str) -> None:
    recipe, spec, attention = MODES[mode]
    windows = noise(tmp_path / "data", spec.channels)
    whole, parted = (
        trained(tmp_path / f"{len(stops)}.pt", windows, stops, recipe, spec, attention) for stops in ((), (3, 5))
    )
    assert_same(whole, parted)
    assert ("bvp.attention.pre.weight" in whole.model.state_dict()) == (attention is not None)


def test_a_scale_at_which_gradients_overflow_is_left_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """In float16, as on a GPU. Batches that overflow change no weight, but the schedule counts them."""
    monkeypatch.setitem(training.train.HALF, "cpu", torch.float16)
    windows = noise(tmp_path / "data", 1)
    recipe = Recipe(steps=6, batch=1, precision="half")
    runs = [
        trained(tmp_path / f"{len(stops)}.pt", windows, stops, recipe, BREATH, scale=2.0**18) for stops in ((), (1, 4))
    ]
    assert_same(*runs)
    assert LEAST_SCALE < runs[0].scaler.get_scale() < 2.0**18
    first = trained(
        tmp_path / "first.pt", windows, (), Recipe(steps=1, batch=1, precision="half"), BREATH, scale=2.0**18
    )
    for key, value in PartState.new(BREATH, recipe, 4).model.state_dict().items():
        assert torch.equal(value, first.model.state_dict()[key]), key
        assert not torch.equal(value, runs[0].model.state_dict()[key]), key
    assert runs[0].schedule.last_epoch == 6
    assert [str(warning.message) for warning in recwarn] == []


def test_gradients_that_overflow_at_any_scale_end_the_training(tmp_path: Path, windows: Windows) -> None:
    state = PartState.new(SPEC, HALF, seed=4)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=4.0 * LEAST_SCALE)
    next(state.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(FaultError, match="overflow at any scale after 3 steps"):
        train_part(state, windows, HALF, 4, tmp_path / "x.pt", lambda _: None, lambda: False)


def test_in_half_precision_gradients_have_at_most_norm_1(tmp_path: Path, windows: Windows) -> None:
    """Those of the last step are still there."""
    norms = {}
    for name, recipe in {"single": RECIPE, "half": HALF}.items():
        model = trained(tmp_path / f"{name}.pt", windows, (7,), recipe).model
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        norms[name] = float(torch.nn.utils.get_total_norm(gradients))
    assert norms["single"] > 1.05
    assert norms["half"] == pytest.approx(1.0, abs=1e-4)


def test_half_precision_trains_the_weights_of_single_precision_nearly(tmp_path: Path, windows: Windows) -> None:
    single, half = (trained(tmp_path / r.precision, windows, (), r) for r in (RECIPE, HALF))
    assert single.losses != half.losses
    np.testing.assert_allclose(half.losses, single.losses, atol=0.05)
    assert {value.dtype for value in half.model.state_dict().values()} == {torch.float32}


def test_the_labels_constrain_what_is_trained(tmp_path: Path, windows: Windows) -> None:
    """One step: the first loss is that of the same weights, with attention that sees one label, two, or none."""
    one = Recipe(steps=1, batch=2)
    attentions = {"own": AttentionSpec(), "all": AttentionSpec(targets="all"), "fsam": AttentionSpec("fsam")}
    losses = {
        name: trained(tmp_path / name, windows, (), one, attention=attention).losses[0]
        for name, attention in attentions.items()
    }
    assert len(set(losses.values())) == 3


def test_training_is_on_the_gpu_where_there_is_one() -> None:
    assert training_device() == (torch.device("cuda") if torch.cuda.is_available() else CPU)
    assert PartState.new(SPEC, RECIPE, seed=4).device == CPU


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
    assert parts_of(ModelSpec(9, "LF", 4)) == {"bvp+rsp": ModelSpec(9, "LF", 4)}
    scaled = parts_of(ModelSpec(9, "NF", 4, reach="long", input_scale=(0.5, 2.0)))["rsp"]
    assert (scaled.reach, scaled.channel_scale) == ("long", (2.0,))


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_attention_and_half_precision_of_a_whole_run_are_in_its_checkpoint(tmp_path: Path) -> None:
    settings = ["attention.kind=tsfm", "parts.bvp.precision=half", "parts.rsp.precision=half", "parts.bvp.steps=2"]
    preset, out = preset_with(tiny(), settings), tmp_path / "run"
    card = run_training(preset, out, 9, lambda *_: None).card
    assert card is not None
    assert card.precision == "half"
    assert card.recipe["attention"]["kind"] == "tsfm"
    stored = safetensors.torch.load_file(out / "quick.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert {"bvp.attention.pre.weight", "rsp.attention.post.2.weight"} <= stored.keys()
    model = model_from_checkpoint(out / "quick.safetensors")
    torch.testing.assert_close(model.state_dict()["rsp.final.2.weight"], stored["rsp.final.2.weight"].float())
    assert not [key for key in model.state_dict() if "attention" in key]


@pytest.mark.slow
def test_a_model_of_late_fusion_trains_as_a_whole(tmp_path: Path) -> None:
    preset = preset_with(
        preset_from_toml("published"),
        [
            "model.fusion=LF", "model.input_scale=[1.0, 2.0]", "data.recordings=2", "data.seconds=1.5",
            "data.validation_recordings=1", "data.validation_seconds=30.5", "data.frames=25", "data.coded=0.0",
            "parts.bvp+rsp.steps=2", "parts.bvp+rsp.batch=2",
        ],
    )  # fmt: skip
    card = run_training(preset, tmp_path, 9, lambda *_: None).card
    assert card is not None
    assert card.spec == ModelSpec(9, "LF", 4, input_scale=(1.0, 2.0))
    assert set(card.metrics) == {"hr", "rr"}
    assert "bvp.thermal.features.0.conv.weight" in safetensors.torch.load_file(tmp_path / "published.safetensors")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.size=10", "size is 9, 36 or 72"),
        ("model.fusion=EF", r"recipes for \['bvp', 'rsp'\]; its model's parts are \['bvp\+rsp'\]"),
        ("data.seconds=0.5", "shorter than 25 frames"),
        ("data.frames=26", "multiple of 4 when RSP is on"),
        ('model.tasks=["bvp", "sbp"]', "blood pressure is out of scope"),
        ("model.geometry=padded", "geometry is one of current, padded_stem"),
        ("model.geometry=padded_stem", "geometry 'padded_stem' has bvp at 72 only; seen bvp at 9"),
        ("model.input_scale=[0.0, 1.0]", "two factors above 0"),
        ("parts.bvp.precision=half", "different precision"),
        ("parts.bvp.loss=negative_pearson_batch_axis", "batch of one clip"),
    ],
)
def test_a_preset_that_does_not_fit_together_is_refused_before_anything_is_written(
    tmp_path: Path, setting: str, says: str
) -> None:
    refused(tmp_path / "run", [setting], says)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["model.geometry=padded_stem", "model.size=72", "model.fusion=EF"], "has bvp at 72 only; seen rsp at 72"),
        (["attention.form=iterative", "attention.targets=all"], "updates knows one target"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused_too(tmp_path: Path, settings: list[str], says: str) -> None:
    refused(tmp_path / "run", settings, says)


def refused(out: Path, settings: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        run_training(preset_with(tiny(), settings), out, 1, lambda *_: None)
    assert str(error.value).startswith("preset 'quick'")
    assert "\n" not in str(error.value)
    assert not out.exists()
