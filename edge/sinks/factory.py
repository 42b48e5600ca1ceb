"""Makes records: one counter, one boot number and the clocks of a process."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET

from edge.frames import FrameKind
from edge.sinks.clocks import clock_synced, rfc3339_from_ns
from edge.sinks.records import (
    CODES,
    NOTICE,
    Event,
    EventCode,
    Health,
    Ibi,
    Meta,
    Numerics,
    Rate,
    Severity,
    Status,
    Wave,
    WaveName,
)
from edge.vitals import Beats, Estimate, Mode, State, Vitals

__all__ = ["RecordFactory"]

T = TypeVar("T")
_KINDS: tuple[FrameKind, ...] = get_args(FrameKind)


class RecordFactory:
    """Stamps every record of a process. Make one, and make the records in the order in which they are sent.

    ``wall_clock`` gives ns since 1970, ``mono_clock`` ns on CLOCK_MONOTONIC, ``synced`` whether the wall clock follows
    a time server. Not thread-safe.
    """

    def __init__(
        self,
        device: str,
        boot: str | None = None,
        *,
        wall_clock: Callable[[], int] = time.time_ns,
        mono_clock: Callable[[], int] = time.monotonic_ns,
        synced: Callable[[], bool] = clock_synced,
    ) -> None:
        self.device = device
        self.boot = boot or secrets.token_hex(8)
        self._wall_clock = wall_clock
        self._mono_clock = mono_clock
        self._synced = synced
        self._seq = count()

    def numerics(self, vitals: Vitals) -> Numerics:
        """HR and RR of one person, rounded to what they are worth."""
        return Numerics(
            **self._envelope(),
            zone=vitals.zone,
            person=vitals.person,
            mode=vitals.mode,
            bundle=vitals.bundle_id,
            pts_ns=vitals.pts_ns,
            hr=_rate(vitals.hr),
            rr=_rate(vitals.rr),
            fps={kind: round(fps, 2) for kind, fps in _by_kind(vitals.fps).items()},
            dropped=_by_kind(vitals.dropped),
            skew_ms=_rounded(vitals.skew_ms, 1),
            ibi=_ibi(vitals.beats) if vitals.beats else msgspec.UNSET,
        )

    def wave(
        self,
        wave: WaveName,
        samples: Iterable[float],
        *,
        fs: float,
        t0_ns: int,
        zone: str,
        person: int,
        source: FrameKind,
        path: tuple[Mode, State] | None = None,
    ) -> Wave:
        """A block of a waveform, ``[T]`` in arbitrary units at ``fs`` Hz from stream time ``t0_ns``; NaN is a gap.

        ``path``: where streams run, which gave it, and the state of its rate.
        """
        mode, state = path or (msgspec.UNSET, msgspec.UNSET)
        return Wave(
            **self._envelope(),
            zone=zone,
            person=person,
            wave=wave,
            source=source,
            fs=fs,
            t0_ns=t0_ns,
            mode=mode,
            state=state,
            samples=tuple(float(f"{x:.4g}") if math.isfinite(x) else None for x in samples),
        )

    def event(
        self,
        code: EventCode,
        severity: Severity,
        text: str,
        *,
        zone: str | None = None,
        person: int | None = None,
        pts_ns: int | None = None,
    ) -> Event:
        """A change of state or a technical notice, about the device or about one zone and person."""
        return Event(
            **self._envelope(), code=code, severity=severity, text=text, zone=zone, person=person, pts_ns=pts_ns
        )

    def health(
        self,
        pts_ns: int,
        *,
        frames: Mapping[FrameKind, int],
        dropped: Mapping[FrameKind, int],
        late: Mapping[FrameKind, int],
        duplicate: Mapping[FrameKind, int],
        reordered: Mapping[FrameKind, int],
        detections: int,
        windows: int,
        sink_dropped: Mapping[str, int],
        sink_waiting: Mapping[str, int] | None = None,
        skew_p95_ms: float | None = None,
        drift_ppm: Mapping[FrameKind, float] | None = None,
        uptime_s: float | None = None,
        cpu_share: float | None = None,
        memory_mb: float | None = None,
        temperature_degc: float | None = None,
        hop_s: float | None = None,
    ) -> Health:
        """Counts since the start, per camera or sink. Leave the last five None unless the source is live."""
        return Health(
            **self._envelope(),
            pts_ns=pts_ns,
            frames=_by_kind(frames),
            dropped=_by_kind(dropped),
            late=_by_kind(late),
            duplicate=_by_kind(duplicate),
            reordered=_by_kind(reordered),
            detections=detections,
            windows=windows,
            sink_dropped=dict(sink_dropped),
            sink_waiting=dict(sink_waiting or {}),
            skew_p95_ms=_rounded(skew_p95_ms, 1),
            drift_ppm={kind: round(ppm, 1) for kind, ppm in _by_kind(drift_ppm or {}).items()},
            uptime_s=_rounded(uptime_s, 1),
            cpu_share=_rounded(cpu_share, 2),
            memory_mb=_rounded(memory_mb, 1),
            temperature_degc=_rounded(temperature_degc, 1),
            hop_s=msgspec.UNSET if hop_s is None else hop_s,
        )

    def status(self, state: Literal["online", "offline"], reason: str) -> Status:
        """The device begins or ends to send."""
        return Status(**self._envelope(), state=state, reason=reason)

    def meta(
        self,
        *,
        software: str,
        bundle: str,
        signature: str,
        graph: str,
        graph_why: str,
        runtime: str,
        mode: Mode,
        zones: Iterable[str],
        cameras: Mapping[FrameKind, str],
        rig: str | None = None,
    ) -> Meta:
        """What runs on the device; ``cameras`` maps kind to URI without secrets."""
        return Meta(
            **self._envelope(),
            software=software,
            bundle=bundle,
            signature=signature,
            graph=graph,
            graph_why=graph_why,
            runtime=runtime,
            mode=mode,
            zones=tuple(zones),
            cameras=_by_kind(cameras),
            rig=rig,
            codes=CODES,
            notice=NOTICE,
        )

    def _envelope(self) -> dict[str, Any]:
        return {
            "v": 1,
            "device": self.device,
            "boot": self.boot,
            "seq": next(self._seq),
            "time": rfc3339_from_ns(self._wall_clock()),
            "clock": "synced" if self._synced() else "free",
            "mono_ns": self._mono_clock(),
        }


def _ibi(beats: Beats) -> Ibi:
    return Ibi(
        intervals_ms=tuple(round(interval, 1) for interval in beats.intervals_ms),
        ends_ns=beats.ends_ns,
        uncertainty_ms=round(beats.uncertainty_ms, 1),
        rmssd_ms=_rounded(beats.rmssd_ms, 1),
        window_s=round(beats.window_s, 1),
    )


def _rate(estimate: Estimate) -> Rate:
    return Rate(
        value=_rounded(estimate.value, 1),
        unit="/min",
        sqi=round(estimate.sqi, 2),
        state=estimate.state,
        why=estimate.why,
        window_s=round(estimate.window_s, 1),
        age_ms=estimate.age_ms,
        uncertainty=None if estimate.value is None else _rounded(estimate.uncertainty, 2),
        sources=estimate.sources or UNSET,
        source_sqi={kind: round(quality, 2) for kind, quality in _by_kind(estimate.source_sqi).items()} or UNSET,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _by_kind(values: Mapping[Any, T]) -> dict[FrameKind, T]:
    return {kind: values[kind] for kind in _KINDS if kind in values}
