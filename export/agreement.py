"""How far two graphs of one model are apart in vital signs, hop by hop, through the device's own post-processing.

A hop is what a device does once a second: a window of the model, overlap-added to those before it, and a rate read
from the newest 10 s (HR) or 15 to 30 s (RR). Where the reference itself shows no rate (less power at the rate than
beside it) a difference means nothing: such hops are reported, not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Measured, Reference, Task
from edge.person import HR_WINDOW_S, RR_WINDOW_S
from edge.signals.filters import band_pass, spectrum
from edge.signals.overlap import OverlapAdd
from edge.signals.rates import Reading, read_rate
from edge.vitals import HR_BAND, RR_BAND, Band
from export.clip_set import Recording

__all__ = [
    "MIN_JUDGED", "PRECISION_GATE", "STREAM_GATE", "Agreement", "Gate", "Hop", "Infer", "Judge", "agreements",
    "band_of", "hop_of", "hops_apart", "refusal", "windows_of",
]  # fmt: skip


class Gate(msgspec.Struct, frozen=True):
    """How far rates may shift: at ``quantile`` of the judged hops by ``per_min``, beyond 3/min in a share of ``far``.

    One hop alone is never too many to be far: of two peaks of nearly equal height any rounding may choose the other.
    """

    quantile: float
    per_min: float
    far: float


PRECISION_GATE = Gate(0.95, 0.5, 0.02)
"""Of a graph against fp32: one hop in twenty may shift by more, one in fifty show another peak."""
STREAM_GATE = Gate(0.5, 0.5, 0.1)
"""Of a stream against windows, which it only approximates: half of the hops, and one in ten."""
MIN_JUDGED = 5
"""In fewer hops a share of one in twenty says nothing."""
LOST_PER_MIN = 999.0
"""Stands in a manifest for the shift of a rate that was not read at all."""
FAR_PER_MIN = 3.0
"""A rate moved by more is another one: of two nearly equal peaks the other won."""
MIN_SNR_DB = 0.0
HOP_S = 1.0
_RATES: dict[str, tuple[str, Band, tuple[float, float]]] = {
    "bvp": ("HR", HR_BAND, (0.0, HR_WINDOW_S)),
    "rsp": ("RR", RR_BAND, RR_WINDOW_S),
}

Floats = npt.NDArray[np.float32]
Waves = Mapping[str, Floats]
Seen = tuple[Floats, Reading | None]
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
    """All hops of a task: of the shifts per minute some quantiles, and the share of judged ones beyond 3."""

    task: str
    rate: str
    hops: int
    judged: int
    max_error: float
    pearson_least: float
    pearson_median: float
    shift_median: float
    shift_p95: float
    shift_max: float
    far: int
    quality_db: float
    gate: Gate

    @property
    def shift(self) -> float:
        """What the gate looks at."""
        return self.shift_median if self.gate.quantile == STREAM_GATE.quantile else self.shift_p95

    @property
    def far_allowed(self) -> int:
        """Hops that may be beyond 3/min."""
        return max(1, int(self.gate.far * self.judged))

    @property
    def holds(self) -> bool:
        """Whether the rate may be trusted as the reference's; false when fewer than ``MIN_JUDGED`` hops could tell."""
        return self.judged >= MIN_JUDGED and self.shift <= self.gate.per_min and self.far <= self.far_allowed

    def measured(self, against: Reference) -> Measured:
        """What the manifest keeps of it."""
        return Measured(
            task=cast("Task", self.task),
            against=against,
            judged=self.judged,
            pearson_least=_short(self.pearson_least),
            shift_median=_short(self.shift_median),
            shift_p95=_short(self.shift_p95),
            shift_max=_short(self.shift_max),
            far=self.far,
        )


