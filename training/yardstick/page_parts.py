"""What the pages of all protocols are put together from, and how a report gets into its folder."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from edge.html_page import Html, figure, join, section, table, tag
from training.checkpoint import write_atomically

__all__ = [
    "bland_altman_name", "differences_section", "picture_section", "save_files", "tables_by_part",
]  # fmt: skip

_DIFFERENCES = "bland-altman-"


def save_files(files: Mapping[str, bytes], out: Path) -> list[Path]:
    """Write every file into ``out``, each whole or not at all."""
    for name, data in files.items():
        write_atomically(out / name, data)
    return [out / name for name in files]


def bland_altman_name(data: str, rate: str) -> str:
    """The file of the differences of one data set and rate."""
    return f"{_DIFFERENCES}{data}-{rate}.png"


def picture_section(heading: str, pictures: Iterable[bytes], caption: str) -> Html:
    """Pictures one below the other under a heading, the last with the caption; nothing for no pictures."""
    images = [_image(png, heading) for png in pictures]
    return section(heading, *images[:-1], figure(images[-1], caption)) if images else Html("")


def differences_section(pictures: Mapping[str, bytes], points: str) -> Html:
    """All that :func:`bland_altman_name` names, and how to read them; ``points`` says what a point is."""
    caption = (
        f"What was read less what is true, over the mean of both (Bland and Altman), {points}. Solid the bias, dashed "
        "the limits of agreement: 95 % of the differences would lie between them if they were normally distributed. "
        "The grey band is the limit within which an estimate is right."
    )
    shown = [png for name, png in pictures.items() if name.startswith(_DIFFERENCES)]
    return picture_section("Difference against mean", shown, caption)


def _image(png: bytes, text: str) -> Html:
    return tag("img", src=f"data:image/png;base64,{base64.b64encode(png).decode()}", alt=text, style="width:100%")


def tables_by_part(head: Sequence[str], lines: Iterable[Sequence[str]], text_columns: int) -> Html:
    """One table for each data set and rate, the first two cells of a line, for all columns in one are too wide.

    The first ``text_columns`` of what remains are text, and columns without any content are left out.
    """
    made = []
    for (data, rate), group in groupby(lines, lambda cells: (cells[0], cells[1])):
        columns = list(zip(head, *group, strict=True))[2:]
        shown, *rows = zip(*(column for column in columns if any(column[1:])), strict=True)
        cells = [[_whole(cell) for cell in row] for row in rows]
        made.append(table(f"{data}: {rate}", shown, cells, text_columns=range(text_columns)))
    return join(made)


def _whole(cell: str) -> Html:
    """A cell that does not break over lines."""
    return tag("span", cell, style="white-space:nowrap")
