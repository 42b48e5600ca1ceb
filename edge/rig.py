"""``rig.json``: how the thermal picture lies over the RGB picture, and their clocks over each other.

``mmrphys calibrate rig`` writes it, ``run --rig FILE`` reads it. The geometry is one plane homography for each distance
at which a board was seen: exact on that plane, off by the parallax before and behind it. A rig without planes is the
identity rig: both cameras see the same rectangle.

Points are in pixels as :class:`edge.clips.crop.Box` counts them: pixel ``i`` spans ``i`` to ``i + 1``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.errors import InputError, first_line
from edge.frames import FrameKind

__all__ = [
    "FACE_MM",
    "FORMAT",
    "IDENTITY",
    "VERSION",
    "CameraGeometry",
    "Plane",
    "Rig",
    "TimeOffset",
    "json_from_rig",
    "load_rig",
    "rig_from_json",
    "sealed",
]

FORMAT = "mmrphys-rig"
VERSION = 1
FACE_MM = 160.0
"""Assumed side of a detector's face box on a face, mm: an adult's, forehead to chin. The distance follows from it."""
SAME_DISTANCE = 1.1
"""Planes whose markers differ by less than this factor are at one distance."""
STAY = 1.1
"""Another plane has to be nearer than the one in use by this factor: a face that sways does not switch."""
_MAX_BYTES = 1_000_000
_MAX_CONDITION = 1e9
_S = 1_000_000_000

_Row = tuple[float, float, float]
_Length = Annotated[float, Meta(gt=0.0, le=1e6)]
_Error = Annotated[float, Meta(ge=0.0, le=1e6)]
_Side = Annotated[int, Meta(ge=1, le=65536)]


class CameraGeometry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera: its picture in pixels, and its id where that is known."""

    width: _Side
    height: _Side
    id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class Plane(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The board at one distance.

    ``thermal_from_rgb`` maps homogeneous RGB points to thermal ones. ``marker_px`` is the mean side of a marker in RGB,
    the scale by which a distance is told; ``distance_mm`` is that distance where marker and lens are known. Errors are
    RMS distances in thermal pixels: ``rmse_px`` over the corners that made it, ``held_out_px`` over corners of markers
    left out one by one, ``off_px`` over the corners of all other views (None without any): the parallax.
    """

    thermal_from_rgb: tuple[_Row, _Row, _Row]
    marker_px: _Length
    views: tuple[str, ...]
    markers: Annotated[int, Meta(ge=1)]
    rmse_px: _Error
    held_out_px: _Error
    off_px: _Error | None = None
    distance_mm: _Length | None = None

    def __post_init__(self) -> None:
        matrix = self.matrix
        if not np.isfinite(matrix).all():
            raise ValueError("a homography holds a number that is not finite")
        if matrix[2, 2] != 1.0:
            raise ValueError("the last number of a homography is 1")
        if not np.linalg.cond(matrix / np.abs(matrix).max()) < _MAX_CONDITION:
            raise ValueError("a homography cannot be inverted")

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """``thermal_from_rgb`` as float64 ``[3, 3]``."""
        return np.array(self.thermal_from_rgb, np.float64)


class TimeOffset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thermal less RGB stamp of one instant, ms, and how it grows, in microseconds per second of the run (ppm)."""

    offset_ms: Annotated[float, Meta(ge=-10_000.0, le=10_000.0)] = 0.0
    drift_ppm: Annotated[float, Meta(ge=-1000.0, le=1000.0)] = 0.0

    def to_rgb_ns(self, thermal_ns: int, start_ns: int) -> int:
        """A thermal stamp as the RGB camera would have given it; ``start_ns``, the run's first stamp, has no drift."""
        return thermal_ns - round(self.offset_ms * 1e6 + self.drift_ppm * 1e-6 * (thermal_ns - start_ns))


class Rig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Geometry and time of an RGB and a thermal camera; ``Rig()`` is the identity rig.

    ``marker_mm`` is the side of the board's markers: with it a face's size tells its distance. ``hash`` seals the rest.
    """

    format: str = FORMAT
    version: int = VERSION
    created: str = ""
    software: str = ""
    target: str = ""
    rgb: CameraGeometry | None = None
    thermal: CameraGeometry | None = None
    marker_mm: _Length | None = None
    planes: tuple[Plane, ...] = ()
    time: TimeOffset = TimeOffset()
    hash: str = ""

    def __post_init__(self) -> None:
        if self.planes and (self.rgb is None or self.thermal is None):
            raise ValueError("planes belong to pictures of a known size")

    def plane_for(self, face_px: float, before: Plane | None = None) -> Plane | None:
        """The plane for a face whose box has this side in RGB pixels; None for the identity rig.

        With ``marker_mm`` the nearest in size of a marker held at the face (a face box is taken as ``FACE_MM`` wide),
        and among planes at one distance the one that is least off elsewhere. Without, the least off of all. ``before``
        stays until another is clearly nearer.
        """
        if not self.planes:
            return None
        if self.marker_mm is None or face_px <= 0.0:
            return min(self.planes, key=_off_px)
        wanted_px = face_px * self.marker_mm / FACE_MM
        apart = {plane: abs(math.log(plane.marker_px / wanted_px)) for plane in self.planes}
        nearest = min(apart.values())
        if before in apart and apart[before] <= nearest + math.log(STAY):
            return before
        return min((p for p in self.planes if apart[p] <= nearest + math.log(SAME_DISTANCE)), key=_off_px)

    def check_cameras(self, ids: Mapping[FrameKind, str]) -> None:
        """InputError when a camera whose id is known is another one than this rig was made with."""
        for kind, seen in ids.items():
            made_with = self._camera(kind)
            if made_with is not None and made_with.id is not None and made_with.id != seen:
                raise InputError(
                    f"the rig was made with {kind} camera {made_with.id!r}, this is {seen!r}; "
                    f"use that camera, or calibrate these two again with 'mmrphys calibrate rig'"
                )

    def check_picture(self, kind: FrameKind, shape: tuple[int, ...]) -> None:
        """InputError when a picture ``[H, W, ...]`` has another size than those this rig was made from."""
        made_with = self._camera(kind)
        if made_with is not None and shape[:2] != (made_with.height, made_with.width):
            raise InputError(
                f"the rig was made from {kind} pictures of {made_with.width}x{made_with.height}, the camera gives "
                f"{shape[1]}x{shape[0]}; set that size, or calibrate at this one with 'mmrphys calibrate rig'"
            )

    def _camera(self, kind: FrameKind) -> CameraGeometry | None:
        return self.rgb if kind == "rgb" else self.thermal


IDENTITY = Rig()
"""Both cameras see the same field, and their clocks agree."""


def _off_px(plane: Plane) -> float:
    return plane.off_px if plane.off_px is not None else math.inf


class _Head(msgspec.Struct, frozen=True):
    """What every version of the file tells."""

    format: str
    version: int


def sealed(rig: Rig) -> Rig:
    """The rig with its hash: SHA-256 of its JSON with sorted keys, without white space and with an empty hash."""
    blank = msgspec.structs.replace(rig, hash="")
    digest = hashlib.sha256(msgspec.json.encode(blank, order="sorted")).hexdigest()
    return msgspec.structs.replace(rig, hash=f"sha256:{digest}")


def json_from_rig(rig: Rig) -> bytes:
    """The file's bytes, sealed, for people and machines."""
    return msgspec.json.format(msgspec.json.encode(sealed(rig)), indent=1) + b"\n"


def load_rig(path: Path) -> Rig:
    """The rig in a file; InputError when it cannot be read, and as :func:`rig_from_json`."""
    try:
        with path.open("rb") as file:
            return rig_from_json(file.read(_MAX_BYTES), str(path))
    except OSError as error:
        raise InputError(f"the rig {path} cannot be read: {error.strerror}; check the path") from error


def rig_from_json(data: bytes, path: str) -> Rig:
    """The rig in a file's bytes; ``path`` is what messages call it.

    Raises
    ------
    InputError
        No rig, another version, a value out of range, a homography that is not finite or cannot be inverted, or
        content that does not match its hash.
    """
    again = "make it again with 'mmrphys calibrate rig'"
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is no rig: {first_line(error)}; {again}") from error
    if (head.format, head.version) != (FORMAT, VERSION):
        seen, want = f"{head.format} version {head.version}", f"{FORMAT} version {VERSION}"
        raise InputError(f"{path} is {seen}, this program reads {want}; {again}")
    try:
        rig = msgspec.json.decode(data, type=Rig)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is a damaged rig: {first_line(error)}; {again}") from error
    if not rig.planes:
        raise InputError(f"{path} holds no plane; {again}")
    if sealed(rig).hash != rig.hash:
        raise InputError(f"{path} does not match its hash: it was changed by hand or damaged; {again}")
    return rig
