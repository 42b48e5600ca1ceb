"""Records of a file, one after another: JSON lines, or a recording. What is damaged is told, counted and left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge.errors import InputError
from edge.sinks.clocks import ns_from_rfc3339
from edge.sinks.records import Record, decode

__all__ = ["RecordSource"]

log = logging.getLogger(__name__)

_MCAP = b"\x89MCAP0\r\n"
_LONGEST = 1 << 20
"""More bytes than any record has; a longer line is damage."""
_TOLD = 5
_WANTED = "want records of --sink jsonl:FILE, or a recording of mmrphys record"


class RecordSource:
    """``for record in RecordSource(path)``: the sound records in the order of the file.

    ``damaged`` counts the others of the latest pass, the first of which are told with their place. A pass reads
    ``at_most`` records: of a file that still grows, what the pass before has seen.
    """

    def __init__(self, path: Path, at_most: int | None = None) -> None:
        self.path = path
        self.records = self.damaged = 0
        self._at_most = at_most
        self._tell = at_most is None

    def __iter__(self) -> Iterator[Record]:
        """InputError when the file cannot be read."""
        self.records = self.damaged = 0
        try:
            for place, data in self._pieces():
                if self.records == self._at_most:
                    return
                record = self._record(place, data)
                if record is not None:
                    self.records += 1
                    yield record
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}; {_WANTED}") from error

    def _pieces(self) -> Iterator[tuple[str, bytes]]:
        with self.path.open("rb") as file:
            recording = file.read(len(_MCAP)) == _MCAP
        yield from self._messages() if recording else self._lines()

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        number = 0
        with self.path.open("rb") as file:
            while line := file.readline(_LONGEST):
                number += 1
                if len(line) == _LONGEST:
                    _skip_line(file, line)
                if line.strip():
                    yield f"line {number}", line

    def _messages(self) -> Iterator[tuple[str, bytes]]:
        from edge.recording.messages import RECORDS  # noqa: PLC0415 - it loads numpy, which lines do not need
        from edge.recording.reader import McapReader, Message  # noqa: PLC0415

        reader = McapReader(self.path)
        try:
            for number, item in enumerate(reader, 1):
                if isinstance(item, Message) and item.topic == RECORDS:
                    yield f"message {number}", item.data
        except InputError as error:
            self._count("the rest", str(error))

    def _record(self, place: str, data: bytes) -> Record | None:
        try:
            record = decode(data)
            ns_from_rfc3339(record.time)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            self._count(place, str(error))
            return None
        return record

    def _count(self, place: str, why: str) -> None:
        self.damaged += 1
        if self._tell and self.damaged <= _TOLD:
            log.warning("%s, %s is no record of version 1 and is left out: %s", self.path, place, why)


def _skip_line(file: BinaryIO, begin: bytes) -> None:
    """Go behind a line too long to hold, of which ``begin`` was read."""
    while begin and not begin.endswith(b"\n"):
        begin = file.readline(_LONGEST)
