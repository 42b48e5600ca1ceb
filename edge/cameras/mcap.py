"""A recording of our own as a camera: ``mcap:FILE``, RGB or thermal, with the stamps of the recorded camera.

RGB needs a recording with whole pictures (``mmrphys record --full-frames``). One with faces alone is replayed by
``mmrphys replay``, which takes the faces as they were found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from edge.cameras import Camera
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.recording.messages import FrameHead, frame_from_message, message_from_bytes
from edge.recording.reader import McapReader, Message
from edge.uri import Uri, query_as

__all__ = ["McapCamera", "from_uri"]


class McapCamera:
    """The frames of one kind in a recording, in the order in which they came.

    A recording that was cut short ends with an InputError after its last whole frame.
    """

    live = False

    def __init__(self, target: str, kind: FrameKind) -> None:
        self._path = Path(target)
        self.name = f"mcap:{target}"
        self.kind: FrameKind = kind
        self._frames: Iterator[Frame] = iter(())
        self._first: Frame | None = None

    def open(self) -> None:
        """Open and find the first frame; InputError when there is none."""
        self._frames = self._all_frames()
        self._first = next(self._frames, None)
        if self._first is None:
            raise InputError(f"{self.name} holds no {self.kind} frames; want a file of mmrphys record")

    def read(self) -> Frame | None:
        """The next frame; None at the end. InputError where the file is damaged or cut short."""
        first, self._first = self._first, None
        return first or next(self._frames, None)

    def close(self) -> None:
        """Release the file."""
        self._frames, self._first = iter(()), None

    def _all_frames(self) -> Iterator[Frame]:
        reader = McapReader(self._path)
        for item in reader:
            if isinstance(item, Message) and item.topic == f"/{self.kind}":
                yield self._frame(item.data)
        if reader.end:
            raise InputError(
                f"{self.name}: {reader.end}; what came before is kept, mmrphys recover makes the file whole"
            )

    def _frame(self, message: bytes) -> Frame:
        head, data = message_from_bytes(message, FrameHead)
        if head.kind != self.kind:
            raise InputError(f"{self.name}: a {head.kind} frame among {self.kind} frames; the file is damaged")
        if not head.pixels:
            whole = "use mmrphys replay, or record with --full-frames"
            raise InputError(f"{self.name} holds faces and no whole pictures; {whole}")
        return frame_from_message(head, data)


class _NoQuery(msgspec.Struct):
    pass


def from_uri(uri: Uri, kind: FrameKind) -> Camera:
    """The camera for ``mcap:FILE``; UsageError without a file, or with a parameter."""
    query_as(uri, _NoQuery)
    if not uri.target:
        raise UsageError("mcap: names no file; write mcap:FILE.mcap")
    return McapCamera(uri.target, kind)
