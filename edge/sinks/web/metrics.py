"""``/metrics``: the newest numbers in Prometheus' text format (version 0.0.4).

By zone, not by person: track numbers never come back, and every one would be a series for ever. Of several persons in
a zone the first one counts. A value that the page would not show is left out, for a gap is what a gap should look like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge.sinks.freshness import shown
from edge.sinks.records import Numerics, Rate
from edge.sinks.web.board import Board
from edge.vitals import STATES

__all__ = ["CONTENT_TYPE", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RATES = {"hr": "pulse", "rr": "breathing"}


def metrics_text(board: Board, clients: int, now_ns: int) -> str:
    """All metrics at ``now_ns`` (CLOCK_MONOTONIC); ``clients`` pages are open."""
    lines = [*_device(board, clients), *_vitals(board, now_ns), *_health(board)]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, values: Sequence[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    if values:
        yield f"# HELP mmrphys_{name} {text}"
        yield f"# TYPE mmrphys_{name} {kind}"
    for labels, value in values:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        yield f"mmrphys_{name}{f'{{{inside}}}' if inside else ''} {+value}"


def _device(board: Board, clients: int) -> Iterator[str]:
    yield from _metric("online", "gauge", "1 while the device measures", [({"device": board.device}, board.online)])
    yield from _metric("page_clients", "gauge", "Open bedside pages", [({}, clients)])


def _vitals(board: Board, now_ns: int) -> Iterator[str]:
    zones: dict[str, Numerics] = {}
    for card in board.cards.values():
        zones.setdefault(card.numerics.zone, card.numerics)
    for key, name in _RATES.items():
        rates: dict[str, tuple[Rate, float]] = {
            zone: (getattr(record, key), max(0, now_ns - record.mono_ns) / 1e6) for zone, record in zones.items()
        }
        now = {zone: shown(rate.value, rate.state, rate.age_ms, silent) for zone, (rate, silent) in rates.items()}
        values = [({"zone": zone}, one.value) for zone, one in now.items() if one.value is not None and not one.grey]
        yield from _metric(f"{key}_per_minute", "gauge", f"Rate of {name}, only while it can be trusted", values)
        quality = [({"zone": zone}, rate.sqi) for zone, (rate, _) in rates.items() if now[zone].state != "stale"]
        yield from _metric(f"{key}_quality", "gauge", f"Quality of {name}, 0 to 1", quality)
        states = [({"zone": zone, "state": s}, s == one.state) for zone, one in now.items() for s in STATES]
        yield from _metric(f"{key}_state", "gauge", f"1 for the state of {name}", states)
    silent_s = [({"zone": zone}, max(0, now_ns - record.mono_ns) / 1e9) for zone, record in zones.items()]
    yield from _metric("silent_seconds", "gauge", "Since the newest numbers", silent_s)
    yield from _cameras(next(iter(zones.values()), None))


def _cameras(record: Numerics | None) -> Iterator[str]:
    if record is not None:
        fps = [({"camera": str(kind)}, value) for kind, value in record.fps.items()]
        yield from _metric("camera_fps", "gauge", "Frames a second, as measured", fps)
        lost = [({"camera": str(kind)}, value) for kind, value in record.dropped.items()]
        yield from _metric("camera_dropped_total", "counter", "Frames lost since the start", lost)


def _health(board: Board) -> Iterator[str]:
    health = board.health
    if health is None:
        return
    frames = [({"camera": str(kind)}, value) for kind, value in health.frames.items()]
    yield from _metric("camera_frames_total", "counter", "Frames since the start", frames)
    lost = [({"sink": sink}, value) for sink, value in health.sink_dropped.items()]
    yield from _metric("sink_dropped_total", "counter", "Records given up since the start", lost)
    plain = {"uptime_seconds": health.uptime_s, "cpu_share": health.cpu_share, "memory_mb": health.memory_mb}
    for name, value in {**plain, "temperature_degc": health.temperature_degc}.items():
        yield from _metric(name, "gauge", "Of the device", [] if value is None else [({}, value)])


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
