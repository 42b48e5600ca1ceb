"""Several faces over time, each with a number of its own that it keeps.

When to look, when to believe a face and how a box moves are as for one face (``track.py``). What is added:

* A detection belongs to the face whose place it is nearest to, where a walking face is expected further on its way.
  While one walks, detections come five a second.
* Where two faces are so near each other that a detection could be either, both are ``moved``: their windows begin anew,
  and once more when they are apart again. So two people's signals never share a window, whoever is called what.
* Who was lost and is found again near the same place within 10 s has the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.clips.crop import Box
from edge.faces import Detection, Detector
from edge.faces.glide import Glide, distance, prominence, square
from edge.faces.looks import Lag, Look
from edge.faces.track import FaceTrack, LookingTracker, TrackerConfig
from edge.frames import Frame

__all__ = ["CrowdTracker"]

NS_PER_S = 1_000_000_000
_ONE_FACE = 0.5
"""Detections this near each other (sides of the surer one) are the same face twice."""
_REACH = 2.0
"""A face in doubt that is found again within so many sides has jumped; farther off it is somebody else."""
_RETURN_SIDES, _RETURN_S = 1.0, 10.0
"""Who was lost and comes back this near and this soon is the same person."""
_EXPECT_S = 1.5
"""For so long a walking face is expected to walk on."""


class _Known:
    """A face that is followed: its box, and the newest detections that agreed."""

    def __init__(self, person: int, config: TrackerConfig) -> None:
        self.person = person
        self.glide = Glide(config.glide_s)
        self.track: FaceTrack
        self.torn = False
        """It could have been taken for another, and its windows have not begun anew since."""
        self.walks = False
        self._still = config.dead_band_share
        self._jump = config.jump_share
        self._speed = (0.0, 0.0)  # pixels per ns

    def place(self, pts_ns: int, seen_ns: int, face: Detection) -> None:
        """Set the box anew."""
        self.seen = square(face.box)
        self.glide.place(pts_ns, self.seen)
        self.track = FaceTrack(self.person, self.seen, moved=True, seen_ns=seen_ns, score=face.score)
        self.walks, self._speed = False, (0.0, 0.0)

    def step(self, pts_ns: int) -> None:
        """The next frame."""
        self.track = replace(self.track, box=self.glide.at(pts_ns), moved=False)

    def expected(self, pts_ns: int) -> Box:
        """Where a detection at ``pts_ns`` should find it."""
        ahead_ns = min(pts_ns - self.track.seen_ns, round(_EXPECT_S * NS_PER_S))
        (x, y), seen = self._speed, self.seen
        return Box(seen.x + x * ahead_ns, seen.y + y * ahead_ns, seen.w, seen.h)

    def confirm(self, pts_ns: int, seen_ns: int, face: Detection, *, torn: bool) -> None:
        """A detection agreed. ``torn``: it could have been another's."""
        box, before, passed_ns = square(face.box), self.seen, seen_ns - self.track.seen_ns
        walks = distance(box, before) > self._still
        if torn or self.torn or distance(box, self.track.box) > self._jump:
            self.place(pts_ns, seen_ns, face)
        else:
            self.seen = box
            self.track = replace(self.track, seen_ns=seen_ns, score=face.score)
            if distance(box, self.glide.goal) > self._still:
                self.glide.goal = box
        self.torn, self.walks = torn, walks
        (x, y), (x0, y0) = box.centre, before.centre
        self._speed = ((x - x0) / passed_ns, (y - y0) / passed_ns) if walks and passed_ns else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Gone:
    person: int
    box: Box
    seen_ns: int


