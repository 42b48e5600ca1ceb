"""What somebody who aims the cameras has to know, without a pixel: where faces are, how bright, what thermal sees.

It is for a page beside the cameras and never part of a record. It costs something only while somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box, square_enlarged
from edge.clips.warp import corners_through, points_through, share_inside
from edge.frames import Frame
from edge.rig import FACE_MM, Plane, Rig

__all__ = ["FaceSeen", "Followed", "Lookout", "Sight"]

Followed = tuple[str, int, Box]
"""A face that is followed: its zone, its person, its box in pixels of the RGB picture."""

_EVERY_NS = 200_000_000
_STRIDE = 4
"""Of so many rows and columns of a picture one is looked at."""
_WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """One face.

    ``box`` is x, y, width, height in shares of the picture; ``level`` its brightest mean colour, 0 to 255.
    ``thermal_share``: how much of its region the thermal camera sees, 0..1, and ``distance_m`` how far it is, where a
    rig tells.
    """

    zone: str
    person: int
    box: tuple[float, float, float, float]
    side_px: float
    level: float
    thermal_share: float | None
    distance_m: float | None


@dataclass(frozen=True, slots=True)
class Sight:
    """What the cameras see at stream time ``pts_ns``.

    ``level`` is the brightest mean colour of the whole RGB picture, 0 to 255. ``thermal``: the corners of the thermal
    picture, in order round it, in shares of the RGB picture: all of it without a rig, for then both are taken to see
    the same field; None without a thermal camera. Frames farther apart in time than ``gate_ms`` make no pair.
    """

    pts_ns: int
    width_px: int
    height_px: int
    level: float
    faces: tuple[FaceSeen, ...]
    thermal: tuple[tuple[float, float], ...] | None
    gate_ms: float


class Lookout:
    """Keeps the newest :class:`Sight`. ``take`` belongs to the thread of the frames, ``newest`` to whoever asks.

    ``through_rig``: the thermal region is found through the rig, so that what thermal sees of a face can be told.
    """

    def __init__(self, rig: Rig, gate_ms: float, *, through_rig: bool = True) -> None:
        self._rig, self._gate_ms, self._through_rig = rig, gate_ms, through_rig
        self._wanted = False
        self._sight: Sight | None = None
        self._taken_ns: int | None = None
        self._thermal_shape: tuple[int, ...] | None = None

    def newest(self) -> Sight | None:
        """The newest there is, up to 0.2 s of stream time behind the frames when asked for more often than that."""
        self._wanted = True
        return self._sight

    def take(self, frame: Frame, followed: Iterable[Followed]) -> None:
        """The next frame, and the faces that are followed now."""
        if frame.kind == "thermal":
            self._thermal_shape = frame.image.shape if self._through_rig else None
            return
        if not self._wanted or (self._taken_ns is not None and 0 <= frame.pts_ns - self._taken_ns < _EVERY_NS):
            return
        self._wanted, self._taken_ns = False, frame.pts_ns
        height, width = frame.image.shape[:2]
        faces = tuple(self._face(frame, *face) for face in followed)
        plane = self._plane(faces[0].side_px if faces else 0.0)
        whole = _level(np.asarray(frame.image))
        outline = self._outline(frame.image.shape, plane)
        self._sight = Sight(frame.pts_ns, width, height, whole, faces, outline, self._gate_ms)

    def _face(self, frame: Frame, zone: str, person: int, box: Box) -> FaceSeen:
        shape, side_px = frame.image.shape, max(box.w, box.h)
        plane = self._plane(side_px)
        return FaceSeen(
            zone=zone,
            person=person,
            box=(box.x / shape[1], box.y / shape[0], box.w / shape[1], box.h / shape[0]),
            side_px=side_px,
            level=_level_within(np.asarray(frame.image), box),
            thermal_share=self._share(square_enlarged(box, shape), plane),
            distance_m=_distance_m(self._rig, plane, side_px),
        )

    def _plane(self, side_px: float) -> Plane | None:
        return self._rig.plane_for(side_px) if self._rig.planes else None

    def _share(self, region: Box, plane: Plane | None) -> float | None:
        if self._thermal_shape is None or plane is None:
            return None
        corners = corners_through(plane.matrix, region)
        return float(share_inside(corners, self._thermal_shape)) if np.isfinite(corners).all() else 0.0

    def _outline(self, shape: tuple[int, ...], plane: Plane | None) -> tuple[tuple[float, float], ...] | None:
        if self._thermal_shape is None or plane is None:
            return None if self._thermal_shape is None else _WHOLE
        ends = np.array(_WHOLE) * self._thermal_shape[1::-1]
        back = np.linalg.inv(plane.matrix)
        corners = points_through(back / back[2, 2], ends) / shape[1::-1]
        return tuple((float(x), float(y)) for x, y in corners) if np.isfinite(corners).all() else None


def _level(picture: npt.NDArray[np.generic]) -> float:
    """The mean of the brightest colour of ``[H, W, 3]``."""
    return float(picture[::_STRIDE, ::_STRIDE].reshape(-1, picture.shape[-1]).mean(axis=0, dtype=np.float64).max())


def _level_within(picture: npt.NDArray[np.generic], box: Box) -> float:
    """The same of the middle half of a box: skin, not hair and wall; 0 where that lies outside."""
    (x, y), (half_w, half_h) = box.centre, (box.w / 4, box.h / 4)
    inner = picture[max(0, int(y - half_h)) : int(y + half_h) + 1, max(0, int(x - half_w)) : int(x + half_w) + 1]
    return _level(inner) if inner.size else 0.0


def _distance_m(rig: Rig, plane: Plane | None, side_px: float) -> float | None:
    """By the board that the rig was made with, whose markers had a known size at a known distance."""
    if plane is None or plane.distance_mm is None or rig.marker_mm is None:
        return None
    return plane.distance_mm * plane.marker_px * FACE_MM / (rig.marker_mm * side_px) / 1000.0
