"""The report of protocol ``paper``: JSON, CSV, PNG and one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge.html_page import Html, join, page, paragraph, section, tag
from edge.metrics import LIMITS_PER_MIN
from training.paper_protocol import ESTIMATORS, Estimator
from training.yardstick.layout import RATES, json_bytes
from training.yardstick.page_parts import (
    bland_altman_name,
    differences_section,
    picture_section,
    save_files,
    tables_by_part,
)
from training.yardstick.paper import PaperEvaluation, PaperRow, pairs_of
from training.yardstick.paper_tables import (
    AGREEMENT,
    AGREEMENT_HEAD,
    AGREEMENT_LEGEND,
    HEAD,
    agreement_lines,
    all_told,
    csv_from_figures,
    csv_from_rows,
    lines_of,
    markdown_from_evaluation,
)
from training.yardstick.pictures import COLOURS, Cloud, Panel, bland_altman, scatter
from training.yardstick.sources import MAIN

__all__ = ["save_report"]

_TABLES = {"Rates": (0, 1, 2, 3, 4, 5, 6, 7, 8), "Waveforms": (0, 1, 2, 3, 4, 9, 10, 11)}
"""Which columns of ``HEAD`` stand together on the page, where one table of all is too wide."""
_COLOURS: Mapping[Estimator, str] = {"fft": COLOURS[MAIN], "peak": "#7a5bb5"}


def save_report(result: PaperEvaluation, rows: Sequence[PaperRow], out: Path) -> list[Path]:
    """Write ``evaluate.json``, two CSV files, ``tables.md``, pictures and ``evaluate.html`` into ``out``."""
    pictures = _pictures(result, rows)
    files = {
        "evaluate.json": json_bytes(result),
        "figures.csv": csv_from_figures(result.figures).encode(),
        "recordings.csv": csv_from_rows(rows).encode(),
        "tables.md": markdown_from_evaluation(result).encode(),
        **pictures,
        "evaluate.html": _page(result, pictures).encode(),
    }
    return save_files(files, out)


def _pictures(result: PaperEvaluation, rows: Sequence[PaperRow]) -> dict[str, bytes]:
    """The judged network's recordings, by the name of their file."""
    held = {(f.data, f.rate, f.estimator): f.agreement for f in result.figures if f.method == MAIN}
    rates = [rate for rate in RATES if any(key[1] == rate for key in held)]
    panels = [[_panel(rows, name, rate, tuple(ESTIMATORS)) for name in result.counts] for rate in rates]
    made = {"scatter.png": scatter(panels, LIMITS_PER_MIN)}
    for name in result.counts:
        for rate in rates:
            pairs = [(_panel(rows, name, rate, (one,)), held[name, rate, one]) for one in ESTIMATORS]
            made[bland_altman_name(name, rate)] = bland_altman(pairs, LIMITS_PER_MIN[rate])
    return made


def _panel(rows: Sequence[PaperRow], name: str, rate: str, estimators: Sequence[Estimator]) -> Panel:
    clouds = []
    for estimator in estimators:
        here = [r for r in rows if (r.data, r.rate, r.method, r.estimator) == (name, rate, MAIN, estimator)]
        label, estimate = pairs_of(row.reading for row in here if row.reading is not None)
        clouds.append(Cloud(label, estimate, _COLOURS[estimator], f"network alone, {ESTIMATORS[estimator]}"))
    return Panel(f"{name}: {RATES[rate]}", rate, clouds, against="label", point=7.0)


def _page(result: PaperEvaluation, pictures: Mapping[str, bytes]) -> str:
    title = f"Evaluation of {result.networks[MAIN]['name']}, protocol {result.protocol}"
    return page(
        title,
        tag("h1", title),
        tag("p", result.notice, class_="notice"),
        _about(result),
        *(
            section(heading, tables_by_part([HEAD[i] for i in columns], _chosen(result, columns), 2))
            for heading, columns in _TABLES.items()
        ),
        section(AGREEMENT, paragraph(AGREEMENT_LEGEND), tables_by_part(AGREEMENT_HEAD, agreement_lines(result), 2)),
        picture_section("Read against label", [pictures["scatter.png"]], "The grey band is the limit."),
        differences_section(pictures, "a point a recording"),
    )


def _chosen(result: PaperEvaluation, columns: Sequence[int]) -> Iterator[list[str]]:
    return ([cells[i] for i in columns] for cells in lines_of(result))


def _about(result: PaperEvaluation) -> Html:
    told = (result.data_in_words, all_told(result), result.networks_in_words, f"Measured on {result.machine}.")
    return join(paragraph(text) for text in told)
