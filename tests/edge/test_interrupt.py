from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from edge import interrupt
from edge.interrupt import stop_on_signal

TWICE = """
import signal
from edge import interrupt
interrupt._BOUNCE_S = -1.0
with interrupt.stop_on_signal() as stop:
    signal.raise_signal(signal.{first})
    print("stopping" if stop.is_set() else "deaf", flush=True)
    signal.raise_signal(signal.{second})
    print("still here", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_the_handlers_before_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    assert signal.getsignal(number) is before


def test_the_same_request_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "_BOUNCE_S", 60.0)
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT"), ("SIGINT", "SIGTERM")])
def test_asked_again_the_process_ends_at_once(first: str, second: str) -> None:
    command = [sys.executable, "-c", TWICE.format(first=first, second=second)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.Signals[second], "stopping\n", "")


def test_outside_the_main_thread_there_is_an_event_all_the_same() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_on_signal() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert seen == [False]