class Judge:
    """Compares graphs with ``reference`` on ``recordings``, whose outputs it keeps.

    ``thermal``: the tasks that say nothing where a recording has no thermal; they have no hops there.
    """

    def __init__(
        self, reference: Infer, recordings: Sequence[Recording], frames: int, fps: float, thermal: Collection[str] = ()
    ) -> None:
        self.recordings, self.frames, self.fps, self.thermal = recordings, frames, fps, thermal
        self.wanted = [windows_of(reference, one.frames, frames, fps) for one in recordings]

    def hops(self, infer: Infer) -> list[Hop]:
        """Every hop of every recording."""
        found: list[Hop] = []
        for number, (recording, wanted) in enumerate(zip(self.recordings, self.wanted, strict=True)):
            seen = windows_of(infer, recording.frames, self.frames, self.fps)
            found += hops_apart(number, seen, wanted, recording.frames.shape[1], self.fps)
        return self.audible(found)

    def audible(self, hops: Iterable[Hop]) -> list[Hop]:
        """Those of tasks whose modality is in their recording."""
        absent = [set(self.thermal) if "thermal" in one.absent else set() for one in self.recordings]
        return [hop for hop in hops if hop.task not in absent[hop.recording]]

    def whole(self, number: int) -> dict[str, Floats]:
        """The reference's waveforms ``{task: [L - 1]}`` of recording ``number``, all windows overlap-added."""
        length = self.recordings[number].frames.shape[1]
        sums = {task: OverlapAdd(self.frames - 1, length) for task in self.wanted[number][0][1]}
        for start, waves in self.wanted[number]:
            for task, wave in waves.items():
                sums[task].add(start, wave)
        return {task: one.between(0, one.end) for task, one in sums.items()}


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
            ideal = wanted[task]
            yield hop_of(number, (start + len(ideal)) / fps, task, (waves[task], own), (ideal, other))


def hop_of(number: int, t_s: float, task: str, own: Seen, other: Seen) -> Hop:
    """A hop of recording ``number``: a graph's waveform and reading, and the reference's."""
    (wave, seen), (ideal, wanted) = own, other
    error = float(np.abs(wave - ideal).max()) / max(float(ideal.std()), 1e-12)
    rate = None if wanted is None else round(wanted.rate_per_min, 3)
    shift = None if seen is None or wanted is None else seen.rate_per_min - wanted.rate_per_min
    quality = None if seen is None or wanted is None else seen.snr_db - wanted.snr_db
    judged = wanted is not None and wanted.snr_db >= MIN_SNR_DB
    return Hop(number, round(t_s, 3), task, error, _pearson(wave, ideal), rate, shift, quality, judged)


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


def band_of(task: str) -> Band:
    """Where the rate of a task lies."""
    return _RATES[task][1]


def agreements(hops: Iterable[Hop], tasks: Collection[str], gate: Gate = PRECISION_GATE) -> list[Agreement]:
    """The hops summed up, for each of ``tasks``, of which none passes without hops."""
    held = list(hops)
    return [_summed(task, [hop for hop in held if hop.task == task], gate) for task in tasks]


def _summed(task: str, hops: list[Hop], gate: Gate) -> Agreement:
    r = [hop.pearson for hop in hops] or [0.0]
    judged = [hop for hop in hops if hop.judged]
    shifts = np.abs([np.inf if hop.shift_per_min is None else hop.shift_per_min for hop in judged] or [0.0])
    quality = [hop.quality_db for hop in judged if hop.quality_db is not None]
    return Agreement(
        task=task,
        rate=_RATES[task][0],
        hops=len(hops),
        judged=len(judged),
        max_error=max((hop.max_error for hop in hops), default=0.0),
        pearson_least=min(r),
        pearson_median=float(np.median(r)),
        shift_median=float(np.median(shifts)),
        shift_p95=float(np.quantile(shifts, 0.95, method="higher")),
        shift_max=float(shifts.max()),
        far=int((shifts > FAR_PER_MIN).sum()),
        quality_db=float(np.mean(quality)) if quality else 0.0,
        gate=gate,
    )


def refusal(found: Iterable[Agreement]) -> str:
    """Why a graph with these agreements is not usable, in one line; empty when it is."""
    return "; ".join(_why_not(one) for one in found if not one.holds)


def _why_not(one: Agreement) -> str:
    if one.judged < MIN_JUDGED:
        shown = f"the reference shows a rate in {one.judged} of {one.hops} hops, wanted {MIN_JUDGED}"
        return f"{one.rate} could not be judged: {shown}"
    if not one.shift <= one.gate.per_min:
        where = "half of the hops" if one.shift == one.shift_median else "one hop of twenty"
        return f"{one.rate} shifts by {one.shift:.2f}/min in {where} (limit {one.gate.per_min})"
    return f"{one.rate} moves by more than 3/min in {one.far} of {one.judged} hops (limit {one.far_allowed})"


def _short(figure: float) -> float:
    """To five places, the finite stand-in for a rate that was lost."""
    return round(min(figure, LOST_PER_MIN), 5)


def _pearson(one: Floats, other: Floats) -> float:
    """Pearson's r, 0 for what does not move."""
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
