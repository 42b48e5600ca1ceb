"""The picture of a measurement: both waveforms and their spectra, with what was measured and what was withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.measure import Measured, RateName
from edge.png_plot import GRAY, INK, PALE, Colour, Panel, Sheet
from edge.svg_plot import Axis, number_axis
from edge.vitals import HR_BAND, RR_BAND, Band

__all__ = ["png_from_measured"]

WIDTH, HEIGHT = 1200, 800
_WITHHELD: Colour = (176, 42, 55)
_SPAN: Colour = (255, 224, 130)
_WAVE = (76, 760)
_SPECTRUM = (850, 1170)
_ROW_TOP, _ROW_STEP, _ROW_HEIGHT = 160, 310, 190


@dataclass(frozen=True, slots=True)
class _Row:
    """How one rate is drawn."""

    label: str
    wave: str
    band: Band
    colour: Colour


_ROWS: Mapping[RateName, _Row] = {
    "hr": _Row("HR", "pulse (BVP)", HR_BAND, (190, 40, 60)),
    "rr": _Row("RR", "breathing (RSP)", RR_BAND, (25, 113, 194)),
}


def png_from_measured(measured: Mapping[RateName, Measured], seconds: float, source: str, notice: str) -> bytes:
    """The picture as a PNG file, of HR and RR over ``seconds`` of ``source``."""
    sheet = Sheet(WIDTH, HEIGHT)
    sheet.text(f"Measurement over {seconds:.0f} s", 40, 46, px=15, bold=True)
    sheet.text(_ascii(f"{source[:110]}"), 40, 72, px=9, colour=GRAY)
    for index, (name, row) in enumerate(_ROWS.items()):
        _draw_row(sheet, _ROW_TOP + index * _ROW_STEP, measured[name], row, seconds)
    told = "Grey seconds: the rate was not ok. Line in a spectrum: the median of the looks that were ok; yellow: its "
    told += "standard uncertainty. The spectrum joins all cues."
    sheet.text(told, 40, HEIGHT - 40, px=8, colour=GRAY)
    sheet.text(_ascii(notice), 40, HEIGHT - 18, px=8, colour=GRAY)
    return sheet.png()


def _draw_row(sheet: Sheet, top: float, measured: Measured, row: _Row, seconds: float) -> None:
    _draw_head(sheet, top - 22, measured, row)
    bottom = top + _ROW_HEIGHT
    shown = measured.course.wave[np.isfinite(measured.course.wave)]
    reach = float(np.abs(shown).max()) * 1.05 if len(shown) else 2.0
    time = number_axis(0.0, max(seconds, 1.0), "time in s", most=8)
    wave = Panel(*_WAVE[:1], top, _WAVE[1], bottom, _cut(time, seconds), Axis(-reach, reach, "arbitrary units", ()))
    _shade(sheet, wave, measured)
    sheet.frame(wave)
    sheet.text(row.wave, wave.right - 8, top + 18, px=8, colour=GRAY, anchor="right")
    if len(shown):
        sheet.line(wave.places(measured.course.wave_t_s, measured.course.wave), row.colour, 1.4)
    else:
        _note(sheet, wave, "no waveform is shown: the rate was neither ok nor low_quality")
    _draw_spectrum(sheet, top, bottom, measured, row)


def _draw_head(sheet: Sheet, y: float, measured: Measured, row: _Row) -> None:
    sheet.text(row.label, 40, y, px=16, bold=True)
    if measured.value is None:
        end = sheet.text("--- /min  withheld", 90, y, px=16, colour=_WITHHELD, bold=True)
        told = measured.why[0].sentence if measured.why else "nothing was seen"
    else:
        end = sheet.text(f"{measured.value:.1f} +/- {measured.uncertainty:.1f} /min", 90, y, px=16, bold=True)
        told = f"ok in {measured.ok_looks} of {measured.looks} looks, {measured.low:.1f} to {measured.high:.1f}"
        told += f"; quality {measured.sqi:.2f}"
    sheet.text(_ascii(told), end + 20, y, px=10, colour=GRAY)


def _draw_spectrum(sheet: Sheet, top: float, bottom: float, measured: Measured, row: _Row) -> None:
    rates = number_axis(row.band.low_per_min, row.band.high_per_min, "rate per minute", most=6)
    across = _cut(rates, row.band.high_per_min, row.band.low_per_min)
    panel = Panel(*_SPECTRUM[:1], top, _SPECTRUM[1], bottom, across, number_axis(0.0, 1.0, "power, largest 1", most=4))
    course, value = measured.course, measured.value
    if value is not None and measured.uncertainty is not None:
        ends = np.clip([value - measured.uncertainty, value + measured.uncertainty], across.low, across.high)
        (left, _), (right, _) = panel.places(ends, np.zeros(2))
        sheet.box(left, top, max(right, left + 1.0), bottom, _SPAN)
    sheet.frame(panel)
    if len(course.per_min):
        share = course.power / max(float(course.power.max()), 1e-30)
        sheet.line(panel.places(course.per_min, share), GRAY if value is None else row.colour, 1.4)
    else:
        _note(sheet, panel, "nothing was looked at")
    if value is None:
        sheet.text("rate withheld", _SPECTRUM[1], top - 8, px=9, colour=_WITHHELD, anchor="right")
        return
    sheet.line(panel.places(np.full(2, value), np.array([0.0, 1.0])), INK, 1.2)
    side = 1 if value < (across.low + across.high) / 2 else -1
    x = float(panel.places(np.array([value]), np.zeros(1))[0, 0]) + 8 * side
    sheet.text(f"{value:.1f}", x, top + 20, px=10, anchor="left" if side > 0 else "right", bold=True)


def _shade(sheet: Sheet, panel: Panel, measured: Measured) -> None:
    """Grey behind every second whose look was not ``ok``, and before the first look."""
    for t_s, state in zip(measured.course.t_s, measured.course.states, strict=True):
        if state != "ok":
            (left, _), (right, _) = panel.places(np.clip([t_s - 1.0, t_s], 0.0, panel.x.high), np.zeros(2))
            sheet.box(left, panel.top, right, panel.bottom, PALE)


def _note(sheet: Sheet, panel: Panel, text: str) -> None:
    x, y = (panel.left + panel.right) / 2, (panel.top + panel.bottom) / 2 - 8  # above the line in the middle
    sheet.text(text, x, y, px=9, colour=GRAY, anchor="middle")


def _cut(axis: Axis, high: float, low: float = 0.0) -> Axis:
    """The axis from exactly ``low`` to ``high``, with the ticks that lie there."""
    high = max(high, low + 1.0)
    near = 0.01 * (high - low)  # a recording of 29.97 s may have its tick of 30 s
    return Axis(low, high, axis.label, tuple(tick for tick in axis.ticks if low - near <= tick[0] <= high + near))


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
