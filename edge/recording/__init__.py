"""Recordings: an MCAP file of what the pipeline was given and what it gave, from which the very same can be made again.

    messages pixels   what one message holds · pixels without loss, in a form that compresses
    writer reader     one MCAP file, whole after every second · bounded reading of a file that may be cut or foreign
    recorder crops    from a run into a file, on a thread of its own · which rectangles of a picture are kept
    replay run        from a file into a run · its wiring
    verify            the records inside against those made again
    recover           a cut file becomes a whole one
    cli               the commands ``record``, ``replay``, ``recover``

A picture is recorded as the parts of it that the pipeline read (the enlarged face), and the box of each face beside
them: a replay takes the boxes as they were found, so that nobody has to look for faces in pictures that are not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.clips.crop import Box
from edge.errors import MmrphysError
from edge.faces.track import FaceTrack
from edge.frames import Frame, FrameKind
from edge.sinks.records import EventCode, Record, Severity

__all__ = ["NO_RECORDING", "RecordingPlan", "Tape"]


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """What to record, and where to. ``quota`` is in bytes, None for no limit; ``consent`` is a note for the file."""

    path: Path
    full_frames: bool = False
    quota: int | None = None
    consent: str = "not stated"


class Tape(Protocol):
    """What a run tells while it runs: each input of the pipeline before it is given, and each record."""

    @property
    def over(self) -> str:
        """Why the recording ended before the run, in words; empty while it goes on."""

    def pushed(self, frame: Frame) -> None:
        """The pipeline is given a frame."""

    def sighted(self, rgb: Frame, tracks: tuple[FaceTrack, ...], detections: int, regions: Iterable[Box]) -> None:
        """The pipeline found these faces in a frame and read these parts of it (:data:`edge.pipeline.Watch`)."""

    def idled(self, now_ns: int) -> None:
        """The pipeline is told the time."""

    def paced(self, hop_s: float, face_every_s: float, why: str) -> None:
        """The pipeline is told to look less often, or as often again."""

    def noticed(self, code: EventCode, severity: Severity, text: str) -> None:
        """A sink tells of something that happened to the device: an event that no frame gives."""

    def ended(self, kind: FrameKind, error: str | None) -> None:
        """The pipeline is told that a camera gives no more; ``error`` is how it broke."""

    def finished(self, reason: str) -> None:
        """The pipeline is told that nothing more comes."""

    def record(self, record: Record, pts_ns: int) -> None:
        """A record is sent."""

    def close(self) -> MmrphysError | None:
        """Write what waits and close; gives what went wrong. May be called twice."""


class _NoTape:
    over = ""

    def pushed(self, frame: Frame) -> None: ...

    def sighted(self, rgb: Frame, tracks: tuple[FaceTrack, ...], detections: int, regions: Iterable[Box]) -> None: ...

    def idled(self, now_ns: int) -> None: ...

    def paced(self, hop_s: float, face_every_s: float, why: str) -> None: ...

    def noticed(self, code: EventCode, severity: Severity, text: str) -> None: ...

    def ended(self, kind: FrameKind, error: str | None) -> None: ...

    def finished(self, reason: str) -> None: ...

    def record(self, record: Record, pts_ns: int) -> None: ...

    def close(self) -> None: ...


NO_RECORDING: Tape = _NoTape()
"""The tape of a run that is not recorded."""
