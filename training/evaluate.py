"""How well a model's rates agree with the truth of held-out recordings, through the device's own post-processing.

This is a quick look at what was just trained: recordings start at the cut-out face box, so detector and codec are not
in it. Windows are overlap-added, filtered and read as on the device, without its quality gate: every window counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edge.signals.filters import band_pass, spectrum
from edge.signals.overlap import OverlapAdd
from edge.signals.rates import read_rate
from edge.vitals import HR_BAND, RR_BAND, Band
from training.datasets import Recordings
from training.model import Mmrphys

__all__ = ["HR_BANDS", "RATES", "metrics_from_model", "rate_errors"]

RATES: dict[str, tuple[str, Band, float, float]] = {
    "bvp": ("hr", HR_BAND, 10.0, 5.0),
    "rsp": ("rr", RR_BAND, 30.0, 3.0),
}
"""For each task: the rate it gives, its band, the window read at once in seconds, the error that counts as right."""
HR_BANDS = ((0.0, 60.0), (60.0, 90.0), (90.0, 120.0), (120.0, 1e9))
HOP_S = 2.0


def metrics_from_model(model: Mmrphys, recordings: Recordings, frames: int, fps: float) -> dict[str, Any]:
    """For each rate of ``model``: number of windows, mean absolute error, share within the limit; HR by band too."""
    waves = [waves_from_frames(model, recordings.frames[i], frames, fps) for i in range(len(recordings))]
    metrics: dict[str, Any] = {}
    for task in model.spec.tasks:
        rate, band, window_s, limit_per_min = RATES[task]
        pairs = [
            pair
            for wave, truth in zip(waves, recordings.series[rate], strict=True)
            for pair in rate_errors(wave[task], truth, band, window_s, fps)
        ]
        truths, errors = np.array(pairs).T
        metrics[rate] = _summary(errors, limit_per_min)
        if rate == "hr":
            metrics[rate]["by_rate"] = {
                f"{low:.0f}-{high:.0f}" if high < 1e9 else f"{low:.0f}-": _summary(inside, limit_per_min)
                for low, high in HR_BANDS
                if len(inside := errors[(truths >= low) & (truths < high)])
            }
    return metrics


def waves_from_frames(
    model: Mmrphys, clip: npt.NDArray[np.float32], frames: int, fps: float
) -> dict[str, npt.NDArray[np.float32]]:
    """Overlap-added waveforms ``[L - 1]`` of a clip ``[C, L, S, S]``, windows every 2 s and one at the end."""
    length = clip.shape[1]
    hop = round(HOP_S * fps)
    starts = [*range(0, length - frames, hop), length - frames]
    batch = torch.from_numpy(np.stack([clip[:, start : start + frames] for start in starts]))
    model.eval()
    with torch.inference_mode():
        outputs = {task: wave.numpy() for task, wave in model(batch).items()}
    waves = {}
    for task, windows in outputs.items():
        sums = OverlapAdd(frames - 1, length - 1)
        for start, window in zip(starts, windows, strict=True):
            sums.add(start, window)
        waves[task] = sums.newest(length - 1)
    return waves


def rate_errors(
    wave: npt.NDArray[np.float32], truth_per_min: npt.NDArray[np.float32], band: Band, window_s: float, fps: float
) -> list[tuple[float, float]]:
    """``(true rate, error)`` per minute of each whole window of ``wave`` ``[T]``; no peak at all reads as 0."""
    count = round(window_s * fps)
    found = []
    for start in range(0, len(wave) - count + 1, count):
        part = slice(start, start + count)
        reading = read_rate(spectrum(band_pass(wave[part], band, fps), band, fps), band, window_s)
        true = float(truth_per_min[part].mean())
        found.append((true, (reading.rate_per_min if reading else 0.0) - true))
    return found


def _summary(errors: npt.NDArray[np.float64], limit_per_min: float) -> dict[str, Any]:
    size = np.abs(errors)
    return {
        "windows": len(errors),
        "mae_per_min": round(float(size.mean()), 3),
        f"share_within_{limit_per_min:.0f}": round(float((size <= limit_per_min).mean()), 4),
    }
