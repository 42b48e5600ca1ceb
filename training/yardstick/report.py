"""The report of an evaluation: JSON, CSV, PNG and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from edge.errors import UsageError
from edge.html_page import Html, figure, join, page, paragraph, section, table, tag
from edge.metrics import LIMITS_PER_MIN
from training.checkpoint import write_atomically
from training.yardstick.evaluation import Evaluation
from training.yardstick.figures import REAL, Figure, limit_per_min
from training.yardstick.measure import CUES, MAIN, SETTLE_S, WINDOW_S, Row
from training.yardstick.tables import (
    HEAD,
    LEGEND,
    METHODS,
    RATES,
    SPLITS,
    cells_of_split,
    csv_from_figures,
    csv_from_rows,
    json_from_evaluation,
    markdown_from_evaluation,
)

__all__ = ["folder_for_writing", "save_report"]

COLOURS = {
    f"{MAIN}{CUES}": "#0b7261", MAIN: "#3f8fd2", "pos": "#d9a21b", "nostril": "#c8553d", "published": "#a23b72",
    "random": "#8a8a8a", "luckiest": "#c7c7c7",
}  # fmt: skip
"""One colour a method in all pictures; methods without one are left to the tables."""
RANGES_PER_MIN = {"hr": (30.0, 190.0), "rr": (4.0, 40.0)}


def folder_for_writing(out: Path) -> None:
    """Make the folder ``out``, before long work; UsageError where it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; name a folder you may write to") from error


def save_report(result: Evaluation, rows: Sequence[Row], out: Path) -> list[Path]:
    """Write ``evaluate.json``, two CSV files, ``tables.md``, two pictures and ``evaluate.html`` into ``out``."""
    pictures = {"within.png": _within(result)}
    if scenes := [name for name in result.counts if name != REAL]:
        pictures["scatter.png"] = _scatter(rows, scenes)
    files = {
        "evaluate.json": json_from_evaluation(result),
        "figures.csv": csv_from_figures(result.figures).encode(),
        "looks.csv": csv_from_rows(rows).encode(),
        "tables.md": markdown_from_evaluation(result).encode(),
        **pictures,
        "evaluate.html": _page(result, pictures).encode(),
    }
    for name, data in files.items():
        write_atomically(out / name, data)
    return [out / name for name in files]


# ------------------------------------------------------------------------------------------------------------ pictures


def _scatter(rows: Sequence[Row], sets: Sequence[str]) -> bytes:
    """Every look: the network alone, and over it what was published."""
    rates = [rate for rate in RATES if any(row.rate == rate for row in rows)]
    picture = Picture(figsize=(3.6 * len(sets), 3.6 * len(rates)), layout="constrained")
    for axes, rate in zip(picture.subplots(len(rates), len(sets), squeeze=False), rates, strict=True):
        for axis, name in zip(axes, sets, strict=True):
            _one_scatter(axis, [row for row in rows if row.data == name and row.rate == rate], rate)
            axis.set_title(f"{name}: {RATES[rate]}", fontsize=10)
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, markerscale=3)
    return _png(picture)


def _one_scatter(axis: Axes, rows: Sequence[Row], rate: str) -> None:
    low, high = RANGES_PER_MIN[rate]
    limit = LIMITS_PER_MIN[rate]
    axis.fill_between([low, high], [low - limit, high - limit], [low + limit, high + limit], color="0.92", linewidth=0)
    alone = [(row.truth, row.estimate) for row in rows if row.method == MAIN and row.is_due and row.estimate]
    shown = [(row.truth, row.value) for row in rows if row.method == f"{MAIN}{CUES}" and row.state == "ok"]
    for points, colour, size, text in (
        (alone, COLOURS[MAIN], 3, "network alone, every look"),
        (shown, COLOURS[f"{MAIN}{CUES}"], 3, "published as ok"),
    ):
        x, y = np.array(points, float).reshape(-1, 2).T
        axis.plot(x, y, ".", color=colour, markersize=size, alpha=0.5, label=text, rasterized=True)
    axis.set(xlim=(low, high), ylim=(low, high), xlabel="true, per minute", ylabel="read, per minute")
    axis.set_aspect("equal")
    axis.grid(alpha=0.25)


