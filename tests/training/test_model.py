from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from training.attention import AttentionSpec
from training.model import GEOMETRIES, Mmrphys, ModelSpec, layer_sides

# parameters without attention, as published for each layout
PARAMETERS = {("EF", 3): 87_600, ("EF", 1): 86_304, ("EF", 4): 88_248, ("NF", 4): 86_736, ("LF", 4): 174_648}


@pytest.mark.parametrize(
    ("geometry", "task", "size"), [(name, *key) for name, table in GEOMETRIES.items() for key in table]
)
def test_every_branch_ends_with_one_pixel(geometry: str, task: str, size: int) -> None:
    assert layer_sides(GEOMETRIES[geometry][task, size], size)[-1] == 1


@pytest.mark.parametrize("reach", ["short", "long"])
@pytest.mark.parametrize("size", [9, 36, 72])
@pytest.mark.parametrize(("fusion", "channels"), PARAMETERS)
def test_parameters_are_as_many_as_published(size: int, fusion: str, channels: int, reach: str) -> None:
    model = Mmrphys(ModelSpec(size, fusion, channels, reach=reach))
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS[fusion, channels]


@pytest.mark.parametrize(
    ("spec", "without", "attention"),
    [
        (ModelSpec(72, "EF", 3, ("bvp",)), 37_152, 328),
        (ModelSpec(72, "EF", 3), 87_600, 656),
        (ModelSpec(72, "LF", 4), 174_648, 1_168),
        (ModelSpec(72, "EF", 3, ("bvp",), geometry="factorizephys"), 51_840, 328),
    ],
    ids=str,
)
def test_attention_adds_as_many_parameters_as_published(spec: ModelSpec, without: int, attention: int) -> None:
    counts = [sum(weight.numel() for weight in Mmrphys(spec, a).parameters()) for a in (None, AttentionSpec())]
    assert counts == [without, without + attention]


