"""``console:``: a live table when stdout is a terminal, else one plain line a record; at the end one line of summary.

Waveform blocks are not shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext
from edge.sinks.console_text import line_from_record
from edge.sinks.console_view import Person, Screen, draw
from edge.sinks.records import NOTICE, Event, Meta, Numerics, Record
from edge.sinks.tally import Tally, truth_over
from edge.uri import Uri, query_as
from edge.vitals import Truth

__all__ = ["ConsoleSink", "from_uri"]

_REFRESH_HZ = 4


class _Stdout(Console):
    """Standard output, whose reader may have seen enough."""

    def on_broken_pipe(self) -> None:
        """Write nothing more, not even at exit; BrokenPipeError instead of rich's SystemExit, which ends a thread."""
        try:
            super().on_broken_pipe()
        except SystemExit as end:
            raise BrokenPipeError from end


class ConsoleSink:
    """Draws on ``console`` (stdout when None). ``clock`` is CLOCK_MONOTONIC in ns, as in ``record.mono_ns``."""

    def __init__(
        self, context: SinkContext, console: Console | None = None, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._console = _Stdout(highlight=False) if console is None else console
        self._truth = context.truth
        self._clock = clock
        self._screen = Screen(context.device)
        self._live: Live | None = None
        self._records = 0
        self._tallies = {"HR": Tally(), "RR": Tally()}
        self._open = False

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

    def write(self, record: Record, pts_ns: int) -> None:
        """Take a record into the table, or print its line."""
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
            self._print(line_from_record(record, pts_ns, truth))

    def close(self) -> int:
        """Leave the last table on the screen and print the summary of what was shown; nothing where nothing was."""
        if self._live is not None:
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

    def _count(self, record: Numerics, pts_ns: int) -> Truth | None:
        over_hr = truth_over(self._truth, pts_ns, record.hr.window_s)
        over_rr = truth_over(self._truth, pts_ns, record.rr.window_s)
        truth = None if over_hr is None or over_rr is None else Truth(over_hr.hr_per_min, over_rr.rr_per_min)
        self._tallies["HR"].add(record.hr, None if truth is None else truth.hr_per_min)
        self._tallies["RR"].add(record.rr, None if truth is None else truth.rr_per_min)
        return truth

    def _draw(self) -> RenderableType:
        return draw(self._screen, self._clock(), self._console.width)

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
