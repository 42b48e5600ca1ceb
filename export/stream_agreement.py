"""How well a stream agrees with the window function it approximates, as a device would read both.

Windows run once a second and are overlap-added; the stream runs in chunks. Every second both waveforms are read by the
deployed filters and rates over the newest 10 s (BVP) or 15 s (RSP), from the 16th second on: statistics have settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import StreamAgreement, Task
from edge.runtimes.onnxrt_stream import StreamRunner
from edge.selftest import STREAM_CHUNK
from edge.signals.filters import band_pass, spectrum
from edge.signals.overlap import OverlapAdd
from edge.signals.rates import read_rate
from edge.vitals import HR_BAND, RR_BAND
from export.agreement import MIN_SNR_DB

__all__ = ["WINDOW_S", "Hop", "Waves", "agreement_of", "hops", "streamed", "windowed"]

FROM_S = 16.0
NEAR = 2.0
"""Per minute: a shift that does not matter at the bedside."""
WINDOW_S = {"bvp": 10.0, "rsp": 15.0}
BANDS = {"bvp": HR_BAND, "rsp": RR_BAND}

Floats = npt.NDArray[np.float32]
Waves = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Hop:
    """Both waveforms over the time before ``sample``: Pearson's r, and the rates; not a number where there is none.

    ``snr_db``: how clearly the windows show theirs.
    """

    task: str
    sample: int
    pearson: float
    stream_per_min: float
    window_per_min: float
    snr_db: float


def windowed(graph: bytes, frames: Floats, length: int, fps: float) -> Waves:
    """``{task: [N]}`` of frames ``[1, C, N + 1, S, S]``, by windows of ``length`` frames, one a second."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    tasks = [output.name for output in session.get_outputs()]
    sums = {task: OverlapAdd(length - 1, frames.shape[2]) for task in tasks}
    for start in range(0, frames.shape[2] - length + 1, round(fps)):
        clip = np.ascontiguousarray(frames[:, :, start : start + length])
        for task, wave in zip(tasks, session.run(tasks, {"frames": clip}), strict=True):
            sums[task].add(start, wave[0])
    return {task: one.between(0, one.end) for task, one in sums.items()}


def streamed(graph: bytes, frames: Floats) -> Waves:
    """``{task: [N]}`` by chunks of a stream, from the first sample."""
    runner = StreamRunner("stream", graph)
    return {task: wave[runner.facts.lags[task] :] for task, wave in runner.run(frames, STREAM_CHUNK).items()}


def hops(stream: Waves, window: Waves, fps: float) -> Iterator[Hop]:
    """Every second of one recording, every task."""
    for task, wave in stream.items():
        length, end = round(WINDOW_S[task] * fps), min(len(wave), len(window[task]))
        for at in range(round(FROM_S * fps), end, round(fps)):
            parts = wave[at - length : at], window[task][at - length : at]
            (rate, _), (wanted, snr_db) = (_read(part, task, fps) for part in parts)
            yield Hop(task, at, float(np.corrcoef(*parts)[0, 1]), rate, wanted, snr_db)


def agreement_of(found: Iterable[Hop]) -> tuple[StreamAgreement, ...]:
    """All hops summed up, a task each."""
    held = list(found)
    by_task = {task: [hop for hop in held if hop.task == task] for task in get_args(Task)}
    return tuple(_summed(task, some) for task, some in by_task.items() if some)


def _summed(task: Task, found: list[Hop]) -> StreamAgreement:
    r = np.array([hop.pearson for hop in found])
    shifts = np.array([abs(hop.stream_per_min - hop.window_per_min) for hop in found if hop.snr_db >= MIN_SNR_DB])
    shifts = np.where(np.isfinite(shifts), shifts, np.inf) if len(shifts) else np.array([np.inf])
    figures = float(np.median(r)), float(r.min()), float(min(np.median(shifts), 999.0)), float((shifts <= NEAR).mean())
    return StreamAgreement(task, *(round(figure, 4) for figure in figures))


def _read(wave: Floats, task: str, fps: float) -> tuple[float, float]:
    """Rate per minute and SNR in dB."""
    band = BANDS[task]
    reading = read_rate(spectrum(band_pass(wave, band, fps), band, fps), band, WINDOW_S[task])
    return (reading.rate_per_min, reading.snr_db) if reading else (float("nan"), float("-inf"))
