from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes.published import published_state
from torch import Tensor

from edge.errors import InputError, UsageError
from training.attention import AttentionSpec
from training.checkpoint import model_from_checkpoint
from training.model import Mmrphys, ModelSpec
from training.reference import NameTokens, published_from_pth, tokens_from_name

FAMILIES = {
    "BP4D_MMRPhysSEF_BVP_RSP_RGBx180x9_Base_Fold1_Epoch4": ModelSpec(9, "EF", 3),
    "BP4D_MMRPhysMEF_BVP_RSP_Tx180x36_Base": ModelSpec(36, "EF", 1),
    "SCAMPS_MMRPhysLEF_RSP_RGBTx180x72_Epoch0": ModelSpec(72, "EF", 4, ("rsp",)),
    "BP4D_MMRPhysMNF_BVP_RSP_RGBTx180x36_FSAM": ModelSpec(36, "NF", 4),
    "BP4D_MMRPhysLLF_BVP_RSP_RGBTx180x72_SFSAM_Label_Fold1_Epoch4": ModelSpec(72, "LF", 4),
    "BP4D_MMRPhysSLF_BVP_RSP_RGBTx180x9_SFSAM_Label": ModelSpec(9, "LF", 4),
    "PURE_MMRPhys_SFSAM_Label_Epoch9": ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
    "UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9": ModelSpec(72, "EF", 3, ("bvp",)),
    "PURE_FactorizePhys_FSAM_Res_Epoch9": ModelSpec(72, "EF", 3, ("bvp",), geometry="factorizephys"),
}


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


# --------------------------------------------------------------------------------------------------- what is recognised


@pytest.mark.parametrize("attended", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_recognised_by_its_names(tmp_path: Path, name: str, attended: bool) -> None:
    model = Mmrphys(FAMILIES[name], AttentionSpec() if attended else None)
    read = published_from_pth(saved(tmp_path / f"{name}.pth", published_state(model)))
    assert (read.spec, read.dropped, read.doubts, read.is_half) == (model.spec, (), (), False)
    torch.testing.assert_close(read.state, dict(model.state_dict()), rtol=0, atol=0)


def test_the_older_layout_of_factorizephys_is_read_with_a_doubt(tmp_path: Path) -> None:
    model = Mmrphys(FAMILIES["PURE_FactorizePhys_FSAM_Res_Epoch9"])
    path = saved(tmp_path / "PURE_MMRPhys_Base_Epoch9.pth", published_state(model, older=True))
    with pytest.warns(UserWarning, match=r"PURE_MMRPhys_Base_Epoch9\.pth: .*unverified"):
        again = model_from_checkpoint(path)
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("wrapper", ["model_state_dict", "state_dict"])
def test_half_precision_and_wrappers_are_taken_off(tmp_path: Path, wrapper: str) -> None:
    model = Mmrphys(ModelSpec(36, "EF", 1))
    state = {f"_orig_mod.{key}": value.half() for key, value in published_state(model).items()}
    path = saved(tmp_path / "BP4D_MMRPhysMEF_BVP_RSP_Tx180x36_Base.pth", {wrapper: state, "precision": "half"})
    read = published_from_pth(path)
    assert read.is_half
    for ours, theirs in zip(model.state_dict().values(), read.state.values(), strict=True):
        torch.testing.assert_close(ours.half().float(), theirs)


def test_an_untrained_blood_pressure_head_is_left_out_and_said(tmp_path: Path) -> None:
    state = published_state(Mmrphys(ModelSpec(9, "NF", 4))) | {"module.rBP_head.dense.weight": torch.zeros(2, 3)}
    read = published_from_pth(saved(tmp_path / "MMRPhysSNF_x.pth", state))
    assert read.spec == ModelSpec(9, "NF", 4)
    assert len(read.dropped) == 1
    assert "6 values of a blood-pressure head" in read.dropped[0]


# ------------------------------------------------------------------------------------------------------ what is refused


def without(pattern: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {key: value for key, value in state.items() if not re.search(pattern, key)}


def plus(key: str, *shape: int) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: state | {key: torch.zeros(shape)}


def not_finite(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.fill_(float("nan")) for key, value in state.items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (plus("module.rsp_feature_extractor.rsp_feature_extractor.3.conv_block_3d.0.weight", 1), "superseded"),
        (plus("module.rBr_head.final_layer.3.weight", 1), "superseded"),
        (plus("module.rppg_feature_extractor.FeatureExtractor.0.conv_block_3d.0.weight", 1), "ambiguous"),
        (plus("module.thermal_bvp_feature_extractor.bvp_feature_extractor.0.conv_block_3d.0.weight", 1), "ambiguous"),
        (lambda _: {"module.rBP_head.dense.weight": torch.zeros(2)}, "blood-pressure model, which is out of scope"),
        (lambda _: {"layer.weight": torch.zeros(2)}, "no MMRPhys branch"),
        (without(r"bvp_feature_extractor\.0"), "not whole: its BVP branch has no first convolution"),
        (without("rBr_head.final_layer.2"), r"rsp\.final\.2\.weight: seen nothing, wanted \(1, 16, 3, 4, 4\)"),
        (plus("module.rppg_head.conv_layer.7.weight", 3), r"bvp\.head\.7\.weight: seen \(3,\), wanted nothing"),
        (
            plus("module.rppg_head.final_layer.2.weight", 1, 8, 3, 4, 4),
            r"bvp\.final\.2\.weight: seen \(1, 8, 3, 4, 4\)",
        ),
        (not_finite, "not finite numbers"),
        (lambda state: {key: value.double() * 1e300 for key, value in state.items()}, "not finite numbers"),
        (lambda state: {key: value.to_sparse() for key, value in state.items()}, "named floating-point"),
        (lambda state: {key: value.to("meta") for key, value in state.items()}, "named floating-point"),
        (lambda state: {key: value.to(torch.float8_e4m3fn) for key, value in state.items()}, "named floating-point"),
        (lambda state: {key: value.long() for key, value in state.items()}, "something else than named floating-point"),
        (lambda state: [state], "something else than named tensors"),
        (lambda _: {}, "something else than named tensors"),
    ],
)
def test_a_foreign_ambiguous_or_superseded_file_is_refused_with_the_reason(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], says: str
) -> None:
    path = tmp_path / "BP4D_MMRPhysSNF_BVP_RSP_RGBTx180x9_FSAM.pth"
    torch.save(change(published_state(Mmrphys(ModelSpec(9, "NF", 4)))), path)
    with pytest.raises(InputError, match=says) as raised:
        published_from_pth(path)
    assert "\n" not in str(raised.value)


