"""Loss curves as a small picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.checkpoint import write_atomically

__all__ = ["save_curves"]

SMOOTH_STEPS = 50


def save_curves(path: Path, losses: Mapping[str, Sequence[float]], label: str) -> None:
    """One panel a part: the loss of every step, and its running mean; ``label`` names the loss."""
    figure = Figure(figsize=(4.2 * len(losses), 3.0), layout="constrained")
    for axis, (part, values) in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses.items(), strict=True):
        steps = np.arange(1, len(values) + 1)
        axis.plot(steps, values, color="0.8", linewidth=0.5)
        width = min(SMOOTH_STEPS, len(values))
        axis.plot(steps[width - 1 :], np.convolve(values, np.ones(width) / width, "valid"), color="tab:blue")
        axis.set(title=part, xlabel="step", ylabel=label)
        axis.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    write_atomically(path, buffer.getvalue())
