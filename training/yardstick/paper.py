"""Protocol ``paper``: the same recordings, networks and tapes as ``deployed``, judged as papers do.

Each stretch of a tape without a break is cut into clips of T frames that do not overlap (T is what the network gives;
the last frame is repeated, since a network takes one frame more), the rest is left over. The label is the scene's true
waveform at the times of the frames. What then becomes of waveform and label is in ``training/paper_protocol.py``: one
rate for each recording. Nothing of the device's post-processing, states or cues is in it, and frames that bridge a gap
count as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise, product
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bundle import Channel
from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import UsageError
from edge.metrics import LIMITS_PER_MIN, NARROW_PER_MIN, Agreement, agreement
from training.paper_protocol import (
    BANDS,
    ESTIMATORS,
    Estimator,
    PaperTask,
    Reading,
    Summary,
    joined,
    read,
    summary,
    windows_of,
)
from training.yardstick.evaluation import Measurement, facts_of
from training.yardstick.networks import Choice, Network, opened
from training.yardstick.sources import MAIN, OnProgress, Plan, Source, rows_of
from training.yardstick.tape import Tape

__all__ = ["PaperEvaluation", "PaperFigure", "PaperRow", "clips_of_tape", "evaluate", "figures_from_rows", "pairs_of"]

Floats = npt.NDArray[np.float64]
RATES: Mapping[PaperTask, str] = {"bvp": "hr", "rsp": "rr"}


class PaperRow(msgspec.Struct, frozen=True):
    """One window of one method: ``reading`` of a recording's ``clips``; None for too few samples to be a window."""

    data: str
    recording: str
    rate: str
    estimator: Estimator
    method: str
    clips: int
    reading: Reading | None


class PaperFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one part of the data, with one estimator.

    Of ``recordings`` those ``skipped`` have no clip, and those ``unlabelled`` a label without a rate; ``summary`` and
    ``agreement`` are of the others. ``agreement`` counts a recording that is unread as wrong.
    """

    data: str
    rate: str
    estimator: Estimator
    method: str
    recordings: int
    skipped: int
    unlabelled: int
    summary: Summary
    agreement: Agreement


class PaperEvaluation(Measurement, frozen=True, kw_only=True):
    """The result of protocol ``paper``; with ``window_s`` figures count windows of that length, not recordings."""

    protocol: str = "paper"
    window_s: float | None = None
    figures: list[PaperFigure]


def evaluate(
    chosen: Choice,
    data: str,
    sources: Sequence[Source],
    beside: Mapping[str, Choice],
    tapes: Path,
    on_progress: OnProgress,
    window_s: float | None = None,
) -> tuple[PaperEvaluation, list[PaperRow]] | None:
    """As :func:`training.yardstick.evaluation.evaluate`, with this protocol.

    A window is a whole recording, or lasts ``window_s``.

    UsageError for the real clip, and for a model whose frame rate is too low for the protocol's bands.
    """
    if any(source.recording is None for source in sources):
        raise UsageError(
            f"--data {data}: the real clip has a known rate and no waveform, which protocol paper compares with; "
            "leave real out, or take --protocol deployed"
        )
    fps, highest_hz = opened(chosen).bundle.fps, max(bands.rate_hz[1] for bands in BANDS.values())
    if fps <= 2.0 * highest_hz:
        raise UsageError(f"the model sees {fps:g} fps; protocol paper reads rates up to {highest_hz} Hz and wants more")
    networks = {MAIN: chosen, **beside}
    facts = facts_of(networks, data, sources)
    reading = partial(rows_of_tape, window_s=window_s)
    rows: list[PaperRow] | None = rows_of(Plan(tuple(sources), networks, tapes), reading, on_progress)
    if rows is None:
        return None
    return PaperEvaluation(window_s=window_s, figures=figures_from_rows(rows), **facts), rows


# ------------------------------------------------------------------------------------------------------------- reading


def rows_of_tape(tape: Tape, source: Source, networks: Mapping[str, Choice], window_s: float | None) -> list[PaperRow]:
    """Both rates of every method at each window of one recording, by both estimators."""
    made: list[PaperRow] = []
    for method, choice in networks.items():
        network, fps = opened(choice), opened(choice).bundle.fps
        clips = clips_of_tape(tape, network.bundle.frames - 1)
        labels = _labels(tape, clips, source)
        for task, wave in _waves(tape, clips, network).items():
            for window, estimator in product(windows_of(len(wave), fps, window_s), ESTIMATORS):
                reading = read(wave[window], labels[task][window], task, fps, estimator)
                made.append(PaperRow(source.data, source.name, RATES[task], estimator, method, len(clips), reading))
    return made


def clips_of_tape(tape: Tape, samples: int) -> list[slice]:
    """Where the clips of ``samples`` frames lie in ``tape``: one after the other from each restart on."""
    edges = [*np.flatnonzero(tape.restart).tolist(), len(tape.restart)]
    return [
        slice(start, start + samples)
        for first, end in pairwise(edges)
        for start in range(first, end - samples + 1, samples)
    ]


def _waves(tape: Tape, clips: Sequence[slice], network: Network) -> dict[PaperTask, Floats]:
    """What the network makes of the clips, z-scored and joined: ``[N * T]`` for each task."""
    outputs = [network.runtime.infer(_input(tape.data[clip], network.bundle.channels)) for clip in clips]
    return {task: joined([output[task][0] for output in outputs]) for task in network.bundle.tasks}


def _input(frames: npt.NDArray[np.float32], channels: Sequence[Channel]) -> npt.NDArray[np.float32]:
    """Frames ``[T, 3 or 4, S, S]`` as a network takes them: ``[1, C, T + 1, S, S]``, the last one twice."""
    parts = {"rgb": frames[:, :3], "thermal": frames[:, 3:]}
    clip = np.concatenate([parts[channel] for channel in channels], axis=1).swapaxes(0, 1)
    return np.concatenate([clip, clip[:, -1:]], axis=1)[None]


def _labels(tape: Tape, clips: Sequence[slice], source: Source) -> dict[PaperTask, Floats]:
    """The scene's waveforms at the times of the clips' frames, z-scored and joined likewise."""
    assert source.recording is not None
    camera = camera_from_uri(source.recording.uri, "rgb")
    assert isinstance(camera, SyntheticCamera)
    truths = [camera.scene.truth(tape.t_ns[clip] * 1e-9) for clip in clips]
    return {"bvp": joined([truth.bvp for truth in truths]), "rsp": joined([truth.rsp for truth in truths])}


# ------------------------------------------------------------------------------------------------------------- figures


def figures_from_rows(rows: Sequence[PaperRow]) -> list[PaperFigure]:
    """Figures of every data set, rate, estimator and method, in the order of the rows."""
    sets, methods = (list(dict.fromkeys(names)) for names in ((r.data for r in rows), (r.method for r in rows)))

    def key(row: PaperRow) -> tuple[int, str, str, int]:
        return sets.index(row.data), row.rate, row.estimator, methods.index(row.method)

    return [_figure(list(group)) for _, group in groupby(sorted(rows, key=key), key)]


def _figure(rows: list[PaperRow]) -> PaperFigure:
    first = rows[0]
    windows = [row.reading for row in rows if row.reading is not None]
    labelled = [reading for reading in windows if reading.label_per_min is not None]
    truth, estimate = pairs_of(labelled)
    limits = LIMITS_PER_MIN[first.rate], NARROW_PER_MIN.get(first.rate)
    return PaperFigure(
        data=first.data, rate=first.rate, estimator=first.estimator, method=first.method, recordings=len(rows),
        skipped=len(rows) - len(windows), unlabelled=len(windows) - len(labelled), summary=summary(labelled),
        agreement=agreement(truth, estimate, *limits),
    )  # fmt: skip


def pairs_of(readings: Iterable[Reading]) -> tuple[Floats, Floats]:
    """The rates of label and prediction per minute, ``[N]`` each, NaN for those without one."""
    rates = [(one.label_per_min, one.rate_per_min) for one in readings]
    label, estimate = np.array(rates, np.float64).reshape(-1, 2).T
    return label, estimate
