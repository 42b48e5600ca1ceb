"""Small plots as SVG for the pages of ``edge/html_page.py``: axes with round ticks, lines with gaps, marks, rules.

Marks that fall on the same half pixel are drawn once, and a line is drawn by its extremes per pixel, so that a day of
seconds is a picture of bounded size and still shows every outlier.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from edge.html_page import Html, join, tag, words

__all__ = ["Axis", "Plot", "clock_axis", "key", "number_axis", "seconds_axis", "with_gaps"]

Floats = npt.NDArray[np.float64]

WIDTH = 760
_RIGHT, _TOP, _BOTTOM = 16, 12, 44
_LEAST_LEFT, _BESIDE_TICKS, _DIGIT_PX = 52, 28, 8
"""Room on the left: at least, for the name of the axis and the space around ticks, and for a sign of theirs."""
_LABEL_PX, _LINE_PX = 132, 14
_CLOCK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SHAPES = {
    "dot": "h0",
    "cross": "m-2.5-2.5l5 5m0-5l-5 5",
    "ring": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
}
_STROKES = {"dot": 3.6, "cross": 1.5, "ring": 1.5}


@dataclass(frozen=True, slots=True)
class Axis:
    """``low`` to ``high`` in the data's unit, what it is called, and the ticks with their text."""

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...]


def number_axis(low: float, high: float, label: str, *, most: int = 6) -> Axis:
    """An axis that holds ``low`` to ``high``, widened to round ticks, about ``most`` of them."""
    low, high = (low, high) if high > low else (low - 1.0, high + 1.0)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple((i * step, f"{i * step:.{digits}f}") for i in range(first, last + 1))
    return Axis(first * step, last * step, label, ticks)


def seconds_axis(low_s: float, high_s: float, label: str, *, most: int = 8) -> Axis:
    """An axis of exactly these seconds since a start, with ticks as ``m:ss``, or ``h:mm:ss`` from an hour on."""
    return _time_axis(low_s, high_s, label, most, _span_text)


def clock_axis(low_s: float, high_s: float, label: str, *, most: int = 8) -> Axis:
    """An axis of exactly these seconds since 1970, with ticks as time of day in UTC, after the day if it spans days."""
    days = "%m-%d " if high_s - low_s > _CLOCK_STEPS_S[-1] else ""
    return _time_axis(low_s, high_s, label, most, lambda second, step_s: _clock_text(second, step_s, days))


def _clock_text(second: float, step_s: int, days: str) -> str:
    return f"{datetime.fromtimestamp(second, timezone.utc):{days}{'%H:%M:%S' if step_s < 60 else '%H:%M'}}"


