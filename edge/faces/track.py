"""One face over time: when to look for it, where its box stands, and when it is lost.

Everything is scheduled by frame stamps: a detection once a second, and five a second while there is no face or one is
in doubt. Two detections in a row must agree before a face is believed or a box jumps, so one false alarm moves nothing.
A face is lost when no detection agreed with its box for 1.5 s, so one miss loses nothing.

A box that follows each detection would shake what the model sees. Here it stands still while detections stay within a
tenth of its side or so, and otherwise glides to the new place through two low-pass stages, which damp 1 Hz to 3 %.

For now one face is followed: of several, the largest and most central. ``person`` already tells faces apart over time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box
from edge.faces import Detection, Detector
from edge.frames import Frame

__all__ = ["FaceTrack", "FaceTracker", "Tracker", "TrackerConfig"]

NS_PER_S = 1_000_000_000
STILL_SHARE = 2e-4
"""A gliding box this near its goal (share of the side) is there."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """When to look, and how a box moves. Shares are of the face's side."""

    look_every_s: float = 1.0
    search_every_s: float = 0.2
    """Between detections while there is no face, or one is in doubt."""
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
    """Says where the face is in each RGB frame, in stamp order."""

    @property
    def detections(self) -> int:
        """Runs of a detector since the start."""

    def step(self, frame: Frame) -> FaceTrack | None:
        """The face at this frame; None while there is none."""


class FaceTracker:
    """``step`` it with every RGB frame in stamp order; the detector runs only when a look is due.

    A detection applies to the very frame it was made on, so the boxes depend on frames and stamps alone.
    """

    def __init__(self, detector: Detector, config: TrackerConfig | None = None) -> None:
        self._detector = detector
        self._config = config or TrackerConfig()
        self._track: FaceTrack | None = None
        self._glide = _Glide(self._config.glide_s)
        self._candidate: Detection | None = None
        self._looked_ns: int | None = None
        self._shape: tuple[int, ...] = ()
        self._persons = 0
        self._detections = 0

    @property
    def detections(self) -> int:
        """Runs of the detector since the start."""
        return self._detections

    def step(self, frame: Frame) -> FaceTrack | None:
        """The face at this RGB frame; None while there is none (not found yet, or lost)."""
        if frame.image.shape != self._shape:  # another picture: no box holds in it
            self._shape, self._track, self._candidate, self._looked_ns = frame.image.shape, None, None, None
        if self._track is not None:
            self._track = replace(self._track, box=self._glide.at(frame.pts_ns), moved=False)
        if self._is_due(frame.pts_ns):
            self._looked_ns = frame.pts_ns
            self._detections += 1
            self._look(frame.pts_ns, self._detector.detect(frame.image.astype(np.uint8, copy=False)))
        return self._track

    def _is_due(self, pts_ns: int) -> bool:
        if self._looked_ns is None:
            return True
        sure = self._track is not None and self._track.seen_ns == self._looked_ns
        every_s = self._config.look_every_s if sure else self._config.search_every_s
        return pts_ns - self._looked_ns >= round(every_s * NS_PER_S)

    def _look(self, pts_ns: int, found: list[Detection]) -> None:
        """Confirm the box, or set it where two detections in a row agree, or lose it."""
        track, jump = self._track, self._config.jump_share
        known = [face for face in found if track is not None and _distance(face.box, track.box) <= jump]
        if track is not None and known:
            self._confirm(track, pts_ns, min(known, key=lambda face: _distance(face.box, track.box)))
            return
        doubt, self._candidate = self._candidate, _most_prominent(found, self._shape)
        if doubt and self._candidate and _distance(doubt.box, self._candidate.box) <= jump:
            self._place(pts_ns, self._candidate)
        elif track is not None and pts_ns - track.seen_ns > round(self._config.lost_after_s * NS_PER_S):
            self._track = None

    def _confirm(self, track: FaceTrack, pts_ns: int, face: Detection) -> None:
        self._candidate = None
        self._track = replace(track, seen_ns=pts_ns, score=face.score)
        if _distance(face.box, self._glide.goal) > self._config.dead_band_share:
            self._glide.goal = _square(face.box)

    def _place(self, pts_ns: int, face: Detection) -> None:
        """Set the box anew; after a loss that is another person."""
        self._candidate = None
        self._glide.place(pts_ns, _square(face.box))
        if self._track is None:
            self._persons += 1
        self._track = FaceTrack(self._persons - 1, self._glide.goal, moved=True, seen_ns=pts_ns, score=face.score)


class _Glide:
    """A box on its way to ``goal``: centre and side each pass two first-order low-pass stages, stepped by stamps."""

    def __init__(self, stage_s: float) -> None:
        self.goal = Box(0.0, 0.0, 1.0, 1.0)
        self._stage_ns = stage_s * NS_PER_S
        self._first = self._second = _centre_side(self.goal)
        self._at_ns = 0

    def place(self, pts_ns: int, box: Box) -> None:
        """Be at ``box`` and stay."""
        self.goal, self._at_ns = box, pts_ns
        self._first = self._second = _centre_side(box)

    def at(self, pts_ns: int) -> Box:
        """The box at a stamp, not before the last one asked for; exactly the goal once it is as good as there."""
        share = -math.expm1(-(pts_ns - self._at_ns) / self._stage_ns)
        goal = _centre_side(self.goal)
        self._at_ns = pts_ns
        self._first = self._first + share * (goal - self._first)
        self._second = self._second + share * (self._first - self._second)
        if np.abs(self._second - goal).max() < STILL_SHARE * goal[2]:
            return self.goal
        x, y, side = (float(value) for value in self._second)
        return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def _centre_side(box: Box) -> npt.NDArray[np.float64]:
    return np.array([*box.centre, max(box.w, box.h)])


def _square(box: Box) -> Box:
    (x, y), side = box.centre, max(box.w, box.h)
    return Box(x - 0.5 * side, y - 0.5 * side, side, side)


def _distance(box: Box, other: Box) -> float:
    """How far ``box`` is from ``other``, in sides of ``other``: the larger of shift and change of size."""
    x, y, side = (_centre_side(box) - _centre_side(other)) / max(other.w, other.h)
    return float(max(math.hypot(x, y), abs(side)))


def _most_prominent(found: list[Detection], shape: tuple[int, ...]) -> Detection | None:
    """The largest face, where one at a corner of the picture counts half as large as one in its middle."""
    middle = np.array([shape[1], shape[0]]) / 2.0

    def prominence(face: Detection) -> float:
        off_centre = np.linalg.norm((face.box.centre - middle) / middle) / math.sqrt(2.0)
        return max(face.box.w, face.box.h) * float(1.0 - 0.5 * off_centre)

    return max(found, key=prominence, default=None)
