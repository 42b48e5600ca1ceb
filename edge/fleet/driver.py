"""One thread for many sinks.

A thread a sink wakes 50 times a second for each, which is what a device can afford for one broker and a simulation
cannot for 500. Here every sink is asked in turn, all of them once a period, for as long as a round takes at least.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

__all__ = ["Driver"]

log = logging.getLogger(__name__)

_PERIOD_S = 0.02


class Driver:
    """Runs what ``MqttSink(drive=...)`` gives: iterators that do a little and say for how long they may rest."""

    def __init__(self, name: str = "links") -> None:
        self._due_s: dict[Iterator[float], float] = {}
        self._dropped: list[Iterator[float]] = []
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Driver:  # noqa: PYI034 - typing.Self is of Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def add(self, life: Iterator[float]) -> None:
        """Run it until it ends by itself."""
        with self._change:
            self._due_s[life] = 0.0

    def drop(self, life: Iterator[float]) -> None:
        """End it where it stands, and wait until it has ended."""
        with self._change:
            self._dropped.append(life)
            self._change.wait_for(lambda: life not in self._due_s or self._closed)

    def _run(self) -> None:
        while not self._closed:
            start_s = time.monotonic()
            with self._change:
                for life in self._dropped:
                    if self._due_s.pop(life, None) is not None:
                        life.close()  # type: ignore[attr-defined]  # they are generators
                self._dropped.clear()
                self._change.notify_all()
                lives = [life for life, due_s in self._due_s.items() if due_s <= start_s]
            ended = [life for life in lives if not self._step(life)]
            with self._change:
                for life in ended:
                    self._due_s.pop(life, None)
                self._change.wait(max(0.0, start_s + _PERIOD_S - time.monotonic()))

    def _step(self, life: Iterator[float]) -> bool:
        """False when it has ended."""
        try:
            rest_s = next(life)
        except StopIteration:
            return False
        except Exception:  # the thread's edge: the others must go on
            log.exception("a link ended unexpectedly")
            return False
        with self._change:
            if life in self._due_s:
                self._due_s[life] = time.monotonic() + rest_s
        return True