class CrowdTracker(LookingTracker):
    """Follows up to ``people`` faces; ``step`` it with every frame in stamp order."""

    def __init__(
        self, detector: Detector, people: int, config: TrackerConfig | None = None, lag: Lag | None = None
    ) -> None:
        super().__init__(detector, config, lag)
        self._people = people
        self._known: list[_Known] = []
        self._gone: list[_Gone] = []
        self._candidates: list[Detection] = []

    def step(self, frame: Frame) -> tuple[FaceTrack, ...]:
        """The faces at this frame, who was found first in front."""
        if self._looks.resized(frame):
            self._known, self._gone, self._candidates = [], [], []
        for known in self._known:
            known.step(frame.pts_ns)
        still = all(known.track.seen_ns == self._looks.begun_ns and not known.walks for known in self._known)
        doubts = bool(self._candidates)
        look = self._look(frame, follows=bool(self._known), sure=still and not doubts, doubts=doubts)
        if look is not None:
            self._take(frame.pts_ns, look)
        return tuple(known.track for known in self._known)

    def _take(self, pts_ns: int, look: Look) -> None:
        faces = _once_each(look.found)
        near = [
            (apart, i, j)
            for i, known in enumerate(self._known)
            for j, face in enumerate(faces)
            if (apart := distance(face.box, known.expected(look.pts_ns))) <= self._config.jump_share
        ]
        torn = _in_twos(near, lambda pair: pair[2], lambda pair: pair[1])
        matched = _nearest_first(near)
        for i, known in enumerate(self._known):
            if i in matched:
                known.confirm(pts_ns, look.pts_ns, faces[matched[i]], torn=i in torn)
            else:
                known.torn = known.torn or i in torn
        self._find(pts_ns, look.pts_ns, [face for j, face in enumerate(faces) if j not in matched.values()])
        self._lose(look.pts_ns)

    def _find(self, pts_ns: int, seen_ns: int, unknown: list[Detection]) -> None:
        """Believe the most prominent of the unknown faces, as many as there is room for, that were there last time."""
        doubtful = [known for known in self._known if known.track.seen_ns != seen_ns]
        room = self._people - len(self._known) + len(doubtful)
        unknown.sort(key=lambda face: -prominence(face.box, self._looks.shape))
        before, self._candidates = self._candidates, unknown[:room]
        for face in tuple(self._candidates):
            if any(distance(one.box, face.box) <= self._config.jump_share for one in before):
                self._believe(pts_ns, seen_ns, face)

    def _believe(self, pts_ns: int, seen_ns: int, face: Detection) -> None:
        doubtful = [known for known in self._known if known.track.seen_ns != seen_ns]
        jumped = min(doubtful, key=lambda known: distance(face.box, known.seen), default=None)
        if jumped is None or distance(face.box, jumped.seen) > _REACH:
            if len(self._known) >= self._people:
                return
            jumped = _Known(self._number(seen_ns, face), self._config)
            self._known.append(jumped)
        jumped.place(pts_ns, seen_ns, face)
        self._candidates.remove(face)

    def _number(self, seen_ns: int, face: Detection) -> int:
        """The number of who was here a moment ago, or a new one."""
        since_ns = seen_ns - round(_RETURN_S * NS_PER_S)
        back = [g for g in self._gone if g.seen_ns >= since_ns and distance(face.box, g.box) <= _RETURN_SIDES]
        if back:
            same = min(back, key=lambda gone: distance(face.box, gone.box))
            self._gone.remove(same)
            return same.person
        self._persons += 1
        return self._persons - 1

    def _lose(self, seen_ns: int) -> None:
        limit_ns = seen_ns - round(self._config.lost_after_s * NS_PER_S)
        lost = [known for known in self._known if known.track.seen_ns < limit_ns]
        self._known = [known for known in self._known if known not in lost]
        since_ns = seen_ns - round(_RETURN_S * NS_PER_S)
        self._gone = [gone for gone in self._gone if gone.seen_ns >= since_ns]
        self._gone += [_Gone(known.person, known.seen, known.track.seen_ns) for known in lost]


def _once_each(found: list[Detection]) -> list[Detection]:
    """Without the less sure ones of detections of the same face."""
    kept: list[Detection] = []
    for face in found:
        (x, y) = face.box.centre
        places = [(one.box.centre, _ONE_FACE * max(one.box.w, one.box.h)) for one in kept]
        if all(max(abs(x - cx), abs(y - cy)) > reach for (cx, cy), reach in places):
            kept.append(face)
    return kept


Pair = tuple[float, int, int]
"""How far apart, which known face, which detection."""


def _nearest_first(near: list[Pair]) -> dict[int, int]:
    """One detection for each known face, nearest pairs first."""
    matched: dict[int, int] = {}
    for _, i, j in sorted(near):
        if i not in matched and j not in matched.values():
            matched[i] = j
    return matched


def _in_twos(near: list[Pair], *sides: Callable[[Pair], int]) -> set[int]:
    """The known faces of all pairs of which one side stands in another pair too."""
    torn = set()
    for side in sides:
        seen = [side(pair) for pair in near]
        torn |= {pair[1] for pair in near if seen.count(side(pair)) > 1}
    return torn
