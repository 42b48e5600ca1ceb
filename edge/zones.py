"""Zones: named rectangles of the picture, a bed each, and which face is in which.

Records go by zone. A face belongs to the first zone that holds the middle of its box, and stays there until it is a
quarter of its side outside, so that one at a border does not change zones with every breath.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy.typing as npt
from msgspec import Meta

from edge.clips.crop import Box
from edge.errors import UsageError
from edge.faces import Detection, Detector
from edge.faces.track import FaceTrack

__all__ = ["WHOLE", "InZones", "Seats", "TopicName", "Zone", "zone_from_text"]

TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="letters, digits, - and _, at most 64")]
"""A name that can stand as one level of an MQTT topic."""
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Edges = tuple[Share, Share, Share, Share]

WHOLE: Edges = (0.0, 0.0, 1.0, 1.0)
_STAY = 0.25
"""How far, in sides, a face's middle may be outside its zone before it has left."""
_NEAR = 0.5
"""Faces this far outside every zone are still followed, since they may be on their way."""


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``box`` is left, top, right, bottom as shares of the picture as it stands after rotation."""

    name: TopicName
    box: Edges = WHOLE

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (left < right and top < bottom):
            raise ValueError(f"zone {self.name} has box {list(self.box)}; want left < right and top < bottom")

    def covers(self, other: Zone) -> bool:
        """Whether the other zone lies within this one."""
        low, high = zip(self.box[:2], other.box[:2], strict=True), zip(self.box[2:], other.box[2:], strict=True)
        return all(mine <= its for mine, its in low) and all(mine >= its for mine, its in high)

    def holds(self, face: Box, shape: tuple[int, ...], margin: float = 0.0) -> bool:
        """Whether the middle of a face box (pixels of a picture ``[H, W]``) is inside, or ``margin`` sides out."""
        (x, y), reach = face.centre, margin * max(face.w, face.h)
        left, right = self.box[0] * shape[1] - reach, self.box[2] * shape[1] + reach
        top, bottom = self.box[1] * shape[0] - reach, self.box[3] * shape[0] + reach
        return left <= x <= right and top <= y <= bottom


def zone_from_text(text: str) -> Zone:
    """The zone of ``NAME=x0,y0,x1,y1``, or of ``NAME`` the whole picture.

    Raises
    ------
    UsageError
        Another form, or values that make no zone.
    """
    name, equals, box = text.partition("=")
    try:
        numbers = tuple(float(part) for part in box.split(",")) if equals else WHOLE
        return msgspec.convert({"name": name, "box": numbers}, Zone)
    except (ValueError, msgspec.ValidationError) as error:
        wanted = "want NAME=LEFT,TOP,RIGHT,BOTTOM in shares of the picture, for example bed-1=0,0,0.5,1"
        raise UsageError(f"--zone {text}: {error}; {wanted}") from error


class Seats:
    """Which face is in which zone, over time."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._zone_of: dict[int, Zone] = {}

    def assign(self, tracks: Iterable[FaceTrack], shape: tuple[int, ...]) -> dict[str, list[FaceTrack]]:
        """The faces in each zone of a picture ``[H, W]``; those outside all zones are in none."""
        seated: dict[str, list[FaceTrack]] = {zone.name: [] for zone in self._zones}
        zone_of = {}
        for track in tracks:
            zone = self._zone(track, shape)
            if zone is not None:
                zone_of[track.person] = zone
                seated[zone.name].append(track)
        self._zone_of = zone_of
        return seated

    def _zone(self, track: FaceTrack, shape: tuple[int, ...]) -> Zone | None:
        before = self._zone_of.get(track.person)
        if before is not None and before.holds(track.box, shape, _STAY):
            return before
        return next((zone for zone in self._zones if zone.holds(track.box, shape)), None)


class InZones:
    """A detector that sees what another sees in or near the zones: visitors elsewhere take nobody's place."""

    def __init__(self, detector: Detector, zones: Sequence[Zone]) -> None:
        self._detector, self._zones = detector, tuple(zones)

    def detect(self, image: npt.NDArray[Any], /) -> list[Detection]:
        """Faces in or near a zone, most certain first."""
        return [
            face
            for face in self._detector.detect(image)
            if any(zone.holds(face.box, image.shape, _NEAR) for zone in self._zones)
        ]
