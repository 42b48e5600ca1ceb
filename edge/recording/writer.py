"""One MCAP file, written so that it is whole after every chunk, which ends at least once a second.

Whatever ends the process, the chunks before stand. What was written of a chunk for which the disk has no room is cut
off again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mcap.writer import CompressionType, Writer

from edge.errors import FaultError, UsageError
from edge.recording.messages import MESSAGE_ENCODING, RECORDS
from edge.sinks.records import json_schema

__all__ = ["CHUNK_S", "McapFile", "QuotaReachedError", "sync_folder"]

CHUNK_S = 1.0
CHUNK_BYTES = 8 * 1024 * 1024
_OVERHEAD_BYTES = 128
"""Of each message and chunk, with its place in the indexes; rather too much."""
_SUMMARY_BYTES = 128 * 1024
"""Kept free of the quota for what closes the file."""


class QuotaReachedError(Exception):
    """The file would grow beyond its quota. It can still be closed in order."""


class McapFile:
    """A new file, for its owner's eyes only, of at most ``quota`` bytes (None: no limit).

    OSError from any call means that nothing more can be written; the file then ends with its last whole chunk.
    """

    def __init__(self, path: Path, topics: Iterable[str], quota: int | None = None) -> None:
        self.path = path
        self._topics, self._quota = tuple(topics), quota
        self._out: _Out | None = None
        self._channels: dict[str, int] = {}
        self._counts = dict.fromkeys(self._topics, 0)
        self._whole = self._waiting = self._overhead = 0  # bytes on the disk, of the chunk to come, of the indexes
        self._since: tuple[int, float] | None = None  # stream and monotonic time of the chunk's first message
        self._synced_s = -math.inf

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._whole

    def open(
        self, metadata: Mapping[str, Mapping[str, str]] | None = None, attachments: Mapping[str, bytes] | None = None
    ) -> None:
        """Make the file and write what is known at the start.

        UsageError when there is such a file already, or none can be made; FaultError, and no file is left, when the
        disk has no room for that.
        """
        self._out = _Out(_created(self.path))
        try:
            self._begin(self._out, metadata or {}, attachments or {})
        except OSError as error:
            self._release()
            self.path.unlink(missing_ok=True)
            raise FaultError(f"{self.path}: {error.strerror}; make room and try again") from error

    def _begin(self, out: _Out, metadata: Mapping[str, Mapping[str, str]], attachments: Mapping[str, bytes]) -> None:
        self._writer = Writer(out, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)  # type: ignore[arg-type]
        self._writer.start("mmrphys", "mmrphys-edge")
        for name, pairs in metadata.items():
            self._writer.add_metadata(name, dict(pairs))
        for name, data in attachments.items():
            self._writer.add_attachment(0, 0, name, "application/json", data)
        for topic in self._topics:
            self._channels[topic] = self._channel(topic)
        sync_folder(self.path.parent)
        self._whole = out.size

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int, now_s: float) -> None:
        """Add one message. A second of ``log_ns`` (stream time, rising) or of ``now_s`` (monotonic) ends the chunk.

        QuotaReachedError, with nothing added, when there is no room for it.
        """
        size = len(data) + _OVERHEAD_BYTES
        reserve = self._overhead + _OVERHEAD_BYTES + _SUMMARY_BYTES
        if self._quota is not None and self._whole + self._waiting + size + reserve > self._quota:
            raise QuotaReachedError
        number = self._channels[topic]
        with self._cut_when_full():
            self._writer.add_message(number, max(log_ns, 0), data, max(publish_ns, 0), self._counts[topic])
        self._counts[topic] = (self._counts[topic] + 1) % (1 << 32)
        self._waiting += size
        self._since = self._since or (log_ns, now_s)
        if log_ns - self._since[0] >= CHUNK_S * 1e9 or self._waiting > CHUNK_BYTES:
            self.flush(now_s)
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Time passes: write the chunk when it is a second old, and see it through to the disk once a second."""
        if self._since is not None and now_s - self._since[1] >= CHUNK_S:
            self.flush(now_s)

    def flush(self, now_s: float) -> None:
        """Write the chunk."""
        assert self._out is not None, "open first"
        with self._cut_when_full():
            self._writer.flush()  # type: ignore[no-untyped-call]  # mcap leaves out its None
            if now_s - self._synced_s >= CHUNK_S:
                os.fdatasync(self._out.fd)
                self._synced_s = now_s
        self._overhead += _OVERHEAD_BYTES * (1 + self._waiting // CHUNK_BYTES)
        self._whole, self._waiting, self._since = self._out.size, 0, None

    def close(self) -> None:
        """Write the rest and the indexes; may be called twice, and after an OSError."""
        if self._out is None:
            return
        self.flush(math.inf)
        with self._cut_when_full():
            self._writer.finish()  # type: ignore[no-untyped-call]  # mcap leaves out its None
            os.fsync(self._out.fd)
        self._whole = self._out.size
        self._release()

    def _channel(self, topic: str) -> int:
        if topic != RECORDS:
            return self._writer.register_channel(topic, MESSAGE_ENCODING, 0)
        schema = self._writer.register_schema("mmrphys.record.1", "jsonschema", json.dumps(json_schema()).encode())
        return self._writer.register_channel(topic, "json", schema)

    @contextlib.contextmanager
    def _cut_when_full(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            if self._out is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._out.fd, self._whole)
                self._release()
            raise

    def _release(self) -> None:
        if self._out is not None:
            os.close(self._out.fd)
        self._out = None


class _Out:
    """The file as a stream without a buffer: what failed to be written is not tried again behind our back."""

    def __init__(self, fd: int) -> None:
        self.fd, self.size = fd, 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            count = os.write(self.fd, rest)
            self.size += count
            rest = rest[count:]
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing waits."""


def _created(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already; name a new file") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a file in a folder you may write to") from error


def sync_folder(folder: Path) -> None:
    """Bring the name of a new file to the disk: its bytes are of no use after a power cut without it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(fd)
