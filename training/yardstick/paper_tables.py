"""An evaluation by protocol ``paper`` as text: tables with standard errors, CSV. Needs no plotting library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN
from training.paper_protocol import BANDS, ESTIMATORS, SNR_POWERS, Measured
from training.yardstick.layout import (
    METHODS,
    RATES,
    SHARES,
    agreement_cells,
    aligned,
    csv_text,
    markdown_table,
    share,
)
from training.yardstick.paper import PaperEvaluation, PaperFigure, PaperRow
from training.yardstick.sources import MAIN

__all__ = [
    "AGREEMENT", "AGREEMENT_HEAD", "AGREEMENT_LEGEND", "HEAD", "LEGEND", "agreement_lines", "all_told",
    "csv_from_figures", "csv_from_rows", "lines_of", "markdown_from_evaluation", "text_from_evaluation",
]  # fmt: skip

_FIGURES = ("mae", "rmse", "mape", "rho", "snr_mmrphys_db", "snr_toolbox_db", "macc")
HEAD = (
    "data", "rate", "from", "method", "read", "MAE", "RMSE", "MAPE %", "rho", f"{SNR_POWERS[2]} dB",
    f"{SNR_POWERS[1]} dB", "MACC",
)  # fmt: skip
_BANDS = " and ".join(
    f"{low:g}-{high:g} Hz ({rate}, {60 * low:.3g}-{60 * high:.3g} per minute)"
    for rate, (low, high) in (("HR", BANDS["bvp"].rate_hz), ("RR", BANDS["rsp"].rate_hz))
)
LEGEND = (
    "Protocol paper, the reference evaluation of MMRPhys (arXiv 2505.07013): one estimate a recording. Its clips are "
    "z-scored one by one and joined, the whole is band-passed, and a rate is read in the same way from prediction and "
    "label, the scene's waveform: the highest bin of the spectrum (FFT) or the mean distance of all maxima (Peak). "
    f"The bands {_BANDS} are the protocol's own: a rate outside them can not be read, neither from prediction nor from "
    "label. A recording of more than 30 s is read in halves (Welch): bins of FFT are then 120 per minute over its "
    "seconds apart (3.3 at 36 s), and errors below show as 0. MAE and RMSE per minute, MAPE in % of the label's rate, "
    "rho the correlation of the rates. SNR sums the squared spectral density (MMRPhys, mostly far higher) or the "
    "density (rPPG-Toolbox): the two do not compare. MACC is the largest correlation of the waveforms over all shifts. "
    "Behind \u00b1 is the standard error over recordings as the reference computes it; that of RMSE is its formula and "
    "not a proper one."
)
"""What the columns of :data:`HEAD` say."""
AGREEMENT = "Agreement with the label"
AGREEMENT_HEAD = (
    "data", "rate", "from", "method", "bias", "limits", "within", "within 2", "within 10 %",
)  # fmt: skip
AGREEMENT_LEGEND = (
    "Bias is the mean of read less label, the limits are the limits of agreement (Bland and Altman): 1.96 standard "
    "deviations on both sides of it, per minute. Shares are of the recordings whose label has a rate, and one that is "
    f"unread counts as wrong: within {LIMITS_PER_MIN['hr']:g} (HR) or {LIMITS_PER_MIN['rr']:g} (RR) per minute, within "
    f"{NARROW_PER_MIN['rr']:g} (RR), within 10 % of the label's rate."
)
"""What the columns of :data:`AGREEMENT_HEAD` say."""


def text_from_evaluation(result: PaperEvaluation) -> str:
    """The table for a terminal."""
    return f"{aligned(HEAD, lines_of(result))}\n{all_told(result)}\n"


def markdown_from_evaluation(result: PaperEvaluation) -> str:
    """Both tables."""
    return (
        f"# Evaluation of {result.networks[MAIN]['name']} on {result.data}, protocol {result.protocol}\n\n"
        f"{result.notice}. Measured on {result.machine}.\n\n{all_told(result)}\n\n"
        f"## All recordings\n\n{markdown_table(HEAD, lines_of(result))}\n"
        f"## {AGREEMENT}\n\n{AGREEMENT_LEGEND}\n\n{markdown_table(AGREEMENT_HEAD, agreement_lines(result))}"
    )


def lines_of(result: PaperEvaluation) -> Iterator[list[str]]:
    """The cells of each line under :data:`HEAD`."""
    for figure in _in_order(result):
        read = f"{figure.summary.read} of {figure.recordings}"
        yield [*_names(figure), read, *(_cell(getattr(figure.summary, name)) for name in _FIGURES)]


def agreement_lines(result: PaperEvaluation) -> Iterator[list[str]]:
    """The cells of each line under :data:`AGREEMENT_HEAD`."""
    for figure in _in_order(result):
        bias, limits, narrow, tenth = agreement_cells(figure.agreement, NARROW_PER_MIN.get(figure.rate))
        yield [*_names(figure), bias, limits, share(figure.agreement.within), narrow, tenth]


def _names(figure: PaperFigure) -> list[str]:
    return [figure.data, RATES[figure.rate], ESTIMATORS[figure.estimator], METHODS[figure.method]]


def _cell(measured: Measured) -> str:
    """``1.70 ± 0.34``, or a dash for what is not defined."""
    value, error = ("-" if one is None else f"{one:.2f}" for one in (measured.value, measured.error))
    return value if measured.value is None else f"{value} \u00b1 {error}"


def _in_order(result: PaperEvaluation) -> list[PaperFigure]:
    data, methods = list(result.counts), list(METHODS)
    return sorted(
        result.figures, key=lambda f: (data.index(f.data), f.rate, f.estimator, methods.index(f.method))
    )  # fmt: skip


def all_told(result: PaperEvaluation) -> str:
    """The legend, and what was left out of the figures."""
    windows = "" if result.window_s is None else f"Cut into windows of {result.window_s:g} s, each counted as one."
    return " ".join(filter(None, [LEGEND, windows, *_left_out(result)]))


def _left_out(result: PaperEvaluation) -> Iterator[str]:
    """What became of recordings that have no estimate, in sentences; nothing where all have one."""
    figures = [f for f in result.figures if f.method == MAIN and f.estimator == "fft"]
    skipped = {f.data: f.skipped for f in figures if f.skipped}
    if skipped:
        told = ", ".join(f"{count} of {name}" for name, count in skipped.items())
        yield f"Without one whole clip and skipped: {told}."
    unlabelled = {(f.data, f.rate, f.estimator): f.unlabelled for f in result.figures if f.unlabelled}
    if unlabelled:
        told = ", ".join(
            f"{count} of {name} ({RATES[rate]}, {ESTIMATORS[estimator]})"
            for (name, rate, estimator), count in unlabelled.items()
        )
        yield f"Without a rate in the label: {told}."
    if any(f.summary.unread for f in result.figures):
        yield "A label without a reading beside it: the prediction is constant, not finite or too short to read."


def csv_from_figures(figures: Sequence[PaperFigure]) -> str:
    """One line a figure; each with its standard error."""
    head = (
        "data", "rate", "estimator", "method", "recordings", "skipped", "unlabelled", "read", "unread",
        *(f"{name}{suffix}" for name in _FIGURES for suffix in ("", "_error")), *SHARES,
    )  # fmt: skip
    lines = (
        [
            f.data, f.rate, f.estimator, f.method, f.recordings, f.skipped, f.unlabelled, f.summary.read,
            f.summary.unread,
            *(cell for name in _FIGURES for one in [getattr(f.summary, name)] for cell in (one.value, one.error)),
            *(getattr(f.agreement, name) for name in SHARES),
        ]
        for f in figures
    )  # fmt: skip
    return csv_text(head, lines)


def csv_from_rows(rows: Sequence[PaperRow]) -> str:
    """Every recording of every method."""
    figures = ("label_per_min", "rate_per_min", "snr_mmrphys_db", "snr_toolbox_db", "macc")
    head = ("data", "recording", "rate", "estimator", "method", "clips", *figures)
    lines = (
        [
            row.data, row.recording, row.rate, row.estimator, row.method, row.clips,
            *(None if row.reading is None else getattr(row.reading, name) for name in figures),
        ]
        for row in rows
    )  # fmt: skip
    return csv_text(head, lines)
