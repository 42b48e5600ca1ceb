from __future__ import annotations

import numpy as np
import pytest

from edge.signals.overlap import OverlapAdd

WINDOW, HOP = 180, 30


def fed(count: int, length: int = 1200, gain: float = 1.0) -> tuple[OverlapAdd, np.ndarray]:
    truth = np.sin(2 * np.pi * np.arange(WINDOW + HOP * count) / 25.0)
    out = OverlapAdd(WINDOW, length)
    for start in range(0, HOP * count, HOP):
        out.add(start, (gain * truth[start : start + WINDOW] + start).astype(np.float32))
    return out, truth


def test_windows_of_one_wave_join_whatever_their_offset_and_scale() -> None:
    out, truth = fed(10, gain=42.0)
    joined = out.between(0, out.end)
    assert out.end == WINDOW + 9 * HOP == len(joined)
    assert np.corrcoef(joined, truth[: out.end])[0, 1] > 0.999
    assert joined.std() == pytest.approx(1.0, abs=0.05)


def test_bad_window_ends_weigh_little() -> None:
    truth = np.sin(2 * np.pi * np.arange(600) / 25.0)
    out = OverlapAdd(WINDOW, 1200)
    for start in range(0, 420, HOP):
        piece = truth[start : start + WINDOW].copy()
        piece[:9] = piece[-9:] = 3.0
        out.add(start, piece.astype(np.float32))
    middle = slice(WINDOW, out.end - WINDOW)
    assert np.corrcoef(out.between(0, out.end)[middle], truth[middle])[0, 1] > 0.99


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    out, truth = fed(60, length=400)
    assert len(out.newest(10_000)) == 400
    newest = out.newest(300)
    assert np.corrcoef(newest, truth[out.end - 300 : out.end])[0, 1] > 0.99
    assert len(out.between(0, 100)) == 0


def test_a_constant_output_adds_nothing_and_no_nan() -> None:
    out = OverlapAdd(WINDOW, 400)
    out.add(0, np.full(WINDOW, 5.0, dtype=np.float32))
    np.testing.assert_array_equal(out.newest(WINDOW), np.zeros(WINDOW, dtype=np.float32))


def test_clear_forgets() -> None:
    out, _ = fed(3)
    out.clear()
    assert out.end == 0
    assert len(out.newest(50)) == 0
