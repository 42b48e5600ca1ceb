from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from fakes.published import published_state

from edge.bundle import SELFTEST
from edge.cli import main
from edge.errors import InputError, UsageError
from edge.runtimes.onnxrt import open_runtime
from edge.selftest import selftest_from_npz
from export.pack import bundle_from_checkpoint
from training.checkpoint import load_card, model_from_checkpoint
from training.feeding import Feeding
from training.importing import Answers, import_checkpoint
from training.model import Mmrphys, ModelSpec

NAME = "BP4D_MMRPhysSNF_BVP_RSP_RGBTx180x9_FSAM_Fold1_Epoch4"


def published(folder: Path, spec: ModelSpec, name: str = NAME) -> tuple[Path, Mmrphys]:
    torch.manual_seed(3)
    model = Mmrphys(spec).eval()
    path = folder / f"{name}.pth"
    torch.save(published_state(model), path)
    return path, model


def clip(spec: ModelSpec, frames: int, seed: int = 5) -> npt.NDArray[np.float32]:
    """RGB of 0..255 as whole numbers, thermal in degC."""
    rng = np.random.default_rng(seed)
    rgb = np.rint(rng.uniform(20, 230, (1, 3, frames, spec.size, spec.size)))
    thermal = (30 + rng.normal(0, 0.5, (1, 1, frames, spec.size, spec.size))).astype(np.float16)
    held = {1: [thermal], 3: [rgb], 4: [rgb, thermal]}[spec.channels]
    return np.concatenate(held, axis=1).astype(np.float32)


def outputs(model: Mmrphys, frames: npt.NDArray[np.float32]) -> dict[str, Any]:
    with torch.inference_mode():
        return {task: wave.numpy() for task, wave in model(torch.from_numpy(frames)).items()}


# --------------------------------------------------------------------------------------------------- what becomes of it


def test_an_imported_checkpoint_computes_the_same_and_says_where_it_is_from(tmp_path: Path) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    done = import_checkpoint(path, tmp_path / "out", Answers())
    assert done.path == tmp_path / f"out/{NAME}.safetensors"
    assert (done.card.fps, done.card.frames, done.card.spec) == (25.0, 181, model.spec)
    assert done.card.source["file"] == path.name
    assert {"size 9: from the name", "frames 181: from the name", "fps 25: of the data set in the name"} <= {
        *done.notes
    }
    frames = clip(model.spec, 181)
    for task, wave in outputs(model_from_checkpoint(done.path), frames).items():
        np.testing.assert_array_equal(wave, outputs(model, frames)[task])


def test_what_the_name_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    path, _ = published(tmp_path, ModelSpec(9, "EF", 3), "mine")
    for answers, asked in (
        (Answers(), "size"),
        (Answers(size=9), "--frames"),
        (Answers(size=9, frames=181), "--fps"),
        (Answers(size=9, frames=180, fps=30.0), "multiple of 4"),
    ):
        with pytest.raises(UsageError, match=asked):
            import_checkpoint(path, tmp_path / "out", answers)
    assert not (tmp_path / "out").exists()
    done = import_checkpoint(path, tmp_path / "out", Answers(size=9, frames=61, fps=29.97))
    assert (done.card.frames, done.card.fps, len(done.notes)) == (61, 29.97, 1)


@pytest.mark.parametrize(("spec", "becomes"), [
    (ModelSpec(9, "NF", 4), ModelSpec(9, "EF", 1, ("rsp",))),
    (ModelSpec(9, "LF", 4), ModelSpec(9, "LF", 4, ("rsp",))),
])  # fmt: skip
def test_a_branch_that_the_name_does_not_claim_is_left_out(tmp_path: Path, spec: ModelSpec, becomes: ModelSpec) -> None:
    path, model = published(tmp_path, spec, f"BP4D_MMRPhysS{spec.fusion}_RSP_RGBTx180x9_FSAM")
    done = import_checkpoint(path, tmp_path / "out", Answers())
    assert done.card.spec == becomes
    assert any("left out: bvp" in note for note in done.notes)
    again = model_from_checkpoint(done.path)
    frames = clip(model.spec, 25)
    np.testing.assert_array_equal(outputs(again, frames)["rsp"], outputs(model, frames)["rsp"])


def test_a_name_at_odds_with_the_tensors_is_refused(tmp_path: Path) -> None:
    path, _ = published(tmp_path, ModelSpec(9, "EF", 3, ("bvp",)), "BP4D_MMRPhysSEF_BVP_RSP_RGBx180x9")
    with pytest.raises(InputError, match="rename it"):
        import_checkpoint(path, tmp_path, Answers())


# ------------------------------------------------------------------------------------------- how it was fed in training


