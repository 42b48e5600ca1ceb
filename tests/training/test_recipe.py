from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import UsageError
from training.recipe import preset_from_toml, preset_names, preset_with


@pytest.mark.parametrize("name", preset_names())
def test_presets_that_come_with_the_package_are_well_formed(name: str) -> None:
    assert preset_from_toml(name).name == name


def test_quick_is_the_no_fusion_model_at_9() -> None:
    model = preset_from_toml("quick").model
    assert (model.size, model.fusion, model.channels, model.tasks) == (9, "NF", 4, ("bvp", "rsp"))


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
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        preset_from_toml(str(path))
