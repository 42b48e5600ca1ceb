"""Records in words, for people: the plain lines of ``console:`` and the phrases of its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from edge.frames import FrameKind
from edge.sinks.freshness import STALE_MS, shown
from edge.sinks.records import Event, Health, Meta, Numerics, Rate, Record, Status
from edge.vitals import REASONS, Truth

__all__ = ["cameras_text", "line_from_record", "reasons_text", "sources_text", "value_text"]


def line_from_record(record: Record, pts_ns: int, truth: Truth | None = None, silent_ms: int = 0) -> str | None:
    """One plain line for a record of stream time ``pts_ns``, None for a kind that has no words (waveforms).

    ``silent_ms``: since it was made. A value that is too old by then is not told, one that gets old with its age.
    """
    time_text = f"{pts_ns / 1e9:8.1f} s "
    if isinstance(record, Numerics):
        return time_text + _numerics_text(record, truth, silent_ms)
    if isinstance(record, Event):
        place = f"{record.zone}/{record.person} " if record.person is not None else ""
        return f"{time_text}{place}{record.severity} {record.code}: {record.text}"
    if isinstance(record, Health):
        return time_text + _health_text(record)
    if isinstance(record, Status):
        return f"{time_text}{record.device} {record.state}: {record.reason}"
    if isinstance(record, Meta):
        parts = (record.software, record.mode, record.runtime, f"signature {record.signature}", record.notice)
        return time_text + ", ".join(parts)
    return None


def value_text(value: float | None) -> str:
    """``"71.8"``, or dashes for a missing rate."""
    return "---" if value is None else f"{value:.1f}"


def reasons_text(rate: Rate, record: Numerics) -> list[str]:
    """Each reason of a rate as a sentence with what to do about it, and the number where the record holds it."""
    facts = {"seen_s": rate.window_s, "fps": record.fps.get("rgb", 0.0)}
    return [f"{REASONS[code].said(facts)}: {REASONS[code].fix}" for code in rate.why]


def sources_text(sources: Sequence[FrameKind], source_sqi: Mapping[FrameKind, float]) -> str:
    """``"from thermal 0.83 (rgb 0.41)"``: what a rate was read from, and in parentheses what else shows it."""
    named = {kind: f"{kind} {source_sqi[kind]:.2f}" if kind in source_sqi else kind for kind in (*sources, *source_sqi)}
    beside = ", ".join(text for kind, text in named.items() if kind not in sources)
    return f"from {', '.join(named[kind] for kind in sources)}" + (f" ({beside})" if beside else "")


def cameras_text(record: Numerics) -> str:
    """Frame rates, lost frames and the distance of paired stamps."""
    parts = [f"{kind} {fps:.2f} fps, {record.dropped.get(kind, 0)} lost" for kind, fps in record.fps.items()]
    skew = [] if record.skew_ms is None else [f"skew {record.skew_ms:.0f} ms"]
    return "; ".join(parts + skew)


def _numerics_text(record: Numerics, truth: Truth | None, silent_ms: int) -> str:
    hr = _rate_text("HR", record.hr, silent_ms, None if truth is None else truth.hr_per_min)
    rr = _rate_text("RR", record.rr, silent_ms, None if truth is None else truth.rr_per_min)
    return f"{record.zone}/{record.person}  {hr}  {rr}  {cameras_text(record)}"


def _rate_text(label: str, rate: Rate, silent_ms: int, truth_per_min: float | None) -> str:
    now, age_ms = shown(rate.value, rate.state, rate.age_ms, silent_ms), rate.age_ms + silent_ms
    text = f"{label} {value_text(now.value):>5} {rate.unit} {now.state} {rate.sqi:.2f}"
    if rate.sources is not UNSET and now.value is not None:
        text += f" {sources_text(rate.sources, {} if rate.source_sqi is UNSET else rate.source_sqi)}"
    if now.value is not None and age_ms > STALE_MS:
        text += f", {age_ms / 1000:.0f} s old"
    if rate.why:
        text += f" ({', '.join(rate.why)})"
    return text if truth_per_min is None else f"{text} [truth {truth_per_min:.1f}]"


def _health_text(record: Health) -> str:
    frames = ", ".join(f"{kind} {count}" for kind, count in record.frames.items())
    lost = sum(record.dropped.values())
    sinks = sum(record.sink_dropped.values())
    return (
        f"frames {frames}; {lost} lost, {sum(record.late.values())} late, {sum(record.duplicate.values())} duplicate; "
        f"{record.detections} detections, {record.windows} windows; {sinks} records dropped"
    )
