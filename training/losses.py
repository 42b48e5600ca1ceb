"""Losses on waveforms, blind to the label's offset and scale: per clip along time, and two forms only for replay.

Predictions and labels are ``[B, T]``. Two rules hold for every loss:

* **Labels that say nothing.** A clip whose label is missing (a value in it is no finite number) or constant (it says
  nothing of a waveform's shape) does not count. Where no clip counts the loss is 0, with a gradient of 0.
* **Half precision.** Losses are computed in single precision. A prediction that comes in half precision is normalised
  with a larger lower bound of its deviation, then clamped: what is flat there would become noise of any size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "LOSSES",
    "negative_pearson",
    "negative_pearson_batch_axis",
    "negative_pearson_whole_batch",
    "normalised_label",
    "smooth_l1",
    "z_score",
]

Loss = Callable[[Tensor, Tensor], Tensor]

_STD_FLOOR, _HALF_STD_FLOOR = 1e-8, 1e-3
_HALF_LIMIT = 10.0
"""Where normalised predictions in half precision are cut off."""
_COSINE_EPS = 1e-6
_CONSTANT = 1e-6
"""A label that spans no more than so much of its largest value is constant."""


def z_score(wave: Tensor, floor: float = _STD_FLOOR) -> Tensor:
    """``[B, T]`` with mean 0 and sample standard deviation 1 a clip; a constant wave becomes 0."""
    centred = wave - wave.mean(dim=1, keepdim=True)
    return centred / wave.std(dim=1, keepdim=True).clamp_min(floor)


def normalised_label(label: Tensor) -> Tensor:
    """The z-score of labels ``[B, T]``: 0 where one is constant, not finite where it is missing."""
    return torch.where(_is_constant(label)[:, None], 0.0, z_score(label))


def _is_constant(label: Tensor) -> Tensor:
    """Which clips have a whole label that is constant but for rounding."""
    span = label.amax(dim=1) - label.amin(dim=1)  # not finite where a value is not
    return torch.isfinite(span) & (span <= _CONSTANT * label.abs().amax(dim=1))


def _normalised(prediction: Tensor, *, half: bool) -> Tensor:
    if half:
        return z_score(prediction, _HALF_STD_FLOOR).clamp(-_HALF_LIMIT, _HALF_LIMIT)
    return z_score(prediction)


def _one_minus_r(prediction: Tensor, label: Tensor, dim: int) -> Tensor:
    """Mean of ``1 - r``, r being Pearson's correlation along ``dim``: 0 best, 2 worst; 1 where a wave is constant."""
    a, b = (wave - wave.mean(dim=dim, keepdim=True) for wave in (prediction, label))
    return (1.0 - torch.cosine_similarity(a, b, dim=dim, eps=_COSINE_EPS)).mean()


def _of_clips_that_count(loss: Callable[[Tensor, Tensor, bool], Tensor]) -> Loss:
    """``loss`` of the clips that count, in single precision or better; it is told whether that was half before."""

    @functools.wraps(loss)
    def counted(prediction: Tensor, label: Tensor) -> Tensor:
        half = prediction.dtype in (torch.float16, torch.bfloat16)
        prediction = prediction.float() if half else prediction
        counts = torch.isfinite(label).all(dim=1) & ~_is_constant(label)
        if not counts.any():
            return prediction[counts].sum()
        return loss(prediction, label, half) if counts.all() else loss(prediction[counts], label[counts], half)

    return counted


@_of_clips_that_count
def negative_pearson(prediction: Tensor, label: Tensor, half: bool) -> Tensor:
    """Mean over clips of ``1 - r``, r being Pearson's correlation along time of ``[B, T]`` waves: 0 best, 2 worst."""
    return _one_minus_r(_normalised(prediction, half=True) if half else prediction, label, dim=1)


@_of_clips_that_count
def smooth_l1(prediction: Tensor, label: Tensor, half: bool) -> Tensor:
    """Huber loss (beta 1) between the z-scores of ``[B, T]`` waves."""
    return functional.smooth_l1_loss(_normalised(prediction, half=half), z_score(label))


@_of_clips_that_count
def negative_pearson_batch_axis(prediction: Tensor, label: Tensor, half: bool) -> Tensor:
    """Mean over time of ``1 - r``, r being the correlation *across the clips* at one sample. Only for replay.

    The published training computed this where it meant :func:`negative_pearson`: waves are z-scored per clip, then
    correlated along dimension 0. A clip that is alone gives 1 and no gradient.
    """
    return _one_minus_r(_normalised(prediction, half=half), z_score(label), dim=0)


@_of_clips_that_count
def negative_pearson_whole_batch(prediction: Tensor, label: Tensor, half: bool) -> Tensor:
    """As :func:`negative_pearson_batch_axis` after one z-score over the whole batch. Only for replay.

    So FactorizePhys was trained. Clips keep their amplitudes, which weigh them against each other.
    """
    a, b = _normalised(prediction.reshape(1, -1), half=half), z_score(label.reshape(1, -1))
    return _one_minus_r(a.reshape(prediction.shape), b.reshape(label.shape), dim=0)


LOSSES: Mapping[str, Loss] = {
    "negative_pearson": negative_pearson,
    "smooth_l1": smooth_l1,
    "negative_pearson_batch_axis": negative_pearson_batch_axis,
    "negative_pearson_whole_batch": negative_pearson_whole_batch,
}
"""By the name a preset uses."""
