from __future__ import annotations

import numpy as np
import pytest
from fakes.board import thermal_from_rgb

from calibration.geometry import Corners, errors_px, fit_plane, held_out_rmse_px, merged, parallax_px, rmse
from edge.clips.warp import points_through

RANDOM = np.random.default_rng(5)


def corners(z_mm: float, markers: int = 12, noise_px: float = 0.0, shift_px: float = 0.0) -> Corners:
    """Corners of a grid of markers on a plane at ``z_mm``, with noise in the thermal picture."""
    side = 45_000.0 / z_mm
    places = np.array([(90.0 * (i % 4) + 200.0 + shift_px, 90.0 * (i // 4) + 120.0) for i in range(markers)])
    square = side * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    rgb = (places[:, None] + square).reshape(-1, 2)
    thermal = points_through(thermal_from_rgb(z_mm), rgb) + RANDOM.normal(0.0, noise_px, rgb.shape)
    return Corners(rgb, thermal, side)


def test_the_homography_is_found_through_noise_and_wrong_markers() -> None:
    seen = corners(800.0, noise_px=0.5)
    seen.thermal[8:12] += 25.0  # a marker that was misread
    fit = fit_plane(seen)
    assert fit is not None
    assert np.flatnonzero(~fit.agree).tolist() == [2]
    assert rmse(errors_px(fit.thermal_from_rgb, corners(800.0))) < 0.5
    assert fit.thermal_from_rgb[2, 2] == 1.0


def test_no_plane_is_none() -> None:
    line = np.column_stack((np.arange(16.0), np.arange(16.0)))
    fit = fit_plane(Corners(line, line, 1.0))
    assert fit is None or not fit.agree.all() or not np.isfinite(np.linalg.cond(fit.thermal_from_rgb))


def test_held_out_error_is_larger_than_that_of_the_fit_and_near_the_noise() -> None:
    seen = corners(800.0, markers=6, noise_px=0.5)
    fit = fit_plane(seen)
    assert fit is not None
    inside, outside = rmse(errors_px(fit.thermal_from_rgb, seen)), held_out_rmse_px(seen)
    assert inside < 0.5 * np.sqrt(2) < outside < 2.5


def test_views_of_one_distance_merge_and_others_do_not() -> None:
    views = [corners(800.0, noise_px=0.4), corners(600.0, noise_px=0.4), corners(800.0, noise_px=0.4, shift_px=60.0)]
    assert merged(views, 1.1) == [(0, 2), (1,)]
    moved = Corners(views[2].rgb, views[2].thermal + 4.0, views[2].marker_px)
    assert merged([views[0], moved], 1.1) == [(0,), (1,)]


@pytest.mark.parametrize(("z_mm", "z0_mm"), [(500.0, 800.0), (1200.0, 800.0), (800.0, 800.0)])
def test_the_parallax_is_what_the_homography_is_off_at_another_distance(z_mm: float, z0_mm: float) -> None:
    off = errors_px(thermal_from_rgb(z0_mm), corners(z_mm))
    assert np.allclose(off, parallax_px(40.0, 500.0, z_mm, z0_mm), atol=1e-6)
