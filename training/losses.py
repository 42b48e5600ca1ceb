"""Losses on waveforms: per clip, along time, blind to the label's offset and scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "negative_pearson", "smooth_l1", "z_score"]

_STD_FLOOR = 1e-8


def z_score(wave: Tensor) -> Tensor:
    """``[B, T]`` with mean 0 and sample standard deviation 1 a clip; a constant wave becomes 0."""
    centred = wave - wave.mean(dim=1, keepdim=True)
    return centred / wave.std(dim=1, keepdim=True).clamp_min(_STD_FLOOR)


def negative_pearson(prediction: Tensor, label: Tensor) -> Tensor:
    """Mean over clips of ``1 - r``, r being Pearson's correlation along time of ``[B, T]`` waves: 0 best, 2 worst."""
    a, b = (wave - wave.mean(dim=1, keepdim=True) for wave in (prediction, label))
    return (1.0 - torch.cosine_similarity(a, b, dim=1, eps=1e-6)).mean()


def smooth_l1(prediction: Tensor, label: Tensor) -> Tensor:
    """Huber loss (beta 1) between the z-scores of ``[B, T]`` waves."""
    return functional.smooth_l1_loss(z_score(prediction), z_score(label))


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "negative_pearson": negative_pearson,
    "smooth_l1": smooth_l1,
}
"""By the name a preset uses."""
