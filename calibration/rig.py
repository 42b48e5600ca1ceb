"""From views of a board to a rig: which views serve, one homography a plane, what it is off elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata

import numpy as np

from calibration.geometry import Corners, errors_px, fit_plane, held_out_rmse_px, merged, rmse, together
from calibration.targets import Markers, edge_width_px, find_markers, marker_side_px
from calibration.views import View
from edge.errors import EvidenceError
from edge.rig import SAME_DISTANCE, CameraGeometry, Plane, Rig, sealed

__all__ = ["Limits", "Look", "Setup", "look_at", "rig_from_looks"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a view must meet: widest edges, fewest markers in both pictures, largest RMSE, least share on a plane."""

    rgb_edge_px: float = 5.0
    thermal_edge_px: float = 18.0
    markers: int = 4
    rmse_px: float = 1.6
    planar: float = 0.75


@dataclass(frozen=True, slots=True)
class Setup:
    """What pictures do not tell: camera ids, the side of a marker, the RGB camera's focal length. None is unknown."""

    dictionary: str = "original"
    rgb_id: str | None = None
    thermal_id: str | None = None
    marker_mm: float | None = None
    rgb_focal_px: float | None = None

    def distance_mm(self, marker_px: float) -> float | None:
        """How far a board is whose markers have this side in RGB; None where marker or lens are not known."""
        if self.marker_mm is None or self.rgb_focal_px is None:
            return None
        return self.rgb_focal_px * self.marker_mm / marker_px


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one view gave. ``rejected`` is the reason why it does not serve, ``""`` when it does.

    ``corners`` are those of the markers that agree with one plane, None when there is none.
    """

    view: View
    rgb: Markers
    thermal: Markers
    edges_px: tuple[float, float]
    corners: Corners | None = None
    rmse_px: float | None = None
    held_out_px: float | None = None
    rejected: str = ""


def look_at(view: View, dictionary: str, limits: Limits) -> Look:
    """Find the board in both pictures of a view and judge it."""
    rgb = find_markers(view.rgb, dictionary)
    thermal = find_markers(view.thermal, dictionary, either_polarity=True)
    edges_px = edge_width_px(view.rgb, rgb), edge_width_px(view.thermal, thermal)
    common = sorted(rgb.keys() & thermal.keys())
    why = _blurred(edges_px, limits) or _too_few(len(rgb), len(thermal), len(common), limits)
    if why:
        return Look(view, rgb, thermal, edges_px, rejected=why)
    quads = [rgb[number] for number in common]
    corners = Corners(
        np.concatenate(quads), np.concatenate([thermal[number] for number in common]), marker_side_px(quads)
    )
    fit = fit_plane(corners)
    if fit is None or fit.agree.sum() < limits.markers or fit.agree.mean() < limits.planar:
        agree = 0 if fit is None else int(fit.agree.sum())
        why = f"not on a plane: {agree} of {len(common)} markers agree; want a flat board that both see unmoved"
        return Look(view, rgb, thermal, edges_px, rejected=why)
    corners = corners.of_markers(fit.agree)
    error = rmse(errors_px(fit.thermal_from_rgb, corners))
    if error > limits.rmse_px:
        why = f"error {error:.2f} px, want at most {limits.rmse_px:g}: flat board, both cameras still"
    return Look(view, rgb, thermal, edges_px, corners, error, held_out_rmse_px(corners), why)


def _blurred(edges_px: tuple[float, float], limits: Limits) -> str:
    pairs = zip(("rgb", "thermal"), edges_px, (limits.rgb_edge_px, limits.thermal_edge_px), strict=True)
    found = [f"{kind} edges {seen:.1f} px wide, want at most {most:g}" for kind, seen, most in pairs if seen > most]
    return f"blur: {' and '.join(found)}: focus, hold the board still" if found else ""


def _too_few(rgb: int, thermal: int, common: int, limits: Limits) -> str:
    if common >= limits.markers:
        return ""
    seen = f"{common} markers in both pictures ({rgb} in rgb, {thermal} in thermal)"
    return f"too few markers: {seen}, want {limits.markers}: come nearer, warm the board"


def rig_from_looks(looks: Sequence[Look], setup: Setup) -> Rig:
    """The rig of all looks that serve, sealed.

    Raises
    ------
    EvidenceError
        None serves.
    """
    good = [look for look in looks if look.corners is not None and not look.rejected]
    if not good:
        reasons = "; ".join(f"{look.view.name}: {look.rejected.partition(':')[0]}" for look in looks)
        raise EvidenceError(f"no view serves ({reasons}); take views in which both cameras see the board sharply")
    corners = [look.corners for look in good if look.corners is not None]
    planes = [_plane(good, corners, group, setup) for group in merged(corners, SAME_DISTANCE)]
    rgb, thermal = good[0].view.rgb, good[0].view.thermal
    return sealed(
        Rig(
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            software=f"mmrphys-edge {metadata.version('mmrphys-edge')}",
            target=f"aruco {setup.dictionary}",
            rgb=CameraGeometry(width=rgb.shape[1], height=rgb.shape[0], id=setup.rgb_id),
            thermal=CameraGeometry(width=thermal.shape[1], height=thermal.shape[0], id=setup.thermal_id),
            marker_mm=setup.marker_mm,
            planes=tuple(sorted(planes, key=lambda plane: -plane.marker_px)),
        )
    )


def _plane(good: Sequence[Look], corners: Sequence[Corners], group: Sequence[int], setup: Setup) -> Plane:
    inside = together([corners[i] for i in group])
    fit = fit_plane(inside)
    assert fit is not None, "each view of the group has one"
    outside = [errors_px(fit.thermal_from_rgb, corners[i]) for i in range(len(good)) if i not in group]
    distance_mm = setup.distance_mm(inside.marker_px)
    rows = fit.thermal_from_rgb.tolist()
    return Plane(
        thermal_from_rgb=(tuple(rows[0]), tuple(rows[1]), tuple(rows[2])),
        marker_px=round(inside.marker_px, 2),
        views=tuple(good[i].view.name for i in group),
        markers=inside.markers,
        rmse_px=round(rmse(errors_px(fit.thermal_from_rgb, inside)), 3),
        held_out_px=round(held_out_rmse_px(inside), 3),
        off_px=round(rmse(np.concatenate(outside)), 3) if outside else None,
        distance_mm=None if distance_mm is None else round(distance_mm, 1),
    )
