"""MMRPhys (arXiv 2505.07013): a clip of face frames in, pulse (BVP) and breathing (RSP) waveforms out.

Read top to bottom: the layer tables (data), the specification of one model (data), the modules, the forward pass. A new
size or geometry is a new row in the tables, never a new class.

Letters in the shape notes: B clips, C channels, F = T + 1 frames, T samples, S pixels a side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "BRANCHES", "LONG_REACH", "Block", "Branch", "Conv", "Dropout", "Layer", "Mmrphys", "ModelSpec", "Upsample",
    "layer_sides",
]  # fmt: skip

Modality = Literal["rgb", "thermal"]
NORM_EPS = 1e-5
"""Epsilon of every instance norm. Against it the 0..255 scale of the input is part of the contract."""


# ---------------------------------------------------------------------------------------------------- layers as data


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution over time and space without bias, padded in time so that only ``time_stride`` changes the length.

    ``time_dilation`` is the distance in frames between the three taps in time.
    """

    out: int
    side_kernel: int = 3
    stride: int = 1
    pad: int = 0
    time_stride: int = 1
    time_dilation: int = 1


@dataclass(frozen=True, slots=True)
class Block(Conv):
    """A convolution followed by tanh and instance norm."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """Whole channels are dropped in training."""

    p: float = 0.1


@dataclass(frozen=True, slots=True)
class Upsample:
    """Every time step is repeated ``times`` times."""

    times: int


Layer = Conv | Dropout | Upsample


@dataclass(frozen=True, slots=True)
class Branch:
    """The layers of one waveform; training attention acts between ``head`` and ``final``."""

    features: tuple[Layer, ...]
    head: tuple[Layer, ...]
    final: tuple[Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in the order they are applied."""
        return self.features + self.head + self.final

    def dilated(self, dilations: tuple[int, ...]) -> Branch:
        """The same branch with the time dilation of each of its convolutions, in order."""
        rest = iter(dilations)
        features, head, final = (
            tuple(replace(layer, time_dilation=next(rest)) if isinstance(layer, Conv) else layer for layer in part)
            for part in (self.features, self.head, self.final)
        )
        return Branch(features, head, final)


BRANCHES: dict[tuple[str, int], Branch] = {
    # the sides after each layer, in pixels, stand on the right
    ("bvp", 72): Branch(
        features=(Block(8, stride=2), Block(12), Dropout(), Block(16)),  # 35 33 31
        head=(Block(16, stride=2), Block(16), Block(16), Dropout()),  # 15 13 11
        final=(Block(12, stride=2), Block(8), Conv(1)),  # 5 3 1
    ),
    ("bvp", 36): Branch(
        features=(Block(8, pad=1), Block(12), Dropout(), Block(16)),  # 36 34 32
        head=(Block(16, stride=2), Block(16), Block(16), Dropout()),  # 15 13 11
        final=(Block(12, stride=2), Block(8), Conv(1)),  # 5 3 1
    ),
    ("bvp", 9): Branch(
        features=(Block(8, pad=1), Block(12, pad=1), Dropout(), Block(16, pad=1)),  # 9 9 9
        head=(Block(16, pad=1), Block(16, pad=1), Block(16), Dropout()),  # 9 9 7
        final=(Block(12), Block(8), Conv(1)),  # 5 3 1
    ),
    ("rsp", 72): Branch(
        features=(Block(16), Block(16, stride=2, time_stride=2), Block(16), Dropout()),  # 70 34 32
        head=(Block(16), Block(16, stride=2, time_stride=2), Block(16), Dropout(), Block(16)),  # 30 14 12 10
        final=(Block(16, stride=2), Upsample(4), Conv(1, side_kernel=4)),  # 4 1
    ),
    ("rsp", 36): Branch(
        features=(Block(16, pad=1), Block(16, time_stride=2), Block(16), Dropout()),  # 36 34 32
        head=(Block(16), Block(16, stride=2, time_stride=2), Block(16), Dropout(), Block(16)),  # 30 14 12 10
        final=(Block(16, stride=2), Upsample(4), Conv(1, side_kernel=4)),  # 4 1
    ),
    ("rsp", 9): Branch(
        features=(Block(16, pad=1), Block(16, pad=1, time_stride=2), Block(16, pad=1), Dropout()),  # 9 9 9
        head=(Block(16, pad=1), Block(16, pad=1, time_stride=2), Block(16, pad=1), Dropout(), Block(16, pad=1)),  # 9
        final=(Block(16, stride=2), Upsample(4), Conv(1, side_kernel=4)),  # 4 1
    ),
}