def test_branches_of_unlike_channels_are_refused(tmp_path: Path) -> None:
    bvp, rsp = (published_state(Mmrphys(ModelSpec(9, "EF", *of))) for of in ((1, ("bvp",)), (3, ("rsp",))))
    with pytest.raises(InputError, match="its branches see 1 and 3 channels, which no MMRPhys model does"):
        published_from_pth(saved(tmp_path / "x9_.pth", bvp | rsp), size=9)


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
    with pytest.raises(InputError, match=r"no archive of torch\.save"):
        model_from_checkpoint(path, size=9)
    assert not trace.exists()


def test_a_file_far_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x9.pth"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(InputError, match="65 MiB"):
        published_from_pth(path, size=9)
    for place in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(InputError, match=r"no such file; name a \.pth file"):
            published_from_pth(place, size=9)


def test_a_file_without_checksums_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "MMRPhysSEF_x.pth"
    torch.save(published_state(Mmrphys(ModelSpec(9, "EF", 3))), path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="save it again"):
        published_from_pth(path)


def test_the_offset_of_attention_that_a_training_on_a_cpu_leaves_is_left_out(tmp_path: Path) -> None:
    model = Mmrphys(ModelSpec(9, "EF", 3), AttentionSpec())
    state = published_state(model) | {f"module.{head}.bias1": torch.ones(()) for head in ("rppg_head", "rBr_head")}
    read = published_from_pth(saved(tmp_path / "MMRPhysSEF_x.pth", state))
    assert set(read.state) == set(model.state_dict())
    assert "rppg_head.bias1" in read.dropped[0]


def test_a_tensor_named_twice_is_ambiguous(tmp_path: Path) -> None:
    state = published_state(Mmrphys(ModelSpec(9, "EF", 3)))
    twice = state | {key.removeprefix("module."): value for key, value in state.items()}
    with pytest.raises(InputError, match="names a tensor twice"):
        published_from_pth(saved(tmp_path / "MMRPhysSEF_x.pth", twice))


