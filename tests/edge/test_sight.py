"""What the lookout tells of frames, with and without a rig."""

from __future__ import annotations

import numpy as np
import pytest

from edge.clips.crop import Box
from edge.frames import Frame
from edge.rig import FACE_MM, IDENTITY, CameraGeometry, Plane, Rig
from edge.sight import Lookout

S = 1_000_000_000
FACE = ("main", 3, Box(300.0, 200.0, 120.0, 120.0))
HALF = Plane(
    thermal_from_rgb=((0.25, 0.0, -80.0), (0.0, 0.25, 0.0), (0.0, 0.0, 1.0)),
    marker_px=40.0, views=("a",), markers=4, rmse_px=0.1, held_out_px=0.1, distance_mm=1000.0,
)  # fmt: skip
RIG = Rig(
    rgb=CameraGeometry(width=640, height=480), thermal=CameraGeometry(width=160, height=120), planes=(HALF,),
    marker_mm=FACE_MM / 4,
)  # fmt: skip


def rgb(pts_ns: int = 0, level: int = 40) -> Frame:
    image = np.full((480, 640, 3), level, np.uint8)
    image[200:320, 300:420] = (150, 100, 90)
    return Frame(image=image, pts_ns=pts_ns, clock="media", seq=0, kind="rgb")


def thermal() -> Frame:
    return Frame(image=np.full((120, 160), 30.0, np.float32), pts_ns=0, clock="media", seq=0, kind="thermal")


def asked(rig: Rig = IDENTITY) -> Lookout:
    lookout = Lookout(rig, 80.0)
    assert lookout.newest() is None
    return lookout


def test_nothing_is_measured_until_somebody_asks():
    lookout = Lookout(IDENTITY, 80.0)
    lookout.take(rgb(), [FACE])
    assert lookout.newest() is None
    lookout.take(rgb(S), [FACE])
    assert lookout.newest() is not None


def test_a_face_is_told_by_shares_and_its_own_light():
    lookout = asked()
    lookout.take(thermal(), [])
    lookout.take(rgb(7 * S), [FACE])
    sight = lookout.newest()
    (face,) = sight.faces
    assert (sight.pts_ns, sight.width_px, sight.height_px, sight.gate_ms) == (7 * S, 640, 480, 80.0)
    assert (face.zone, face.person, face.side_px) == ("main", 3, 120.0)
    assert face.box == pytest.approx((300 / 640, 200 / 480, 120 / 640, 120 / 480))
    assert face.level == pytest.approx(150.0)
    assert 40.0 < sight.level < 60.0
    assert (face.thermal_share, face.distance_m) == (None, None), "only a rig tells"
    assert sight.thermal == ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def test_without_a_thermal_camera_there_is_no_overlap():
    lookout = asked()
    lookout.take(rgb(), [FACE])
    assert lookout.newest().thermal is None
    assert lookout.newest().faces[0].thermal_share is None


def test_a_rig_tells_what_thermal_sees_and_how_far_the_face_is():
    lookout = asked(RIG)
    lookout.take(thermal(), [])
    lookout.take(rgb(), [FACE])
    sight = lookout.newest()
    assert np.allclose(sight.thermal, ((0.5, 0.0), (1.5, 0.0), (1.5, 1.0), (0.5, 1.0)))
    region = (270.0, 450.0)  # one and a half sides about the middle; thermal begins at 320
    assert sight.faces[0].thermal_share == pytest.approx((450 - 320) / (region[1] - region[0]), abs=1e-3)
    assert sight.faces[0].distance_m == pytest.approx(1.0 * 40.0 / (120.0 / 4))


def test_asked_often_it_measures_five_times_a_second_of_stream_time():
    lookout = asked()
    seen = set()
    for i in range(31):
        lookout.take(rgb(round(i * S / 30)), [FACE])
        seen.add(lookout.newest().pts_ns)
    assert len(seen) == 6
    lookout.take(rgb(0), [FACE])
    assert lookout.newest().pts_ns == 0, "the stream began anew"


def test_a_box_outside_the_picture_is_dark_and_no_error():
    lookout = asked()
    lookout.take(rgb(), [("main", 0, Box(-900.0, 0.0, 90.0, 90.0))])
    assert lookout.newest().faces[0].level == 0.0
