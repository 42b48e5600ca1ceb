"""The report of an evaluation: JSON, CSV, PNG and one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.html_page import Html, join, page, paragraph, section, tag
from edge.metrics import LIMITS_PER_MIN
from training.yardstick.evaluation import Evaluation
from training.yardstick.figures import REAL, Figure, limit_per_min
from training.yardstick.layout import METHODS, RATES, json_bytes
from training.yardstick.measure import CUES, SETTLE_S, WINDOW_S, Row
from training.yardstick.page_parts import (
    bland_altman_name,
    differences_section,
    picture_section,
    save_files,
    tables_by_part,
)
from training.yardstick.pictures import COLOURS, Bars, Cloud, Panel, bars, bland_altman, scatter
from training.yardstick.sources import MAIN
from training.yardstick.stated import STATED, STATED_HEAD, STATED_LEGEND, stated_cells
from training.yardstick.tables import (
    AGREEMENT,
    AGREEMENT_HEAD,
    AGREEMENT_LEGEND,
    HEAD,
    LEGEND,
    SPLITS,
    agreement_lines,
    cells_of_split,
    csv_from_figures,
    csv_from_rows,
    markdown_from_evaluation,
)

__all__ = ["save_report"]


def save_report(result: Evaluation, rows: Sequence[Row], out: Path) -> list[Path]:
    """Write ``evaluate.json``, two CSV files, ``tables.md``, pictures and ``evaluate.html`` into ``out``."""
    pictures = _pictures(result, rows)
    files = {
        "evaluate.json": json_bytes(result),
        "figures.csv": csv_from_figures(result.figures).encode(),
        "looks.csv": csv_from_rows(rows).encode(),
        "tables.md": markdown_from_evaluation(result).encode(),
        **pictures,
        "evaluate.html": _page(result, pictures).encode(),
    }
    return save_files(files, out)


# ------------------------------------------------------------------------------------------------------------ pictures


def _pictures(result: Evaluation, rows: Sequence[Row]) -> dict[str, bytes]:
    """By the name of their file. The real clip has one true rate, which nothing can be drawn against."""
    scenes = [name for name in result.counts if name != REAL]
    rates = [rate for rate in RATES if any(row.rate == rate for row in rows)]
    made = {"within.png": bars(list(_bars(result)))}
    if scenes:
        panels = [[_panel(rows, name, rate) for name in scenes] for rate in rates]
        made["scatter.png"] = scatter(panels, LIMITS_PER_MIN)
        for row, rate in zip(panels, rates, strict=True):
            for name, panel in zip(scenes, row, strict=True):
                made[bland_altman_name(name, rate)] = _differences(result, name, panel)
    return made


def _panel(rows: Sequence[Row], name: str, rate: str) -> Panel:
    """Every look: the network alone, and what was published."""
    here = [row for row in rows if row.data == name and row.rate == rate]
    alone = [(row.truth, row.estimate) for row in here if row.method == MAIN and row.is_due and row.estimate]
    shown = [(row.truth, row.value) for row in here if row.method == f"{MAIN}{CUES}" and row.state == "ok"]
    clouds = _cloud(alone, MAIN, "network alone, every look"), _cloud(shown, f"{MAIN}{CUES}", "published as ok")
    return Panel(f"{name}: {RATES[rate]}", rate, clouds)


def _cloud(points: Sequence[tuple[float, float | None]], method: str, text: str) -> Cloud:
    truth, read = np.array(points, np.float64).reshape(-1, 2).T
    return Cloud(truth, read, COLOURS[method], text)


def _differences(result: Evaluation, name: str, panel: Panel) -> bytes:
    """Bland and Altman's plots of both clouds of a panel."""
    held = {f.method: f for f in result.figures if (f.data, f.rate, f.split) == (name, panel.rate, "all")}
    shown = held[f"{MAIN}{CUES}"].published
    assert shown is not None, "the whole chain publishes"
    figures = held[MAIN].every, shown.agreement
    pairs = zip(panel.clouds, figures, strict=True)
    return bland_altman([(replace(panel, clouds=[cloud]), of) for cloud, of in pairs], LIMITS_PER_MIN[panel.rate])


def _bars(result: Evaluation) -> Iterator[Bars]:
    """Share of looks within the limit, by band of true rate (the real clip: by change) and method."""
    for name in result.counts:
        split = "change" if name == REAL else "rate"
        for rate in RATES:
            figures = [f for f in result.figures if (f.data, f.rate, f.split) == (name, rate, split)]
            if figures:
                yield _panel_of_bars(name, rate, figures)


def _panel_of_bars(name: str, rate: str, figures: Sequence[Figure]) -> Bars:
    parts = list(dict.fromkeys(figure.part for figure in figures))
    held = {(figure.method, figure.part): 100.0 * (figure.every.within or 0.0) for figure in figures}
    methods = [method for method in COLOURS if (method, parts[0]) in held]
    shares = {method: [held[method, part] for part in parts] for method in methods}
    return Bars(f"{name}: {RATES[rate]}", f"within {limit_per_min(name, rate):g}/min, %", parts, shares, METHODS)


# ---------------------------------------------------------------------------------------------------------------- page


def _page(result: Evaluation, pictures: Mapping[str, bytes]) -> str:
    title = f"Evaluation of {result.networks[MAIN]['name']}"
    splits = [split for split in SPLITS if split != "all" and any(f.split == split for f in result.figures)]
    return page(
        title,
        tag("h1", title),
        tag("p", result.notice, class_="notice"),
        _about(result),
        section(SPLITS["all"], tables_by_part(HEAD, _without_part(result), 1)),
        section(
            AGREEMENT, paragraph(AGREEMENT_LEGEND), tables_by_part(AGREEMENT_HEAD, agreement_lines(result), 1),
        ),
        section(STATED, paragraph(STATED_LEGEND), tables_by_part(STATED_HEAD, stated_cells(result.stated), 2)),
        *_picture_sections(pictures),
        *(section(SPLITS[split], tables_by_part(HEAD, cells_of_split(result, split), 2)) for split in splits),
    )  # fmt: skip


def _without_part(result: Evaluation) -> Iterator[list[str]]:
    """Lines of all looks; what part they are of is said above."""
    return ([*cells[:2], "", *cells[3:]] for cells in cells_of_split(result, "all"))


def _picture_sections(pictures: Mapping[str, bytes]) -> Iterator[Html]:
    caption = "By part and method. A look that reads nothing counts as wrong."
    yield picture_section("Share of looks within the limit", [pictures["within.png"]], caption)
    if "scatter.png" in pictures:
        yield picture_section("Read against true", [pictures["scatter.png"]], "The grey band is the limit.")
    yield differences_section(pictures, "a point a look")


def _about(result: Evaluation) -> Html:
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
        result.data_in_words,
        scenes if set(result.counts) - {REAL} else "",
        real if REAL in result.counts else "",
        LEGEND,
        f"{result.networks_in_words} Constant guesses, per minute: {guesses}.",
        f"Measured on {result.machine}.",
    ]
    return join(paragraph(text) for text in told if text)
