"""From a file into a run: the pipeline's inputs in the order of the recording, and the faces as they were found.

What is read next is always what was written next: a frame, then, at the moment at which the pipeline asks where its
faces are, the sighting that the same pipeline caused at the same moment. A pipeline that asks in another order still
gets its answers, within a bounded distance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.errors import InputError
from edge.faces.track import FaceTrack
from edge.frames import Frame
from edge.recording.messages import (
    CALLS,
    FACES,
    FORMAT,
    METADATA,
    RECORDS,
    RGB,
    THERMAL,
    Call,
    FrameHead,
    Session,
    Sighting,
    canvas,
    frame_from_message,
    message_from_bytes,
    paste,
)
from edge.recording.reader import Attachment, Item, McapReader, Message, Metadata

__all__ = ["RecordedTracker", "Recording", "session_of"]

_FAR, _FAR_BYTES = 1024, 256 * 1024 * 1024
"""Messages and bytes held for later, at most: the pipeline itself holds no more than 64 frames of a kind."""


class Recording:
    """One pass over a file. ``session`` and ``attachments`` are there from the start.

    ``turns`` gives the inputs; ``sighting`` what was seen in a frame; ``recorded`` is called with each record that the
    file holds, in order, as it is passed. ``complete`` tells afterwards whether the recorded run came to its end.
    """

    def __init__(self, path: Path, recorded: Callable[[bytes], None] | None = None) -> None:
        self.path = path
        self.complete = False
        self.attachments: dict[str, bytes] = {}
        self._recorded = recorded or (lambda _line: None)
        self._reader = McapReader(path)
        self._items = iter(self._reader)
        self._ahead: deque[Message] = deque()
        self._sightings: dict[int, tuple[Sighting, bytes]] = {}
        self.session = self._begin()

    @property
    def cut(self) -> str:
        """How the file ends, when not as it should; empty otherwise."""
        return self._reader.end

    def turns(self) -> Iterator[Frame | Call]:
        """Frames and calls in order; ends with the call ``finish``, or where the file ends.

        Pixels of RGB frames of which only parts were kept come with :meth:`sighting`.
        """
        while (message := self._ahead.popleft() if self._ahead else self._message()) is not None:
            if message.topic == CALLS:
                call = self._decoded(message, Call)[0]
                self.complete = call.call == "finish"
                yield call
            elif message.topic in {RGB, THERMAL}:
                yield self._frame(message)
            elif message.topic == FACES:
                self._store(message)

    def sighting(self, frame: Frame) -> Sighting | None:
        """What was seen in an RGB frame of :meth:`turns`, whose missing pixels are put in place; None when nothing is.

        InputError for a damaged file.
        """
        while frame.pts_ns not in self._sightings and _fits(len(self._ahead), (m.data for m in self._ahead)):
            message = self._message()
            if message is None:
                break
            if message.topic == FACES:
                self._store(message)
            else:
                self._ahead.append(message)
        if frame.pts_ns not in self._sightings:
            return None
        sighting, data = self._sightings.pop(frame.pts_ns)
        try:
            paste(frame.image, sighting, data)
        except InputError as error:
            raise self._damaged(error) from error
        return sighting

    def rest(self) -> None:
        """Pass what comes after the last turn: the last records."""
        while self._message() is not None:
            pass

    def _begin(self) -> Session:
        """Read up to the first message, which comes after metadata and attachments."""
        session = None
        for item in self._items:
            if isinstance(item, Message):
                self._ahead.append(item)
                break
            session = self._note(item) or session
        if session is None:
            raise InputError(f"{self.path} holds no recording of a run; want a file of mmrphys record")
        if self._ahead and self._ahead[0].topic == RECORDS:
            self._recorded(self._ahead.popleft().data)
        return session

    def _note(self, item: Item) -> Session | None:
        if isinstance(item, Attachment):
            self.attachments[item.name] = item.data
        if isinstance(item, Metadata) and item.name == METADATA:
            return session_of(item.pairs, str(self.path))
        return None

    def _message(self) -> Message | None:
        """The next message that is none of a record."""
        for item in self._items:
            if not isinstance(item, Message):
                continue
            if item.topic != RECORDS:
                return item
            self._recorded(item.data)
        return None

    def _frame(self, message: Message) -> Frame:
        head, data = self._decoded(message, FrameHead)
        if f"/{head.kind}" != message.topic:
            raise InputError(f"{self.path}: a {head.kind} frame stands in {message.topic}; the file is damaged")
        try:
            return frame_from_message(head, data, None if head.pixels else canvas(head))
        except InputError as error:
            raise self._damaged(error) from error

    def _store(self, message: Message) -> None:
        sighting, data = self._decoded(message, Sighting)
        self._sightings[sighting.pts_ns] = sighting, data
        while len(self._sightings) > 1 and not _fits(len(self._sightings), (d for _, d in self._sightings.values())):
            del self._sightings[next(iter(self._sightings))]

    def _decoded(self, message: Message, kind: type[Any]) -> tuple[Any, bytes]:
        try:
            return message_from_bytes(message.data, kind)
        except InputError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: InputError) -> InputError:
        return InputError(f"{self.path}: {error}; check where the file comes from")


def _fits(count: int, held: Iterable[bytes]) -> bool:
    return count < _FAR and sum(map(len, held)) < _FAR_BYTES


class RecordedTracker:
    """The tracker of a replay: says what the recorded one said."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._detections = 0

    @property
    def detections(self) -> int:
        """Runs of the recorded run's detector."""
        return self._detections

    def pace(self, look_every_s: float) -> None:
        """The recorded tracker was told so too: what it said then is what is said now."""

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        """The faces as they were found in this frame."""
        sighting = self._recording.sighting(frame)
        if sighting is None:
            return ()
        self._detections = sighting.detections
        return sighting.tracks


def session_of(pairs: dict[str, str], name: str) -> Session:
    """The session from the metadata of a file; InputError when it is of another format or damaged."""
    if pairs.get("format") != str(FORMAT):
        seen = pairs.get("format", "none")
        raise InputError(f"{name} has recording format {seen}; this version reads format {FORMAT}: use the other one")
    try:
        return msgspec.convert({key: _value(key, text) for key, text in pairs.items()}, Session)
    except msgspec.MsgspecError as error:
        raise InputError(f"{name} says nothing sound of its run: {error}") from error


_TEXTS = frozenset(field.name for field in msgspec.structs.fields(Session) if field.type is str)


def _value(key: str, text: str) -> Any:
    return text if key in _TEXTS else msgspec.json.decode(text)