@pytest.mark.parametrize(("reach", "frames"), [("short", 19), ("long", 39)])
def test_how_far_a_sample_of_bvp_sees(reach: str, frames: int) -> None:
    """Through the convolutions alone: norms look at the whole window."""
    model = Mmrphys(ModelSpec(9, "EF", 3, ("bvp",), reach)).eval()
    difference = torch.rand(1, 3, 120, 9, 9, requires_grad=True)
    for module in model.modules():
        if isinstance(module, torch.nn.InstanceNorm3d):
            module.forward = lambda x: x  # type: ignore[method-assign]
    model.bvp(difference)[0, 60].backward()
    seen = difference.grad.abs().sum(dim=(0, 1, 3, 4)).nonzero()[:, 0]
    assert (int(seen[0]), int(seen[-1])) == (60 - frames // 2, 60 + frames // 2)


@pytest.mark.parametrize("tasks", [("bvp",), ("rsp",), ("bvp", "rsp")])
def test_a_model_gives_the_tasks_it_has(tasks: tuple[str, ...]) -> None:
    waves = Mmrphys(ModelSpec(9, "EF", 3, tasks)).eval()(255 * torch.rand(2, 3, 25, 9, 9))
    assert {task: wave.shape for task, wave in waves.items()} == dict.fromkeys(tasks, (2, 24))


def test_without_fusion_each_branch_sees_its_own_modality() -> None:
    model = Mmrphys(ModelSpec(9, "NF", 4)).eval()
    clip = 255 * torch.rand(1, 4, 25, 9, 9)
    other_thermal, other_rgb = clip.clone(), clip.clone()
    other_thermal[:, 3] = 30 + torch.rand(1, 25, 9, 9)
    other_rgb[:, :3] = 255 * torch.rand(1, 3, 25, 9, 9)
    with torch.inference_mode():
        waves, thermal_changed, rgb_changed = (model(x) for x in (clip, other_thermal, other_rgb))
    torch.testing.assert_close(waves["bvp"], thermal_changed["bvp"])
    torch.testing.assert_close(waves["rsp"], rgb_changed["rsp"])
    assert not torch.allclose(waves["rsp"], thermal_changed["rsp"])
    assert not torch.allclose(waves["bvp"], rgb_changed["bvp"])


def test_with_late_fusion_each_branch_sees_both_modalities() -> None:
    model = Mmrphys(ModelSpec(9, "LF", 4)).eval()
    clip = 255 * torch.rand(1, 4, 25, 9, 9)
    other_thermal, other_rgb = clip.clone(), clip.clone()
    other_thermal[:, 3] = 30 + torch.rand(1, 25, 9, 9)
    other_rgb[:, :3] = 255 * torch.rand(1, 3, 25, 9, 9)
    with torch.inference_mode():
        waves, *changed = (model(x) for x in (clip, other_thermal, other_rgb))
    for task, other in itertools.product(("bvp", "rsp"), changed):
        assert not torch.allclose(waves[task], other[task])


def test_a_clip_that_is_not_numbers_gives_no_numbers_and_leaves_its_neighbours_alone() -> None:
    model = Mmrphys(ModelSpec(9, "NF", 4)).eval()
    clips = 255 * torch.rand(3, 4, 25, 9, 9)
    with torch.inference_mode():
        sound = model(clips)
        clips[1] = float("nan")
        clips[2, 3, 7, 4, 4] = float("nan")
        waves = model(clips)
    assert waves["bvp"][1].isnan().all()
    assert waves["rsp"][1:].isnan().all()
    torch.testing.assert_close(waves["bvp"][::2], sound["bvp"][::2])
    torch.testing.assert_close(waves["rsp"][0], sound["rsp"][0])


@pytest.mark.parametrize(
    ("spec", "scale"), [(ModelSpec(9, "EF", 4), (1 / 255, 100.0)), (ModelSpec(9, "EF", 1), (2.0, 0.01))]
)
def test_the_input_scale_is_what_the_weights_see(spec: ModelSpec, scale: tuple[float, float]) -> None:
    model, scaled = Mmrphys(spec).eval(), Mmrphys(replace(spec, input_scale=scale)).eval()
    scaled.load_state_dict(model.state_dict())
    clip = 30 + torch.rand(1, spec.channels, 25, 9, 9)
    factors = torch.tensor([*[scale[0]] * (spec.channels - 1), scale[1]])[:, None, None, None]
    with torch.inference_mode():
        torch.testing.assert_close(scaled(clip), model(clip * factors), rtol=1e-3, atol=1e-4)
        assert not torch.allclose(scaled(clip)["bvp"], model(clip)["bvp"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("channels", "taken"), [(3, slice(0, 3)), (1, slice(3, 4))])
def test_a_four_channel_clip_may_be_handed_to_any_model(channels: int, taken: slice) -> None:
    model = Mmrphys(ModelSpec(9, "EF", channels)).eval()
    clip = 255 * torch.rand(1, 4, 25, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(model(clip), model(clip[:, taken]))


def test_the_scale_of_the_input_does_not_matter_far_above_epsilon_and_its_offset_never() -> None:
    model = Mmrphys(ModelSpec(9, "EF", 1)).eval()
    clip = 255 * torch.rand(1, 1, 25, 9, 9, dtype=torch.float64)
    model = model.double()
    with torch.inference_mode():
        wave, moved, scaled = (model(x)["bvp"] for x in (clip, clip + 40.0, 2.0 * clip))
    torch.testing.assert_close(wave, moved)
    torch.testing.assert_close(wave, scaled, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 3, 25, 8, 9), "9, 9"),
        ((3, 25, 9, 9), "B, C, F"),
        ((1, 2, 25, 9, 9), "3 channels"),
        ((1, 3, 26, 9, 9), "multiple of 4"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Mmrphys(ModelSpec(9, "EF", 3))(torch.zeros(shape))


def test_a_length_that_is_no_multiple_of_4_is_fine_without_rsp() -> None:
    assert Mmrphys(ModelSpec(9, "EF", 3, ("bvp",)))(255 * torch.rand(1, 3, 24, 9, 9))["bvp"].shape == (1, 23)


@pytest.mark.parametrize(
    ("size", "fusion", "channels", "tasks"),
    [
        (10, "EF", 3, ("bvp",)),
        (9, "LF", 3, ("bvp",)),
        (9, "NF", 3, ("bvp",)),
        (9, "EF", 2, ("bvp",)),
        (9, "EF", 3, ()),
        (9, "EF", 3, ("rsp", "bvp")),
    ],
)
def test_a_specification_outside_the_tables_is_refused(
    size: int, fusion: str, channels: int, tasks: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="seen"):
        ModelSpec(size, fusion, channels, tasks)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tasks": ("bvp", "bp")}, "blood pressure is out of scope"),
        ({"tasks": ("SBP",)}, "blood pressure is out of scope"),
        ({"geometry": "padded_stem"}, "padded_stem' has bvp at 72 only; seen rsp at 72"),
        ({"geometry": "factorizephys", "tasks": ("bvp",), "size": 36}, "seen bvp at 36"),
        ({"geometry": "factorizephys", "tasks": ("bvp",), "fusion": "NF", "channels": 4}, "fusion 'EF'"),
        ({"geometry": "padded_stem", "tasks": ("bvp",), "reach": "long"}, "reach 'short' only"),
        ({"geometry": "newer"}, "geometry is one of current, padded_stem, factorizephys"),
        ({"input_scale": (0.0, 1.0)}, "factors above 0"),
        ({"input_scale": (float("nan"), 1.0)}, "factors above 0"),
    ],
)
def test_what_is_not_built_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModelSpec(**{"size": 72, "fusion": "EF", "channels": 3, **given})
