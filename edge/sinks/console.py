"""``console:``: a live table when stdout is a terminal, else one plain line a record; at the end one line of summary.

Waveform blocks are not shown. No value is told that is older than 10 s. What stands on a screen gets older there: the
table is drawn anew four times a second, greys a value after 3 s without news, shows dashes when it is 10 s old, and
says at the end when that was. Lines cannot change, so one more is printed when none came for 10 s. Lines of a recording
that is played tell stream time, whose present is when they are read: they do not get older.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext
from edge.sinks.console_text import line_from_record
from edge.sinks.console_view import Person, Screen, draw
from edge.sinks.freshness import DEAD_MS, STALE_MS
from edge.sinks.records import NOTICE, Event, Meta, Numerics, Record
from edge.sinks.tally import Tally, truth_over
from edge.uri import Uri, query_as
from edge.vitals import Truth

__all__ = ["ConsoleSink", "from_uri"]

_log = logging.getLogger(__name__)
_REFRESH_HZ = 4
_WATCH_S = 0.5


class _Stdout(Console):
    """Standard output, whose reader may have seen enough."""

    def on_broken_pipe(self) -> None:
        """Write nothing more, not even at exit; BrokenPipeError instead of rich's SystemExit, which ends a thread."""
        try:
            super().on_broken_pipe()
        except SystemExit as end:
            raise BrokenPipeError from end


class ConsoleSink:
    """Draws on ``console`` (stdout when None). ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``.

    Where it prints lines of cameras that watch, a thread calls :meth:`tick`.
    """

    def __init__(
        self, context: SinkContext, console: Console | None = None, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._console = _Stdout(highlight=False) if console is None else console
        self._truth, self._ages = context.truth, context.live
        self._clock = clock
        self._screen = Screen(context.device)
        self._live: Live | None = None
        self._records = 0
        self._tallies = {"HR": Tally(), "RR": Tally()}
        self._open = False
        self._newest_ns: int | None = None  # the frame behind the newest numbers; None once their age was told
        self._reader_left = self._undrawn = False
        self._turn = threading.Lock()
        self._closing = threading.Event()

    @property
    def name(self) -> str:
        """The URI."""
        return "console:"

    @property
    def connected(self) -> bool:
        """Always True."""
        return True

    @property
    def dropped(self) -> int:
        """Always 0: what the table skips is replaced by something newer."""
        return 0

    def open(self) -> None:
        """Start the table on a terminal; else nothing is shown until the first record."""
        self._open = True
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=_REFRESH_HZ)
            self._live.start()
        elif self._ages:
            threading.Thread(target=self._watch, name="console", daemon=True).start()

    def write(self, record: Record, pts_ns: int) -> None:
        """Take a record into the table, or print its line; BrokenPipeError when nobody reads it any more."""
        if self._reader_left:
            raise BrokenPipeError
        self._records += 1
        truth = None
        if isinstance(record, Numerics):
            truth = self._count(record, pts_ns)
            self._screen = self._screen.with_person(Person(record, truth))
        elif isinstance(record, Event):
            self._screen = self._screen.with_event(record, pts_ns)
        elif isinstance(record, Meta):
            self._screen = replace(self._screen, meta=record)
        if self._live is None:
            self._tell(record, pts_ns, truth)

    def tick(self) -> None:
        """Say, once, that the numbers above are older than 10 s."""
        with self._turn:
            if self._newest_ns is not None and self._clock() - self._newest_ns > DEAD_MS * 10**6:
                self._newest_ns = None
                self._print(f"nothing new: the numbers above are more than {DEAD_MS // 1000} s old")

    def close(self) -> int:
        """Leave the last table on the screen, with the time, and print the summary; nothing where nothing was shown."""
        self._closing.set()
        if self._live is not None:
            self._screen = replace(self._screen, ended=time.strftime("%Y-%m-%d %H:%M:%S"))
            self._live.stop()
            self._live = None
        if self._open:
            self._open = False
            self._print(self.summary() if self._records else None)
        return 0

    def summary(self) -> str:
        """Errors against the truth where it is known, coverage, and how many records there were, in one line."""
        rates = " | ".join(f"{label}: {tally.text()}" for label, tally in self._tallies.items())
        return f"{rates} | {self._records} records | {NOTICE}"

    def _watch(self) -> None:
        while not self._closing.wait(_WATCH_S):
            try:
                self.tick()
            except BrokenPipeError:  # the next record is told so
                self._reader_left = True
                return

    def _tell(self, record: Record, pts_ns: int, truth: Truth | None) -> None:
        with self._turn:
            if isinstance(record, Numerics) and self._ages:
                self._newest_ns = record.mono_ns - min(record.oldest_ms, STALE_MS) * 10**6  # older ones bear their age
            silent_ms = max(0, self._clock() - record.mono_ns) // 10**6 if self._ages else 0
            self._print(line_from_record(record, pts_ns, truth, silent_ms))

    def _count(self, record: Numerics, pts_ns: int) -> Truth | None:
        over_hr = truth_over(self._truth, pts_ns, record.hr.window_s)
        over_rr = truth_over(self._truth, pts_ns, record.rr.window_s)
        truth = None if over_hr is None or over_rr is None else Truth(over_hr.hr_per_min, over_rr.rr_per_min)
        self._tallies["HR"].add(record.hr, None if truth is None else truth.hr_per_min)
        self._tallies["RR"].add(record.rr, None if truth is None else truth.rr_per_min)
        return truth

    def _draw(self) -> RenderableType:
        try:
            return draw(self._screen, self._clock(), self._console.width)
        except Exception:  # noqa: BLE001 - the edge of rich's thread: if that died the last values would stand for ever
            if not self._undrawn:
                _log.exception("console: the table cannot be drawn")
            self._undrawn = True
            return Text("the table cannot be drawn; the log says why", style="bold red")

    def _print(self, line: str | None) -> None:
        if line is not None:
            self._console.print(line, markup=False, soft_wrap=not self._console.is_terminal)


class _NoQuery(msgspec.Struct):
    pass


def from_uri(uri: Uri, context: SinkContext) -> Sink:
    """The sink for ``console:``."""
    query_as(uri, _NoQuery)
    if uri.target:
        raise UsageError(f"console: takes no target; seen {uri.target!r}; write console:")
    return ConsoleSink(context)
