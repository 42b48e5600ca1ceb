"""Reading an MCAP file front to back, bounded: it may be cut short, damaged, or made to harm.

No index is trusted and nothing is allocated for a length that the file only claims. The parts of each record are taken
apart by the ``mcap`` package, from bytes that are there.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from mcap import records as parts
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode

from edge.errors import InputError

__all__ = ["MAGIC", "MAX_RECORD_BYTES", "Attachment", "Item", "McapReader", "Message", "Metadata"]

MAGIC = b"\x89MCAP0\r\n"
MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Of one record, packed and unpacked."""
_MAX_CHANNELS = 1024
_WANTED = "want a file of mmrphys record"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Named pairs of text."""

    name: str
    pairs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file inside the file."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a topic, which came by a numbered channel. Times are ns."""

    channel: int
    topic: str
    data: bytes
    log_ns: int
    publish_ns: int
    sequence: int


Item = Metadata | Attachment | Message


class McapReader:
    """``for item in McapReader(path)``: what the file holds in the order in which it was written.

    Reading stops where the file does: ``complete`` says afterwards whether it has its proper end, ``end`` why not.
    InputError when it is no MCAP file or cannot be read, and, after all that comes before, where it is damaged.
    ``channels`` and ``schemas`` hold those met so far, by number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = False
        self.end = ""
        self.whole_bytes = 0
        """Where the last whole record ends."""
        self.channels: dict[int, parts.Channel] = {}
        self.schemas: dict[int, parts.Schema] = {}

    def __iter__(self) -> Iterator[Item]:
        try:
            with self.path.open("rb") as file:
                yield from self._items(file)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}; {_WANTED}") from error

    def _items(self, file: BinaryIO) -> Iterator[Item]:
        size = os.fstat(file.fileno()).st_size
        if not self._begins(file.read(len(MAGIC))):
            return
        while not self.complete:
            start = file.tell()
            head = file.read(9)
            if len(head) < 9:
                self.end = "it ends without its index"
                return
            opcode, length = struct.unpack("<BQ", head)
            if length > MAX_RECORD_BYTES:
                raise self._damaged(start, f"a record of {length} bytes")
            body = file.read(min(length, size))
            if len(body) < length:
                self.end = "its last record is cut short"
                return
            try:
                yield from self._record(opcode, body)
            except (McapError, ValueError, struct.error, zstandard.ZstdError, MemoryError) as error:
                raise self._damaged(start, str(error) or type(error).__name__) from error
            self.whole_bytes = file.tell()

    def _begins(self, magic: bytes) -> bool:
        if not MAGIC.startswith(magic):
            raise InputError(f"{self.path} is no MCAP file; {_WANTED}")
        self.end = "" if magic == MAGIC else "it is cut short in its first bytes"
        self.whole_bytes = len(magic)
        return magic == MAGIC

    def _record(self, opcode: int, body: bytes) -> Iterator[Item]:
        stream = ReadDataStream(BytesIO(body))
        if opcode == Opcode.CHUNK:
            yield from self._chunk(_unpacked(parts.Chunk.read(stream)))
        elif opcode == Opcode.METADATA:
            found = parts.Metadata.read(stream)
            yield Metadata(found.name, found.metadata)
        elif opcode == Opcode.ATTACHMENT:
            attachment = parts.Attachment.read(stream)
            yield Attachment(attachment.name, attachment.media_type, attachment.data)
        elif opcode == Opcode.DATA_END:
            self.complete = True
        else:
            yield from self._inner(opcode, body)

    def _chunk(self, data: bytes) -> Iterator[Message]:
        at = 0
        while at < len(data):
            opcode, length = struct.unpack_from("<BQ", data, at)
            body = data[at + 9 : at + 9 + length]
            if len(body) < length:
                raise ValueError("a record runs out of its chunk")
            yield from self._inner(opcode, body)
            at += 9 + length

    def _inner(self, opcode: int, body: bytes) -> Iterator[Message]:
        """Channels, schemas and messages, which stand in chunks or outside; others are skipped."""
        stream = ReadDataStream(BytesIO(body))
        if opcode == Opcode.CHANNEL:
            channel = parts.Channel.read(stream)
            self._keep(self.channels, channel.id, channel)
        elif opcode == Opcode.SCHEMA:
            schema = parts.Schema.read(stream)
            self._keep(self.schemas, schema.id, schema)
        elif opcode == Opcode.MESSAGE:
            found = parts.Message.read(stream, len(body))
            if found.channel_id not in self.channels:
                raise ValueError(f"a message of channel {found.channel_id}, which is not told")
            topic = self.channels[found.channel_id].topic
            yield Message(found.channel_id, topic, found.data, found.log_time, found.publish_time, found.sequence)

    def _keep(self, table: dict[int, Any], number: int, record: Any) -> None:
        table[number] = record
        if len(table) > _MAX_CHANNELS:
            raise ValueError(f"more than {_MAX_CHANNELS} channels or schemas")

    def _damaged(self, start: int, what: str) -> InputError:
        self.end = f"it is damaged at byte {start}: {what}"
        fix = "mmrphys recover keeps what comes before"
        return InputError(f"{self.path} is damaged at byte {start} ({what}); {fix}")


def _unpacked(chunk: parts.Chunk) -> bytes:
    """A chunk's records; ValueError when it is larger than it says, or than is allowed, or was changed."""
    size = chunk.uncompressed_size
    if size > MAX_RECORD_BYTES:
        raise ValueError(f"a chunk of {size} bytes")
    if chunk.compression == "zstd":
        claimed = zstandard.get_frame_parameters(chunk.data).content_size
        if claimed not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise ValueError(f"a chunk of {size} bytes that unpacks to {claimed}")
        data = zstandard.ZstdDecompressor().decompress(chunk.data, max_output_size=max(size, 1))
    elif not chunk.compression:
        data = chunk.data
    else:
        raise ValueError(f"chunks are packed by {chunk.compression}; want zstd or none")
    if len(data) != size or (chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc):
        raise ValueError("a chunk whose checksum does not fit")
    return data
