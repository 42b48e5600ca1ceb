"""An evaluation as text: the table of the README, JSON and CSV. Needs no plotting library."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import msgspec

from edge.metrics import band_names
from training.yardstick.evaluation import Evaluation
from training.yardstick.figures import Figure
from training.yardstick.measure import CUES, MAIN, Row

__all__ = [
    "HEAD", "LEGEND", "METHODS", "RATES", "SPLITS", "cells_of_split", "csv_from_figures", "csv_from_rows",
    "json_from_evaluation", "label", "markdown_from_evaluation", "text_from_evaluation",
]  # fmt: skip

METHODS: dict[str, str] = {
    f"{MAIN}{CUES}": "network + cues",
    MAIN: "network alone",
    "pos": "POS alone",
    "nostril": "nostril temperature alone",
    f"published{CUES}": "published 9x9 graph + cues",
    "published": "published 9x9 graph alone",
    f"random{CUES}": "random weights + cues",
    "random": "random weights alone",
    "constant": "constant guess, least MAE",
    "luckiest": "constant guess, most often within",
}
"""Methods in the order of tables, and what people call them."""
RATES = {"hr": "HR", "rr": "RR"}
_PARTS = (*band_names("hr"), *band_names("rr"), "light", "medium", "dark", "raw", "mjpeg", "h264")
"""Parts with an order of their own; others stand as they come."""


def label(figure: Figure) -> str:
    """The method of a figure in words."""
    return METHODS.get(figure.method, figure.method)


def json_from_evaluation(result: Evaluation) -> bytes:
    """Everything but the rows."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def csv_from_figures(figures: Sequence[Figure]) -> str:
    """One line a figure; empty where there is none."""
    head = (
        "data", "rate", "method", "split", "part", "recordings", "limit_per_min", "looks", "read", "mae", "rmse",
        "bias", "loa_low", "loa_high", "within", "coverage", "published", "published_mae", "published_rmse",
        "published_within", "false_confidence",
    )  # fmt: skip
    return _csv(head, (_figure_line(figure) for figure in figures))


def _figure_line(figure: Figure) -> list[object]:
    every, shown = figure.every, figure.published
    line: list[object] = [
        figure.data, figure.rate, figure.method, figure.split, figure.part, figure.recordings, figure.limit_per_min,
        every.looks, every.read, every.mae, every.rmse, every.bias, every.loa_low, every.loa_high, every.within,
    ]  # fmt: skip
    if shown is None:
        return [*line, *[None] * 6]
    figures = shown.agreement
    return [
        *line, shown.coverage, figures.looks, figures.mae, figures.rmse, figures.within, shown.false_confidence,
    ]  # fmt: skip


def csv_from_rows(rows: Sequence[Row]) -> str:
    """Every look of every method."""
    head = ("data", "recording", "rate", "t_s", "truth", "due", "method", "estimate", "state", "value")
    return _csv(
        head,
        (
            [
                row.data, row.recording, row.rate, row.t_s, row.truth, int(row.is_due), row.method, row.estimate,
                row.state, row.value,
            ]
            for row in rows
        ),
    )  # fmt: skip


def _csv(head: Sequence[str], lines: Iterator[list[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for line in lines:
        writer.writerow([round(cell, 4) if isinstance(cell, float) else cell for cell in line])
    return text.getvalue()


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
            rows = "".join(f"| {' | '.join(line)} |\n" for line in [HEAD, ["---"] * len(HEAD), *lines])
            blocks.append(f"## {heading}\n\n{rows}")
    return "\n".join(blocks)


def text_from_evaluation(result: Evaluation, split: str = "all") -> str:
    """The same for a terminal."""
    lines = [list(HEAD), *cells_of_split(result, split)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in shown) + f"\n{LEGEND}\n"


def cells_of_split(result: Evaluation, split: str) -> Iterator[list[str]]:
    """The cells of each line under :data:`HEAD`."""
    figures = [figure for figure in result.figures if figure.split == split]
    parts = list(dict.fromkeys([*_PARTS, *(figure.part for figure in figures)]))
    data, methods = list(result.counts), list(METHODS)

    def place(figure: Figure) -> tuple[int, str, int, int]:
        return data.index(figure.data), figure.rate, parts.index(figure.part), methods.index(figure.method)

    for figure in sorted(figures, key=place):
        yield _cells(figure)


def _cells(figure: Figure) -> list[str]:
    every, shown = figure.every, figure.published
    cells = [figure.data, RATES[figure.rate], figure.part or "all", label(figure)]
    cells += [_share(every.read / every.looks if every.looks else None)]
    cells += [_number(every.mae), _number(every.rmse), _share(every.within)]
    if shown is None:
        return [*cells, *[""] * 5]
    of_ok = shown.agreement
    cells += [_share(shown.coverage), _number(of_ok.mae), _number(of_ok.rmse), _share(of_ok.within)]
    return [*cells, _share(shown.false_confidence)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"
