"""What a calibration shows to people: one overlay a view, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table

from calibration.geometry import errors_px, parallax_px, rmse
from calibration.rig import Look
from calibration.targets import Markers
from edge.clips.warp import points_through
from edge.errors import UsageError
from edge.rig import SAME_DISTANCE, Plane, Rig

__all__ = ["disagreement_line", "overlay", "parallax_lines", "plane_table", "view_table", "write_overlays"]

GREEN, RED, CYAN = (80, 220, 80), (60, 60, 235), (235, 220, 60)
"""Of OpenCV: blue, green, red."""
_HEIGHT = 640
DISAGREE_PX = 3.0
"""Planes at one distance that are farther apart are worth a word."""
_NEARER_MM = (-200.0, -100.0, 100.0, 200.0)


def write_overlays(looks: Sequence[Look], rig: Rig | None, folder: Path) -> list[Path]:
    """``VIEW.png`` for each look, in ``folder``, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report {folder} cannot be made: {error.strerror}; name another folder") from error
    paths = []
    for look in looks:
        paths.append(folder / f"{look.view.name}.png")
        if not cv2.imwrite(str(paths[-1]), overlay(look, _plane_of(look, rig))):
            raise UsageError(f"{paths[-1]} cannot be written; name another folder with --report")
    return paths


def overlay(look: Look, plane: Plane | None) -> npt.NDArray[np.uint8]:
    """RGB, thermal, and both over each other where there is a ``plane``; BGR uint8.

    Markers found are green, those of RGB seen through the homography are cyan crosses on the thermal picture. In the
    third picture red is RGB and the rest thermal.
    """
    rgb, thermal = look.view.rgb, look.view.thermal
    parts = [_drawn(rgb, look.rgb), _drawn(thermal, look.thermal)]
    if plane is not None:
        corners = np.concatenate([*look.rgb.values()])
        _crosses(parts[1], points_through(plane.matrix, corners), _zoom(thermal))
        parts.append(_over_each_other(rgb, thermal, plane))
    picture = np.hstack([*parts])
    lines = [f"{look.view.name}: {look.rejected or 'used'}"]
    if look.rmse_px is not None:
        lines.append(f"rmse {look.rmse_px:.2f} px, held out {look.held_out_px:.2f} px")
    for row, line in enumerate(lines):
        place, colour = (12, 28 + 26 * row), RED if look.rejected else GREEN
        cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 1, cv2.LINE_AA)
    return picture


def _plane_of(look: Look, rig: Rig | None) -> Plane | None:
    return next((plane for plane in (rig.planes if rig else ()) if look.view.name in plane.views), None)


def _zoom(image: npt.NDArray[np.uint8]) -> float:
    return _HEIGHT / float(image.shape[0])


def _drawn(image: npt.NDArray[np.uint8], markers: Markers) -> npt.NDArray[np.uint8]:
    zoom = _zoom(image)
    large = cv2.resize(image, (round(image.shape[1] * zoom), _HEIGHT), interpolation=cv2.INTER_LINEAR)
    picture: npt.NDArray[np.uint8] = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)
    for number, corners in markers.items():
        cv2.polylines(picture, [np.rint(corners * zoom).astype(np.int32)], isClosed=True, color=GREEN, thickness=2)
        x, y = np.rint(corners.mean(axis=0) * zoom).astype(int).tolist()
        cv2.putText(picture, str(number), (x - 10, y + 8), cv2.FONT_HERSHEY_SIMPLEX, 0.7, GREEN, 2, cv2.LINE_AA)
    return picture


def _crosses(picture: npt.NDArray[np.uint8], points: npt.NDArray[np.float64], zoom: float) -> None:
    for x, y in np.rint(points[np.isfinite(points).all(axis=1)] * zoom).astype(int).tolist():
        cv2.drawMarker(picture, (x, y), CYAN, cv2.MARKER_TILTED_CROSS, 10, 1, cv2.LINE_AA)


def _over_each_other(rgb: npt.NDArray[np.uint8], thermal: npt.NDArray[np.uint8], plane: Plane) -> npt.NDArray[np.uint8]:
    zoom, (height, width) = _zoom(thermal), thermal.shape
    larger = np.diag([zoom, zoom, 1.0]) @ plane.matrix
    size = round(width * zoom), round(height * zoom)
    seen = cv2.warpPerspective(rgb, larger, size)
    heat = cv2.resize(thermal, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.dstack([heat, heat, seen]), np.uint8)


def view_table(looks: Sequence[Look]) -> Table:
    """One row a view: what was found, its errors, and whether it serves."""
    table = Table("view", "rgb", "thermal", "edges px", "rmse px", "held out px", "verdict", box=box.SIMPLE)
    for look in looks:
        table.add_row(
            look.view.name, str(len(look.rgb)), str(len(look.thermal)),
            f"{look.edges_px[0]:.1f} {look.edges_px[1]:.1f}", _px(look.rmse_px), _px(look.held_out_px),
            f"rejected: {look.rejected}" if look.rejected else "used",
        )  # fmt: skip
    return table


def plane_table(looks: Sequence[Look], rig: Rig) -> Table:
    """One row a plane; in the columns of the views, how far its homography is off there, RMS in thermal pixels."""
    good = [look for look in looks if look.corners is not None and not look.rejected]
    columns = [f"at {look.view.name}" for look in good]
    table = Table("plane of", "marker px", "at mm", "rmse px", "held out px", *columns, box=box.SIMPLE)
    for plane in rig.planes:
        off = [rmse(errors_px(plane.matrix, look.corners)) for look in good if look.corners is not None]
        distance = "?" if plane.distance_mm is None else f"{plane.distance_mm:.0f}"
        table.add_row(
            " ".join(plane.views), f"{plane.marker_px:.1f}", distance, _px(plane.rmse_px), _px(plane.held_out_px),
            *map(_px, off),
        )  # fmt: skip
    return table


def disagreement_line(looks: Sequence[Look], rig: Rig) -> str:
    """Whether planes at one distance disagree, which a board does that was tilted, or that moved between exposures."""
    corners = {look.view.name: look.corners for look in looks if look.corners is not None and not look.rejected}
    off = [
        rmse(errors_px(one.matrix, corners[name]))
        for one in rig.planes
        for other in rig.planes
        if max(one.marker_px, other.marker_px) <= SAME_DISTANCE * min(one.marker_px, other.marker_px)
        for name in other.views
    ]
    if max(off) <= DISAGREE_PX:
        return ""
    advice = "hold the board parallel to the cameras and still, at each distance"
    return f"planes of markers alike in size disagree by up to {max(off):.1f} px: {advice}"


def parallax_lines(rig: Rig, baseline_mm: float, rgb_focal_px: float) -> Iterator[str]:
    """For each plane whose distance is known, how far its homography is off nearer and farther, from the baseline."""
    for plane in rig.planes:
        if plane.distance_mm is None:
            continue
        focal_px = rgb_focal_px * float(np.sqrt(abs(np.linalg.det(plane.matrix[:2, :2]))))
        places = [plane.distance_mm + off for off in _NEARER_MM if plane.distance_mm + off > 0.0]
        off_px = [parallax_px(baseline_mm, focal_px, place, plane.distance_mm) for place in places]
        told = ", ".join(f"{px:.1f} px at {place:.0f} mm" for px, place in zip(off_px, places, strict=True))
        yield f"plane at {plane.distance_mm:.0f} mm: parallax {told}"


def _px(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
