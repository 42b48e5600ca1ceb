"""The published checkpoints give the published outputs, at inference and in training with attention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.attention import AttentionSpec
from training.checkpoint import model_from_checkpoint
from training.model import Mmrphys

TOLERANCE = 1e-4
"""Of the output's standard deviation."""
NAMES = (
    "BP4D_MMRPhysSEF_BVP_RSP_Tx180x9_Base_Fold1_Epoch4",
    "BP4D_MMRPhysSNF_BVP_RSP_RGBTx180x9_FSAM_Fold1_Epoch4",
    "BP4D_MMRPhysMEF_BVP_RSP_RGBx180x36_FSAM_Fold1_Epoch4",
    "BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72_SFSAM_Label_Fold1_Epoch4",
    "SCAMPS_MMRPhysLEF_BVP_RSP_RGBx180x72_SFSAM_Label_Epoch0",
    "SCAMPS_MultiTask_72x72",
    "UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9",
    "iBVP_MMRPhys_SFSAM_Label_Epoch9",
    "UBFC-rPPG_FactorizePhys_SFSAM_Label_Epoch9",
)


def _entries(shared_dir: Path) -> dict[str, dict[str, Any]]:
    index = json.loads((shared_dir / "reference/golden/index.json").read_bytes())
    return {entry["file"].removesuffix(".pth"): entry for entry in index["entries"]}


def test_all_golden_checkpoints_are_tried(shared_dir: Path) -> None:
    assert set(NAMES) == set(_entries(shared_dir))


@pytest.mark.parametrize("name", NAMES)
def test_a_published_checkpoint_gives_its_published_outputs(shared_dir: Path, name: str) -> None:
    entry, golden = _entries(shared_dir)[name], np.load(shared_dir / f"reference/golden/{name}.npz")
    model = model_from_checkpoint(shared_dir / f"reference/golden/{name}.pth")
    assert (model.spec.size, model.spec.channels) == (entry["size"], entry["in_channels"])
    assert [task.upper() for task in model.spec.tasks] == entry["tasks"]
    with torch.inference_mode():
        waves = model(torch.from_numpy(golden["input"].astype(np.float32)))
    _assert_equal(waves, golden, "")


@pytest.mark.parametrize("form", ["closed", "iterative"])
@pytest.mark.parametrize("name", NAMES)
def test_training_with_attention_gives_the_published_outputs(shared_dir: Path, name: str, form: Any) -> None:
    entry, golden = _entries(shared_dir)[name], np.load(shared_dir / f"reference/golden/{name}.npz")
    if "train_bvp" not in golden:
        pytest.skip(f"{name} has no golden values of training")
    kind: Any = "fsam" if entry["attention"].startswith("FSAM") else "tsfm"
    attention = AttentionSpec(kind=kind, layout="memory", minima="batch", form=form)
    model = _without_dropout(model_from_checkpoint(shared_dir / f"reference/golden/{name}.pth", attention=attention))
    labels = {task: torch.from_numpy(golden[f"train_label_{task}"]) for task in model.spec.tasks}
    with torch.no_grad():
        waves = model.train()(torch.from_numpy(golden["input"].astype(np.float32)), labels)
    _assert_equal(waves, golden, "train_")
    for task in waves:
        error = float(model.get_submodule(task).attention.error)  # type: ignore[union-attr, arg-type]
        assert error == pytest.approx(float(golden[f"train_appx_error_{task}"]), rel=1e-5)


def _without_dropout(model: Mmrphys) -> Mmrphys:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout3d):
            module.p = 0.0
    return model


def _assert_equal(waves: dict[str, torch.Tensor], golden: Any, prefix: str) -> None:
    for task, wave in waves.items():
        expected = golden[f"{prefix}{task}"]
        error = np.abs(wave.numpy() - expected).max()
        assert error <= TOLERANCE * expected.std(), (task, error)
