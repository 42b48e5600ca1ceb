from __future__ import annotations

import pytest

from edge.clips.crop import Box
from edge.errors import UsageError
from edge.faces import Detection
from edge.faces.track import FaceTrack
from edge.zones import InZones, Seats, Zone, zone_from_text

SHAPE = (100, 200, 3)
LEFT, RIGHT = Zone("left", (0.0, 0.0, 0.5, 1.0)), Zone("right", (0.5, 0.0, 1.0, 1.0))


def face(x: float, person: int = 0, side: float = 20.0, y: float = 50.0) -> FaceTrack:
    return FaceTrack(person, Box(x - side / 2, y - side / 2, side, side), moved=False, seen_ns=0, score=1.0)


def zone_of(seats: Seats, x: float) -> str | None:
    return next((name for name, tracks in seats.assign([face(x)], SHAPE).items() if tracks), None)


def test_a_face_is_where_its_middle_is_and_stays_until_it_is_well_outside() -> None:
    seats = Seats([LEFT, RIGHT])
    assert [zone_of(seats, x) for x in (90, 102, 104.9, 105.1, 98, 94.9)] == [
        "left", "left", "left", "right", "right", "left",
    ]  # fmt: skip


def test_a_face_outside_all_zones_is_nowhere() -> None:
    seats = Seats([Zone("bed", (0.0, 0.0, 0.25, 0.5))])
    assert zone_of(seats, 100) is None
    assert seats.assign([], SHAPE) == {"bed": []}


def test_who_came_first_stands_first() -> None:
    seated = Seats([LEFT, RIGHT]).assign([face(60, 4), face(30, 7), face(150, 5)], SHAPE)
    assert {name: [track.person for track in tracks] for name, tracks in seated.items()} == {
        "left": [4, 7],
        "right": [5],
    }


def test_a_detector_in_zones_sees_what_is_in_or_near_them() -> None:
    class Both:
        def detect(self, image: object, /) -> list[Detection]:
            return [Detection(face(x).box, 1.0) for x in (30, 58, 62, 150)]

    import numpy as np

    zoned = InZones(Both(), [Zone("bed", (0.0, 0.0, 0.25, 1.0))])
    assert [one.box.centre[0] for one in zoned.detect(np.zeros(SHAPE, np.uint8))] == [30, 58]


def test_a_zone_is_read_from_text() -> None:
    assert zone_from_text("bed-1=0,0.1,0.5,1") == Zone("bed-1", (0.0, 0.1, 0.5, 1.0))
    assert zone_from_text("bed-1") == Zone("bed-1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bed=0,0,1", "want NAME=LEFT,TOP,RIGHT,BOTTOM"),
        ("bed=0,0,1,x", "could not convert"),
        ("bed=0.5,0,0.5,1", "left < right"),
        ("bed=0,0,2,1", "<= 1"),
        ("bed=0,0,nan,1", "bed=0,0,nan,1"),
        ("ward/7=0,0,1,1", "ward/7"),
        ("=0,0,1,1", "NAME"),
    ],
)
def test_a_wrong_zone_is_explained_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        zone_from_text(text)
    assert "\n" not in str(caught.value)


def test_one_zone_may_cover_another() -> None:
    assert Zone("room").covers(LEFT)
    assert not LEFT.covers(RIGHT)
