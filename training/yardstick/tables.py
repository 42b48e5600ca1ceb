"""An evaluation as text: the table of the README, JSON and CSV. Needs no plotting library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN, band_names
from training.yardstick.evaluation import Evaluation
from training.yardstick.figures import Figure
from training.yardstick.layout import (
    METHODS,
    RATES,
    SHARES,
    agreement_cells,
    aligned,
    csv_text,
    markdown_table,
    number,
    share,
    share_read,
)
from training.yardstick.measure import Row
from training.yardstick.sources import MAIN
from training.yardstick.stated import STATED, STATED_HEAD, STATED_LEGEND, stated_cells

__all__ = [
    "AGREEMENT", "AGREEMENT_HEAD", "AGREEMENT_LEGEND", "HEAD", "LEGEND", "SPLITS", "agreement_lines", "cells_of_split",
    "csv_from_figures", "csv_from_rows", "markdown_from_evaluation", "text_from_evaluation",
]  # fmt: skip

_PARTS = (*band_names("hr"), *band_names("rr"), "light", "medium", "dark", "raw", "mjpeg", "h264")
"""Parts with an order of their own; others stand as they come."""


def csv_from_figures(figures: Sequence[Figure]) -> str:
    """One line a figure; empty where there is none."""
    head = (
        "data", "rate", "method", "split", "part", "recordings", "limit_per_min", "narrow_per_min", "looks", "read",
        "mae", "rmse", *SHARES, "coverage", "published", "published_mae", "published_rmse",
        *(f"published_{name}" for name in SHARES), "false_confidence",
    )  # fmt: skip
    return csv_text(head, (_figure_line(figure) for figure in figures))


def _figure_line(figure: Figure) -> list[object]:
    every, shown = figure.every, figure.published
    line: list[object] = [
        figure.data, figure.rate, figure.method, figure.split, figure.part, figure.recordings, figure.limit_per_min,
        figure.narrow_per_min, every.looks, every.read, every.mae, every.rmse,
        *(getattr(every, name) for name in SHARES),
    ]  # fmt: skip
    if shown is None:
        return [*line, *[None] * (5 + len(SHARES))]
    figures = shown.agreement
    return [
        *line, shown.coverage, figures.looks, figures.mae, figures.rmse, *(getattr(figures, name) for name in SHARES),
        shown.false_confidence,
    ]  # fmt: skip


def csv_from_rows(rows: Sequence[Row]) -> str:
    """Every look of every method."""
    head = ("data", "recording", "rate", "t_s", "truth", "due", "method", "estimate", "state", "value", "uncertainty")
    lines = (
        [
            row.data, row.recording, row.rate, row.t_s, row.truth, int(row.is_due), row.method, row.estimate, row.state,
            row.value, row.uncertainty,
        ]
        for row in rows
    )  # fmt: skip
    return csv_text(head, lines)


HEAD = (
    "data", "rate", "part", "method", "read", "MAE", "RMSE", "within", "coverage", "ok MAE", "ok RMSE", "ok within",
    "ok false",
)  # fmt: skip
LEGEND = (
    "Of all looks that were due: the share in which the method reads a rate, MAE and RMSE (per minute) of what it "
    "reads, and the share that is read and within 5 (HR) or 3 (RR) per minute of the truth, 3 on the real clip. "
    "Methods with cues are the whole runtime, which reads the network and its own cues together; of what it published "
    "as ok: its share of the looks that were due (coverage), MAE, RMSE, the share within, and the false confidence, "
    "which is the rest."
)
"""What the columns of :data:`HEAD` say."""
AGREEMENT = "Agreement with the truth"
AGREEMENT_HEAD = (
    "data", "rate", "method", "bias", "limits", "within 2", "within 10 %", "ok bias", "ok limits", "ok within 2",
    "ok within 10 %",
)  # fmt: skip
AGREEMENT_LEGEND = (
    "Bias is the mean of read less true, the limits are the limits of agreement (Bland and Altman): 1.96 standard "
    "deviations on both sides of it, per minute, of what was read. The share of the looks that are read and within "
    f"{NARROW_PER_MIN['rr']:g} per minute (RR, narrower than the {LIMITS_PER_MIN['rr']:g} elsewhere), and within 10 % "
    "of the truth. The same of what was published as ok. Looks of one recording are not independent: limits and "
    "shares describe these looks and are no interval of confidence."
)
"""What the columns of :data:`AGREEMENT_HEAD` say."""
SPLITS = {
    "all": "All looks",
    "rate": "By true rate, per minute",
    "tone": "By skin tone",
    "codec": "By compression",
    "change": "By change of the real clip",
}
"""Kinds of parts in the order of reports, and their headings."""


def markdown_from_evaluation(result: Evaluation) -> str:
    """All figures as Markdown tables, one for each kind of part; the README's tables hold lines of these."""
    title = f"# Evaluation of {result.networks[MAIN]['name']} on {result.data}"
    blocks = [f"{title}\n\n{result.notice}. Measured on {result.machine}.\n\n{LEGEND}\n"]
    for split, heading in SPLITS.items():
        if lines := list(cells_of_split(result, split)):
            blocks.append(f"## {heading}\n\n{markdown_table(HEAD, lines)}")
        if split == "all":
            table = markdown_table(AGREEMENT_HEAD, agreement_lines(result))
            blocks.append(f"## {AGREEMENT}\n\n{AGREEMENT_LEGEND}\n\n{table}")
            table = markdown_table(STATED_HEAD, stated_cells(result.stated))
            blocks.append(f"## {STATED}\n\n{STATED_LEGEND}\n\n{table}")
    return "\n".join(blocks)