def test_damage_anywhere_is_found_or_harmless(tmp_path: Path) -> None:
    """A changed byte gives InputError, or lies where nothing is stored and changes nothing."""
    path = saved(tmp_path / "MMRPhysSNF_x.pth", published_state(Mmrphys(ModelSpec(9, "NF", 4))))
    whole, sound = path.read_bytes(), published_from_pth(path)
    refused, rng = 0, np.random.default_rng(1)
    for place, bit in zip(rng.integers(len(whole), size=150), rng.integers(8, size=150), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            read = published_from_pth(path)
        except InputError:
            refused += 1
        else:
            torch.testing.assert_close(read.state, sound.state, rtol=0, atol=0)
    assert refused > 100
    for length in (0, 1, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            published_from_pth(path)


# ---------------------------------------------------------------------------------------------------------------- names


def test_the_size_is_asked_for_when_the_name_does_not_tell_and_must_agree_when_it_does(tmp_path: Path) -> None:
    state = published_state(Mmrphys(ModelSpec(9, "NF", 4)))
    silent, telling = (saved(tmp_path / name, state) for name in ("weights.pth", "MMRPhysSNF_RGBTx180x9_x.pth"))
    with pytest.raises(UsageError, match="cannot be told"):
        model_from_checkpoint(silent)
    assert model_from_checkpoint(silent, size=9).spec == ModelSpec(9, "NF", 4)
    with pytest.raises(UsageError, match="name says size 9, asked for 72"):
        model_from_checkpoint(telling, size=72)


def test_a_geometry_of_one_size_needs_none_and_refuses_others(tmp_path: Path) -> None:
    spec = ModelSpec(72, "EF", 3, ("bvp",), geometry="factorizephys")
    path = saved(tmp_path / "weights.pth", published_state(Mmrphys(spec)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model_from_checkpoint(path).spec == spec
    with pytest.raises(UsageError, match="FactorizePhys has size 72; asked for 9"):
        model_from_checkpoint(path, size=9)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        (
            "BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72_SFSAM_Label_Fold1_Epoch4.pth",
            NameTokens(72, 181, 25.0, ("bvp", "rsp")),
        ),
        ("BP4D_MMRPhysSNF_BVP_RGBTx500x9_Base.pth", NameTokens(9, 501, 25.0, ("bvp",))),
        ("SCAMPS_MultiTask_72x72.pth", NameTokens(72, None, 30.0)),
        ("UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9.pth", NameTokens(fps=30.0, single=True)),
        ("PURE_FactorizePhys_FSAM_Res.pth", NameTokens(fps=30.0, single=True)),
        ("MMRPhysSNF_RGBTx180x9_x.pth", NameTokens(9, 181)),
        ("RGBx72x9.pth", NameTokens(9, 73)),
        ("MMRPhysScratch.pth", NameTokens()),
        ("MMRPhysMine_best.pth", NameTokens()),
        ("my_own_network.pth", NameTokens()),
        ("night4x9weeks_SCAMPS.pth", NameTokens()),
    ],
)
def test_only_known_tokens_of_a_name_are_read(name: str, tokens: NameTokens) -> None:
    assert tokens_from_name(name) == tokens


def test_a_name_that_tells_two_sizes_is_ambiguous(tmp_path: Path) -> None:
    path = saved(tmp_path / "MMRPhysLEF_BVP_RSP_Tx180x9.pth", published_state(Mmrphys(ModelSpec(9, "EF", 1))))
    with pytest.raises(InputError, match="ambiguous: its name tells several sizes, 9 and 72"):
        model_from_checkpoint(path)


def test_a_single_task_name_tells_the_size_of_single_task_weights_only(tmp_path: Path) -> None:
    single, both = (ModelSpec(72, "EF", 3, ("bvp",)), ModelSpec(9, "EF", 3))
    paths = [saved(tmp_path / name, published_state(Mmrphys(spec))) for name, spec in
             (("PURE_MMRPhys_Epoch9.pth", single), ("my_MMRPhys_model.pth", both))]  # fmt: skip
    assert model_from_checkpoint(paths[0]).spec == single
    with pytest.raises(UsageError, match="cannot be told"):
        model_from_checkpoint(paths[1])
    assert model_from_checkpoint(paths[1], size=9).spec == both
