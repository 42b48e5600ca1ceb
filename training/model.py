"""MMRPhys (arXiv 2505.07013): a clip of face frames in, pulse (BVP) and breathing (RSP) waveforms out.

Read top to bottom: the layer tables (data), the specification of one model (data), the modules, the forward pass. A new
size or geometry is a new row in the tables, never a new class. FactorizePhys, the baseline, is such a row.

Letters in the shape notes: B clips, C channels, F = T + 1 frames, T samples, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.attention import NORM_EPS, Attention, AttentionSpec

__all__ = [
    "BRANCHES", "LONG_REACH", "Block", "Branch", "BranchNet", "Conv", "Dropout", "LateBranchNet", "Layer", "Mmrphys",
    "ModelSpec", "Tower", "Upsample", "layer_sides",
]  # fmt: skip

Modality = Literal["rgb", "thermal"]
Labels = Mapping[str, Tensor]
"""Target signals ``{name: [B, T]}``, for attention in training."""
NO_LABELS: Labels = MappingProxyType({})


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
    """The layers of one waveform; training attention acts between ``head`` and ``final``.

    With late fusion ``features`` and ``head`` stand there once for each modality.
    """

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

    def fusing(self) -> Branch:
        """The same branch where ``final`` meets the channels of two towers: its first block keeps 16."""
        first, *rest = self.final
        assert isinstance(first, Block)
        return Branch(self.features, self.head, (replace(first, out=16), *rest))


BRANCHES: dict[tuple[str, int], Branch] = {
    # of the geometry "current"; the sides after each layer, in pixels, stand on the right
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


GEOMETRIES: dict[str, dict[tuple[str, int], Branch]] = {
    "current": BRANCHES,
    # of the single-task checkpoints trained on iBVP and PURE
    "padded_stem": {
        ("bvp", 72): Branch(
            features=(
                Block(8, stride=2, pad=1), Block(12), Dropout(), Block(16), Block(16, stride=2),  # 36 34 32 15
                Block(16),  # 13
            ),
            head=(Dropout(), Block(16)),  # 11
            final=(Block(12, stride=2), Block(8), Conv(1)),  # 5 3 1
        ),
    },
    # the baseline, FactorizePhys (Joshi et al., NeurIPS 2024)
    "factorizephys": {
        ("bvp", 72): Branch(
            features=(Block(8, pad=1), Block(12, stride=2), Block(12), Dropout(), Block(12)),  # 72 35 33 31
            head=(
                Block(16, stride=2), Block(16), Dropout(), Block(16), Block(16), Block(16), Dropout(),  # 15 13 11 9 7
            ),
            final=(Block(12), Block(8), Conv(1)),  # 5 3 1
        ),
    },
}  # fmt: skip
"""The tables of every geometry; all but the first exist at some sizes and for some tasks only."""

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
    """Which model.

    ``size`` is 72, 36 or 9 pixels a side. ``fusion`` is ``"EF"`` (every branch sees all channels), ``"NF"`` (BVP sees
    RGB, RSP sees thermal) or ``"LF"`` (each branch has a tower for RGB and one for thermal, joined before attention).
    ``channels`` is 3 (RGB), 1 (thermal) or 4 (RGB, then thermal); NF and LF have 4. ``tasks`` is a subset of
    ``("bvp", "rsp")`` in this order. ``reach`` is ``"short"`` (as published) or ``"long"`` (``LONG_REACH``); weights of
    both have the same shapes and do not fit each other. ``geometry`` is a row of ``GEOMETRIES``. ``input_scale`` are
    the factors, for RGB and thermal, by which the values of :class:`Mmrphys`'s input are multiplied to be what the
    weights were trained on: against the norm's epsilon the scale matters.
    """

    size: int
    fusion: str
    channels: int
    tasks: tuple[str, ...] = ("bvp", "rsp")
    reach: str = "short"
    geometry: str = "current"
    input_scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size not in (9, 36, 72):
            raise ValueError(f"size is 9, 36 or 72; seen {self.size}")
        if self.fusion not in ("EF", "NF", "LF"):
            raise ValueError(f"fusion is 'EF', 'NF' or 'LF'; seen {self.fusion!r}")
        if self.channels not in ((1, 3, 4) if self.fusion == "EF" else (4,)):
            raise ValueError(f"channels is 1, 3 or 4, and 4 in NF and LF; seen {self.channels} in {self.fusion}")
        if {"bp", "sbp", "dbp", "rbp"} & {task.lower() for task in self.tasks}:
            raise ValueError(f"blood pressure is out of scope; tasks is a subset of ('bvp', 'rsp'); seen {self.tasks}")
        if self.tasks not in (("bvp", "rsp"), ("bvp",), ("rsp",)):
            raise ValueError(f"tasks is a subset of ('bvp', 'rsp') in this order; seen {self.tasks}")
        if self.reach not in ("short", "long"):
            raise ValueError(f"reach is 'short' or 'long'; seen {self.reach!r}")
        if not all(0.0 < factor < float("inf") for factor in self.input_scale) or len(self.input_scale) != 2:
            raise ValueError(f"input_scale is two factors above 0, of RGB and thermal; seen {self.input_scale}")
        self._check_geometry()

    def _check_geometry(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise ValueError(f"geometry is one of {', '.join(GEOMETRIES)}; seen {self.geometry!r}")
        table = GEOMETRIES[self.geometry]
        if missing := [task for task in self.tasks if (task, self.size) not in table]:
            known = ", ".join(f"{task} at {size}" for task, size in table)
            raise ValueError(f"geometry {self.geometry!r} has {known} only; seen {missing[0]} at {self.size}")
        if self.geometry != "current" and (self.fusion != "EF" or self.reach != "short"):
            raise ValueError(f"geometry {self.geometry!r} has fusion 'EF' and reach 'short' only")

    def takes(self, frames: int) -> bool:
        """Whether a clip of ``frames`` (F) fits the strides in time."""
        return frames >= 2 and not ("rsp" in self.tasks and (frames - 1) % 4)

    def check_frames(self, frames: int) -> None:
        """ValueError when a clip of ``frames`` (F) does not fit the strides in time."""
        if not self.takes(frames):
            raise ValueError(f"F - 1 is above 0, and a multiple of 4 when RSP is on; seen F = {frames}; cut the clip")

    def branch(self, task: str) -> Branch:
        """The layers of the branch of ``task``."""
        branch = GEOMETRIES[self.geometry][task, self.size]
        if self.reach == "long" and task in LONG_REACH:
            branch = branch.dilated(LONG_REACH[task])
        return branch.fusing() if self.fusion == "LF" else branch

    def task_channels(self, task: str) -> tuple[int, int]:
        """First and one-past-last input channel that the branch of ``task`` sees."""
        if self.fusion != "NF":
            return 0, self.channels
        return (0, 3) if task == "bvp" else (3, 4)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities of the input's channels, in their order."""
        layouts: dict[int, tuple[Modality, ...]] = {1: ("thermal",), 3: ("rgb",), 4: ("rgb", "thermal")}
        return layouts[self.channels]

    @property
    def channel_scale(self) -> tuple[float, ...]:
        """The factor of ``input_scale`` for each channel."""
        return tuple(
            factor
            for modality, factor, count in zip(("rgb", "thermal"), self.input_scale, (3, 1), strict=True)
            if modality in self.modalities
            for _ in range(count)
        )

    def sources(self, task: str) -> tuple[Modality, ...]:
        """The modalities that the branch of ``task`` sees."""
        return self.modalities if self.fusion != "NF" else (("rgb",) if task == "bvp" else ("thermal",))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a card; ``ModelSpec(**d)`` after its lists are tuples again."""
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


class Tower(nn.Module):
    """``[B, C, T, S, S]`` -> the embedding ``[B, 16, T or T/4, s, s]`` of one stream."""

    def __init__(self, channels: int, branch: Branch) -> None:
        super().__init__()
        self.features, channels = _sequence(channels, branch.features)
        self.head, self.channels = _sequence(channels, branch.head)

    def embedding(self, x: Tensor) -> Tensor:
        """The embedding of normalised differences."""
        embedded: Tensor = self.head(self.features(x))
        return embedded


class BranchNet(Tower):
    """The branch of ``task``: normalised differences ``[B, C, T, S, S]`` -> waveform ``[B, T]``, arbitrary units."""

    def __init__(self, task: str, channels: int, branch: Branch, attention: AttentionSpec | None = None) -> None:
        super().__init__(channels, branch)
        self.task = task
        self.attention = Attention(self.channels, attention) if attention else None
        self.final, _ = _sequence(self.channels, branch.final)

    def forward(self, x: Tensor, labels: Labels = NO_LABELS) -> Tensor:
        """The waveform of normalised differences."""
        return _waveform(self, self.embedding(x), labels)


class LateBranchNet(nn.Module):
    """As :class:`BranchNet`, of four channels: a tower for RGB and one for thermal, joined before attention."""

    def __init__(self, task: str, branch: Branch, attention: AttentionSpec | None = None) -> None:
        super().__init__()
        self.task = task
        self.rgb, self.thermal = Tower(3, branch), Tower(1, branch)
        channels = self.rgb.channels + self.thermal.channels
        self.attention = Attention(channels, attention) if attention else None
        self.final, _ = _sequence(channels, branch.final)

    def forward(self, x: Tensor, labels: Labels = NO_LABELS) -> Tensor:
        """The waveform of normalised differences, RGB first."""
        joined = torch.cat([self.rgb.embedding(x[:, :3]), self.thermal.embedding(x[:, 3:])], dim=1)
        return _waveform(self, joined, labels)


def _waveform(net: BranchNet | LateBranchNet, embedding: Tensor, labels: Labels) -> Tensor:
    """Attention while training, then the final layers."""
    if net.attention is not None and net.training:
        embedding = net.attention(embedding, net.attention.targets(labels, net.task, embedding.shape[2]))
    wave: Tensor = net.final(embedding)  # [B, 1, T, 1, 1]
    return wave[:, 0, :, 0, 0]


class Mmrphys(nn.Module):
    """The whole model; one branch a task, sharing nothing but the input transform.

    ``attention`` acts in training only; what is trained with it is used without.
    """

    def __init__(self, spec: ModelSpec, attention: AttentionSpec | None = None) -> None:
        super().__init__()
        self.spec = spec
        for task in spec.tasks:
            first, end = spec.task_channels(task)
            branch = spec.branch(task)
            if spec.fusion == "LF":
                self.add_module(task, LateBranchNet(task, branch, attention))
            else:
                self.add_module(task, BranchNet(task, end - first, branch, attention))

    def forward(self, frames: Tensor, labels: Labels = NO_LABELS) -> dict[str, Tensor]:
        """Waveforms ``{task: [B, T]}`` of float32 frames ``[B, C, F, S, S]``, RGB 0..255 first, thermal in degC last.

        A model with 3 channels takes the first three of a four-channel clip, a model with 1 the last. A clip in which
        a value is not a finite number gives waveforms that are not numbers, from every branch that sees the value;
        other clips of the batch are not touched. ``labels`` ``{name: [B, T]}`` are what attention is constrained by
        and are not looked at outside training.

        ValueError when the shape does not fit the specification, T is not a multiple of 4 while RSP is on, or TSFM
        attention is trained without labels.
        """
        self._check(frames)
        if frames.shape[1] != self.spec.channels:
            frames = frames[:, :3] if self.spec.channels == 3 else frames[:, 3:]
        difference = frames[:, :, 1:] - frames[:, :, :-1]  # [B, C, T, S, S]
        if self.spec.input_scale != (1.0, 1.0):
            difference = difference * difference.new_tensor(self.spec.channel_scale)[:, None, None, None]
        normed = functional.instance_norm(difference, eps=NORM_EPS)
        waves = {}
        for task in self.spec.tasks:
            first, end = self.spec.task_channels(task)
            waves[task] = self.get_submodule(task)(normed[:, first:end], labels)  # [B, T]
        return waves

    def _check(self, frames: Tensor) -> None:
        spec = self.spec
        if frames.ndim != 5 or frames.shape[3:] != (spec.size, spec.size):
            raise ValueError(f"frames are [B, C, F, {spec.size}, {spec.size}]; seen {list(frames.shape)}")
        if frames.shape[1] not in (spec.channels, 4):
            raise ValueError(f"frames have {spec.channels} channels (or 4); seen {frames.shape[1]}")
        if not frames.is_floating_point():
            raise ValueError(f"frames are float32; seen {frames.dtype}")
        spec.check_frames(frames.shape[2])
