"""From vitals and waveforms to records in the order in which they are sent, and the summary of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge.frames import FrameKind
from edge.pipeline import Counts, Output, Presence, WaveBlock
from edge.sinks.factory import RecordFactory
from edge.sinks.records import Event, Record, Severity, WaveName
from edge.vitals import OLDEST_MS, REASONS, Estimate, State, Vitals

__all__ = ["Load", "Publisher", "Summary", "aged"]

HEALTH_EVERY_S = 10.0
_WAVES: tuple[tuple[str, WaveName], ...] = (("bvp", "pleth"), ("rsp", "resp"))

Load = Mapping[str, float | None]
"""What only a live device tells: ``uptime_s``, ``cpu_share``, ``memory_mb``, ``temperature_degc``, ``hop_s``."""


class Publisher:
    """Turns the pipeline's outputs into records; the functions are asked for what a health record holds.

    ``now`` gives the present on the clock of the stamps, where that runs with them (live sources): a look may be told
    late, when inference or the machine stood still, and its values are as old as that then.
    """

    def __init__(
        self,
        factory: RecordFactory,
        counts: Callable[[], Counts],
        sink_dropped: Callable[[], Mapping[str, int]],
        load: Callable[[], Load] = dict,
        *,
        sink_waiting: Callable[[], Mapping[str, int]] = dict,
        now: Callable[[], int] | None = None,
    ) -> None:
        self._factory = factory
        self._now = now
        self._counts = counts
        self._sink_dropped = sink_dropped
        self._sink_waiting = sink_waiting
        self._load = load
        self._states: dict[tuple[str, int | None, str], State] = {}  # by zone, person (None: the zone's own) and rate
        self._health_ns: int | None = None

    def records(self, output: Output) -> Iterator[tuple[Record, int]]:
        """The records of one output, each with the stream time it describes."""
        if isinstance(output, WaveBlock):
            yield from self._waves(output)
            return
        if isinstance(output, Presence):
            yield self._presence(output), output.pts_ns
            return
        yield self._factory.numerics(output if self._now is None else aged(output, self._now())), output.pts_ns
        yield from self._state_changes(output)
        yield from self._health(output.pts_ns)

    def _presence(self, news: Presence) -> Event:
        if not news.here:
            for rate in ("hr", "rr"):
                self._states.pop((news.zone, news.person, rate), None)
        return self._factory.event(
            "person_came" if news.here else "person_left", "info",
            f"person {news.person} {'came into' if news.here else 'left'} {news.zone}",
            zone=news.zone, person=news.person, pts_ns=news.pts_ns,
        )  # fmt: skip

    def _waves(self, block: WaveBlock) -> Iterator[tuple[Record, int]]:
        signals = block.signals
        sources: dict[str, FrameKind] = {"bvp": signals.bvp_source, "rsp": signals.rsp_source}
        for task, name in _WAVES:
            samples = getattr(signals, task)
            if samples is not None:
                state = block.states[0 if task == "bvp" else 1]
                record = self._factory.wave(
                    name, samples.tolist(), fs=signals.fs, t0_ns=signals.t0_ns,
                    zone=block.zone, person=block.person, source=sources[task],
                    path=None if block.mode is None else (block.mode, state),
                )  # fmt: skip
                yield record, signals.t0_ns

    def _state_changes(self, vitals: Vitals) -> Iterator[tuple[Event, int]]:
        for rate, estimate in (("hr", vitals.hr), ("rr", vitals.rr)):
            key = (vitals.zone, None if vitals.lead else vitals.person, rate)
            facts = vitals.facts.get(rate, {})
            before, self._states[key] = self._states.get(key), estimate.state
            if before not in (None, estimate.state):
                reasons = "".join(f"; {REASONS[code].said(facts)}" for code in estimate.why)
                event = self._factory.event(
                    "hr_state" if rate == "hr" else "rr_state", _severity(estimate),
                    f"{before} -> {estimate.state}{reasons}",
                    zone=vitals.zone, person=vitals.person, pts_ns=vitals.pts_ns,
                )  # fmt: skip
                yield event, vitals.pts_ns

    def _health(self, pts_ns: int) -> Iterator[tuple[Record, int]]:
        if self._health_ns is None:
            self._health_ns = pts_ns
        if pts_ns < self._health_ns:
            return
        self._health_ns += round(HEALTH_EVERY_S * 1e9) * (1 + int((pts_ns - self._health_ns) / (HEALTH_EVERY_S * 1e9)))
        counts = self._counts()
        lossy = {name: dropped for name, dropped in self._sink_dropped().items() if dropped}
        waiting = {name: count for name, count in self._sink_waiting().items() if count}
        record = self._factory.health(
            pts_ns, frames=counts.frames, dropped=counts.dropped, late=counts.late, duplicate=counts.duplicate,
            reordered=counts.reordered, detections=counts.detections, windows=counts.windows, sink_dropped=lossy,
            sink_waiting=waiting,
            skew_p95_ms=counts.skew_p95_ms, drift_ppm=counts.drift_ppm, **self._load(),
        )  # fmt: skip
        yield record, pts_ns


def aged(vitals: Vitals, now_ns: int) -> Vitals:
    """A look as it is when it is told at ``now_ns``: its values older by what passed since, or withheld for that.

    Events tell the state that the look had; what is too old to be shown is ``stale``, and its first reason ``gap``.
    """
    late_ms = max(0, now_ns - vitals.pts_ns) // 10**6
    hr = _aged(vitals.hr, late_ms)
    return replace(vitals, hr=hr, rr=_aged(vitals.rr, late_ms), beats=vitals.beats if hr.state == "ok" else None)


def _aged(estimate: Estimate, late_ms: int) -> Estimate:
    age_ms = estimate.age_ms + late_ms
    if estimate.value is None or age_ms <= OLDEST_MS:
        return replace(estimate, age_ms=age_ms)
    why = tuple(dict.fromkeys(("gap", *estimate.why)))
    return Estimate(None, estimate.sqi, "stale", why, estimate.window_s, age_ms, None)


def _severity(estimate: Estimate) -> Severity:
    if estimate.state in ("fault", "camera_lost", "thermal_lost"):
        return "warning"
    return "info" if estimate.state in ("ok", "starting") else "notice"


@dataclass(slots=True)
class Summary:
    """What a run showed, for ``--json``: per rate the looks in each state, and the mean of what was ``ok``.

    Over all, and where there are several zones over the persons of each.
    """

    looks: int = 0
    states: dict[str, dict[State, int]] = field(default_factory=lambda: {"hr": {}, "rr": {}})
    sums: dict[str, float] = field(default_factory=lambda: {"hr": 0.0, "rr": 0.0})
    zones: dict[str, Summary] = field(default_factory=dict)

    def add(self, vitals: Vitals) -> None:
        """Count one look."""
        self._count(vitals)
        self.zones.setdefault(vitals.zone, Summary())._count(vitals)  # noqa: SLF001 - its own kind

    def _count(self, vitals: Vitals) -> None:
        self.looks += 1
        for rate, estimate in (("hr", vitals.hr), ("rr", vitals.rr)):
            self.states[rate][estimate.state] = self.states[rate].get(estimate.state, 0) + 1
            self.sums[rate] += estimate.value or 0.0 if estimate.state == "ok" else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        rates = {
            rate: {
                "states": states,
                "ok_share": round(states.get("ok", 0) / self.looks, 3) if self.looks else 0.0,
                "ok_mean": round(self.sums[rate] / states["ok"], 1) if states.get("ok") else None,
            }
            for rate, states in self.states.items()
        }
        several = {"zones": {name: zone.as_dict() for name, zone in self.zones.items()}} if len(self.zones) > 1 else {}
        return {"looks": self.looks, **rates, **several}
