from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.grid import Mark
from edge.clips.ring import FrameRing


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.lists(st.one_of(st.integers(0, 255), st.none()), max_size=60))
def test_the_window_is_the_last_frames_in_order(frames: int, pushes: list[int | None]) -> None:
    """None clears."""
    ring, held = FrameRing(2, frames, 3), []
    for k, value in enumerate(pushes):
        if value is None:
            ring.clear()
            held.clear()
            continue
        marks = Mark.RGB_GAP if value % 2 else Mark.NONE
        ring.append(np.full((2, 3, 3), value, np.float32), k, marks)
        held = [*held, (value, k)][-frames:]
        assert ring.window()[0, :, 0, 0].tolist() == [one for one, _ in held]
        assert ring.window().shape == (2, len(held), 3, 3)
        assert ring.stamps_ns().tolist() == [stamp for _, stamp in held]
        assert ring.share(Mark.RGB_GAP) == pytest.approx(np.mean([one % 2 for one, _ in held]))
        assert ring.full == (len(held) == frames)
    assert len(ring) == len(held)


def test_a_window_is_a_view_and_costs_no_copy() -> None:
    ring = FrameRing(1, 4, 2)
    for k in range(7):
        ring.append(np.full((1, 2, 2), k, np.float32), k)
        assert np.shares_memory(ring.window(), ring._data)
    assert ring._data.nbytes == 1 * 8 * 2 * 2 * 4


def test_a_clip_carries_time_and_the_share_of_rgb_gaps() -> None:
    ring = FrameRing(4, 4, 2)
    for k in range(5):
        ring.append(np.zeros((4, 2, 2), np.float32), 100 + k, Mark.RGB_GAP if k == 4 else Mark.THERMAL_BRIDGED)
    clip = ring.clip(29.97)
    assert (clip.t0_ns, clip.fps, clip.interpolated) == (101, 29.97, 0.25)
    assert ring.share(Mark.THERMAL_BRIDGED | Mark.THERMAL_GAP) == 0.75
    assert FrameRing(1, 1, 1).share(Mark.RGB_GAP) == 0.0


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FrameRing(3, 0, 9)