def text_from_evaluation(result: Evaluation, split: str = "all") -> str:
    """The same for a terminal."""
    figures = f"{aligned(HEAD, cells_of_split(result, split))}\n{LEGEND}\n"
    return f"{figures}\n{aligned(STATED_HEAD, stated_cells(result.stated))}\n{STATED_LEGEND}\n"


def cells_of_split(result: Evaluation, split: str) -> Iterator[list[str]]:
    """The cells of each line under :data:`HEAD`."""
    return (_cells(figure) for figure in _figures_of_split(result, split))


def agreement_lines(result: Evaluation) -> Iterator[list[str]]:
    """The cells of each line under :data:`AGREEMENT_HEAD`: all looks of each method."""
    for figure in _figures_of_split(result, "all"):
        cells = [figure.data, RATES[figure.rate], METHODS[figure.method]]
        cells += agreement_cells(figure.every, figure.narrow_per_min)
        shown = figure.published
        yield cells + (agreement_cells(shown.agreement, figure.narrow_per_min) if shown else [""] * 4)


def _figures_of_split(result: Evaluation, split: str) -> list[Figure]:
    """In the order of tables."""
    figures = [figure for figure in result.figures if figure.split == split]
    parts = list(dict.fromkeys([*_PARTS, *(figure.part for figure in figures)]))
    data, methods = list(result.counts), list(METHODS)

    def place(figure: Figure) -> tuple[int, str, int, int]:
        return data.index(figure.data), figure.rate, parts.index(figure.part), methods.index(figure.method)

    return sorted(figures, key=place)


def _cells(figure: Figure) -> list[str]:
    every, shown = figure.every, figure.published
    cells = [figure.data, RATES[figure.rate], figure.part or "all", METHODS[figure.method]]
    cells += [share_read(every), number(every.mae), number(every.rmse), share(every.within)]
    if shown is None:
        return [*cells, *[""] * 5]
    of_ok = shown.agreement
    cells += [share(shown.coverage), number(of_ok.mae), number(of_ok.rmse), share(of_ok.within)]
    return [*cells, share(shown.false_confidence)]
