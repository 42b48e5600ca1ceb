"""State dicts as the authors of MMRPhys publish them, from models of ours."""

from __future__ import annotations

import functools
import re

from torch import Tensor

from training.model import Mmrphys

_NAMES = (
    (r"^bvp\.(rgb|thermal)\.features\.", r"\1_bvp_feature_extractor.bvp_feature_extractor."),
    (r"^rsp\.(rgb|thermal)\.features\.", r"\1_rsp_feature_extractor.rsp_feature_extractor."),
    (r"^bvp\.(rgb|thermal)\.head\.", r"rppg_head.conv_layer_\1."),
    (r"^rsp\.(rgb|thermal)\.head\.", r"rBr_head.conv_block_\1."),
    (r"^bvp\.features\.", "bvp_feature_extractor.bvp_feature_extractor."),
    (r"^bvp\.head\.", "rppg_head.conv_layer."),
    (r"^bvp\.final\.", "rppg_head.final_layer."),
    (r"^bvp\.attention\.", "rppg_head.fsam."),
    (r"^rsp\.features\.", "rsp_feature_extractor.rsp_feature_extractor."),
    (r"^rsp\.head\.", "rBr_head.conv_block."),
    (r"^rsp\.final\.", "rBr_head.final_layer."),
    (r"^rsp\.attention\.", "rBr_head.fsam."),
    (r"\.conv\.weight$", ".conv_block_3d.0.weight"),
    (r"\.pre\.(weight|bias)$", r".pre_conv_block.0.\1"),
    (r"\.post\.0\.weight$", ".post_conv_block.0.conv.weight"),
    (r"\.post\.2\.weight$", ".post_conv_block.1.weight"),
)
_FACTORIZEPHYS = (
    (r"^bvp\.features\.", "rppg_feature_extractor.FeatureExtractor."),
    (r"^bvp\.head\.", "rppg_head.conv_block."),
)
_OLDER = (
    (r"^bvp\.head\.0\.", "rppg_feature_extractor.FeatureExtractor.5."),
    (r"^bvp\.head\.1\.", "rppg_feature_extractor.FeatureExtractor.6."),
    (r"^bvp\.head\.3\.", "rppg_head.conv_block.0."),
    (r"^bvp\.head\.4\.", "rppg_head.conv_block.1."),
    (r"^bvp\.head\.5\.", "rppg_head.conv_block.2."),
    _FACTORIZEPHYS[0],
)


def published_state(model: Mmrphys, *, older: bool = False) -> dict[str, Tensor]:
    """The weights of ``model`` under the published names; ``older``: of the first layout of FactorizePhys."""
    names = _NAMES
    if model.spec.geometry == "factorizephys":
        names = (*(_OLDER if older else _FACTORIZEPHYS), *_NAMES)
    return {f"module.{_renamed(key, names)}": value.clone() for key, value in model.state_dict().items()}


def _renamed(key: str, names: tuple[tuple[str, str], ...]) -> str:
    return functools.reduce(lambda name, pair: re.sub(pair[0], pair[1], name), names, key)