def _span_text(second: float, step_s: int) -> str:  # noqa: ARG001 - the signature of both texts
    hours, rest = divmod(round(second), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _time_axis(low_s: float, high_s: float, label: str, most: int, text: Callable[[float, int], str]) -> Axis:
    high_s = max(high_s, low_s + 1.0)
    days = math.ceil((high_s - low_s) / most / _CLOCK_STEPS_S[-1]) * _CLOCK_STEPS_S[-1]
    step_s = next((step for step in _CLOCK_STEPS_S if step * most >= high_s - low_s), days)
    first, last = math.ceil(low_s / step_s), math.floor(high_s / step_s)
    ticks = tuple((float(i * step_s), text(i * step_s, step_s)) for i in range(first, last + 1))
    return Axis(low_s, high_s, label, ticks)


def with_gaps(x: Floats, y: Floats, longest: float) -> tuple[Floats, Floats]:
    """The same points ``[N]``, increasing in ``x``, with a NaN wherever two are further apart than ``longest``."""
    after = np.flatnonzero(np.diff(x) > longest) + 1
    return np.insert(x, after, np.nan), np.insert(y, after, np.nan)


class Plot:
    """One plot. What is added is drawn in the order of adding; points outside the axes and NaN are left out.

    ``label`` says to those who cannot see it what the plot shows. ``labels``: leave room on the right for the texts of
    rules. Styles are the classes of the page: ``truth``, ``rule``, ``dash``, ``c1`` to ``c4``.
    """

    def __init__(self, x: Axis, y: Axis, label: str, *, height: int = 300, labels: bool = False) -> None:
        self._x, self._y, self._label, self._height = x, y, label, height
        longest = max((len(text) for _, text in y.ticks), default=0)
        self._left = max(_LEAST_LEFT, _BESIDE_TICKS + _DIGIT_PX * longest)
        self._right = WIDTH - (_LABEL_PX if labels else _RIGHT)
        self._parts: list[Html] = []
        self._rules: list[tuple[float, str]] = []

    def line(self, x: Floats, y: Floats, style: str) -> None:
        """A line through points ``[N]`` in order of ``x``; NaN breaks it."""
        places = self._places(x, y)
        inside = np.isfinite(places).all(axis=1)
        cuts = np.flatnonzero(np.diff(inside.astype(np.int8))) + 1
        pieces = [piece for piece in np.split(places, cuts) if len(piece) and np.isfinite(piece).all()]
        self._path("".join(_line_path(piece) for piece in pieces), style)

    def marks(self, x: Floats, y: Floats, style: str, shape: str) -> None:
        """A mark for each point ``[N]``: ``dot``, ``cross`` or ``ring``."""
        places = self._places(x, y)
        places = np.unique(np.round(places[np.isfinite(places).all(axis=1)] * 2.0) / 2.0, axis=0)
        drawn = "".join(f"M{left:g} {top:g}{_SHAPES[shape]}" for left, top in places)
        self._path(drawn, style, width=_STROKES[shape])

    def rule(self, y: float, text: str, style: str) -> None:
        """A horizontal line across the plot, with a text at its right end."""
        top = float(self._places(np.array([self._x.low]), np.array([y]))[0, 1])
        if math.isfinite(top):
            self._parts.append(
                tag("line", x1=self._left, x2=self._right, y1=f"{top:.1f}", y2=f"{top:.1f}", class_=style)
            )
            self._rules.append((top, text))

    def svg(self) -> Html:
        """The drawing."""
        parts = [tag("title", self._label), *self._frame(), *self._parts, *self._rule_texts()]
        return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {self._height}", role="img", aria_label=self._label)

    def _places(self, x: Floats, y: Floats) -> Floats:
        """Pixels ``[N, 2]`` of points, NaN where these are not on the plot."""
        right = (x - self._x.low) / (self._x.high - self._x.low)
        up = (y - self._y.low) / (self._y.high - self._y.low)
        off = ~((right >= 0.0) & (right <= 1.0) & (up >= 0.0) & (up <= 1.0))
        left = self._left + right * (self._right - self._left)
        top = self._height - _BOTTOM - up * (self._height - _BOTTOM - _TOP)
        return np.where(off[:, None], np.nan, np.stack([left, top], axis=1))

    def _path(self, drawn: str, style: str, *, width: float | None = None) -> None:
        if drawn:
            self._parts.append(tag("path", d=drawn, class_=style, stroke_width=width))

    def _frame(self) -> list[Html]:
        """Grid lines, the texts of ticks, and the names of the axes."""
        bottom, parts = self._height - _BOTTOM, []
        for value, text in self._y.ticks:
            top = round(float(self._places(np.array([self._x.low]), np.array([value]))[0, 1]), 1)
            parts.append(tag("line", x1=self._left, x2=self._right, y1=top, y2=top, class_="grid"))
            parts.append(_text(text, self._left - 8, top + 4, "end"))
        for value, text in self._x.ticks:
            left = round(float(self._places(np.array([value]), np.array([self._y.low]))[0, 0]), 1)
            parts.append(tag("line", x1=left, x2=left, y1=bottom, y2=bottom + 5, class_="grid"))
            parts.append(_text(text, left, bottom + 19, "middle"))
        parts.append(_text(self._x.label, (self._left + self._right) / 2, self._height - 7, "middle"))
        middle = (_TOP + bottom) / 2
        return [*parts, _text(self._y.label, 14, middle, "middle", transform=f"rotate(-90 14 {middle:g})")]

    def _rule_texts(self) -> list[Html]:
        """The texts of rules, moved apart where these lie close."""
        texts, free = [], -math.inf
        for top, text in sorted(self._rules):
            free = max(top + 4.0, free)
            texts.append(_text(text, self._right + 8, round(free, 1), "start"))
            free += _LINE_PX
        return texts


def key(style: str, shape: str, text: object) -> Html:
    """An entry of a legend: a mark (or ``line``) in its style, and what it stands for."""
    drawn = "M2 7h22" if shape == "line" else f"M13 7{_SHAPES[shape]}"
    path = tag("path", d=drawn, class_=style, stroke_width=_STROKES.get(shape))
    return join([tag("svg", path, viewBox="0 0 26 14", aria_hidden="true"), words(text)])


def _text(text: str, left: float, top: float, anchor: str, **more: str) -> Html:
    return tag("text", text, x=f"{left:g}", y=f"{top:g}", text_anchor=anchor, **more)


def _line_path(places: Floats) -> str:
    """A path through pixels ``[N, 2]``: a point alone is a dot, and crowded ones are the extremes of each pixel."""
    if len(places) > 2 * WIDTH:
        column = places[:, 0].astype(np.int64)
        groups = np.split(np.arange(len(places)), np.flatnonzero(np.diff(column)) + 1)
        kept = [{int(g[places[g, 1].argmin()]), int(g[places[g, 1].argmax()])} for g in groups]
        places = places[[i for pair in kept for i in sorted(pair)]]
    points = " ".join(f"{left:.1f} {top:.1f}" for left, top in places)
    return f"M{points}" + ("h0" if len(places) == 1 else "")
