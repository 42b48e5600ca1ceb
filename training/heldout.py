"""How well a model's rates agree with the truth of held-out recordings, through the device's own post-processing.

This is a quick look at what was just trained: recordings start at the cut-out face box, so the detector is not in it,
and their ranges are those of training. ``training/yardstick`` judges the whole chain. Windows are overlap-added,
band-passed and read by the device's own code, without its quality gate: every window counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edge.metrics import LIMITS_PER_MIN, agreement, splits
from edge.person import HR_WINDOW_S, RR_WINDOW_S
from edge.signals.filters import band_pass, spectrum
from edge.signals.overlap import OverlapAdd
from edge.signals.rates import read_rate
from edge.vitals import HR_BAND, RR_BAND, Band
from training.datasets import Recordings
from training.model import Mmrphys

__all__ = ["RATES", "metrics_from_model", "rates_of"]

RATES: dict[str, tuple[str, Band, float]] = {
    "bvp": ("hr", HR_BAND, HR_WINDOW_S),
    "rsp": ("rr", RR_BAND, RR_WINDOW_S[1]),
}
"""For each task: the rate it gives, its band, the window read at once in seconds."""
HOP_S = 2.0


def metrics_from_model(model: Mmrphys, recordings: Recordings, frames: int, fps: float) -> dict[str, Any]:
    """For each rate of ``model``: number of windows, mean absolute error, share within the limit; also by true rate."""
    waves = [waves_from_frames(model, recordings.frames[i], frames, fps) for i in range(len(recordings))]
    metrics: dict[str, Any] = {}
    for task in model.spec.tasks:
        rate, band, window_s = RATES[task]
        pairs = [
            pair
            for wave, truth in zip(waves, recordings.series[rate], strict=True)
            for pair in rates_of(wave[task], truth, band, window_s, fps)
        ]
        truth, read = np.array(pairs).T
        parts = {part: _summary(rate, truth[inside], read[inside]) for part, inside in splits(rate, truth)}
        metrics[rate] = _summary(rate, truth, read) | {"by_rate": parts}
    return metrics


def waves_from_frames(
    model: Mmrphys, clip: npt.NDArray[np.float32], frames: int, fps: float
) -> dict[str, npt.NDArray[np.float32]]:
    """Overlap-added waveforms ``[L - 1]`` of a clip ``[C, L, S, S]``, windows every 2 s and one at the end."""
    length = clip.shape[1]
    hop = round(HOP_S * fps)
    starts = [*range(0, length - frames, hop), length - frames]
    batch = torch.from_numpy(np.stack([clip[:, start : start + frames] for start in starts]))
    batch = batch.to(next(model.parameters()).device)
    model.eval()
    with torch.inference_mode():
        outputs = {task: wave.cpu().numpy() for task, wave in model(batch).items()}
    waves = {}
    for task, windows in outputs.items():
        sums = OverlapAdd(frames - 1, length - 1)
        for start, window in zip(starts, windows, strict=True):
            sums.add(start, window)
        waves[task] = sums.newest(length - 1)
    return waves


def rates_of(
    wave: npt.NDArray[np.float32], truth_per_min: npt.NDArray[np.float32], band: Band, window_s: float, fps: float
) -> list[tuple[float, float]]:
    """``(true rate, rate read)`` per minute of each whole window of ``wave`` ``[T]``; NaN where there is no peak."""
    count = round(window_s * fps)
    found = []
    for start in range(0, len(wave) - count + 1, count):
        part = slice(start, start + count)
        reading = read_rate(spectrum(band_pass(wave[part], band, fps), band, fps), band, window_s)
        found.append((float(truth_per_min[part].mean()), reading.rate_per_min if reading else float("nan")))
    return found


def _summary(rate: str, truth: npt.NDArray[np.float64], read: npt.NDArray[np.float64]) -> dict[str, Any]:
    limit_per_min = LIMITS_PER_MIN[rate]
    found = agreement(truth, read, limit_per_min)
    return {
        "windows": found.looks,
        "mae_per_min": None if found.mae is None else round(found.mae, 3),
        f"share_within_{limit_per_min:.0f}": None if found.within is None else round(found.within, 4),
    }
