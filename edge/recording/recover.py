"""A recording that was cut short (power, ``kill -9``, a full disk, a copy that broke off) becomes a whole file.

All that comes before the cut or the first damage is kept, message by message, and written anew with its indexes. The
file that was given stays as it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from mcap.writer import Writer

from edge.errors import FaultError, InputError, UsageError
from edge.recording.reader import Attachment, Item, McapReader, Message, Metadata
from edge.recording.writer import sync_folder

__all__ = ["Recovered", "recover"]

_CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was kept: messages by topic, the time they span, and the bytes at the end that were left out.

    ``why`` is how the given file ends; empty when it was whole.
    """

    messages: dict[str, int]
    span_s: float
    left_out_bytes: int
    why: str


def recover(path: Path, out: Path) -> Recovered:
    """Write what ``path`` holds to the new file ``out``, which is made even where nothing could be kept.

    Raises
    ------
    InputError
        ``path`` is no MCAP file or cannot be read.
    UsageError
        ``out`` exists or cannot be made.
    FaultError
        ``out`` cannot be written to its end; it is removed then.
    """
    copy = _Copy(path)
    copy.begin()
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; name a new file in a folder you may write to") from error
    try:
        with os.fdopen(handle, "wb") as file:
            copy.write_to(file)
            file.flush()
            os.fsync(handle)
        sync_folder(out.parent)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise FaultError(f"--out {out}: {error.strerror}; make room and try again") from error
    except BaseException:  # Ctrl-C: half a copy would look like what could be kept
        out.unlink(missing_ok=True)
        raise
    return copy.report()


class _Copy:
    """The items of one file, written to another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = McapReader(path)
        self._items = iter(self._reader)
        self._channels: dict[int, int] = {}
        self._schemas: dict[int, int] = {0: 0}
        self._counts: dict[str, int] = {}
        self._times_ns: tuple[int, int] | None = None

    def begin(self) -> None:
        """Look at the first item, so that a foreign file is refused before anything is made."""
        first = self._next()
        self._items = chain([] if first is None else [first], self._items)

    def write_to(self, file: BinaryIO) -> None:
        writer = Writer(file, chunk_size=_CHUNK_BYTES)
        writer.start("mmrphys", "mmrphys-edge")
        while (item := self._next()) is not None:
            if isinstance(item, Metadata):
                writer.add_metadata(item.name, item.pairs)
            elif isinstance(item, Attachment):
                writer.add_attachment(0, 0, item.name, item.media_type, item.data)
            else:
                self._message(writer, item)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap leaves out its None

    def report(self) -> Recovered:
        start, end = self._times_ns or (0, 0)
        reader = self._reader
        left_out = 0 if reader.complete else self._path.stat().st_size - reader.whole_bytes
        return Recovered(dict(self._counts), (end - start) / 1e9, left_out, reader.end)

    def _next(self) -> Item | None:
        """The next item; None at the end, a cut or the first damage."""
        try:
            return next(self._items, None)
        except InputError:
            if self._reader.whole_bytes:
                return None
            raise

    def _message(self, writer: Writer, message: Message) -> None:
        number = self._channels.get(message.channel)
        if number is None:
            number = self._channels[message.channel] = self._channel(writer, message.channel)
        writer.add_message(number, message.log_ns, message.data, message.publish_ns, message.sequence)
        self._counts[message.topic] = self._counts.get(message.topic, 0) + 1
        start, end = self._times_ns or (message.log_ns, message.log_ns)
        self._times_ns = min(start, message.log_ns), max(end, message.log_ns)

    def _channel(self, writer: Writer, number: int) -> int:
        channel = self._reader.channels[number]
        schema = self._reader.schemas.get(channel.schema_id)
        if schema is not None and schema.id not in self._schemas:
            self._schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
        known = self._schemas.get(channel.schema_id, 0)
        return writer.register_channel(channel.topic, channel.message_encoding, known, channel.metadata)
