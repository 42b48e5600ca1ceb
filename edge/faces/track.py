"""One face over time: when to look for it, where its box stands, and when it is lost.

Everything is scheduled by frame stamps: a detection once a second, and five a second while there is no face or one is
in doubt. Two detections in a row must agree before a face is believed or a box jumps, so one false alarm moves nothing.
While nobody is followed the second comes right after the first. A face is lost when no detection agreed with its box
for 1.5 s, so one miss loses nothing.

A box that follows each detection would shake what the model sees. Here it stands still while detections stay within a
tenth of its side or so, and otherwise glides to the new place through two low-pass stages, which damp 1 Hz to 3 %.

One face is followed here: of several, the largest and most central. ``crowd.py`` follows several.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from edge.clips.crop import Box
from edge.faces import Detection, Detector
from edge.faces.glide import Glide, distance, prominence, square
from edge.faces.looks import Lag, Look, Looks
from edge.frames import Frame

__all__ = ["FaceTrack", "FaceTracker", "LookingTracker", "Tracker", "TrackerConfig"]

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """When to look, and how a box moves. Shares are of the face's side."""

    look_every_s: float = 1.0
    search_every_s: float = 0.2
    """Between detections while there is no face, or one is in doubt."""
    confirm_after_s: float = 0.0
    """From the first detection of a face to the second, while nobody is followed: the next frame."""
    lost_after_s: float = 1.5
    """Counted from the newest detection that agreed."""
    dead_band_share: float = 0.08
    """A detection this near the box's goal leaves it where it is."""
    jump_share: float = 0.35
    """One farther than this is another place: the box is set there, not moved."""
    glide_s: float = 1.0
    """Time constant of each of the two low-pass stages."""


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """Where a face is now. ``box`` is the smoothed face box (square, not enlarged) in pixels of the frame.

    ``person`` stays from found until lost, and is never used again. ``moved`` is True on the one frame at which the box
    was set anew (found, or jumped): windows before it show something else. ``seen_ns`` is the stamp of the newest
    detection that agreed, ``score`` that detection's.
    """

    person: int
    box: Box
    moved: bool
    seen_ns: int
    score: float

    @property
    def side_px(self) -> float:
        """Side of the face in camera pixels."""
        return max(self.box.w, self.box.h)


class Tracker(Protocol):
    """Says where the faces are in each frame, in stamp order."""

    @property
    def detections(self) -> int:
        """Runs of a detector since the start."""

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        """The faces at this frame, each with a ``person`` of its own; empty while there is none."""

    def pace(self, look_every_s: float) -> None:
        """From here on run a detector so often where the face is sure."""


class LookingTracker:
    """What all trackers share: the looks, and how often they come.

    Without ``lag`` a detection applies to the very frame it was made on, so the boxes depend on frames and stamps
    alone; with it they depend on the number of frames too, and still not on how long anything takes.
    """

    def __init__(self, detector: Detector, config: TrackerConfig | None = None, lag: Lag | None = None) -> None:
        self._looks = Looks(detector, lag)
        self._config = config or TrackerConfig()
        self._persons = 0

    @property
    def detections(self) -> int:
        """Runs of the detector since the start."""
        return self._looks.count

    def pace(self, look_every_s: float) -> None:
        """From here on look so often where all faces are sure."""
        self._config = replace(self._config, look_every_s=look_every_s)

    def _look(self, frame: Frame, *, follows: bool, sure: bool, doubts: bool) -> Look | None:
        """The look that applies at this frame.

        Whether anybody is followed, all who are were seen by the last look, and it saw somebody who is not believed.
        """
        config = self._config
        if follows:
            return self._looks.step(frame, config.look_every_s if sure else config.search_every_s)
        return self._looks.step(frame, config.confirm_after_s if doubts else config.search_every_s, at_once=True)


class FaceTracker(LookingTracker):
    """``step`` it with every frame in stamp order; the detector runs only when a look is due."""

    def __init__(self, detector: Detector, config: TrackerConfig | None = None, lag: Lag | None = None) -> None:
        super().__init__(detector, config, lag)
        self._track: FaceTrack | None = None
        self._glide = Glide(self._config.glide_s)
        self._candidate: Detection | None = None

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        """The face at this frame; empty while there is none (not found yet, or lost)."""
        if self._looks.resized(frame):
            self._track = self._candidate = None
        track = self._track
        if track is not None:
            self._track = track = replace(track, box=self._glide.at(frame.pts_ns), moved=False)
        sure = track is not None and track.seen_ns == self._looks.begun_ns
        look = self._look(frame, follows=track is not None, sure=sure, doubts=self._candidate is not None)
        if look is not None:
            self._take(frame.pts_ns, look)
        return () if self._track is None else (self._track,)

    def _take(self, pts_ns: int, look: Look) -> None:
        """Confirm the box, or set it where two detections in a row agree, or lose it."""
        track, jump = self._track, self._config.jump_share
        known = [face for face in look.found if track is not None and distance(face.box, track.box) <= jump]
        if track is not None and known:
            self._confirm(track, look.pts_ns, min(known, key=lambda face: distance(face.box, track.box)))
            return
        doubt = self._candidate
        self._candidate = max(look.found, key=lambda face: prominence(face.box, self._looks.shape), default=None)
        if doubt and self._candidate and distance(doubt.box, self._candidate.box) <= jump:
            self._place(pts_ns, look.pts_ns, self._candidate)
        elif track is not None and look.pts_ns - track.seen_ns > round(self._config.lost_after_s * NS_PER_S):
            self._track = None

    def _confirm(self, track: FaceTrack, seen_ns: int, face: Detection) -> None:
        self._candidate = None
        self._track = replace(track, seen_ns=seen_ns, score=face.score)
        if distance(face.box, self._glide.goal) > self._config.dead_band_share:
            self._glide.goal = square(face.box)

    def _place(self, pts_ns: int, seen_ns: int, face: Detection) -> None:
        """Set the box anew; after a loss that is another person."""
        self._candidate = None
        self._glide.place(pts_ns, square(face.box))
        if self._track is None:
            self._persons += 1
        self._track = FaceTrack(self._persons - 1, self._glide.goal, moved=True, seen_ns=seen_ns, score=face.score)