LONG_REACH: dict[str, tuple[int, ...]] = {"bvp": (1, 1, 2, 3, 3, 4, 2, 2, 1)}
"""Time dilation of each convolution of a branch in a model of long reach; other branches stay as published.

The published BVP branch sees 19 differences around a sample, 0.6 s at 30 fps: less than a beat below 95 per minute, and
slow pulses are read at twice their rate. With these it sees 39, a whole beat down to 46 per minute, for as many weights
and multiplications. It then looks 0.63 s ahead, no further than the RSP branch.
"""


def layer_sides(branch: Branch, side: int) -> list[int]:
    """The side in pixels after each layer of ``branch`` for an input of ``side`` pixels."""
    sides = []
    for layer in branch.layers:
        if isinstance(layer, Conv):
            side = (side + 2 * layer.pad - layer.side_kernel) // layer.stride + 1
        sides.append(side)
    return sides


# ------------------------------------------------------------------------------------------------- one model as data


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which MMRPhys.

    ``size`` is 72, 36 or 9 pixels a side. ``fusion`` is ``"EF"`` (every branch sees all channels) or ``"NF"`` (BVP sees
    RGB, RSP sees thermal). ``channels`` is 3 (RGB), 1 (thermal) or 4 (RGB, then thermal); NF has 4. ``tasks`` is a
    subset of ``("bvp", "rsp")`` in this order. ``reach`` is ``"short"`` (as published) or ``"long"`` (``LONG_REACH``);
    weights of both have the same shapes and do not fit each other.
    """

    size: int
    fusion: str
    channels: int
    tasks: tuple[str, ...] = ("bvp", "rsp")
    reach: str = "short"

    def __post_init__(self) -> None:
        if self.size not in (9, 36, 72):
            raise ValueError(f"size is 9, 36 or 72; seen {self.size}")
        if self.fusion not in ("EF", "NF"):
            raise ValueError(f"fusion is 'EF' or 'NF'; seen {self.fusion!r}")
        if self.channels not in ((4,) if self.fusion == "NF" else (1, 3, 4)):
            raise ValueError(f"channels is 1, 3 or 4, and 4 in NF; seen {self.channels} in {self.fusion}")
        if self.tasks not in (("bvp", "rsp"), ("bvp",), ("rsp",)):
            raise ValueError(f"tasks is a subset of ('bvp', 'rsp') in this order; seen {self.tasks}")
        if self.reach not in ("short", "long"):
            raise ValueError(f"reach is 'short' or 'long'; seen {self.reach!r}")

    def branch(self, task: str) -> Branch:
        """The layers of the branch of ``task``."""
        branch = BRANCHES[task, self.size]
        return branch.dilated(LONG_REACH[task]) if self.reach == "long" and task in LONG_REACH else branch

    def task_channels(self, task: str) -> tuple[int, int]:
        """First and one-past-last input channel that the branch of ``task`` sees."""
        if self.fusion == "EF":
            return 0, self.channels
        return (0, 3) if task == "bvp" else (3, 4)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities of the input's channels, in their order."""
        layouts: dict[int, tuple[Modality, ...]] = {1: ("thermal",), 3: ("rgb",), 4: ("rgb", "thermal")}
        return layouts[self.channels]

    def sources(self, task: str) -> tuple[Modality, ...]:
        """The modalities that the branch of ``task`` sees."""
        return self.modalities if self.fusion == "EF" else (("rgb",) if task == "bvp" else ("thermal",))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a card; ``ModelSpec(**d)`` after ``tasks`` is a tuple again."""
        return asdict(self)


# ----------------------------------------------------------------------------------------------------------- modules


class TimeConv3d(nn.Conv3d):
    """A convolution whose taps in time stand ``dilation[0]`` frames apart.

    It is computed as so many plain convolutions, each on every ``dilation[0]``-th frame: the same numbers, and faster
    on a CPU than torch's dilated kernel.
    """

    def forward(self, x: Tensor) -> Tensor:
        step, pad = self.dilation[0], self.padding
        if step == 1:
            return super().forward(x)
        assert self.stride[0] == 1, "no layer has both"
        batch, length = x.shape[0], x.shape[2]
        x = functional.pad(x, (0, 0, 0, 0, 0, -length % step))  # [B, C, n * step, S, S]
        x = torch.unflatten(x, 2, (-1, step)).permute(0, 3, 1, 2, 4, 5).flatten(0, 1)  # [B * step, C, n, S, S]
        x = x.contiguous(memory_format=torch.channels_last_3d)
        y = functional.conv3d(x, self.weight, None, self.stride, (1, int(pad[1]), int(pad[2])))
        return torch.unflatten(y, 0, (batch, step)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)[:, :, :length]


class ConvBlock(nn.Module):
    """``[B, C, T, S, S]`` -> convolution -> tanh -> instance norm over (T, S, S) of the clip itself."""

    def __init__(self, channels: int, layer: Conv) -> None:
        super().__init__()
        self.conv = _conv3d(channels, layer)
        self.norm = nn.InstanceNorm3d(layer.out, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(torch.tanh(self.conv(x)))
        return normed


class RepeatTime(nn.Module):
    """``[B, C, T, S, S]`` -> ``[B, C, times * T, S, S]``, each step repeated."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.times, dim=2)


