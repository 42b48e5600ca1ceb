from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from edge.errors import UsageError
from training.attention import AttentionSpec
from training.losses import LOSSES
from training.model import ModelSpec
from training.recipe import (
    AttentionChoice,
    ModelChoice,
    Recipe,
    preset_from_toml,
    preset_names,
    preset_with,
)


@pytest.mark.parametrize("name", preset_names())
def test_presets_that_come_with_the_package_are_well_formed(name: str) -> None:
    assert preset_from_toml(name).name == name


def test_quick_is_the_no_fusion_model_at_9() -> None:
    model = preset_from_toml("quick").model
    assert (model.size, model.fusion, model.channels, model.tasks) == (9, "NF", 4, ("bvp", "rsp"))


def test_published_is_the_published_method() -> None:
    preset = preset_from_toml("published")
    assert preset.attention == AttentionChoice(kind="tsfm", layout="memory", minima="batch", steps=4)
    (recipe,) = preset.parts.values()
    assert (recipe.loss, recipe.learning_rate, recipe.batch) == ("smooth_l1", 1e-3, 4)
    assert recipe.steps * recipe.batch == 5 * preset.data.recordings


@pytest.mark.parametrize(("choice", "spec"), [(ModelChoice, ModelSpec), (AttentionChoice, AttentionSpec)])
def test_a_choice_has_the_fields_of_its_specification(choice: type[msgspec.Struct], spec: Any) -> None:
    """A preset must name the tasks."""
    chosen = {field.name: field.default for field in msgspec.structs.fields(choice)}
    specified = {field.name: field.default for field in fields(spec)}
    assert chosen.keys() == specified.keys()
    given = {name for name, default in chosen.items() if default is not msgspec.NODEFAULT}
    assert {name for name, default in specified.items() if default is not MISSING} - given <= {"tasks"}
    assert {name: chosen[name] for name in given} == {name: specified[name] for name in given}


def test_the_words_of_an_attention_are_those_of_its_specification() -> None:
    chosen, specified = get_type_hints(AttentionChoice), get_type_hints(AttentionSpec)
    words = {name: get_args(kind) for name, kind in specified.items() if get_args(kind)}
    assert len(words) == 5
    assert {name: get_args(chosen[name]) for name in words} == words


def test_the_losses_of_a_recipe_are_those_there_are() -> None:
    assert get_args(get_type_hints(Recipe)["loss"]) == tuple(LOSSES)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="'quik'; did you mean 'quick'"):
        preset_from_toml("quik")


def test_settings_change_values_anywhere() -> None:
    changed = preset_with(
        preset_from_toml("quick"),
        ["data.recordings=7", "parts.bvp.loss=smooth_l1", "data.hr=[50.0, 60.0]", "name=mine"],
    )
    assert (changed.data.recordings, changed.parts["bvp"].loss, changed.data.hr) == (7, "smooth_l1", (50.0, 60.0))
    assert changed.name == "mine"
    assert changed.parts["rsp"] == preset_from_toml("quick").parts["rsp"]


def test_attention_is_switched_on_in_a_preset_without_and_off_in_one_with() -> None:
    without = preset_from_toml("quick")
    assert without.attention is None
    assert preset_with(without, ["attention.kind=tsfm"]).attention == AttentionChoice()
    one, other = preset_with(without, ["attention.kind=fsam", "attention.layout=memory"]), AttentionChoice(kind="fsam")
    assert one.attention == msgspec.structs.replace(other, layout="memory")
    assert preset_with(preset_from_toml("published"), ["attention=none"]).attention is None


def test_a_setting_may_name_a_part_of_two_branches() -> None:
    changed = preset_with(preset_from_toml("published"), ["parts.bvp+rsp.precision=half"])
    assert changed.parts["bvp+rsp"].precision == "half"


def test_none_is_an_absent_value() -> None:
    seeded = preset_with(preset_from_toml("quick"), ["data.seed=7"])
    assert preset_with(seeded, ["data.seed=none"]) == preset_from_toml("quick")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("data.recording=7", "no key 'data.recording'; did you mean 'recordings'"),
        ("parts.bvp.step=7", "no key 'parts.bvp.step'; did you mean 'steps'"),
        ("dat.recordings=7", "no section 'dat'; did you mean 'data'"),
        ("data.recordings", "no '='"),
        ("data.recordings=many", "--set"),
        ("data.recordings=0", "--set"),
        ("name=../elsewhere", "--set"),
        ("parts.bvp.loss=mse", "--set"),
        ("parts.bvp.precision=double", "--set"),
        ("attention.kid=tsfm", "no key 'attention.kid'; did you mean 'kind'"),
        ("attention.kind=sfam", "Invalid enum value 'sfam'"),
        ("attention=tsfm", "--set"),
        ("attention.kind.x=1", "no section 'kind'"),
        ("model.fusion=MF", "--set"),
        ("model=none", "--set"),
        ("data.seed.x=1", "--set"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        preset_with(preset_from_toml("quick"), [setting])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "no valid TOML"),
        ("name = 'x'\nmodle = {}", "no key 'modle'; did you mean 'model'"),
        ("name = 'x'", "missing required field `model`"),
        ("name = 'x'\nattention = {kidn = 'tsfm'}", "no key 'attention.kidn'; did you mean 'kind'"),
        ("name = 'x'\nmodel = {tasks = {bvp = 1}}", r"\$.model"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        preset_from_toml(str(path))
