from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.grid import GridClock, Mark, ModelFrame, PairGrid, Resampler, StreamLimits

S = 1_000_000_000
LIMITS = StreamLimits(max_gap_s=0.25, restart_s=1.0)


def cells(value: float, channels: int = 1) -> npt.NDArray[np.float32]:
    return np.full((channels, 2, 2), value, np.float32)


def test_grid_times_do_not_drift_in_a_week() -> None:
    clock = GridClock(7, 29.97)
    week = round(7 * 86400 * 29.97)
    assert abs(clock.t_ns(week) - 7 - week * S / 29.97) <= 1.0
    assert clock.index_at(clock.t_ns(week)) == week
    assert clock.index_at(clock.t_ns(week) + 1) == week + 1
    assert clock.index_at(-5 * S) == 0
    with pytest.raises(ValueError, match="positive"):
        GridClock(0, 0.0)


@settings(max_examples=100, deadline=None)
@given(st.floats(5.0, 60.0), st.floats(0.0, 0.45), st.floats(10.0, 60.0), st.integers(0, 2**32))
def test_resampling_equals_linear_interpolation_at_the_grid_times(
    source_fps: float, jitter: float, grid_fps: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    stamps = np.round((np.arange(60) + random.uniform(-jitter, jitter, 60)) / source_fps * S).astype(np.int64)
    values = random.normal(100.0, 20.0, 60).astype(np.float32)
    clock = GridClock(int(stamps[0]), grid_fps)
    stream = Resampler(clock, LIMITS)
    out = [one for t, v in zip(stamps, values, strict=True) for one in stream.push(int(t), cells(v))]
    assert [one.k for one in out] == list(range(clock.index_at(int(stamps[-1]) + 1)))
    times = [clock.t_ns(one.k) for one in out]
    assert np.allclose([one.cells[0, 0, 0] for one in out], np.interp(times, stamps, values), rtol=0, atol=1e-3)
    assert [one.k for one in out] == list(range(out[0].k, out[0].k + len(out)))


@settings(max_examples=100, deadline=None)
@given(st.floats(5.0, 60.0), st.floats(0.0, 0.45), st.floats(0.0, 0.6), st.floats(10.0, 60.0), st.integers(0, 2**32))
def test_marks_and_missing_frames_are_those_of_the_spacing_around_each_grid_time(
    source_fps: float, jitter: float, drop: float, grid_fps: float, seed: int
) -> None:
    """By brute force, over streams with jitter, single drops and long holes."""
    random = np.random.default_rng(seed)
    times = (np.arange(200) + random.uniform(-jitter, jitter, 200)) / source_fps
    hole = random.uniform(0.0, 200 / source_fps, 2)
    kept = (random.random(200) >= drop) & ((times < hole.min()) | (times > hole.max()))
    kept[:2] = True
    stamps = np.unique(np.round(times[kept] * S).astype(np.int64))
    clock = GridClock(int(stamps[0]), grid_fps)
    stream = Resampler(clock, LIMITS)
    out = {one.k: one for t in stamps for one in stream.push(int(t), cells(0.0))}
    for k in range(clock.index_at(int(stamps[-1]) + 1)):
        t_ns = clock.t_ns(k)
        after = int(np.searchsorted(stamps, t_ns))
        spacing_s = 0.0 if stamps[after] == t_ns else (stamps[after] - stamps[after - 1]) / S
        assert (k in out) == (spacing_s <= 1.0)
        if k in out and spacing_s:
            assert out[k].bridged == (spacing_s > 0.25)
            assert out[k].gap or not out[k].bridged


@settings(max_examples=60, deadline=None)
@given(st.floats(5.0, 15.0), st.floats(0.0, 0.4), st.integers(3, 40), st.floats(0.0, 0.5), st.integers(0, 2**32))
def test_no_thermal_cells_lie_between_two_places_and_the_first_of_the_new_one_is_marked(
    thermal_fps: float, jitter: float, leap: int, missing: float, seed: int
) -> None:
    """By brute force: a place has values of its own, whatever frames are missing about the leap."""
    random = np.random.default_rng(seed)
    stamps = np.sort(np.round((np.arange(60) + random.uniform(-jitter, jitter, 60)) / thermal_fps * S).astype(np.int64))
    shown = {int(t): 200.0 if i >= leap else 100.0 for i, t in enumerate(stamps) if t >= 0}
    grid = PairGrid(GridClock(0, 30.0), thermal=True)
    out: list[ModelFrame] = []
    told = False
    turn_ns: int | None = None
    for k in range(round(60 / thermal_fps * 25)):
        t_ns = k * S // 25
        seen = [t for t in shown if t <= t_ns]
        newest = max(seen, default=None)
        if newest is not None and shown[newest] == 200.0 and not told:
            grid.leap()
            told = True
        absent = newest is None or t_ns - newest > S // 5 or random.random() < missing
        if not absent and newest is not None and shown[newest] == 200.0 and turn_ns is None:
            turn_ns = newest
        out += grid.push(t_ns, cells(50.0, 3), None if absent or newest is None else (newest, cells(shown[newest])))
    marked = [frame for frame in out if frame.marks & Mark.THERMAL_MOVED]
    assert not any(100.01 < frame.data[3, 0, 0] < 199.99 for frame in out)  # below stands the fill
    after = [frame for frame in out if frame.data[3, 0, 0] == 200.0]
    assert [frame.k for frame in marked] == [frame.k for frame in after[:1]]
    assert not any(frame.t_ns < (turn_ns or 0) for frame in after)


def test_a_source_on_the_grid_passes_unchanged() -> None:
    stream = Resampler(GridClock(0, 25.0), LIMITS)
    out = [one for k in range(50) for one in stream.push(k * S // 25, cells(k))]
    assert [float(one.cells[0, 0, 0]) for one in out] == list(range(50))
    assert not any(one.gap or one.bridged for one in out)


def pushed(stamps_s: list[float]) -> dict[int, tuple[bool, bool]]:
    """Grid index at 10 fps -> (gap, bridged) of a stream with these stamps."""
    stream = Resampler(GridClock(0, 10.0), LIMITS)
    out = [one for t in stamps_s for one in stream.push(round(t * S), cells(t))]
    return {one.k: (one.gap, one.bridged) for one in out}


def test_gaps_are_marked_bridged_or_left_out_by_their_length() -> None:
    steady = [k / 20 for k in range(21)]  # up to 1.0 s
    assert set(pushed(steady).values()) == {(False, False)}
    assert pushed([*steady, 1.2])[11] == pushed([*steady, 1.2])[12] == (True, False)
    assert {pushed([*steady, 1.5])[k] for k in range(11, 16)} == {(True, True)}
    restarted = pushed([*steady, 3.0, 3.1])
    assert [k for k in restarted if k > 10] == [30, 31]
    assert restarted[30] == (False, False)


def paired(
    seconds: float,
    *,
    thermal_fps: float = 8.7,
    absent: tuple[float, float] = (0.0, 0.0),
    rgb_absent: tuple[float, float] = (0.0, 0.0),
) -> list[ModelFrame]:
    """30 fps RGB and a thermal camera whose cells hold their own time in s; both ramps, so interpolation is exact."""
    grid = PairGrid(GridClock(0, 30.0), thermal=True, fill_degc=-1.0)
    out: list[ModelFrame] = []
    for t in np.arange(0.0, seconds, 1.0 / 30.0):
        if rgb_absent[0] <= t < rgb_absent[1]:
            continue
        near = round(t * thermal_fps) / thermal_fps
        thermal = None if absent[0] <= t < absent[1] else (round(near * S), cells(near))
        out += grid.push(round(t * S), cells(t, 3), thermal)
    return out


def test_rgb_and_thermal_meet_at_the_same_index_and_time() -> None:
    frames = paired(5.0)
    assert [one.k for one in frames] == list(range(len(frames)))
    assert len(frames) >= 145  # thermal holds back at most one of its periods
    for one in frames:
        assert one.data.shape == (4, 2, 2)
        assert np.allclose(one.data, one.t_ns / S, atol=1e-5)
        assert one.marks == Mark.NONE
    assert [one.restart for one in frames[:3]] == [True, False, False]


def test_absent_thermal_is_held_and_marked_while_rgb_goes_on() -> None:
    frames = paired(5.0, absent=(2.0, 3.5))
    assert [one.k for one in frames] == list(range(len(frames)))
    held = [one for one in frames if 2.1 < one.t_ns / S < 3.4]
    assert {one.marks for one in held} == {Mark.THERMAL_GAP | Mark.THERMAL_BRIDGED}
    assert len({float(one.data[3, 0, 0]) for one in held}) == 1
    assert all(np.allclose(one.data[:3], one.t_ns / S, atol=1e-5) for one in frames)
    later = [one for one in frames if one.t_ns / S > 3.7]
    assert {one.marks for one in later} == {Mark.NONE}
    assert all(np.allclose(one.data, one.t_ns / S, atol=1e-5) for one in later)


def test_a_short_thermal_drop_is_interpolated_not_held() -> None:
    frames = paired(4.0, absent=(2.0, 2.25))
    inside = [one for one in frames if 2.05 < one.t_ns / S < 2.2]
    assert {one.marks for one in inside} == {Mark.THERMAL_GAP}
    assert all(np.allclose(one.data, one.t_ns / S, atol=1e-5) for one in inside)


def test_without_any_thermal_the_channel_is_constant_and_not_late() -> None:
    frames = paired(1.0, absent=(0.0, 9.0))
    assert len(frames) == 30
    assert {float(one.data[3].min()) for one in frames} == {-1.0}
    assert {one.marks for one in frames} == {Mark.THERMAL_GAP | Mark.THERMAL_BRIDGED}


@pytest.mark.parametrize("end_s", [3.05 + 0.02 * k for k in range(25)])
def test_silence_of_rgb_restarts_both_channels_in_step_at_any_phase(end_s: float) -> None:
    frames = paired(6.0, rgb_absent=(2.0, end_s))
    assert [one.t_ns // S for one in frames if one.restart] == [0, 3]
    assert all(two.restart or two.k == one.k + 1 for one, two in itertools.pairwise(frames))
    assert all(np.allclose(one.data, one.t_ns / S, atol=1e-5) for one in frames)
    assert frames[-1].t_ns > 5.7 * S


def test_a_model_without_thermal_gets_three_channels_at_once() -> None:
    grid = PairGrid(GridClock(0, 30.0), thermal=False)
    out = [one for k in range(30) for one in grid.push(round(k * S / 30), cells(k, 3), None)]
    assert [one.data.shape for one in out] == [(3, 2, 2)] * 30


def test_waiting_frames_stay_bounded_whatever_thermal_does() -> None:
    random = np.random.default_rng(1)
    grid = PairGrid(GridClock(0, 30.0), thermal=True)
    longest = 0
    for k in range(3000):
        t_ns = round(k * S / 30)
        near_ns = t_ns // 115_000_000 * 115_000_000
        grid.push(t_ns, cells(k, 3), (near_ns, cells(k)) if random.random() < 0.5 else None)
        longest = max(longest, len(grid._rgb_waiting) + len(grid._thermal_waiting))
    assert longest <= 15  # 0.4 s of grid and a little
