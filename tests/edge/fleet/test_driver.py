"""One thread that runs many lives."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from fakes.broker import until

from edge.fleet.driver import Driver


def counting(steps: list[int], ended: threading.Event, last: int) -> Iterator[float]:
    try:
        for n in range(last):
            steps.append(n)
            yield 0.0
    finally:
        ended.set()


def test_lives_run_beside_each_other_and_end_by_themselves() -> None:
    steps: list[list[int]] = [[], []]
    ends = [threading.Event(), threading.Event()]
    with Driver() as driver:
        for one, end in zip(steps, ends, strict=True):
            driver.add(counting(one, end, 3))
        assert all(end.wait(10.0) for end in ends)
    assert steps == [[0, 1, 2], [0, 1, 2]]


def test_a_dropped_life_has_ended_when_drop_returns() -> None:
    steps: list[int] = []
    ended = threading.Event()
    life = counting(steps, ended, 10**9)
    with Driver() as driver:
        driver.add(life)
        until(lambda: steps, "a first step")
        driver.drop(life)
        assert ended.is_set()


def test_one_that_raises_does_not_end_the_others(caplog) -> None:
    def broken() -> Iterator[float]:
        raise ValueError("on purpose")
        yield 0.0

    ended = threading.Event()
    with Driver() as driver:
        driver.add(broken())
        driver.add(counting([], ended, 5))
        assert ended.wait(10.0)
    assert "a link ended unexpectedly" in caplog.text
