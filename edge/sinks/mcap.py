"""``mcap:FILE``: records in an MCAP file, as ``mmrphys record`` keeps them, without frames.

The file must be new. It is whole after every second, and whatever ends the process (``mmrphys recover`` gives it its
index then).
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec

from edge.errors import UsageError
from edge.recording.messages import RECORDS
from edge.recording.writer import McapFile
from edge.sinks import Sink, SinkContext
from edge.sinks.records import Record, encode
from edge.uri import Uri, query_as

__all__ = ["McapSink", "from_uri"]

log = logging.getLogger(__name__)


class McapSink:
    """Writes one file. When the disk is full the file ends, which is logged; what comes after is counted as dropped."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._file: McapFile | None = None
        self._unwritten = self._dropped = 0

    @property
    def name(self) -> str:
        """The URI."""
        return f"mcap:{self._target}"

    @property
    def connected(self) -> bool:
        """True while open."""
        return self._file is not None

    @property
    def dropped(self) -> int:
        """Records that could not be written."""
        return self._dropped

    def open(self) -> None:
        """Make the file; UsageError when it is there already or cannot be made."""
        self._file = McapFile(Path(self._target), [RECORDS])
        self._file.open()

    def write(self, record: Record, pts_ns: int) -> None:
        """Add one record; it is on the disk within a second of the next one, and at ``close``."""
        data = encode(record)
        if self._file is None:
            self._dropped += 1
            return
        self._unwritten += 1
        try:
            before = self._file.size
            self._file.write(RECORDS, data, pts_ns, pts_ns, time.monotonic())
            self._unwritten = 0 if self._file.size > before else self._unwritten
        except OSError as error:
            self._give_up(error)

    def close(self) -> int:
        """Write the rest and the index; gives how many records could not be written."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._give_up(error)
        self._file = None
        return self._dropped

    def _give_up(self, error: OSError) -> None:
        log.warning("%s: %s; the file ends here, records are dropped", self.name, error.strerror)
        self._dropped += self._unwritten
        self._unwritten, self._file = 0, None


class _NoQuery(msgspec.Struct):
    pass


def from_uri(uri: Uri, context: SinkContext) -> Sink:  # noqa: ARG001 - the table's signature
    """The sink for ``mcap:FILE``."""
    query_as(uri, _NoQuery)
    if not uri.target:
        raise UsageError("mcap: names no file; write mcap:records.mcap")
    return McapSink(uri.target)
