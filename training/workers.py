"""Processes for a training run: jobs side by side, progress back to the parent, one stop flag for all.

Workers ignore SIGINT; the parent catches it (and SIGTERM) and sets the flag, so that everybody saves before leaving.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Any

from edge.errors import FaultError

__all__ = ["Workers", "cpu_count", "report", "stopped", "workers"]

POLL_S = 0.1

_reports: Any = None
_stop: Any = None


def cpu_count() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def _start(reports: Any, stop: Any) -> None:
    """First call in every worker."""
    global _reports, _stop
    _reports, _stop = reports, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def report(*what: Any) -> None:
    """In a worker: tell the parent something, for its progress display."""
    _reports.put(what)


def stopped() -> bool:
    """In a worker: whether to save and leave. A worker whose parent is gone leaves at once."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)
    return bool(_stop.is_set())


class Workers:
    """A pool of processes. Jobs are functions of a module that may call :func:`report` and :func:`stopped`.

    Workers are forked from a clean process that has imported ``preload`` once, and not from the parent, whose threads a
    fork would cut off.
    """

    def __init__(self, count: int, preload: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([preload])
        self._reports = context.Queue()
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(count, context, _start, (self._reports, self._stop))

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return bool(self._stop.is_set())

    def stop(self, *_: int | FrameType | None) -> None:
        """Ask all jobs to save and leave; fits as a signal handler."""
        self._stop.set()

    def close(self) -> None:
        """Stop what runs and wait for it."""
        self.stop()
        self._pool.shutdown(cancel_futures=True)

    def run(
        self,
        job: Callable[..., Any],
        arguments: Iterable[Sequence[Any]],
        on_report: Callable[..., None],
        on_done: Callable[[], None] = lambda: None,
    ) -> list[Any]:
        """Results of ``job(*a)`` for each ``a``, in order; reports go to ``on_report`` as they come.

        ``on_done`` is called once for each job that is done. The first error of a job ends all and is raised here. When
        stopped, jobs not begun give None.
        """
        futures = [self._pool.submit(_unless_stopped, job, a) for a in arguments]
        try:
            for what in self._until_done(futures, on_done):
                on_report(*what)
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise FaultError(
                "a worker process died; is there enough memory? run the same command to continue"
            ) from error
        except BaseException:
            self.stop()
            raise

    def _until_done(self, futures: list[Future[Any]], on_done: Callable[[], None]) -> Iterator[tuple[Any, ...]]:
        waiting: set[Future[Any]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, POLL_S, FIRST_COMPLETED)
            for future in done:
                future.result()
                on_done()
            yield from self._arrived()

    def _arrived(self) -> Iterator[tuple[Any, ...]]:
        while True:
            try:
                yield self._reports.get_nowait()
            except queue.Empty:
                return


def _unless_stopped(job: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    return None if stopped() else job(*arguments)


@contextmanager
def workers(count: int, preload: str) -> Iterator[Workers]:
    """Workers that stop on SIGINT and SIGTERM, which do not end the parent meanwhile."""
    pool = Workers(count, preload)
    before = {number: signal.signal(number, pool.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pool
    finally:
        pool.close()
        for number, handler in before.items():
            signal.signal(number, handler)
