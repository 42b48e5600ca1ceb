"""The pictures of reports: read against true, difference against mean, and shares as bars. Arrays in, PNG out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from edge.metrics import Agreement
from edge.validation.words import limits_text, signed

__all__ = ["COLOURS", "Bars", "Cloud", "Panel", "bars", "bland_altman", "scatter"]

Floats = npt.NDArray[np.float64]

COLOURS = {
    "network+cues": "#0b7261", "network": "#3f8fd2", "pos": "#d9a21b", "nostril": "#c8553d", "published": "#a23b72",
    "random": "#8a8a8a", "luckiest": "#c7c7c7",
}  # fmt: skip
"""One colour a method in all pictures; methods without one are left to the tables."""
RANGES_PER_MIN = {"hr": (30.0, 190.0), "rr": (4.0, 40.0)}
_RULE = "#1c2126"


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Estimates ``[N]`` against truths ``[N]``, per minute, NaN where there is none."""

    truth: Floats
    estimate: Floats
    colour: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One plot: its title, its rate (``hr`` or ``rr``), what is in it.

    ``against`` is what the truth is called, ``point`` the size of the points.
    """

    title: str
    rate: str
    clouds: Sequence[Cloud]
    against: str = "true"
    point: float = 3.0


@dataclass(frozen=True, slots=True)
class Bars:
    """One plot of shares in %, ``shares`` of each method (by its key in ``COLOURS``) over ``parts``."""

    title: str
    unit: str
    parts: Sequence[str]
    shares: Mapping[str, Sequence[float]]
    texts: Mapping[str, str]


# -------------------------------------------------------------------------------------------------------- read vs true


def scatter(panels: Sequence[Sequence[Panel]], limits_per_min: Mapping[str, float]) -> bytes:
    """Rows of panels, read against true; the grey band is the limit."""
    picture = Picture(figsize=(3.6 * len(panels[0]), 3.6 * len(panels)), layout="constrained")
    for axes, row in zip(picture.subplots(len(panels), len(panels[0]), squeeze=False), panels, strict=True):
        for axis, panel in zip(axes, row, strict=True):
            _scatter(axis, panel, limits_per_min[panel.rate])
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, markerscale=3)
    return _png(picture)


def _scatter(axis: Axes, panel: Panel, limit: float) -> None:
    low, high = RANGES_PER_MIN[panel.rate]
    axis.fill_between([low, high], [low - limit, high - limit], [low + limit, high + limit], color="0.92", linewidth=0)
    for cloud in panel.clouds:
        axis.plot(
            cloud.truth, cloud.estimate, ".", color=cloud.colour, markersize=panel.point, alpha=0.5, label=cloud.text,
            rasterized=True,
        )  # fmt: skip
    axis.set(xlim=(low, high), ylim=(low, high), xlabel=f"{panel.against}, per minute", ylabel="read, per minute")
    axis.set_title(panel.title, fontsize=10)
    axis.set_aspect("equal")
    axis.grid(alpha=0.25)


# --------------------------------------------------------------------------------------------------- difference vs mean


def bland_altman(panels: Sequence[tuple[Panel, Agreement]], limit_per_min: float) -> bytes:
    """Panels of one cloud each side by side: difference against mean, with bias and limits of agreement."""
    picture = Picture(figsize=(5.4 * len(panels), 3.6), layout="constrained")
    axes = picture.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for axis, (panel, figures) in zip(axes, panels, strict=True):
        _bland_altman(axis, panel, figures, limit_per_min)
    for axis, (_, figures) in zip(axes, panels, strict=True):
        _numbers(axis, [at for at in (figures.loa_low, figures.bias, figures.loa_high) if at is not None])
    return _png(picture)


def _bland_altman(axis: Axes, panel: Panel, figures: Agreement, limit: float) -> None:
    [cloud] = panel.clouds
    middle, difference = 0.5 * (cloud.truth + cloud.estimate), cloud.estimate - cloud.truth
    axis.axhspan(-limit, limit, color="0.92", linewidth=0)
    axis.plot(middle, difference, ".", color=cloud.colour, markersize=panel.point, alpha=0.5, rasterized=True)
    for at, style in ((figures.bias, "-"), (figures.loa_low, "--"), (figures.loa_high, "--")):
        if at is not None:
            axis.axhline(at, color=_RULE, linestyle=style, linewidth=1.1)
    said = f"bias {signed(figures.bias)}, limits of agreement {limits_text(figures)}, n = {figures.read}"
    axis.set_title(f"{panel.title}, {cloud.text}\n{said}", fontsize=9)
    axis.set(
        xlim=RANGES_PER_MIN[panel.rate],
        xlabel=f"mean of read and {panel.against}, per minute",
        ylabel=f"read less {panel.against}, per minute",
    )
    axis.margins(y=0.1)
    axis.grid(alpha=0.25)
    axis.tick_params(labelleft=True)


def _numbers(axis: Axes, lines: Sequence[float]) -> None:
    """The number of each line at its right end, moved apart where they lie close."""
    low, high = axis.get_ylim()
    free = -np.inf
    for at in lines:
        place = max((at - low) / (high - low), free)
        axis.text(1.01, place, signed(at), transform=axis.transAxes, fontsize=8, va="center", color=_RULE)
        free = place + 0.055


# ---------------------------------------------------------------------------------------------------------------- bars


def bars(panels: Sequence[Bars]) -> bytes:
    """Panels one below the other."""
    picture = Picture(figsize=(9.0, 2.5 * len(panels)), layout="constrained")
    for axis, panel in zip(picture.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _bars(axis, panel)
    legend = {text: bar for axis in picture.axes for bar, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    picture.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=3, fontsize=9)
    return _png(picture)


def _bars(axis: Axes, panel: Bars) -> None:
    width = 0.85 / len(panel.shares)
    for i, (method, shares) in enumerate(panel.shares.items()):
        places = np.arange(len(panel.parts)) + (i - 0.5 * (len(panel.shares) - 1)) * width
        axis.bar(places, shares, width, color=COLOURS[method], label=panel.texts[method])
    rotation = 20 if max(map(len, panel.parts)) > 6 and len(panel.parts) > 6 else 0
    axis.set_xticks(range(len(panel.parts)), panel.parts, fontsize=8, rotation=rotation)
    axis.set(ylim=(0, 100), ylabel=panel.unit)
    axis.set_title(panel.title, fontsize=10)
    axis.grid(alpha=0.25, axis="y")


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
