from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.board import MARKER_MM, RGB, pictures, thermal_from_rgb

from calibration.geometry import parallax_px
from calibration.rig import Limits, Look, Setup, look_at, rig_from_looks
from calibration.views import View, load_views
from edge.clips.warp import points_through
from edge.errors import EvidenceError

LIMITS = Limits()


def looked(name: str, z_mm: float, **pose: object) -> Look:
    return look_at(View(name, *pictures(z_mm, **pose)), "original", LIMITS)  # type: ignore[arg-type]


def test_two_distances_give_two_planes_their_distances_and_their_parallax() -> None:
    looks = [looked("a", 700.0), looked("b", 900.0, turn_deg=20.0), looked("c", 700.0, shift_mm=(25.0, -10.0))]
    assert [look.rejected for look in looks] == ["", "", ""]
    rig = rig_from_looks(looks, Setup(marker_mm=MARKER_MM, rgb_focal_px=RGB.focal_px, rgb_id="cam-1"))
    near, far = rig.planes
    assert (near.views, far.views) == (("a", "c"), ("b",))
    assert (near.distance_mm, far.distance_mm) == (pytest.approx(700.0, rel=0.01), pytest.approx(900.0, rel=0.01))
    grid = np.array([(x, y) for x in (200.0, 380.0, 560.0) for y in (120.0, 256.0, 400.0)])
    for plane, z_mm in ((near, 700.0), (far, 900.0)):
        off = points_through(plane.matrix, grid) - points_through(thermal_from_rgb(z_mm), grid)
        assert np.abs(off).max() < 0.5
        assert plane.rmse_px <= plane.held_out_px < 0.6
        assert plane.off_px == pytest.approx(parallax_px(40.0, 500.0, 700.0, 900.0), abs=0.5)
    assert rig.rgb is not None
    assert (rig.rgb.width, rig.rgb.height, rig.rgb.id) == (768, 512, "cam-1")


def test_a_soft_picture_is_rejected_as_blurred() -> None:
    rgb, thermal = pictures(800.0)
    for view, kind in (
        (View("soft", cv2.GaussianBlur(rgb, (0, 0), 4.0), thermal), "rgb"),
        (View("soft", rgb, cv2.GaussianBlur(thermal, (0, 0), 4.0)), "thermal"),
    ):
        assert look_at(view, "original", Limits(thermal_edge_px=8.0)).rejected.startswith(f"blur: {kind}")


def test_a_hidden_board_has_too_few_markers() -> None:
    rgb, thermal = pictures(800.0)
    rgb[:, 300:] = 200
    look = look_at(View("hidden", rgb, thermal), "original", LIMITS)
    assert look.rejected.startswith("too few markers: 3 markers in both pictures (3 in rgb, 12 in thermal)")


def test_a_bent_board_is_not_on_a_plane() -> None:
    rgb, thermal = pictures(800.0)
    thermal = np.vstack((thermal[12:174], thermal[174:], thermal[-12:]))  # the upper half moved down
    bent = thermal.copy()
    bent[:, 232:] = np.roll(bent[:, 232:], 14, axis=0)
    assert look_at(View("bent", rgb, bent), "original", LIMITS).rejected.startswith("not on a plane")


def test_an_error_over_the_limit_rejects_and_no_view_at_all_is_no_rig() -> None:
    look = look_at(View("a", *pictures(800.0)), "original", Limits(rmse_px=0.01))
    assert look.rejected.startswith("error 0.")
    with pytest.raises(EvidenceError, match=r"no view serves \(a: error"):
        rig_from_looks([look], Setup())


def test_the_real_pairs_meet_the_bound_and_the_blurred_one_is_rejected(shared_dir: Path) -> None:
    views, alone = load_views(shared_dir / "data/calibration")
    looks = {view.name: look_at(view, "original", LIMITS) for view in views}
    assert (sorted(looks), alone) == (["1", "2", "3", "4", "5"], [])
    assert looks["2"].rejected.startswith("blur: rgb")
    used = [looks[name] for name in "1345"]
    assert [look.rejected for look in used] == [""] * 4
    assert all(look.rmse_px is not None and look.rmse_px <= 1.6 for look in used)
    assert all(look.held_out_px is not None and look.held_out_px <= 1.6 for look in used)
    rig = rig_from_looks(list(looks.values()), Setup())
    assert 5.0 < max(plane.off_px or 0.0 for plane in rig.planes) < 12.0  # what parallax and tilt cost
