"""``jsonl:PATH`` or ``jsonl:-`` (stdout): one record a line.

An existing file is appended to, never cut: ``boot`` tells the runs apart. Each line is one write, so a crash costs at
most the line being written, and the next run starts on a fresh line. A power cut costs about a second more: so often
the file is brought to the disk, with the next line.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.errors import UsageError
from edge.sinks import Sink, SinkContext
from edge.sinks.records import Record, encode
from edge.uri import Uri, query_as

__all__ = ["JsonlSink", "from_uri"]

log = logging.getLogger(__name__)

_SYNC_S = 1.0


class JsonlSink:
    """Appends to a file. A full disk is logged once; what does not fit is dropped and counted. ``clock`` in seconds."""

    def __init__(self, target: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._synced_s: float | None = None  # None: no file on a disk
        self._fd: int | None = None
        self._torn = False
        self._dropped = 0

    @property
    def name(self) -> str:
        """The URI."""
        return f"jsonl:{self._target}"

    @property
    def connected(self) -> bool:
        """True while open."""
        return self._fd is not None

    @property
    def dropped(self) -> int:
        """Records that could not be written."""
        return self._dropped

    def open(self) -> None:
        """Open the file, or take stdout; UsageError when the place cannot be written."""
        if self._target == "-":
            sys.stdout.flush()
            self._fd = os.dup(sys.stdout.fileno())
            self._synced_s = self._clock() if _is_file(self._fd) else None
            return
        path = Path(self._target)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._torn = _ends_inside_a_line(path)
            self._synced_s = self._clock() if _is_file(self._fd) else None
        except OSError as error:
            raise UsageError(f"{self.name}: {error.strerror}; name a file in a folder you may write to") from error

    def write(self, record: Record, pts_ns: int) -> None:  # noqa: ARG002 - the protocol's; the record holds it
        """Write one line at once; BrokenPipeError when stdout's reader has gone, who never comes back."""
        assert self._fd is not None, "open first"
        line = (b"\n" if self._torn else b"") + encode(record) + b"\n"
        try:
            self._torn = True
            _write_all(self._fd, line)
            self._torn = False
            self._sync(self._fd)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and self._target == "-":
                raise
            if not self._dropped:
                log.warning("%s: %s; records are dropped until it can be written again", self.name, error.strerror)
            self._dropped += 1

    def close(self) -> int:
        """Bring the file to the disk; gives how many records could not be written."""
        fd, self._fd = self._fd, None
        if fd is not None:
            if self._synced_s is not None:
                os.fsync(fd)
            os.close(fd)
        return self._dropped

    def _sync(self, fd: int) -> None:
        if self._synced_s is not None and (now_s := self._clock()) - self._synced_s >= _SYNC_S:
            self._synced_s = now_s
            os.fdatasync(fd)


def _is_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _write_all(fd: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _ends_inside_a_line(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


class _NoQuery(msgspec.Struct):
    pass


def from_uri(uri: Uri, context: SinkContext) -> Sink:  # noqa: ARG001 - the table's signature
    """The sink for ``jsonl:PATH``."""
    query_as(uri, _NoQuery)
    if not uri.target:
        raise UsageError("jsonl: names no file; write jsonl:records.jsonl, or jsonl:- for stdout")
    return JsonlSink(uri.target)
