from __future__ import annotations

from edge.load_budget import LoadBudget, Pace
from edge.pacing import Pacer


class Run:
    """A clock and the counters of an inbox, turned by hand."""

    def __init__(self) -> None:
        self.now_s, self.waiting, self.dropped = 100.0, 0.0, 0
        self.pacer = Pacer(
            LoadBudget(1.0), lambda: self.waiting, lambda: self.dropped, lambda: None, clock=lambda: self.now_s
        )

    def frame(self, work_s: float, rest_s: float) -> Pace | None:
        with self.pacer.working():
            self.now_s += work_s
        self.now_s += rest_s
        return self.pacer.step()


def found(run: Run, frames: int, work_s: float, rest_s: float) -> list[Pace]:
    return [pace for pace in (run.frame(work_s, rest_s) for _ in range(frames)) if pace]


def test_frames_that_take_most_of_the_time_lengthen_the_hop() -> None:
    (pace,) = found(Run(), 30 * 4, 0.030, 0.003)
    assert pace.hop_s == 2.0
    assert pace.why == "frames take 91 % of the time"


def test_a_run_that_keeps_up_changes_nothing() -> None:
    assert not found(Run(), 30 * 60, 0.010, 0.023)


def test_a_queue_counts_by_its_fullest_moment_of_the_second_and_drops_once() -> None:
    run = Run()
    assert not found(run, 25, 0.001, 0.03)
    run.waiting = 0.9
    run.frame(0.001, 0.03)
    run.waiting = 0.0
    run.dropped = 2
    (pace,) = found(run, 30, 0.001, 0.03)
    assert pace.why == "2 frames found no room"
    assert not found(run, 300, 0.001, 0.03)
