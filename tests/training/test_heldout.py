"""Rates of held-out recordings, read as on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge.vitals import HR_BAND
from training.datasets import Recordings
from training.heldout import metrics_from_model, rates_of
from training.model import Mmrphys, ModelSpec

FPS = 30.0


def test_each_whole_window_is_read_beside_its_own_truth() -> None:
    t_s = np.arange(round(25 * FPS)) / FPS
    truth = np.where(t_s < 10.0, 60.0, 90.0)
    wave = np.where(t_s < 10.0, np.sin(2 * np.pi * t_s), np.sin(2 * np.pi * 1.5 * t_s))
    found = rates_of(wave.astype(np.float32), truth.astype(np.float32), HR_BAND, 10.0, FPS)
    assert len(found) == 2  # the last five seconds are no window
    for (true, read), wanted in zip(found, (60.0, 90.0), strict=True):
        assert true == wanted
        assert read == pytest.approx(wanted, abs=1.0)


def test_a_wave_without_a_peak_reads_nothing() -> None:
    flat = np.zeros(round(10 * FPS), np.float32)
    [(true, read)] = rates_of(flat, np.full_like(flat, 60.0), HR_BAND, 10.0, FPS)
    assert (true, np.isnan(read)) == (60.0, True)


def test_metrics_count_every_window_and_split_them_by_true_rate(tmp_path: Path) -> None:
    recordings = Recordings.at(tmp_path, (2, 3, 631, 9, 9))
    rng = np.random.default_rng(0)
    recordings.frames[:] = rng.uniform(0, 255, recordings.frames.shape)
    for n, hr in enumerate((50.0, 130.0)):
        recordings.series["hr"][n] = hr
    torch.manual_seed(0)
    hr = metrics_from_model(Mmrphys(ModelSpec(9, "EF", 3, ("bvp",))), recordings, 181, FPS)["hr"]
    assert hr["windows"] == 4
    assert {part: found["windows"] for part, found in hr["by_rate"].items()} == {"<60": 2, ">120": 2}
    shares = [found["share_within_5"] for found in hr["by_rate"].values()]
    assert hr["share_within_5"] == pytest.approx(sum(shares) / 2)
