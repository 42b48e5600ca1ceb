"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["shown_progress"]


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int, int, str], None]]:
    """A function ``(what, done, of, remark)`` that keeps one bar for each ``what``; nothing shows before its first."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars: dict[str, TaskID] = {}
    progress = Progress(*columns, console=Console(stderr=True))

    def show(what: str, done: int, of: int, remark: str) -> None:
        progress.start()
        if what not in bars:
            bars[what] = progress.add_task(what, total=of, remark="")
        progress.update(bars[what], completed=done, remark=remark)

    try:
        yield show
    finally:
        if bars:
            progress.stop()
