"""What ``mmrphys validate`` writes: a report as data, and a short table for people. ``page`` makes it HTML."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN
from edge.sinks.records import NOTICE, Numerics
from edge.validation.compare import RATES, Comparison, Part, RateFigures
from edge.validation.source import Source
from edge.validation.words import cautions, iso, limits_text, offset_words, percent, plain, signed, verdict
from edge.vitals import REASONS

__all__ = ["Report", "cells", "dict_from_report", "print_report"]

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison with where it came from. ``notices`` tell what the reading of both files met."""

    software: str
    records: Source
    reference: Source
    numerics: tuple[Numerics, ...]
    result: Comparison
    notices: tuple[str, ...]

    @property
    def device(self) -> str:
        """The kit's name."""
        return self.numerics[0].device

    @property
    def zone(self) -> str:
        """The bed watched."""
        return self.numerics[0].zone

    @property
    def person(self) -> int:
        """The track within the zone."""
        return self.numerics[0].person

    @property
    def bundles(self) -> tuple[str, ...]:
        """Ids of the bundles that made the records."""
        return tuple(dict.fromkeys(one.bundle for one in self.numerics))

    @property
    def runs(self) -> int:
        """How many starts of the program the records are of."""
        return len({one.boot for one in self.numerics})

    @property
    def all_notices(self) -> tuple[str, ...]:
        """What was met, then what to bear in mind."""
        return self.notices + cautions(self.result)


def dict_from_report(report: Report) -> dict[str, Any]:
    """The content of ``validate.json``: rates per minute, shares 0 to 1, offsets in seconds, null for none."""
    result = report.result
    content = {
        "kind": "validation",
        "v": 1,
        "software": report.software,
        "protocol": "deployed",
        "notice": NOTICE,
        "records": asdict(report.records)
        | {
            "device": report.device,
            "zone": report.zone,
            "person": report.person,
            "bundles": report.bundles,
            "modes": tuple(dict.fromkeys(one.mode for one in report.numerics)),
            "runs": report.runs,
            "live": result.live,
            "start": iso(result.start_s) if result.live else None,
            "seconds": result.end_s - result.start_s,
        },
        "reference": asdict(report.reference),
        "offset": asdict(result.offset) | {"words": offset_words(result)},
        "limits_per_min": dict(LIMITS_PER_MIN),
        "narrow_limits_per_min": dict(NARROW_PER_MIN),
        "rates": {rate: _dict_from_figures(figures) for rate, figures in result.rates.items()},
        "verdict": verdict(result),
        "notices": report.all_notices,
    }
    rounded: dict[str, Any] = _rounded(content)
    return rounded


def _dict_from_figures(figures: RateFigures) -> dict[str, Any]:
    reasons = [
        asdict(one) | {"sentence": REASONS[one.code].sentence, "fix": REASONS[one.code].fix} for one in figures.reasons
    ]
    return asdict(figures) | {"reasons": reasons}


def _rounded(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _rounded(item) for key, item in node.items()}
    if isinstance(node, (list, tuple)):
        return [_rounded(item) for item in node]
    return round(node, _DIGITS) if isinstance(node, float) else node


def print_report(report: Report, console: Console) -> None:
    """A table of the figures, the verdict, how the clocks were joined, and the notices.

    What files contain is printed too, so that ``console`` must not take it for markup.
    """
    table = Table(title=f"{report.device}, zone {report.zone}: values that were ok, per minute", title_style="bold")
    for name in ("rate", "looks", "ok", "coverage", "bias", "limits of agreement", "A_RMS", "MAE", "wrong"):
        table.add_column(name, justify="left" if name == "rate" else "right", no_wrap=name != "limits of agreement")
    for rate in RATES:
        figures = report.result.rates[rate]
        if figures.overall.due:
            table.add_row(rate.upper(), *cells(figures.overall))
            for band, part in figures.bands.items():
                table.add_row(f"  {band}", *cells(part))
            table.add_section()
    if table.row_count:
        console.print(table)
    for sentence in [*sum(verdict(report.result).values(), ()), *offset_words(report.result), *report.all_notices]:
        console.print(sentence, soft_wrap=True)


def cells(part: Part) -> list[str]:
    """One row of figures: looks with a reference, ok, coverage, bias, limits, A_RMS, MAE, share that was wrong."""
    shown = part.published.agreement
    return [
        str(part.due), str(part.paired), percent(part.published.coverage), signed(shown.bias), limits_text(shown),
        plain(shown.rmse), plain(shown.mae), percent(part.published.false_confidence),
    ]  # fmt: skip
