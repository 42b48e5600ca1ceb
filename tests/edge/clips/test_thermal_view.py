"""The thermal region of a face on scenes whose two cameras do not share a view."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.cameras import camera_from_uri
from edge.clips.crop import Box
from edge.clips.thermal_view import ThermalView
from edge.frames import Frame
from edge.rig import IDENTITY, CameraGeometry, Plane, Rig

SCENE = "synthetic:?seconds=2&seed=3&nuisance=0&width=480&height=360"
RGB_SHAPE, FACE = (360, 480, 3), Box(130.0, 60.0, 220.0, 220.0)


def thermal_frame(query: str = "") -> Frame:
    camera = camera_from_uri(SCENE + query, "thermal")
    camera.open()
    frame = camera.read()
    assert frame is not None
    return frame


def rig(matrix: npt.NDArray[np.float64], *more: Plane, marker_mm: float | None = None) -> Rig:
    plane = plane_of(matrix)
    sizes = CameraGeometry(width=480, height=360), CameraGeometry(width=160, height=120)
    return Rig(rgb=sizes[0], thermal=sizes[1], planes=(plane, *more), marker_mm=marker_mm)


def plane_of(matrix: npt.NDArray[np.float64], marker_px: float = 50.0) -> Plane:
    a, b, c = (tuple(row) for row in matrix.tolist())
    return Plane(thermal_from_rgb=(a, b, c), marker_px=marker_px, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)


def shifted(by_px: float) -> npt.NDArray[np.float64]:
    return np.array([[1 / 3, 0.0, -by_px / 3], [0.0, 1 / 3, 0.0], [0.0, 0.0, 1.0]])


def test_the_identity_rig_is_the_same_part_of_the_picture() -> None:
    frame = thermal_frame()
    cells = ThermalView(IDENTITY).cells(frame, RGB_SHAPE, FACE, 9)
    with_matrix = ThermalView(rig(shifted(0.0))).cells(frame, RGB_SHAPE, FACE, 9)
    assert cells is not None
    assert with_matrix is not None
    assert np.allclose(cells, with_matrix, atol=1e-3)


def test_a_rig_finds_the_face_where_the_other_camera_has_it() -> None:
    together, apart = thermal_frame(), thermal_frame("&parallax_px=60")
    wanted = ThermalView(IDENTITY).cells(together, RGB_SHAPE, FACE, 9)
    blind = ThermalView(IDENTITY).cells(apart, RGB_SHAPE, FACE, 9)
    found = ThermalView(rig(shifted(60.0))).cells(apart, RGB_SHAPE, FACE, 9)
    assert wanted is not None
    assert blind is not None
    assert found is not None
    assert np.abs(found - wanted).mean() < 0.1
    assert np.abs(blind - wanted).mean() > 1.0


def test_the_plane_follows_the_size_of_the_face_and_stays_while_it_sways() -> None:
    """A face of 160 mm is 4 times as wide as a marker of 40 mm: 80 px belong to markers of 20 px, 320 px to 80."""
    view = ThermalView(rig(shifted(60.0), plane_of(shifted(0.0), 20.0), marker_mm=40.0))
    frame = thermal_frame()

    def seen(face_px: float) -> float:
        region = Box(200.0, 100.0, 1.5 * face_px, 1.5 * face_px)
        cells = view.cells(frame, RGB_SHAPE, region, 9)
        same = ThermalView(IDENTITY).cells(frame, RGB_SHAPE, region, 9)
        assert cells is not None
        assert same is not None
        return float(np.abs(cells - same).max())

    border_px = 4.0 * np.sqrt(50.0 * 20.0)
    assert seen(80.0) < 0.01
    assert seen(1.02 * border_px) < 0.01  # over the border, and still the plane of before
    assert seen(1.15 * border_px) > 0.1
    assert seen(0.98 * border_px) > 0.1
    assert seen(0.85 * border_px) < 0.01
