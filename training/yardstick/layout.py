"""Cells of tables, and what makes Markdown, CSV, JSON and terminal text of them, for every protocol's report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from edge.metrics import Agreement
from edge.validation.words import limits_text, signed
from training.yardstick.measure import CUES
from training.yardstick.sources import MAIN

__all__ = [
    "METHODS", "RATES", "SHARES", "agreement_cells", "aligned", "csv_text", "json_bytes", "markdown_table", "number",
    "share", "share_read",
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
SHARES = ("bias", "loa_low", "loa_high", "within", "within_narrow", "within_tenth")
"""Figures of an agreement that CSV files hold beside its errors."""
RATES = {"hr": "HR", "rr": "RR"}

Cells = Sequence[str]


def number(value: float | None) -> str:
    """``1.43``, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    """A share 0 to 1 as ``14.3 %``, or a dash."""
    return "-" if value is None else f"{100.0 * value:.1f} %"


def share_read(figures: Agreement) -> str:
    """The share of the looks that were read."""
    return share(figures.read / figures.looks if figures.looks else None)


def agreement_cells(figures: Agreement, narrow_per_min: float | None) -> list[str]:
    """Bias, limits of agreement, share within the narrower limit (empty where there is none) and within 10 %."""
    narrow = "" if narrow_per_min is None else share(figures.within_narrow)
    return [signed(figures.bias), limits_text(figures), narrow, share(figures.within_tenth)]


def markdown_table(head: Cells, lines: Iterable[Cells]) -> str:
    """A table whose lines all have the cells of ``head``."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])


def aligned(head: Cells, lines: Iterable[Cells]) -> str:
    """The same for a terminal."""
    whole = [head, *lines]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    shown = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in whole)
    return "".join(f"{line.rstrip()}\n" for line in shown)


def csv_text(head: Cells, lines: Iterable[Sequence[object]]) -> str:
    """Values with four digits; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for line in lines:
        writer.writerow([round(cell, 4) if isinstance(cell, float) else cell for cell in line])
    return text.getvalue()


def json_bytes(result: msgspec.Struct) -> bytes:
    """A result without its rows, as ``evaluate.json`` holds it."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"
