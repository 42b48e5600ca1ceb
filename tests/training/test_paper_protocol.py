"""The reference's figures, reproduced; its formulas against plain ones; what cannot be read is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from training.paper_protocol import (
    BANDS,
    Estimator,
    PaperTask,
    Reading,
    band_passed,
    fft_rate_per_min,
    joined,
    macc,
    peak_rate_per_min,
    read,
    snr_db,
    summary,
    windows_of,
    z_scored,
)

Floats = npt.NDArray[np.float64]
KINDS: dict[str, tuple[Estimator, bool]] = {
    "fft": ("fft", False), "peak": ("peak", False), "fft_diff_labels": ("fft", True),
}  # fmt: skip


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> Any:
    return json.loads((shared_dir / "reference/golden/postprocess.json").read_bytes())


def wave(hz: float, samples: int, fs: float = 30.0, noise: float = 0.3, seed: int = 0) -> Floats:
    t_s = np.arange(samples) / fs
    noisy = np.sin(2.0 * np.pi * hz * t_s) + noise * np.random.default_rng(seed).standard_normal(samples)
    return np.asarray(noisy)


# -------------------------------------------------------------------------------------------------------------- golden


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(6))
def test_a_published_signal_gives_its_published_figures(golden: Any, number: int, kind: str) -> None:
    case = golden["signals"][number]
    estimator, derivative = KINDS[kind]
    found = read(
        np.array(case["prediction"]), np.array(case["label"]), case["kind"], case["fs"], estimator,
        derivative=derivative,
    )  # fmt: skip
    assert found is not None
    wanted = case[kind]
    seen = (found.label_per_min, found.rate_per_min, found.snr_mmrphys_db, found.macc)
    assert seen == pytest.approx([wanted[n] for n in ("label_rate", "pred_rate", "snr_db", "macc")], rel=0, abs=1e-9)


def test_every_published_signal_is_tried(golden: Any) -> None:
    assert len(golden["signals"]) == 6
    assert all(set(KINDS) <= set(case) for case in golden["signals"])


def test_published_rates_give_the_published_figures_with_their_errors(golden: Any) -> None:
    held = golden["aggregate"]
    pairs = zip(held["gt"], held["pred"], strict=True)
    found = summary([Reading(label, estimate, 0.0, 0.0, 0.0) for label, estimate in pairs])
    for name, measured in (
        ("MAE", found.mae), ("RMSE", found.rmse), ("MAPE", found.mape), ("Pearson", found.rho),
    ):  # fmt: skip
        assert (measured.value, measured.error) == pytest.approx(tuple(held[name]), rel=0, abs=1e-9)
    assert (found.read, found.unread) == (len(held["gt"]), 0)


# ------------------------------------------------------------------------------------------------------------ formulas


def macc_by_loop(prediction: Floats, label: Floats) -> float:
    shifted = (np.roll(label, lag) for lag in range(len(label) - 1))
    return max(abs(float(np.corrcoef(prediction, one)[0, 1])) for one in shifted)


@pytest.mark.parametrize("samples", [2, 3, 9, 64, 181, 400])
def test_macc_is_the_best_of_all_shifts(samples: int) -> None:
    rng = np.random.default_rng(samples)
    label = rng.standard_normal(samples)
    for prediction in (rng.standard_normal(samples) + 5.0, -np.roll(label, samples // 3) + 0.1 * rng.random(samples)):
        assert macc(prediction, label) == pytest.approx(macc_by_loop(prediction, label), rel=0, abs=1e-9)


def test_macc_leaves_out_the_last_shift() -> None:
    label = np.array([5.0, 1.0, 0.0, 2.0, -3.0])
    assert macc(np.roll(label, 4), label) == pytest.approx(macc_by_loop(np.roll(label, 4), label))
    assert macc(np.roll(label, 4), label) < 0.99
    assert macc(np.roll(label, 3), label) == pytest.approx(1.0)


def snr_by_hand(x: Floats, label_hz: float, band: tuple[float, float], fs: float, power: int) -> float:
    bins = 2 ** int(np.ceil(np.log2(len(x))))
    hz, density = np.fft.rfftfreq(bins, 1.0 / fs), np.abs(np.fft.rfft(x - x.mean(), bins)) ** 2
    density[1:-1] *= 2.0  # of both signs
    signal = noise = 0.0
    for at, height in zip(hz, density**power, strict=True):
        if abs(at - label_hz) <= 0.1 or abs(at - 2.0 * label_hz) <= 0.1:
            signal += height
        elif band[0] <= at <= band[1]:
            noise += height
    return float(10.0 * np.log10(signal / noise))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("task", "hz"), [("bvp", 1.2), ("rsp", 0.25)])
def test_snr_sums_the_density_to_its_power(task: PaperTask, hz: float, power: int) -> None:
    filtered = band_passed(wave(hz, 200, noise=1.0), task, 30.0)
    wanted = snr_by_hand(filtered, hz, BANDS[task].snr_hz, 30.0, power)
    assert snr_db(filtered, 60.0 * hz, task, 30.0, power) == pytest.approx(wanted)


@pytest.mark.parametrize(("samples", "step_per_min"), [(900, 60.0 * 30.0 / 1024), (901, 60.0 * 30.0 / 450)])
def test_up_to_30_s_a_rate_is_a_bin_of_the_whole_and_beyond_of_its_halves(samples: int, step_per_min: float) -> None:
    rate = fft_rate_per_min(band_passed(wave(1.23, samples), "bvp", 30.0), "bvp", 30.0)
    assert rate is not None
    assert rate == pytest.approx(60.0 * 1.23, abs=step_per_min)
    assert rate / step_per_min == pytest.approx(round(rate / step_per_min), abs=1e-9)


def test_a_rate_outside_the_band_cannot_be_read() -> None:
    slow = band_passed(wave(0.5, 900, noise=0.0), "bvp", 30.0)
    rate = fft_rate_per_min(slow, "bvp", 30.0)
    assert rate is not None
    assert 36.0 <= rate < 40.0  # the edge of the band, not 30
    fast = fft_rate_per_min(band_passed(wave(0.7, 900, noise=0.0), "rsp", 30.0), "rsp", 30.0)
    assert fast is not None
    assert 7.8 <= fast <= 30.0  # not 42


def test_clips_are_scaled_one_by_one() -> None:
    small, large = wave(1.0, 180, seed=1), 50.0 + 100.0 * wave(1.0, 180, seed=2)
    both = joined([small, large])
    for part in (both[:180], both[180:]):
        assert part.mean() == pytest.approx(0.0, abs=1e-12)
        assert part.std(ddof=1) == pytest.approx(1.0)
    assert joined([]).shape == (0,)


def test_a_clip_that_hardly_varies_stays_as_it_is() -> None:
    flat = 7.0 + 0.0005 * wave(1.0, 180)
    np.testing.assert_array_equal(z_scored(flat), flat)
    assert z_scored(7.0 + 0.01 * wave(1.0, 180)).std(ddof=1) == pytest.approx(1.0)


def test_derivatives_are_summed_up_first() -> None:
    label = wave(1.2, 600, noise=0.0)
    differences = np.diff(label, prepend=0.0)
    summed, plain = (
        band_passed(*one, "bvp", 30.0, derivative=d) for one, d in (((differences,), True), ((label,), False))
    )
    np.testing.assert_allclose(summed, plain, atol=1e-9)


# ------------------------------------------------------------------------------------------------ what cannot be read


@pytest.mark.parametrize("samples", [0, 8])
def test_a_window_of_fewer_than_nine_samples_is_skipped(samples: int) -> None:
    assert read(wave(3.0, samples), wave(3.0, samples), "bvp", 30.0, "fft") is None
    with pytest.raises(ValueError, match="at least 9"):
        band_passed(wave(3.0, samples), "bvp", 30.0)


@pytest.mark.parametrize("samples", [9, 15, 16])
def test_a_window_of_nine_is_read_though_the_usual_padding_is_longer(samples: int) -> None:
    found = read(wave(1.9, samples), wave(1.9, samples), "bvp", 30.0, "fft")
    assert found is not None
    assert found.label_per_min == pytest.approx(60 * 1.875)  # the only bin of 16 in the band
    assert found.rate_per_min == found.label_per_min


@pytest.mark.parametrize("estimator", ["fft", "peak"])
@pytest.mark.parametrize(
    "spoilt", [np.full(600, 3.0), np.full(600, np.nan), np.where(np.arange(600) == 7, np.inf, 1.0)]
)
def test_a_prediction_that_is_no_wave_is_unread(spoilt: Floats, estimator: Estimator) -> None:
    found = read(spoilt, wave(1.2, 600), "bvp", 30.0, estimator)
    assert found is not None
    assert found.label_per_min == pytest.approx(72.0, abs=2.0)
    assert (found.rate_per_min, found.snr_mmrphys_db, found.snr_toolbox_db, found.macc) == (None,) * 4


def test_unread_windows_are_counted_and_in_no_figure() -> None:
    good = Reading(70.0, 72.0, 3.0, 1.5, 0.9)
    found = summary([good, Reading(80.0), good])
    assert (found.read, found.unread) == (2, 1)
    assert (found.mae.value, found.snr_mmrphys_db.value, found.snr_toolbox_db.value) == (2.0, 3.0, 1.5)
    assert found.macc.value == pytest.approx(0.9)


def test_a_label_without_a_rate_has_none() -> None:
    assert read(wave(0.2, 30), wave(0.2, 30), "rsp", 30.0, "fft") == Reading(None)  # bins of 32: none in 0.13-0.5 Hz
    assert read(wave(1.2, 600), np.zeros(600), "bvp", 30.0, "fft") == Reading(None)


def test_one_maximum_is_no_rate() -> None:
    assert peak_rate_per_min(np.array([0.0, 1.0, 0.0, -1.0]), "bvp", 30.0) is None
    assert peak_rate_per_min(np.array([0.0, 1.0, 0.0, 1.0, 0.0]), "bvp", 30.0) == 900.0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_recordings_have_no_error_of_rho(count: int) -> None:
    readings = [Reading(70.0, 71.0, 3.0, 1.0, 0.5), Reading(80.0, 79.0, 5.0, 2.0, 0.7)][:count]
    found = summary(readings)
    assert found.rho.error is None
    assert (found.rho.value is None) == (count < 2)
    assert (found.mae.value is None) == (found.mae.error is None) == (count == 0)
    assert (found.rmse.value, found.macc.value) == (
        (None, None) if not count else (1.0, pytest.approx(0.4 + 0.1 * count))
    )


def test_rates_that_do_not_differ_have_no_rho() -> None:
    found = summary([Reading(70.0, rate, 1.0, 1.0, 1.0) for rate in (69.0, 70.0, 72.0)])
    assert (found.rho.value, found.rho.error) == (None, None)
    assert found.mae.value == 1.0


def test_standard_errors_by_hand() -> None:
    found = summary([Reading(60.0, 60.0 + e, 2.0 * e, e, 0.1 * e) for e in (1.0, 2.0, 6.0)])
    assert found.mae.error == pytest.approx(np.std([1, 2, 6]) / np.sqrt(3))
    assert found.rmse.error == pytest.approx(np.sqrt(np.std([1, 4, 36])) / np.sqrt(3))
    assert found.mape.error == pytest.approx(np.std([1, 2, 6]) / 60 * 100 / np.sqrt(3))
    assert found.snr_mmrphys_db.error == pytest.approx(2.0 * np.std([1, 2, 6]) / np.sqrt(3))


@pytest.mark.parametrize(
    ("count", "window_s", "edges"),
    [(100, None, [(0, 100)]), (0, None, [(0, 0)]), (0, 1.0, [(0, 0)]), (70, 1.0, [(0, 30), (30, 60), (60, 70)])],
)
def test_windows_follow_each_other_and_the_last_holds_the_rest(
    count: int, window_s: float | None, edges: list[tuple[int, int]]
) -> None:
    assert [(window.start, window.stop) for window in windows_of(count, 30.0, window_s)] == edges
