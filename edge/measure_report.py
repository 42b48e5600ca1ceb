"""A measurement in words and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.measure import FORMED, Measured, Measurement, RateName
from edge.sinks.console_text import sources_text
from edge.sinks.freshness import shown
from edge.sinks.records import NOTICE
from edge.vitals import OLDEST_MS, Mode, Vitals

__all__ = ["Report", "dict_from_report", "lines", "newest_text", "report_from_measurement"]

LABELS: Mapping[RateName, str] = {"hr": "HR", "rr": "RR"}
_NEEDS: Mapping[RateName, str] = {"hr": "HR needs about 10 s", "rr": "RR needs about 25 s"}
_REASONS = 4
_INDENT = " " * 5


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, of whom and by what. ``fps`` is each camera's newest rate; ``face_px`` the newest face's."""

    source: str
    seconds: float
    rates: Mapping[RateName, Measured]
    others: int
    fps: Mapping[str, float]
    face_px: float
    mode: Mode | None
    bundle: str

    @property
    def trustworthy(self) -> bool:
        """Whether any rate was ``ok``."""
        return any(rate.value is not None for rate in self.rates.values())


def report_from_measurement(measurement: Measurement, source: str) -> Report:
    """What the measurement says so far."""
    newest = measurement.newest
    return Report(
        source=source,
        seconds=measurement.seconds,
        rates={name: measurement.result(name) for name in LABELS},
        others=measurement.others,
        fps=newest.fps if newest else {},
        face_px=newest.face_px if newest else 0.0,
        mode=newest.mode if newest else None,
        bundle=newest.bundle_id if newest else "",
    )


def dict_from_report(report: Report) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "v": 1,
        "kind": "measurement",
        "source": report.source,
        "seconds": round(report.seconds, 1),
        "trustworthy": report.trustworthy,
        **{name: _dict_from_rate(name, rate) for name, rate in report.rates.items()},
        "other_people": report.others,
        "fps": {kind: round(fps, 2) for kind, fps in report.fps.items()},
        "face_px": round(report.face_px),
        "mode": report.mode,
        "bundle": report.bundle,
        "formed": FORMED,
        "notice": NOTICE,
    }


def _dict_from_rate(name: RateName, rate: Measured) -> dict[str, Any]:
    numbers = {"value": rate.value, "uncertainty": rate.uncertainty, "low": rate.low, "high": rate.high}
    return {
        **{key: None if value is None else round(value, 2) for key, value in numbers.items()},
        "unit": "/min",
        "sqi": round(rate.sqi, 2),
        "sources": list(rate.sources),
        "source_sqi": {kind: round(quality, 2) for kind, quality in rate.source_sqi.items()},
        "state": rate.state,
        "looks": rate.looks,
        "ok_looks": rate.ok_looks,
        "ok_age_s": None if rate.ok_age_s is None else round(rate.ok_age_s, 1),
        "states": dict(rate.states),
        "changed": rate.changed(name),
        "why": [msgspec.to_builtins(reason) for reason in rate.why],
    }


def newest_text(look: Vitals | None, silent_ms: float) -> str:
    """The newest look in a few words, ``silent_ms`` after it came: a value that is too old is dashes, as everywhere."""
    if look is None:
        return "waiting for frames"
    texts = []
    for name, one in (("hr", look.hr), ("rr", look.rr)):
        now = shown(one.value, one.state, one.age_ms, silent_ms)
        texts.append(f"{name.upper()} {'---' if now.value is None else f'{now.value:.0f}'} {now.state}")
    return "  ".join(texts)


def lines(report: Report, width: int) -> Iterator[str]:
    """The report for a terminal of ``width`` characters."""
    for name, rate in report.rates.items():
        yield from _rate_lines(name, rate, width)
    if report.others:
        yield f"{report.others + 1} people were seen; this is the one who could be measured best."
    yield ""
    facts = [f"{report.seconds:.0f} s of {report.source}"]
    facts += [f"{kind} {fps:.1f} fps" for kind, fps in report.fps.items()]
    facts += [f"face {report.face_px:.0f} px"] if report.face_px else []
    yield from textwrap.wrap("; ".join(facts), width)
    yield from textwrap.wrap(FORMED, width)
    yield NOTICE


def _rate_lines(name: RateName, rate: Measured, width: int) -> Iterator[str]:
    looks = f"ok in {rate.ok_looks} of {rate.looks} looks"
    if rate.value is None:
        yield f"{LABELS[name]}   --- /min  withheld; {looks}, now {rate.state}"
    else:
        yield (
            f"{LABELS[name]} {rate.value:5.1f} /min  +- {rate.uncertainty:.1f}  quality {rate.sqi:.2f}; "
            f"{looks}, {rate.low:.1f} to {rate.high:.1f}"
        )
        if rate.sources:
            yield f"{_INDENT}read {sources_text(rate.sources, rate.source_sqi)}"
        if rate.ok_age_s is not None and rate.ok_age_s * 1000 > OLDEST_MS:
            yield f"{_INDENT}it is not the present: the last look that was ok was {rate.ok_age_s:.0f} s before the end"
        if rate.changed(name):
            yield f"{_INDENT}the rate changed meanwhile: the number is its median, not what it was throughout"
    for reason in rate.why[:_REASONS]:
        fix = f"{_NEEDS[name]} of a face in view" if reason.code == "warming_up" else reason.fix
        text = f"{reason.sentence}: {fix} ({reason.looks} looks)"
        yield from textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")
    if len(rate.why) > _REASONS:
        yield f"{_INDENT}and {len(rate.why) - _REASONS} more reasons; --json lists them"
