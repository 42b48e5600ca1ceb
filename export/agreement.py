"""How far two graphs of one model are apart in vital signs, hop by hop, through the device's own post-processing.

A hop is what a device does once a second: a window of the model, overlap-added to those before it, and a rate read
from the newest 10 s (HR) or 15 to 30 s (RR). Where the reference itself shows no rate (less power at the rate than
beside it) a difference means nothing: such hops are reported, not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Measured, Task
from edge.person import HR_WINDOW_S, RR_WINDOW_S
from edge.signals.filters import band_pass, spectrum
from edge.signals.overlap import OverlapAdd
from edge.signals.rates import Reading, read_rate
from edge.vitals import HR_BAND, RR_BAND, Band

__all__ = [
    "LIMITS_PER_MIN", "MIN_JUDGED", "Agreement", "Hop", "Infer", "Judge", "agreements", "hops_apart", "refusal",
    "windows_of",
]  # fmt: skip

LIMITS_PER_MIN = {"bvp": 0.5, "rsp": 0.5}
"""A precision is usable when no more than one judged hop in twenty shifts the rate of a task by more."""
MIN_JUDGED = 5
"""In fewer hops a share of one in twenty says nothing."""
LOST_PER_MIN = 999.0
"""Stands in a manifest for the shift of a rate that was not read at all."""
FAR_PER_MIN = 3.0
"""A rate moved by more is another one: of two nearly equal peaks the other won."""
MIN_SNR_DB = 0.0
HOP_S = 1.0
_RATES: dict[str, tuple[str, Band, tuple[float, float]]] = {
    "bvp": ("HR", HR_BAND, (HR_WINDOW_S, HR_WINDOW_S)),
    "rsp": ("RR", RR_BAND, RR_WINDOW_S),
}

Floats = npt.NDArray[np.float32]
Waves = Mapping[str, Floats]
Infer = Callable[[Floats], Waves]
"""Waveforms ``{task: [B, T]}`` of windows ``[B, C, F, S, S]``."""


class Hop(msgspec.Struct, frozen=True):
    """One task at one hop. ``max_error``: largest difference of the window, as a share of the reference's deviation.

    ``shift_per_min`` and ``quality_db`` (SNR) are this graph's less the reference's; None where a rate was not read.
    ``judged``: the reference shows a rate.
    """

    recording: int
    t_s: float
    task: str
    max_error: float
    pearson: float
    reference_per_min: float | None
    shift_per_min: float | None
    quality_db: float | None
    judged: bool


class Agreement(msgspec.Struct, frozen=True):
    """All hops of a task: of the shifts the mean, the 95th percentile (which is judged) and the largest, per minute."""

    task: str
    rate: str
    hops: int
    judged: int
    max_error: float
    pearson_least: float
    pearson_median: float
    shift_mean: float
    shift_p95: float
    shift_max: float
    beyond_3: float
    quality_db: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the rate may be trusted as the reference's; false when fewer than ``MIN_JUDGED`` hops could tell."""
        return self.judged >= MIN_JUDGED and self.shift_p95 <= self.limit

    @property
    def measured(self) -> Measured:
        """What the manifest keeps of it."""
        figures = (self.pearson_least, self.shift_p95, self.shift_max, self.beyond_3)
        return Measured(cast("Task", self.task), self.judged, *(_short(figure) for figure in figures))


class Judge:
    """Compares graphs with ``reference`` on ``recordings`` ``[N, C, L, S, S]``, whose outputs it keeps."""

    def __init__(self, reference: Infer, recordings: Floats, frames: int, fps: float) -> None:
        self.recordings, self.frames, self.fps = recordings, frames, fps
        self.wanted = [windows_of(reference, recording, frames, fps) for recording in recordings]

    def hops(self, infer: Infer) -> list[Hop]:
        """Every hop of every recording."""
        length = self.recordings.shape[2]
        found: list[Hop] = []
        for number, (recording, wanted) in enumerate(zip(self.recordings, self.wanted, strict=True)):
            seen = windows_of(infer, recording, self.frames, self.fps)
            found += hops_apart(number, seen, wanted, length, self.fps)
        return found


