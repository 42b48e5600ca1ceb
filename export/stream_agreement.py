"""How well a stream agrees with the window function it approximates, as a device would read both.

Windows run once a second and are overlap-added; the stream runs in chunks. Every second both waveforms are read by the
deployed filters and rates over the newest 10 s (BVP) or 15 s (RSP), from the 16th second on: statistics have settled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge.bundle import StreamAgreement, Task
from edge.runtimes.onnxrt_stream import StreamSession
from edge.selftest import STREAM_CHUNK
from edge.signals.filters import band_pass, spectrum
from edge.signals.rates import Reading, read_rate
from edge.stream_graph import StreamRunner
from export.agreement import Hop, Judge, band_of, hop_of
from export.clip_set import Recording
from export.compare import infer_from_onnx

__all__ = ["WINDOW_S", "Waves", "agreement_of", "apart", "stream_hops", "streamed", "unit", "windowed"]

FROM_S = 16.0
NEAR = 2.0
"""Per minute: a shift that does not matter at the bedside."""
WINDOW_S = {"bvp": 10.0, "rsp": 15.0}

Floats = npt.NDArray[np.float32]
Waves = Mapping[str, Floats]


def windowed(
    graph: bytes,
    recordings: Sequence[Recording],
    tasks: Sequence[str],
    length: int,
    fps: float,
    thermal: Collection[str] = (),
) -> Judge:
    """What whole windows of ``length`` frames give, by the window graph ``graph``; ``thermal`` as of a judge."""
    return Judge(infer_from_onnx(graph, tuple(tasks)), recordings, length, fps, thermal)


def streamed(graph: bytes, frames: Floats) -> Waves:
    """``{task: [N]}`` of frames ``[C, L, S, S]`` by chunks of a stream, from the first sample."""
    runner = StreamRunner(StreamSession("stream", graph))
    return {
        task: wave[runner.engine.facts.lags[task] :] for task, wave in runner.run(frames[None], STREAM_CHUNK).items()
    }


def apart(judge: Judge, streams: Sequence[Waves], references: Sequence[Waves]) -> list[Hop]:
    """Every hop of all recordings of ``judge``, the waveforms of a stream beside others."""
    pairs = enumerate(zip(streams, references, strict=True))
    return judge.audible(hop for number, (one, other) in pairs for hop in stream_hops(number, one, other, judge.fps))


def stream_hops(number: int, stream: Waves, reference: Waves, fps: float) -> Iterator[Hop]:
    """Every second of recording ``number``, every task: of the newest seconds, and the rates that they show."""
    for task, wave in stream.items():
        length, end = round(WINDOW_S[task] * fps), min(len(wave), len(reference[task]))
        for at in range(round(FROM_S * fps), end, round(fps)):
            parts = (unit(one[at - length : at]) for one in (wave, reference[task]))
            own, other = ((part, _read(part, task, fps)) for part in parts)
            yield hop_of(number, at / fps, task, own, other)


def agreement_of(found: Iterable[Hop], tasks: Collection[Task]) -> tuple[StreamAgreement, ...]:
    """All hops summed up, a task each."""
    held = list(found)
    by_task = {task: [hop for hop in held if hop.task == task] for task in tasks}
    return tuple(_summed(task, some) for task, some in by_task.items() if some)


def _summed(task: Task, found: list[Hop]) -> StreamAgreement:
    r = np.array([hop.pearson for hop in found])
    shifts = np.abs([np.inf if hop.shift_per_min is None else hop.shift_per_min for hop in found if hop.judged])
    shifts = shifts if len(shifts) else np.array([np.inf])
    figures = float(np.median(r)), float(r.min()), float(min(np.median(shifts), 999.0)), float((shifts <= NEAR).mean())
    return StreamAgreement(task, *(round(figure, 4) for figure in figures))


def unit(wave: Floats) -> Floats:
    """About 0, of unit deviation, as overlap-added windows are."""
    unit: Floats = (wave - wave.mean()) / np.float32(max(float(wave.std()), 1e-12))
    return unit


def _read(wave: Floats, task: str, fps: float) -> Reading | None:
    band = band_of(task)
    return read_rate(spectrum(band_pass(wave, band, fps), band, fps), band, WINDOW_S[task])
