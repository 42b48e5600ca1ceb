from __future__ import annotations

import numpy as np
import pytest

from edge.frames import Frame
from edge.intake import BEHIND_S, Intake, Schedule

S = 1_000_000_000
RGB = np.zeros((1, 1, 3), np.uint8)


def due(schedule: Schedule, now_ns: int) -> list[int]:
    """What is due by now, in seconds."""
    schedule.pass_over(now_ns)
    times = []
    while schedule.next_ns is not None and schedule.next_ns <= now_ns:
        times.append(schedule.next_ns // S)
        schedule.pop()
    return times


@pytest.mark.parametrize("stop_s", [3600, 10**6])
def test_what_a_long_stop_left_undone_is_not_made_up_for(stop_s: int) -> None:
    schedule = Schedule(1.0)
    assert due(schedule, 5 * S) == []
    schedule.start(10 * S)
    schedule.start(11 * S)
    assert due(schedule, 12 * S) == [11, 12]
    assert due(schedule, 12 * S) == []
    after = due(schedule, (12 + stop_s) * S)
    assert after == list(range(12 + stop_s - int(BEHIND_S) + 1, 12 + stop_s + 1))
    assert due(schedule, (13 + stop_s) * S) == [13 + stop_s]
    assert due(schedule, 20 * S) == []


def test_drops_are_gaps_in_the_sequence_and_older_frames_move_nothing() -> None:
    intake = Intake()
    for seq, t_s in ((3, 1.0), (4, 1.1), (7, 1.2), (8, 1.1)):
        intake.count(Frame(RGB, round(t_s * S), "media", seq, "rgb"))
        intake.reach(round(t_s * S))
    assert (intake.frames, intake.dropped, intake.newest_ns) == (4, 2, round(1.2 * S))
    assert intake.silent_s(round(1.7 * S)) == pytest.approx(0.5)
    assert intake.rate_at(3 * S) is None


@pytest.mark.parametrize(
    ("numbers", "dropped"),
    [((1, 2, 4, 3, 5), 1), ((1, 2, 2, 2, 3), 0), ((1, 5, 3, 4, 6), 3), ((900, 901, 0, 1, 3), 1)],
    ids=["late", "repeated", "two late", "counted anew"],
)
def test_a_late_frame_counts_as_lost_once(numbers: tuple[int, ...], dropped: int) -> None:
    """It fills no gap any more, and the frame after it is none."""
    intake = Intake()
    for seq in numbers:
        intake.count(Frame(RGB, seq, "media", seq, "rgb"))
    assert (intake.frames, intake.dropped) == (5, dropped)


def test_another_pace_goes_on_from_the_last_time_that_was_due() -> None:
    schedule = Schedule(1.0)
    schedule.pace(1.0)
    assert schedule.next_ns is None
    schedule.start(10 * S)
    assert due(schedule, 12 * S) == [11, 12]
    schedule.pace(3.0)
    assert due(schedule, 19 * S) == [15, 18]
    schedule.pace(1.0)
    assert due(schedule, 20 * S) == [19, 20]