def _within(result: Evaluation) -> bytes:
    """Share of looks within the limit, by band of true rate (or by change) and method."""
    panels = [(name, rate) for name in result.counts for rate in RATES if _parts(result, name, rate)]
    picture = Picture(figsize=(9.0, 2.5 * len(panels)), layout="constrained")
    for axis, (name, rate) in zip(picture.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _bars(axis, result, name, rate)
    legend = {text: bar for axis in picture.axes for bar, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    picture.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=3, fontsize=9)
    return _png(picture)


def _bars(axis: Axes, result: Evaluation, name: str, rate: str) -> None:
    parts = _parts(result, name, rate)
    held = {(f.method, f.part): f for f in _panel(result, name, rate)}
    methods = [method for method in COLOURS if any((method, part) in held for part in parts)]
    width = 0.85 / len(methods)
    for i, method in enumerate(methods):
        shares = [100.0 * (held[method, part].every.within or 0.0) for part in parts]
        places = np.arange(len(parts)) + (i - 0.5 * (len(methods) - 1)) * width
        axis.bar(places, shares, width, color=COLOURS[method], label=METHODS[method])
    unit = f"within {limit_per_min(name, rate):g}/min, %"
    axis.set_xticks(range(len(parts)), parts, fontsize=8, rotation=20 if name == REAL else 0)
    axis.set(ylim=(0, 100), ylabel=unit)
    axis.set_title(f"{name}: {RATES[rate]}", fontsize=10)
    axis.grid(alpha=0.25, axis="y")


def _parts(result: Evaluation, name: str, rate: str) -> list[str]:
    return list(dict.fromkeys(figure.part for figure in _panel(result, name, rate)))


def _panel(result: Evaluation, name: str, rate: str) -> list[Figure]:
    """The figures of one panel: by true rate, those of the real clip by change."""
    split = "change" if name == REAL else "rate"
    return [f for f in result.figures if (f.data, f.rate, f.split) == (name, rate, split)]


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------------------------- page


def _page(result: Evaluation, pictures: dict[str, bytes]) -> str:
    main = result.networks[MAIN]
    title = f"Evaluation of {main['name']}"
    content: list[object] = [tag("h1", title), tag("p", result.notice, class_="notice")]
    content += [_about(result), section(SPLITS["all"], _tables(result, "all"))]
    captions = {
        "within.png": "Share of looks within the limit, by part and method. A look that reads nothing counts as wrong.",
        "scatter.png": "Read against true. The grey band is the limit.",
    }
    for name, caption in captions.items():
        if name not in pictures:
            continue
        content.append(section(caption.split(".", maxsplit=1)[0], figure(_image(pictures[name], caption), caption)))
    splits = [split for split in SPLITS if split != "all" and any(f.split == split for f in result.figures)]
    content += [section(SPLITS[split], _tables(result, split)) for split in splits]
    return page(title, *content)


def _about(result: Evaluation) -> Html:
    counts = ", ".join(f"{name} {count}" for name, count in result.counts.items())
    networks = "; ".join(f"{method}: {one['name']} ({one['id'][:19]})" for method, one in result.networks.items())
    hr_s, rr_s = (WINDOW_S[rate] + SETTLE_S for rate in ("hr", "rr"))
    scenes = (
        "Every look at a synthetic recording goes through detector, tracker, crop, time grid, model and states as on "
        f"the device. It is one second, and due from {hr_s:g} s (HR) and {rr_s:g} s (RR) on, when the longest window "
        "could be full, whether or not a face was found. Looks of one recording overlap and are not independent."
    )
    real = (
        "The cases of the real clip are one recording of 10 s of one person, disturbed in 13 ways and seen through 9 "
        "boxes that are given instead of found; only the last look of each counts, and it is always due."
    )
    guesses = "; ".join(f"HR {guess['hr']:g}, RR {guess['rr']:g}" for guess in result.constants_per_min.values())
    told = [
        f"Protocol {result.protocol}, data {result.data}: {counts}.",
        scenes if set(result.counts) - {REAL} else "",
        real if REAL in result.counts else "",
        LEGEND,
        f"Networks: {networks}. Constant guesses, per minute: {guesses}.",
        f"Measured on {result.machine}.",
    ]
    return join(paragraph(text) for text in told if text)


def _tables(result: Evaluation, split: str) -> Html:
    """One table for each part of the data and rate, because all columns side by side are wide enough as they are."""
    made = []
    for (name, rate), lines in groupby(cells_of_split(result, split), lambda cells: (cells[0], cells[1])):
        first = slice(3, None) if split == "all" else slice(2, None)
        columns = (0,) if split == "all" else (0, 1)
        made.append(
            table(f"{name}: {rate}", HEAD[first], [_whole(cells[first]) for cells in lines], text_columns=columns)
        )
    return join(made)


def _whole(cells: list[str]) -> list[Html]:
    """Cells that do not break over lines."""
    return [tag("span", cell, style="white-space:nowrap") for cell in cells]


def _image(png: bytes, text: str) -> Html:
    return tag("img", src=f"data:image/png;base64,{base64.b64encode(png).decode()}", alt=text, style="width:100%")
