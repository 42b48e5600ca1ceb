from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clips.pairing import Pairer
from edge.clips.timeline import AHEAD_NS, STEP_NS, Timeline
from edge.frames import Frame, FrameKind

S = 1_000_000_000
HOUR = 3600.0
RGB = np.zeros((1, 1, 3), np.uint8)


def frame(t_s: float, seq: int = 0, kind: FrameKind = "rgb") -> Frame:
    image = RGB if kind == "rgb" else np.array([[seq]], np.float32)
    return Frame(image, round(t_s * S), "media", seq, kind)


def through(stamps_s: list[float]) -> tuple[Timeline, list[Frame]]:
    timeline = Timeline()
    return timeline, [one for seq, t in enumerate(stamps_s) for one in timeline.push(frame(t, seq))]


@given(st.lists(st.floats(-1.9, 59.0), max_size=60), st.floats(-1e6, 1e6))
def test_steady_stamps_pass_untouched(steps_s: list[float], start_s: float) -> None:
    """Jitter, drops, silence and frames out of order are no jumps."""
    newest, stamps = start_s, []
    for step_s in steps_s:
        stamps.append(newest + step_s)
        newest = max(newest, stamps[-1])
    timeline, given_back = through([start_s, *stamps])
    assert [one.pts_ns for one in given_back] == [round(t * S) for t in (start_s, *stamps)]
    assert (timeline.jumps, timeline.strays) == (0, 0)


@given(
    st.lists(st.floats(61.0, 1e7) | st.floats(-1e7, -2.1), min_size=1, max_size=4),
    st.floats(5.0, 60.0),
    st.integers(3, 30),
)
def test_any_jumps_become_gaps_of_seconds_and_no_frame_is_lost(jumps_s: list[float], fps: float, each: int) -> None:
    stamps, t_s = [], 0.0
    for jump_s in [0.0, *jumps_s]:
        t_s += jump_s
        stamps += [t_s + k / fps for k in range(each)]
        t_s = stamps[-1]
    timeline, given_back = through(stamps)
    assert [one.seq for one in given_back] == list(range(len(stamps)))
    times = [one.pts_ns for one in given_back]
    spacings = np.diff(times) / S
    jumped = np.arange(each, len(stamps), each) - 1
    assert timeline.jumps == len(jumps_s)
    assert all(2.0 <= spacings[i] < 12.1 for i in jumped)
    assert np.allclose(np.delete(spacings, jumped), 1 / fps, atol=1e-6)
    assert all(one.shift_ns % STEP_NS == 0 for one in given_back)


@pytest.mark.parametrize("off_s", [HOUR, -HOUR, 1e6])
def test_one_wrong_stamp_costs_one_frame(off_s: float) -> None:
    stamps = [k / 30 for k in range(60)]
    stamps[30] += off_s
    timeline, given_back = through(stamps)
    assert [one.seq for one in given_back] == [k for k in range(60) if k != 30]
    assert (timeline.jumps, timeline.strays) == (0, 1)
    assert [one.shift_ns for one in given_back] == [0] * 59


def paired_share(rgb_jump_s: float, thermal_jump_s: float) -> float:
    """Share of RGB frames after second 10 that have a thermal frame, when clocks jump then."""
    rgb = [k / 30 + rgb_jump_s * (k > 300) for k in range(600)]
    thermal = [0.02 + k / 8.7 + thermal_jump_s * (0.02 + k / 8.7 > 10.0) for k in range(170)]
    lines: dict[FrameKind, Timeline] = {"rgb": Timeline(), "thermal": Timeline()}
    frames = [
        one
        for kind, stamps in (("rgb", rgb), ("thermal", thermal))
        for seq, t in enumerate(stamps)
        for one in lines[kind].push(frame(t, seq, kind))  # type: ignore[arg-type, index]
    ]
    pairer = Pairer(80_000_000, thermal=True)
    pairs = [pair for one in sorted(frames, key=lambda one: one.pts_ns) for pair in pairer.push(one)]
    after = [pair.thermal is not None for pair in pairs + pairer.finish() if pair.rgb.seq > 310]
    return sum(after) / len(after)


def test_two_cameras_on_one_clock_stay_together_and_others_are_not_paired() -> None:
    assert all(paired_share(jump_s, jump_s) > 0.95 for jump_s in (HOUR, -HOUR, 86_405.0))
    assert paired_share(HOUR, 0.0) == paired_share(0.0, -HOUR) == 0.0


def test_the_bounds_are_a_look_a_second_for_a_minute() -> None:
    assert AHEAD_NS == 60 * S
    stamps = [0.0, 1.0, 61.0, 121.5, 121.6]
    times = [one.pts_ns / S for one in through(stamps)[1]]
    assert times[:3] == stamps[:3]
    assert max(b - a for a, b in itertools.pairwise(times)) == 60.0
