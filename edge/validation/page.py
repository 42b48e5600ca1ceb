"""``validate.html``: one file that a reader without this program understands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge.html_page import Html, bullets, figure, join, page, paragraph, section, table, tag, tiles
from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN, Agreement
from edge.sinks.records import NOTICE
from edge.svg_plot import Plot, clock_axis, key, number_axis, seconds_axis, with_gaps
from edge.validation.compare import RATES, Comparison, Offset, RateFigures, Trace
from edge.validation.report import Report, cells
from edge.validation.words import NAMES, limits_text, moment, offset_words, percent, plain, signed, verdict
from edge.vitals import REASONS

__all__ = ["html_from_report"]

_STATES = {"ok": ("c1", "dot"), "low_quality": ("c2", "cross"), "hold": ("c3", "ring")}
"""How the states that carry a value are drawn; never by colour alone."""
_MOST_REASONS = 8


def html_from_report(report: Report) -> str:
    """The page."""
    result, said = report.result, verdict(report.result)
    title = f"{report.device} against {report.reference.file}"
    span = f"{moment(result.start_s, result.live)} to {moment(result.end_s, result.live)}"
    place = f"Zone {report.zone}, person {report.person}; {span}; mmrphys {report.software}."
    return page(
        title,
        tag("h1", title),
        paragraph(place, soft=True),
        tag("p", NOTICE.capitalize(), class_="notice"),
        section("In short", *_tiles(result), bullets(line for rate in RATES for line in said[rate])),
        *(_rate_section(rate, report.result) for rate in RATES),
        section("The two clocks", *map(paragraph, offset_words(result)), _beside_table(result.offset)),
        section("To bear in mind", bullets(report.all_notices)),
        section("What was compared", _sources(report)),
        section("How to read it", _meanings()),
    )


def _tiles(result: Comparison) -> Iterator[Html]:
    for rate in RATES:
        overall = result.rates[rate].overall
        shown, name = overall.published.agreement, rate.upper()
        if overall.paired:
            yield tiles([
                (f"{name} A_RMS", plain(shown.rmse), "per minute, of values that were ok"),
                (f"{name} bias", signed(shown.bias), f"limits of agreement {limits_text(shown)}"),
                (f"{name} coverage", percent(overall.published.coverage), "of looks were ok"),
                (
                    f"{name} wrong", percent(overall.published.false_confidence),
                    f"of ok values, by more than {LIMITS_PER_MIN[rate]:g} per minute",
                ),
            ])  # fmt: skip


def _rate_section(rate: str, result: Comparison) -> Html:
    figures, trace = result.rates[rate], result.traces[rate]
    name = f"{NAMES[rate]} ({rate.upper()})"
    parts = [_time_figure(name, trace, result.live)]
    if figures.overall.paired:
        parts.append(_difference_figure(name, figures, trace))
    if figures.overall.due:
        parts.append(_figures_table(rate, figures))
    return section(name, *parts, _states_table(rate, figures), _reasons_table(figures))


def _time_figure(name: str, trace: Trace, live: bool) -> Html:
    """Reference and values over time."""
    low_s, high_s = float(trace.time_s.min()), float(trace.time_s.max())
    near = (trace.reference_s >= low_s) & (trace.reference_s <= high_s)
    shown = np.concatenate([trace.value, trace.reference[near]])
    shown = shown[np.isfinite(shown)]
    if not len(shown):
        return paragraph("Neither the kit nor the reference has a value.")
    x = (
        clock_axis(low_s, high_s, "time of day, UTC, on the kit's clock")
        if live
        else seconds_axis(low_s, high_s, "time")
    )
    y = number_axis(float(shown.min()), float(shown.max()), "per minute")
    plot = Plot(x, y, f"{name} over time: reference and kit", height=320)
    plot.line(*with_gaps(trace.reference_s, trace.reference, 2.0 * trace.reference_reach_s), "truth")
    for state, (style, shape) in reversed(_STATES.items()):
        here = trace.state == state
        plot.marks(trace.time_s[here], trace.value[here], style, shape)
    legend = [key("truth", "line", "reference")] if near.any() else []
    legend += [key(*look, state) for state, look in _STATES.items() if (trace.state == state).any()]
    return figure(plot.svg(), f"{name} over time. A value is the mean of its window, up to its mark.", legend=legend)


def _difference_figure(name: str, figures: RateFigures, trace: Trace) -> Html:
    """Bland and Altman: difference against mean, with bias and limits."""
    ok = (trace.state == "ok") & np.isfinite(trace.truth)
    value, truth = trace.value[ok], trace.truth[ok]
    shown = figures.overall.published.agreement
    rules = {"upper limit": shown.loa_high, "bias": shown.bias, "lower limit": shown.loa_low}
    lines = {f"{text} {signed(at)}": at for text, at in rules.items() if at is not None}
    heights = np.concatenate([value - truth, [*lines.values(), 0.0]])
    middle = (value + truth) / 2.0
    x = number_axis(float(middle.min()), float(middle.max()), "mean of kit and reference, per minute", most=9)
    y = number_axis(float(heights.min()), float(heights.max()), "kit less reference, per minute")
    plot = Plot(x, y, f"{name}: difference against mean of kit and reference", labels=True)
    plot.marks(middle, value - truth, "c1", "dot")
    for text, at in lines.items():
        plot.rule(at, text, "rule" if at == shown.bias else "rule dash")
    caption = "Difference against mean (Bland and Altman) of values that were ok."
    return figure(plot.svg(), f"{caption} Were the differences normal, 95% would lie between the limits.")


def _figures_table(rate: str, figures: RateFigures) -> Html:
    limit = LIMITS_PER_MIN[rate]
    head = (
        "true rate, /min", "looks", "ok", "coverage", "bias", "limits of agreement", "A_RMS", "MAE",
        *_shares(rate, figures.overall.published.agreement), f"wrong by > {limit:g}",
    )  # fmt: skip
    parts = {"all": figures.overall} | figures.bands
    rows = []
    for name, part in parts.items():
        *first, wrong = cells(part)
        rows.append([name, *first, *_shares(rate, part.published.agreement).values(), wrong])
    return table(
        f"Looks at {rate.upper()} that have a reference, and the values that were ok, per minute, by true rate",
        head,
        rows,
    )


def _shares(rate: str, shown: Agreement) -> dict[str, str]:
    """The shares of values near the reference, by the heading of their column."""
    narrow_per_min = NARROW_PER_MIN.get(rate)
    narrow = {} if narrow_per_min is None else {f"within {narrow_per_min:g}": percent(shown.within_narrow)}
    wide = {f"within {LIMITS_PER_MIN[rate]:g}": percent(shown.within)}
    return {**narrow, **wide, "within 10%": percent(shown.within_tenth)}


def _states_table(rate: str, figures: RateFigures) -> Html:
    rows = [
        (one.state, one.looks, percent(one.share), one.agreement.read, plain(one.agreement.mae),
         percent(one.agreement.within) if one.agreement.read else "-")
        for one in figures.states
    ]  # fmt: skip
    head = ("state", "looks", "share of time", "values with reference", "MAE", f"within {LIMITS_PER_MIN[rate]:g} /min")
    return table("How long each state lasted, and how far its values were from the reference", head, rows)


def _reasons_table(figures: RateFigures) -> Html:
    if not figures.reasons:
        return Html("")
    rows = [
        (one.code, percent(one.share), REASONS[one.code].sentence, REASONS[one.code].fix)
        for one in figures.reasons[:_MOST_REASONS]
    ]
    caption = "Why it was not ok, most frequent first; a look may have several reasons"
    return table(caption, ("reason", "share of time", "what it means", "what to do"), rows, text_columns=(0, 2, 3))


def _beside_table(offset: Offset) -> Html:
    rows = [(f"{one.beside_s:+.0f} s", plain(one.mae)) for one in offset.beside]
    return table("Mean absolute error of HR beside the offset used", ("beside it", "MAE, /min"), rows)


def _sources(report: Report) -> Html:
    rows = [
        ("records", join([report.records.file, " ", tag("code", f"SHA-256 {report.records.sha256}")])),
        ("reference", join([report.reference.file, " ", tag("code", f"SHA-256 {report.reference.sha256}")])),
        ("runs of the program", str(report.runs)),
        ("bundle", join(tag("code", bundle) for bundle in report.bundles)),
        ("protocol", "deployed: what the kit published"),
    ]
    return table("Files and versions", ("what", "which"), rows, text_columns=(0, 1))


def _meanings() -> Html:
    rows = [
        ("look", "one record a second of the kit"),
        ("truth", "mean of the reference over the window that the look was made from; for hold, of its own moment"),
        ("ok", "the only state whose numbers claim to be right; figures are of these unless a table says otherwise"),
        ("coverage", "share of the looks with a reference in which the kit was ok"),
        ("wrong", "false confidence: share of the ok values that are further from the reference than the limit"),
        ("bias", "mean of kit less reference"),
        ("within", "share of the ok values so near to the reference: per minute, or in per cent of it"),
        ("limits of agreement", "bias -/+ 1.96 standard deviations of the differences"),
        ("A_RMS", "root of the mean squared difference"),
        ("MAE", "mean absolute difference"),
    ]
    one = "One recording of one person says little about others: light, skin, motion, distance and health all matter."
    return join([table("Words", ("word", "meaning"), rows, text_columns=(0, 1)), paragraph(one)])