def windows_of(infer: Infer, recording: Floats, frames: int, fps: float) -> list[tuple[int, Waves]]:
    """``(start, {task: [T]})`` of every hop of ``recording`` ``[C, L, S, S]``."""
    hop = max(1, round(HOP_S * fps))
    starts = range(0, recording.shape[1] - frames + 1, hop)
    outputs = (infer(np.ascontiguousarray(recording[None, :, start : start + frames])) for start in starts)
    return [
        (start, {task: wave[0] for task, wave in waves.items()}) for start, waves in zip(starts, outputs, strict=True)
    ]


def hops_apart(
    number: int, seen: list[tuple[int, Waves]], reference: list[tuple[int, Waves]], length: int, fps: float
) -> Iterator[Hop]:
    """Every hop of recording ``number`` of ``length`` frames, a graph's windows beside the reference's."""
    for task in reference[0][1]:
        reads = (_readings(windows, task, length, fps) for windows in (seen, reference))
        for (start, waves), (_, wanted), own, other in zip(seen, reference, *reads, strict=True):
            wave, ideal = waves[task], wanted[task]
            t_s = (start + len(ideal)) / fps
            error = float(np.abs(wave - ideal).max()) / max(float(ideal.std()), 1e-12)
            judged = other is not None and other.snr_db >= MIN_SNR_DB
            rate = None if other is None else round(other.rate_per_min, 3)
            shift = None if own is None or other is None else own.rate_per_min - other.rate_per_min
            quality = None if own is None or other is None else own.snr_db - other.snr_db
            yield Hop(number, round(t_s, 3), task, error, _pearson(wave, ideal), rate, shift, quality, judged)


def _readings(windows: list[tuple[int, Waves]], task: str, length: int, fps: float) -> Iterator[Reading | None]:
    """What the device would read after each window; None before there is enough."""
    _, band, (least_s, most_s) = _RATES[task]
    sums = OverlapAdd(len(windows[0][1][task]), length)
    for start, waves in windows:
        sums.add(start, waves[task])
        count = min(sums.end, round(most_s * fps))
        if count < round(least_s * fps):
            yield None
            continue
        window_s = count / fps
        yield read_rate(spectrum(band_pass(sums.newest(count), band, fps), band, fps), band, window_s)


def agreements(hops: Iterable[Hop]) -> list[Agreement]:
    """The hops summed up, a task each."""
    by_task: dict[str, list[Hop]] = {}
    for hop in hops:
        by_task.setdefault(hop.task, []).append(hop)
    return [_summed(task, held) for task, held in by_task.items()]


def _summed(task: str, hops: list[Hop]) -> Agreement:
    pearson = [hop.pearson for hop in hops]
    judged = [hop for hop in hops if hop.judged]
    shifts = np.abs([np.inf if hop.shift_per_min is None else hop.shift_per_min for hop in judged] or [0.0])
    quality = [hop.quality_db for hop in judged if hop.quality_db is not None]
    return Agreement(
        task=task,
        rate=_RATES[task][0],
        hops=len(hops),
        judged=len(judged),
        max_error=max(hop.max_error for hop in hops),
        pearson_least=min(pearson),
        pearson_median=float(np.median(pearson)),
        shift_mean=float(shifts.mean()),
        shift_p95=float(np.quantile(shifts, 0.95, method="higher")),
        shift_max=float(shifts.max()),
        beyond_3=float((shifts > FAR_PER_MIN).mean()),
        quality_db=float(np.mean(quality)) if quality else 0.0,
        limit=LIMITS_PER_MIN[task],
    )


def refusal(found: Iterable[Agreement]) -> str:
    """Why a graph with these agreements is not usable, in one line; empty when it is."""
    says = [
        f"{one.rate} shifts by {one.shift_p95:.2f}/min in one hop of twenty (limit {one.limit})"
        if one.judged >= MIN_JUDGED
        else f"{one.rate} could not be judged: the reference shows a rate in {one.judged} of {one.hops} hops, wanted "
        f"{MIN_JUDGED}"
        for one in found
        if not one.holds
    ]
    return "; ".join(says)


def _short(figure: float) -> float:
    """To five places, the finite stand-in for a rate that was lost."""
    return round(min(figure, LOST_PER_MIN), 5)


def _pearson(one: Floats, other: Floats) -> float:
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
