"""The camera that comes back, over sessions that tests write down turn by turn."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import pytest

from edge.cameras.returning import HUNG_S, ReturningCamera, Session
from edge.errors import GoneError, InputError, SilentError
from edge.frames import Frame

Turn = int | InputError | None
"""A frame with this stamp in ms, silence of half a second, or an error."""


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Script:
    """One session."""

    def __init__(self, turns: Iterable[Turn], time: Time, drift_ppm: float | None = None) -> None:
        self._turns, self._time, self.drift_ppm = iter(turns), time, drift_ppm
        self._seq = -1
        self.closed = 0

    def next(self, timeout_s: float) -> Frame | None:
        turn = next(self._turns, None)
        if isinstance(turn, InputError):
            raise turn
        if turn is None:
            self._time.now_s += timeout_s
            return None
        self._seq += 1
        return Frame(np.zeros((2, 2, 3), np.uint8), turn * 1_000_000, "monotonic", self._seq, "rgb")

    def close(self) -> None:
        self.closed += 1


def camera_of(sessions: list[Script | InputError], time: Time) -> ReturningCamera:
    left = iter(sessions)

    def connect() -> Session:
        session = next(left)
        if isinstance(session, InputError):
            raise session
        return session

    return ReturningCamera("cam:", "rgb", connect, clock=time, sleep=time.sleep)


def seen(camera: ReturningCamera, turns: int) -> list[tuple[int, int]]:
    found = []
    for _ in range(turns):
        try:
            frame = camera.read()
        except SilentError:
            continue
        assert frame is not None
        found.append((frame.seq, frame.pts_ns // 1_000_000))
    return found


def test_what_fails_at_the_start_is_an_error_and_what_fails_later_is_not() -> None:
    time = Time()
    with pytest.raises(InputError, match="nothing there"):
        camera_of([InputError("nothing there")], time).open()
    away: list[Script | InputError] = [Script([0, 33, GoneError("cut")], time), *[InputError("away")] * 3]
    camera = camera_of([*away, Script([9_000], time)], time)
    camera.open()
    assert seen(camera, 19) == [(0, 0), (1, 33), (2, 9_000)]
    assert camera.returns == 1


def test_numbers_and_stamps_go_on(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    first, second = Script([0, 33, 66, GoneError("cut")], time), Script([50, 5_000, 5_033, None], time)
    camera = camera_of([first, InputError("away"), InputError("away"), second], time)
    camera.open()
    assert seen(camera, 12) == [(0, 0), (1, 33), (2, 66), (4, 5_000), (5, 5_033)]  # a stamp of before the cut is none
    assert (first.closed, camera.returns) == (1, 1)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "cut; the run goes on and waits for it",
        "cam: is back after 1.5 s",
    ]


def test_a_source_that_opens_and_breaks_at_once_is_not_hammered_and_not_told_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = Time()
    broken: list[Script | InputError] = [Script([GoneError("no signal")], time) for _ in range(10)]
    camera = camera_of([Script([0, GoneError("cut")], time), *broken], time)
    camera.open()
    assert seen(camera, 60) == [(0, 0)]
    assert time.now_s - 100.0 > 20.0
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_hung_camera_is_opened_anew_but_not_for_the_time_before_the_first_look() -> None:
    time = Time()
    first = Script([*[None] * round(HUNG_S / 0.5 - 1), 7, *[None] * 10], time)
    camera = camera_of([first, Script([9_000], time)], time)
    camera.open()
    time.now_s += 60.0  # the model was loaded
    assert seen(camera, 10) == [(0, 7)]
    assert first.closed == 0
    assert seen(camera, 11) == [(1, 9_000)]
    assert first.closed == 1


def test_what_is_hopeless_ends_it() -> None:
    time = Time()
    camera = camera_of([Script([0, InputError("no temperatures")], time)], time)
    camera.open()
    assert seen(camera, 1) == [(0, 0)]
    with pytest.raises(InputError, match="no temperatures"):
        camera.read()


def test_drift_is_told_once_when_it_is_known_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    time = Time()
    camera = camera_of([Script(range(0, 120_000, 1_000), time, drift_ppm=-23.4)], time)
    assert camera.drift_ppm is None
    camera.open()
    seen(camera, 60)
    assert caplog.text == ""
    seen(camera, 60)
    assert caplog.text.count("our clock runs -23 ppm against its own") == 1
    assert camera.drift_ppm == -23.4
