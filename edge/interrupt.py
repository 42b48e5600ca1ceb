"""SIGINT and SIGTERM ask a run to end in order; asked again, the process ends at once.

Imports nothing heavy: it is in force before anything else is loaded.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_on_signal"]

_BOUNCE_S = 0.2
"""``timeout`` signals a process and then its group: so soon after the first, it is the same request."""


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Gives the event that the first signal sets; the second one kills the process. Handlers before are put back.

    Outside the main thread, where Python allows no handlers, nothing sets it. Set it nowhere else: a handler that
    interrupts ``Event.set`` on the same thread would wait for ever.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    asked_s = 0.0

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_s
        if not stop.is_set():
            asked_s = time.monotonic()
            stop.set()
        elif time.monotonic() - asked_s > _BOUNCE_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