def _conv3d(channels: int, layer: Conv) -> nn.Conv3d:
    side, stride, pad = layer.side_kernel, layer.stride, layer.pad
    return TimeConv3d(
        channels,
        layer.out,
        kernel_size=(3, side, side),
        stride=(layer.time_stride, stride, stride),
        padding=(layer.time_dilation, pad, pad),
        dilation=(layer.time_dilation, 1, 1),
        bias=False,
    )


def _sequence(channels: int, layers: tuple[Layer, ...]) -> tuple[nn.Sequential, int]:
    """Modules for ``layers`` and the number of channels they end with."""
    modules: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, Dropout):
            modules.append(nn.Dropout3d(layer.p))
        elif isinstance(layer, Upsample):
            modules.append(RepeatTime(layer.times))
        else:
            modules.append(ConvBlock(channels, layer) if isinstance(layer, Block) else _conv3d(channels, layer))
            channels = layer.out
    return nn.Sequential(*modules), channels


class BranchNet(nn.Module):
    """One branch: normalised differences ``[B, C, T, S, S]`` -> waveform ``[B, T]``, arbitrary units."""

    def __init__(self, channels: int, branch: Branch) -> None:
        super().__init__()
        self.features, channels = _sequence(channels, branch.features)
        self.head, channels = _sequence(channels, branch.head)
        self.final, _ = _sequence(channels, branch.final)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.head(x)  # [B, 16, T or T/4, s, s]
        x = self.final(x)  # [B, 1, T, 1, 1]
        return x[:, 0, :, 0, 0]


class Mmrphys(nn.Module):
    """The whole model; one branch a task, sharing nothing but the input transform."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        for task in spec.tasks:
            first, end = spec.task_channels(task)
            self.add_module(task, BranchNet(end - first, spec.branch(task)))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Waveforms ``{task: [B, T]}`` of float32 frames ``[B, C, F, S, S]``, RGB 0..255 first, thermal in degC last.

        A model with 3 channels takes the first three of a four-channel clip, a model with 1 the last. ValueError when
        the shape does not fit the specification or T is not a multiple of 4 while RSP is on.
        """
        self._check(frames)
        if frames.shape[1] != self.spec.channels:
            frames = frames[:, :3] if self.spec.channels == 3 else frames[:, 3:]
        difference = frames[:, :, 1:] - frames[:, :, :-1]  # [B, C, T, S, S]
        normed = functional.instance_norm(difference, eps=NORM_EPS)
        waves = {}
        for task in self.spec.tasks:
            first, end = self.spec.task_channels(task)
            waves[task] = self.get_submodule(task)(normed[:, first:end])  # [B, T]
        return waves

    def _check(self, frames: Tensor) -> None:
        spec = self.spec
        if frames.ndim != 5 or frames.shape[3:] != (spec.size, spec.size):
            raise ValueError(f"frames are [B, C, F, {spec.size}, {spec.size}]; seen {list(frames.shape)}")
        if frames.shape[1] not in (spec.channels, 4):
            raise ValueError(f"frames have {spec.channels} channels (or 4); seen {frames.shape[1]}")
        if "rsp" in spec.tasks and (frames.shape[2] - 1) % 4:
            raise ValueError(f"F - 1 is a multiple of 4 when RSP is on; seen F = {frames.shape[2]}; cut the clip")
