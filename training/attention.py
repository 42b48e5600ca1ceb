"""Attention in training (arXiv 2505.07013): a low-rank picture of the embedding, that the target signal may constrain.

It stands between a branch's convolutions and its final layers and is left out at inference. The embedding is squeezed
to a non-negative matrix ``X`` ``[D, N]``, ``X`` is approximated by few patterns, and what the approximation keeps is
multiplied back onto the embedding:

* ``tsfm``: the patterns are the target signals themselves, so what does not move with the pulse or the breath is lost;
* ``fsam``: non-negative factorisation without a constraint;
* ``gaussian``: patterns made of Gaussian bumps in time, the paper's ablation (GRBF).

The published code updates factors step by step. Since all its columns start equal they stay equal, and the result has a
closed form: for ``tsfm`` the orthogonal projection onto the target, for ``fsam`` some steps of the power method. These
are what trains here; the updates are kept as their oracle. Gaussians have none: the factors of their updates grow
apart until a lower bound stops them.

Letters in the shape notes: B clips, C channels, T samples, S pixels a side, D rows and N columns of ``X``, P targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Attention",
    "AttentionSpec",
    "approximate",
    "factors_by_updates",
    "gaussian_basis",
    "maps_from_matrix",
    "matrix_from_maps",
    "power_pattern",
    "projection",
    "targets_from_labels",
]  # fmt: skip

MAPS = 8
"""Channels of the squeezed embedding."""
BETA = 1.0
"""Added to both factors of the product. Learnable in the published code, and never trained there."""
NORM_EPS = 1e-5
"""Epsilon of every instance norm; against it the 0..255 scale of the input is part of the contract."""
COLLINEAR = 1e-5
"""A direction of the targets that is weaker than so much of the strongest one is rounding, not a signal."""
CONSTANT = 1e-6
"""A target that spans less than so much of its largest value is constant."""


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """Which attention.

    ``layout`` says what a row of ``X`` is: ``"time"`` a moment, as in the paper; ``"memory"`` what the published code
    makes of the same words: ``X`` is the memory of ``[maps, T, S, S]`` cut into T rows, so that each map sees an
    eighth of the target, stretched. ``minima`` are taken over each clip, or over the whole ``"batch"`` as published,
    which makes a clip's result depend on its neighbours. ``targets`` are the branch's ``"own"`` label or ``"all"``
    labels together. ``form`` ``"iterative"`` is the oracle, in which alone ``rank`` acts; Gaussians have no closed form
    and are always computed by updates, from equal weights where the published code draws them. ``steps`` is the number
    of updates. ``residual`` keeps the embedding beside what attention makes of it.
    """

    kind: Literal["tsfm", "fsam", "gaussian"] = "tsfm"
    layout: Literal["time", "memory"] = "time"
    minima: Literal["sample", "batch"] = "sample"
    targets: Literal["own", "all"] = "own"
    form: Literal["closed", "iterative"] = "closed"
    steps: int = 4
    rank: int = 1
    residual: bool = True

    def __post_init__(self) -> None:
        choices = {
            "kind": ("tsfm", "fsam", "gaussian"), "layout": ("time", "memory"), "minima": ("sample", "batch"),
            "targets": ("own", "all"), "form": ("closed", "iterative"),
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"attention {name} is one of {', '.join(known)}; seen {getattr(self, name)!r}")
        if self.steps < 1 or self.rank < 1:
            raise ValueError(f"attention steps and rank are 1 or more; seen {self.steps} and {self.rank}")
        if (self.kind, self.form, self.targets) == ("tsfm", "iterative", "all"):
            raise ValueError("attention by updates knows one target; use form 'closed' or targets 'own'")


# ------------------------------------------------------------------------------------------------------------- targets


def targets_from_labels(labels: Mapping[str, Tensor], own: str, length: int, which: str = "own") -> Tensor:
    """Target columns ``[B, length, P]`` in 1..2 of labels ``{name: [B, T]}``, that of ``own`` first.

    Labels are z-scored along time. ``length`` is T, or T / 4 for a branch that runs at a quarter of the rate: labels
    are then averaged over 5 samples every 4, with zeros beyond their ends, as published. A constant label becomes a
    column of ones: the constraint "does not change". A label with a value that is not a finite number is missing for
    that clip: its column is 0 and constrains nothing.

    ValueError when ``own`` is not among the labels.
    """
    if own not in labels:
        raise ValueError(f"attention needs the label {own!r} to train; seen {sorted(labels) or 'none'}")
    names = [own, *(sorted(set(labels) - {own}) if which == "all" else ())]
    return torch.stack([_column(labels[name].detach().float(), length) for name in names], dim=2)


def _column(label: Tensor, length: int) -> Tensor:
    """One column ``[B, length]`` of a label ``[B, T]``."""
    present = torch.isfinite(label).all(dim=1, keepdim=True)
    label = torch.where(present, label, 0.0)
    largest = label.abs().amax(dim=1, keepdim=True)
    if label.shape[1] != length:
        if label.shape[1] != 4 * length:
            raise ValueError(f"a label of {label.shape[1]} samples fits neither {length} nor a quarter of its rate")
        label = functional.avg_pool1d(label[:, None], kernel_size=5, stride=4, padding=2)[:, 0]
    low, high = label.amin(dim=1, keepdim=True), label.amax(dim=1, keepdim=True)
    span = high - low
    changes = span > CONSTANT * largest.clamp_min(CONSTANT)
    return present * (1.0 + changes * (label - low) / torch.where(changes, span, 1.0))


# -------------------------------------------------------------------------------------------------------- closed forms


def projection(x: Tensor, targets: Tensor) -> Tensor:
    """Orthogonal projection of the columns of ``x`` ``[B, D, N]`` onto the span of ``targets`` ``[B, D, P]``.

    With one target ``s`` this is ``s (s^T x) / (s^T s)``, what any number of TSFM's updates ends in. Targets that are
    0 or a combination of others add nothing; without any the projection is 0. No gradient reaches the targets.
    """
    with torch.no_grad():
        directions, strength, _ = torch.linalg.svd(targets.double(), full_matrices=False)  # [B, D, P], [B, P]
        kept = strength > COLLINEAR * strength[:, :1].clamp_min(1e-30)
        basis = (directions * kept[:, None, :]).to(x.dtype)
    projected: Tensor = basis @ (basis.transpose(1, 2) @ x)
    return projected


def power_pattern(x: Tensor, start: Tensor, steps: int) -> Tensor:
    """The pattern ``[B, D, 1]`` of unit length that ``steps`` updates of a factorisation of rank 1 end in.

    These are steps of the power method with ``x x^T`` ``[B, D, D]`` from ``start`` ``[B, D, 1]``. No gradient.
    """
    with torch.no_grad():
        pattern = functional.normalize(start, dim=1)
        for _ in range(steps):
            pattern = functional.normalize(x @ (x.transpose(1, 2) @ pattern), dim=1)
        return pattern


# --------------------------------------------------------------------------------------------------------- the updates


def gaussian_basis(rows: int) -> Tensor:
    """Columns ``[rows, P]``: Gaussians in time of six widths, each at every, every 2nd or every 3rd row, and ones."""
    row = torch.arange(rows, dtype=torch.float32)[:, None]
    bumps = [
        torch.exp(-0.25 * (row - row[::every, 0]) ** 2 / width**2)
        for width, every in ((6.0, 1), (8.0, 1), (12.0, 2), (15.0, 2), (18.0, 3), (24.0, 3))
    ]
    return torch.cat([*bumps, torch.ones_like(row)], dim=1)


def factors_by_updates(x: Tensor, start: Tensor, steps: int, basis: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """The approximation ``[B, D, N]`` of ``x`` by ``steps`` multiplicative updates, as the published code computes it.

    ``start`` is ``[B, P, R]`` with a ``basis`` ``[B or 1, D, P]`` (a target signal, or Gaussians), else ``[B, D, R]``.
    Denominators are kept above ``eps``: 1e-6, or 1e-3 in half precision. The gradient goes through the last update of
    the coefficients alone.
    """
    with torch.no_grad():
        weights = start
        patterns = weights if basis is None else basis @ weights
        shares = torch.softmax(x.transpose(1, 2) @ patterns, dim=2)  # [B, N, R]
        for _ in range(steps):
            shares = _tamed(_updated_shares(x, patterns, shares, eps))
            ratio = (x @ shares) / (patterns @ (shares.transpose(1, 2) @ shares)).clamp_min(eps)
            weights = _tamed(weights * ratio if basis is None else basis.transpose(1, 2) @ (patterns * ratio))
            patterns = weights if basis is None else basis @ weights
    shares = _updated_shares(x, patterns, shares, eps)
    return patterns @ shares.transpose(1, 2)


def _updated_shares(x: Tensor, patterns: Tensor, shares: Tensor, eps: float) -> Tensor:
    denominator = shares @ (patterns.transpose(1, 2) @ patterns)
    return shares * (x.transpose(1, 2) @ patterns) / denominator.clamp_min(eps)


def _tamed(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, nan=0.0, posinf=1.0, neginf=0.0)


# --------------------------------------------------------------------------------------------------------- one of them


def approximate(x: Tensor, spec: AttentionSpec, targets: Tensor | None, eps: float = 1e-6) -> Tensor:
    """What ``spec`` keeps of the non-negative ``x`` ``[B, D, N]``; ``targets`` ``[B, D, P]`` are for ``tsfm``.

    ValueError for several targets by updates, and for ``tsfm`` without any.
    """
    if spec.kind == "tsfm":
        if targets is None:
            raise ValueError("tsfm needs the label to train; pass labels, or train without attention")
        if spec.form == "closed":
            return projection(x, targets)
        if targets.shape[2] > 1:
            raise ValueError(f"updates know one target; seen {targets.shape[2]}; use the closed form")
        return factors_by_updates(x, x.new_ones(len(x), 1, spec.rank), spec.steps, targets.to(x.dtype), eps)
    if spec.kind == "gaussian":
        basis = gaussian_basis(x.shape[1]).to(x)
        start = functional.normalize(x.new_ones(len(x), basis.shape[1], spec.rank), dim=1)
        return factors_by_updates(x, start, spec.steps, basis[None], eps)
    start = functional.normalize(x.new_ones(len(x), x.shape[1], spec.rank), dim=1)
    if spec.form == "iterative":
        return factors_by_updates(x, start, spec.steps, None, eps)
    pattern = power_pattern(x, start[:, :, :1], spec.steps)
    return pattern @ (pattern.transpose(1, 2) @ x)


def matrix_from_maps(maps: Tensor, layout: str) -> Tensor:
    """``X`` ``[B, T, C * S * S]`` of ``maps`` ``[B, C, T, S, S]``; ``layout`` as in :class:`AttentionSpec`."""
    if layout == "memory":
        return maps.contiguous().reshape(len(maps), maps.shape[2], -1)
    return maps.transpose(1, 2).flatten(2)


def maps_from_matrix(x: Tensor, shape: torch.Size, layout: str) -> Tensor:
    """The inverse of :func:`matrix_from_maps`; ``shape`` is that of the maps."""
    if layout == "memory":
        return x.reshape(shape)
    batch, channels, length, height, width = shape
    return x.reshape(batch, length, channels, height, width).transpose(1, 2)


# ---------------------------------------------------------------------------------------------------------- the module


class Attention(nn.Module):
    """``[B, C, T, S, S]`` -> the same shape. ``error`` is then the norm of what the approximation of the batch misses.

    A clip whose targets are all missing goes through unchanged, as at inference.
    """

    def __init__(self, channels: int, spec: AttentionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.pre = nn.Conv3d(channels, MAPS, 1)
        self.post = nn.Sequential(
            nn.Conv3d(MAPS, MAPS, 1, bias=False), nn.ReLU(), nn.Conv3d(MAPS, channels, 1, bias=False)
        )
        for conv in (self.pre, self.post[0], self.post[2]):
            assert isinstance(conv, nn.Conv3d)
            nn.init.normal_(conv.weight, 0.0, (2.0 / conv.out_channels) ** 0.5)
        self.error: Tensor | None = None

    def forward(self, embedding: Tensor, targets: Tensor | None) -> Tensor:
        """``targets`` ``[B, T, P]`` from :func:`targets_from_labels`, for ``tsfm``."""
        above = embedding - self._minimum(embedding)  # E+ >= 0
        kept = self.map_of(above, targets)
        product = (above.float() + BETA) * (kept.float() - self._minimum(kept) + BETA)  # too large for half precision
        attended = functional.instance_norm(product, eps=NORM_EPS).to(embedding.dtype)
        if self.spec.residual:
            attended = embedding + attended
        if targets is None or self.spec.kind != "tsfm":
            return attended
        constrained = targets.ne(0.0).any(dim=2).any(dim=1)
        return torch.where(constrained[:, None, None, None, None], attended, embedding)

    def targets(self, labels: Mapping[str, Tensor], own: str, length: int) -> Tensor | None:
        """What constrains a branch of the label ``own`` (:func:`targets_from_labels`); None where nothing does."""
        return targets_from_labels(labels, own, length, self.spec.targets) if self.spec.kind == "tsfm" else None

    def map_of(self, above: Tensor, targets: Tensor | None) -> Tensor:
        """The attention map ``[B, C, T, S, S]`` of a non-negative embedding of that shape."""
        squeezed = functional.relu(self.pre(above))  # Z [B, 8, T, S, S]
        eps = 1e-3 if squeezed.dtype in (torch.float16, torch.bfloat16) else 1e-6
        with torch.autocast(squeezed.device.type, enabled=False):
            maps = squeezed.float()
            x = matrix_from_maps(maps, self.spec.layout)
            approximation = maps_from_matrix(approximate(x, self.spec, targets, eps), maps.shape, self.spec.layout)
            self.error = (maps - approximation).detach().norm()
        mapped: Tensor = self.post(approximation.to(squeezed.dtype))
        return mapped

    def _minimum(self, x: Tensor) -> Tensor:
        return x.amin() if self.spec.minima == "batch" else x.amin(dim=(1, 2, 3, 4), keepdim=True)
