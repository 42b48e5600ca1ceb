"""An outbox's file that is damaged: noticed, set aside whole, and read as far as it can be."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge.sinks.outbox_text import unpacked

__all__ = ["SELECT", "beside", "check_whole", "readable_rows", "set_aside"]

SELECT = "SELECT row, topics.topic, droppable, body FROM waiting JOIN topics ON topics.id = waiting.topic"
_KEEP = 3
_LEAST_BYTES = 4096
_MOST_BYTES = 2**30


def beside(file: Path, ending: str) -> Path:
    """The file that belongs to ``file``: its name with ``ending`` behind."""
    return file.with_name(file.name + ending)


def check_whole(file: Path) -> None:
    """``sqlite3.DatabaseError`` for an empty or missing database whose WAL is there.

    SQLite would take it for a new one and throw its WAL away, and all messages with it.
    """
    wal = beside(file, "-wal")
    if wal.exists() and wal.stat().st_size and not (file.exists() and file.stat().st_size):
        raise sqlite3.DatabaseError("the database is empty, its WAL is not")


def set_aside(file: Path) -> Path:
    """Rename a database and its WAL; gives the new name. Three are kept, the last of them is replaced."""
    names = [beside(file, f".damaged-{number}") for number in range(1, _KEEP + 1)]
    aside = next((name for name in names if not name.exists()), names[-1])
    for ending in ("", "-wal"):
        beside(aside, ending).unlink(missing_ok=True)
        if beside(file, ending).exists():
            beside(file, ending).rename(beside(aside, ending))
    return aside


def readable_rows(file: Path) -> Iterator[tuple[int, str, bool, bytes]]:
    """The sound rows of a damaged file, in order, until the first place that SQLite cannot read.

    A copy is read, for SQLite changes what it opens; one that was cut short is padded, else nothing of it is read.
    """
    copy = beside(file, ".copy")
    try:
        for ending in ("", "-wal"):
            if beside(file, ending).exists():
                shutil.copyfile(beside(file, ending), beside(copy, ending))
        _pad(copy)
        yield from _rows(copy)
    except (OSError, sqlite3.DatabaseError):
        return
    finally:
        for ending in ("", "-wal", "-shm"):
            beside(copy, ending).unlink(missing_ok=True)


def _pad(file: Path) -> None:
    """Make a database as long as its header says (sqlite.org/fileformat.html, 1.3: pages, and bytes of a page)."""
    with file.open("r+b") as raw:
        header = raw.read(32).ljust(32, b"\0")
        page_bytes, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
        longest = min(page_bytes * pages, _MOST_BYTES)
        raw.truncate(max(longest, file.stat().st_size, _LEAST_BYTES))


def _rows(file: Path) -> Iterator[tuple[int, str, bool, bytes]]:
    with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as damaged:
        for row, topic, droppable, body in damaged.execute(f"{SELECT} ORDER BY row"):
            with contextlib.suppress(ValueError, TypeError):
                unpacked(body)
                yield row, topic, bool(droppable), body
