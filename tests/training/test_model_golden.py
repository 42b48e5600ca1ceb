"""The published checkpoints give the published outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.checkpoint import model_from_checkpoint

CURRENT_GEOMETRY = {
    "BP4D_MMRPhysSEF_BVP_RSP_Tx180x9_Base_Fold1_Epoch4": (9, "EF", 1),
    "BP4D_MMRPhysSNF_BVP_RSP_RGBTx180x9_FSAM_Fold1_Epoch4": (9, "NF", 4),
    "BP4D_MMRPhysMEF_BVP_RSP_RGBx180x36_FSAM_Fold1_Epoch4": (36, "EF", 3),
    "BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72_SFSAM_Label_Fold1_Epoch4": (72, "NF", 4),
    "SCAMPS_MMRPhysLEF_BVP_RSP_RGBx180x72_SFSAM_Label_Epoch0": (72, "EF", 3),
    "SCAMPS_MultiTask_72x72": (72, "EF", 3),
    "UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9": (72, "EF", 3),
}
SIZE_NOT_IN_NAME = {"UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9": 72}


@pytest.mark.parametrize("name", CURRENT_GEOMETRY)
def test_published_checkpoint_gives_its_published_outputs(shared_dir: Path, name: str) -> None:
    golden = np.load(shared_dir / f"reference/golden/{name}.npz")
    model = model_from_checkpoint(shared_dir / f"reference/golden/{name}.pth", size=SIZE_NOT_IN_NAME.get(name))
    assert (model.spec.size, model.spec.fusion, model.spec.channels) == CURRENT_GEOMETRY[name]
    assert set(model.spec.tasks) == {"bvp", "rsp"} & set(golden)

    with torch.inference_mode():
        waves = model(torch.from_numpy(golden["input"].astype(np.float32)))

    for task, wave in waves.items():
        error = np.abs(wave.numpy() - golden[task]).max()
        assert error <= 1e-4 * golden[task].std(), (task, error)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("iBVP_MMRPhys_SFSAM_Label_Epoch9", "padded-stem"),
        ("UBFC-rPPG_FactorizePhys_SFSAM_Label_Epoch9", "FactorizePhys"),
    ],
)
def test_geometry_not_built_yet_is_refused_by_name(shared_dir: Path, name: str, says: str) -> None:
    with pytest.raises(Exception, match=says):
        model_from_checkpoint(shared_dir / f"reference/golden/{name}.pth", size=72)
