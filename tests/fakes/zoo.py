"""Every model that there is, small where it can be, with seeded weights and clips."""

from __future__ import annotations

import numpy as np
import torch

from export.golden import golden_clip
from training.checkpoint import Card
from training.model import Mmrphys, ModelSpec

__all__ = ["ZOO", "clips_for", "model_of", "name_of"]

FUSIONS = (("EF", 1), ("EF", 3), ("EF", 4), ("NF", 4), ("LF", 4))
ZOO = [
    *(ModelSpec(size, fusion, channels) for size in (9, 36, 72) for fusion, channels in FUSIONS),
    *(ModelSpec(9, fusion, channels, (task,)) for fusion, channels in FUSIONS for task in ("bvp", "rsp")),
    ModelSpec(72, "EF", 3, ("bvp",), geometry="padded_stem"),
    ModelSpec(72, "EF", 1, ("bvp",), geometry="padded_stem"),
    ModelSpec(72, "EF", 3, ("bvp",), geometry="factorizephys"),
    ModelSpec(72, "EF", 4, ("bvp",), geometry="factorizephys"),
    ModelSpec(9, "NF", 4, reach="long"),
    ModelSpec(9, "LF", 4, reach="long"),
    ModelSpec(36, "EF", 3, ("bvp",), reach="long"),
    ModelSpec(9, "EF", 3, input_scale=(1 / 255, 1.0)),
    ModelSpec(9, "EF", 1, input_scale=(1.0, 0.1)),
    ModelSpec(9, "LF", 4, input_scale=(1 / 255, 0.1)),
]


def name_of(spec: ModelSpec) -> str:
    return f"{spec.size} {spec.fusion}{spec.channels} {'+'.join(spec.tasks)} {spec.geometry} {spec.reach}"


def model_of(spec: ModelSpec) -> Mmrphys:
    torch.manual_seed(spec.size + spec.channels)
    return Mmrphys(spec).eval()


def clips_for(spec: ModelSpec, frames: int) -> np.ndarray:
    """Two clips: the golden one of face-like cells, and noise of the whole range."""
    clip = golden_clip(Card(name="zoo", fps=30.0, frames=frames, **spec.as_dict()))
    drawn = np.concatenate([clip[channel].astype(np.float32) for channel in spec.modalities], axis=1)
    return np.concatenate([drawn, np.random.default_rng(spec.size).uniform(0, 255, drawn.shape)]).astype(np.float32)