def fed(frames: npt.NDArray[np.float32], feeding: Feeding) -> npt.NDArray[np.float64]:
    """``frames`` as a training with ``feeding`` would see them."""
    given = frames.astype(np.float64)
    colours = given.shape[1] // 3 * 3
    if feeding.channel_order == "bgr":
        given[:, :colours] = given[:, :colours][:, ::-1]
    given[:, :colours] *= feeding.input_scale / 255
    if feeding.thermal_unit != "celsius":
        given[:, colours:] = (given[:, colours:] + 273.15) * (100 if feeding.thermal_unit == "centikelvin" else 1)
    return given


@pytest.mark.parametrize("feeding", [
    Feeding(input_scale=1), Feeding(channel_order="bgr"), Feeding(thermal_unit="kelvin"),
    Feeding(input_scale=1, channel_order="bgr", thermal_unit="centikelvin"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("spec", [ModelSpec(9, "NF", 4), ModelSpec(9, "LF", 4), ModelSpec(9, "EF", 4)], ids=str)
def test_weights_trained_in_another_convention_give_the_same_from_ours(
    tmp_path: Path, spec: ModelSpec, feeding: Feeding
) -> None:
    path, model = published(tmp_path, spec)
    frames = clip(spec, 61)
    golden = tmp_path / "io.npz"
    given = fed(frames, feeding)
    waves = outputs(model, given.astype(np.float32))
    np.savez(golden, input=given, **waves)
    done = import_checkpoint(path, tmp_path / "out", Answers(frames=61, feeding=feeding), golden)
    again = outputs(model_from_checkpoint(done.path), frames)
    for task, wave in waves.items():
        np.testing.assert_allclose(again[task], wave, rtol=0, atol=1e-4 * wave.std())
    held = np.load(tmp_path / "out" / done.card.golden)
    np.testing.assert_allclose(np.concatenate([held["rgb"], held["thermal"]], axis=1), frames, atol=1e-4)


@pytest.mark.parametrize(
    ("feeding", "says"),
    [
        (Feeding(input_scale=1), "RGB values are 2. to 2..; do they fit the --input-scale"),
        (Feeding(thermal_unit="kelvin"), "thermal values are .* --thermal-unit"),
    ],
)
def test_a_golden_pair_out_of_the_range_of_its_convention_is_refused(
    tmp_path: Path, feeding: Feeding, says: str
) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    frames = clip(model.spec, 181)
    np.savez(tmp_path / "io.npz", input=frames, **outputs(model, frames))
    with pytest.raises(InputError, match=says):
        import_checkpoint(path, tmp_path / "out", Answers(feeding=feeding), tmp_path / "io.npz")


# --------------------------------------------------------------------------------------------------------------- golden


def test_a_golden_pair_is_kept_as_small_as_it_goes_and_stands_in_the_card(tmp_path: Path) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    frames = clip(model.spec, 181)
    waves = outputs(model, frames)
    np.savez(tmp_path / "io.npz", input=frames[0], rPPG=waves["bvp"][0], rRSP=waves["rsp"])
    done = import_checkpoint(path, tmp_path / "out", Answers(), tmp_path / "io.npz")
    assert load_card(done.path).golden == f"{NAME}.golden.npz"
    held = np.load(tmp_path / "out" / done.card.golden)
    assert (held["rgb"].dtype, held["thermal"].dtype) == (np.uint8, np.float16)
    np.testing.assert_array_equal(held["bvp"], waves["bvp"])


def damaged_golden(kind: str, frames: npt.NDArray[np.float32], waves: dict[str, Any], path: Path) -> None:
    arrays: dict[str, Any] = {"input": frames, **waves}
    if kind == "off":
        arrays["rsp"] = arrays["rsp"] + 1e-3 * arrays["rsp"].std()
    elif kind == "short":
        arrays["input"] = frames[:, :, :-4]
    elif kind == "small":
        arrays["input"] = frames[..., :8]
    elif kind == "lacking":
        del arrays["rsp"]
    elif kind == "nan":
        arrays["input"] = np.full_like(frames, np.nan)
    elif kind == "constant":
        arrays["bvp"] = np.zeros_like(arrays["bvp"])
    elif kind == "objects":
        arrays["input"] = np.array([{"a": 1}], object)
    np.savez(path, **arrays)
    if kind == "torn":
        path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(("kind", "says"), [
    ("off", "differs from its outputs by 1.0e-03"), ("short", "a clip of 177 frames, .* give --frames 177"),
    ("small", "wanted .*181, 9, 9"), ("lacking", "no array 'rsp'"),
    ("nan", "not finite"), ("constant", "bvp is constant"), ("objects", "not an .npz of plain arrays"),
    ("torn", "not an .npz of plain arrays"),
])  # fmt: skip
def test_a_golden_pair_that_proves_nothing_is_refused_and_nothing_written(tmp_path: Path, kind: str, says: str) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    frames = clip(model.spec, 181)
    damaged_golden(kind, frames, outputs(model, frames), tmp_path / "io.npz")
    with pytest.raises(InputError, match=says):
        import_checkpoint(path, tmp_path / "out", Answers(), tmp_path / "io.npz")
    assert not (tmp_path / "out").exists()


def test_a_damaged_golden_pair_is_refused_or_harmless(tmp_path: Path) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    frames, golden = clip(model.spec, 181), tmp_path / "io.npz"
    np.savez_compressed(golden, input=frames.astype(np.float16), **outputs(model, frames))
    whole, rng, refused = golden.read_bytes(), np.random.default_rng(2), 0
    for place, bit in zip(rng.integers(len(whole), size=40), rng.integers(8, size=40), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        golden.write_bytes(damaged)
        try:
            import_checkpoint(path, tmp_path / "out", Answers(), golden)
        except InputError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("name", [
    "BP4D_MMRPhysSEF_BVP_RSP_Tx180x9_Base_Fold1_Epoch4", "BP4D_MMRPhysSNF_BVP_RSP_RGBTx180x9_FSAM_Fold1_Epoch4",
    "BP4D_MMRPhysMEF_BVP_RSP_RGBx180x36_FSAM_Fold1_Epoch4", "SCAMPS_MultiTask_72x72",
    "BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72_SFSAM_Label_Fold1_Epoch4",
    "iBVP_MMRPhys_SFSAM_Label_Epoch9", "UBFC-rPPG_FactorizePhys_SFSAM_Label_Epoch9",
])  # fmt: skip
def test_a_published_checkpoint_becomes_a_bundle_that_tests_itself_with_its_own_pair(
    shared_dir: Path, tmp_path: Path, name: str
) -> None:
    """From the authors' file to a runtime: what is imported, exported and opened gives the golden outputs."""
    pair = shared_dir / f"reference/golden/{name}.npz"
    held = np.load(pair)
    answers = Answers(frames=held["input"].shape[2])
    done = import_checkpoint(pair.with_suffix(".pth"), tmp_path, answers, pair)
    bundle = bundle_from_checkpoint(done.path, tmp_path / "bundle").bundle
    test = selftest_from_npz(bundle.files[SELFTEST], bundle.channels, bundle.tasks, bundle.frames, bundle.size)
    np.testing.assert_array_equal(test.frames, held["input"].astype(np.float32))
    with contextlib.closing(open_runtime(bundle, "exact", "auto")) as runtime:
        waves = runtime.infer(test.frames)
    for task, wave in waves.items():
        assert np.abs(wave - held[task]).max() <= 1e-4 * held[task].std()


# -------------------------------------------------------------------------------------------------------------- command


def test_the_command_prints_what_it_inferred_and_its_errors_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = published(tmp_path, ModelSpec(9, "NF", 4))
    frames = clip(model.spec, 181)
    np.savez(tmp_path / "io.npz", input=frames, **outputs(model, frames))
    line = ["import", str(path), "--out", str(tmp_path / "out"), "--golden", str(tmp_path / "io.npz")]
    assert main(line) == 0
    assert "fps 25: of the data set in the name" in capsys.readouterr().out
    assert main([*line, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["golden"] == f"{NAME}.golden.npz"
    assert "golden: outputs match" in shown.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--size", "12"], 2, "--size 12"),
        (["--fps", "0"], 2, "--fps 0"),
        (["--frames", "0"], 2, "--frames 0"),
        (["--frames", "100001"], 2, "want 9 to 3601"),
        (["--channel-order", "gbr"], 2, "gbr"),
        (["--out", "/proc/nowhere"], 2, "name a folder you may write to"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, says: str
) -> None:
    path, _ = published(tmp_path, ModelSpec(9, "NF", 4))
    assert main(["import", str(path), "--out", str(tmp_path / "out"), *options]) == code
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_files_of_the_other_kind_are_pointed_to_the_right_command(tmp_path: Path) -> None:
    path, _ = published(tmp_path, ModelSpec(9, "NF", 4))
    done = import_checkpoint(path, tmp_path / "out", Answers())
    with pytest.raises(InputError, match="give it to mmrphys export"):
        import_checkpoint(done.path, tmp_path / "out", Answers())
    with pytest.raises(InputError, match="mmrphys import"):
        bundle_from_checkpoint(path, tmp_path / "bundle")


def test_another_checkpoint_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    path, _ = published(tmp_path, ModelSpec(9, "NF", 4))
    done = import_checkpoint(path, tmp_path / "out", Answers())
    assert import_checkpoint(path, tmp_path / "out", Answers(fps=30.0)).card.fps == 30.0
    torch.save(published_state(Mmrphys(ModelSpec(9, "NF", 4))), path)
    with pytest.raises(UsageError, match="another checkpoint of this name"):
        import_checkpoint(path, tmp_path / "out", Answers())
    assert load_card(done.path).fps == 30.0
