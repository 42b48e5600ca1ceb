"""What a stream graph has to give, computed the plain way: whole sequences, one layer after the other, float64.

Convolutions are the model's own. A norm walks over the frames one by one and divides each by statistics of the frames
up to it. Nothing is kept between chunks because there are none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from export.stream_weights import decay_of
from training.attention import NORM_EPS
from training.model import BranchNet, ConvBlock, LateBranchNet, Mmrphys, RepeatTime

__all__ = ["stream_reference"]


Waves = dict[str, npt.NDArray[np.float64]]


def stream_reference(model: Mmrphys, frames: npt.NDArray[np.float32], memory: float) -> Waves:
    """Samples ``{task: [F - 1]}`` of a stream of ``frames`` ``[1, C, F, S, S]``; value ``t`` is sample ``t``.

    The last samples, as many as the branch looks ahead, are not what a stream gives for them: it would wait.
    """
    model = copy.deepcopy(model).double().eval()
    x = torch.from_numpy(frames).double()
    with torch.inference_mode():
        difference = (x[:, :, 1:] - x[:, :, :-1]) * x.new_tensor(model.spec.channel_scale)[:, None, None, None]
        normed = _running_norm(difference, decay_of(memory, 1))
        return {task: _waveform(model, task, normed, memory) for task in model.spec.tasks}


def _waveform(model: Mmrphys, task: str, normed: Tensor, memory: float) -> npt.NDArray[np.float64]:
    net = model.get_submodule(task)
    if isinstance(net, LateBranchNet):
        seen = (net.rgb, normed[:, :3]), (net.thermal, normed[:, 3:])
        parts = [_walk((*tower.features, *tower.head), x, 1, memory) for tower, x in seen]
        x, rate = torch.cat([part for part, _ in parts], dim=1), parts[0][1]
    else:
        assert isinstance(net, BranchNet)
        first, end = model.spec.task_channels(task)
        x, rate = _walk((*net.features, *net.head), normed[:, first:end], 1, memory)
    wave, _ = _walk(net.final, x, rate, memory)
    return wave[0, 0, : normed.shape[2], 0, 0].numpy()


def _walk(layers: Iterable[nn.Module], x: Tensor, rate: int, memory: float) -> tuple[Tensor, int]:
    """``x`` after ``layers`` and how many frames of the input one of its frames stands for."""
    for layer in layers:
        if isinstance(layer, RepeatTime):
            rate //= layer.times
        conv = layer.conv if isinstance(layer, ConvBlock) else layer
        x = conv(x)
        if isinstance(conv, nn.Conv3d):
            rate *= conv.stride[0]
        if isinstance(layer, ConvBlock):
            x = _running_norm(torch.tanh(x), decay_of(memory, rate))
    return x, rate


def _running_norm(x: Tensor, decay: float) -> Tensor:
    """``[1, C, T, S, S]``: every frame by mean and deviation of those up to it, weighted by ``decay`` a frame."""
    total, sums, squares = 0.0, torch.zeros(x.shape[1], dtype=x.dtype), torch.zeros(x.shape[1], dtype=x.dtype)
    normed = torch.empty_like(x)
    for t in range(x.shape[2]):
        frame = x[0, :, t]  # [C, S, S]
        total = decay * total + 1.0
        sums = decay * sums + frame.mean(dim=(1, 2))
        squares = decay * squares + (frame**2).mean(dim=(1, 2))
        mean = sums / total
        deviation = torch.sqrt(squares / total - mean**2 + NORM_EPS)
        normed[0, :, t] = (frame - mean[:, None, None]) / deviation[:, None, None]
    return normed
