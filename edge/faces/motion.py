"""How far the face moves from frame to frame, to a fraction of a pixel and without drift.

Each frame is compared with one reference frame, in a fixed place of the picture, by the least-squares registration of
Lucas and Kanade (1981). The values are modelled as the shifted reference times a gain, plus a plane, so a change of
light, even from one side, does not look like motion. The reference is kept until the face has left its neighbourhood:
errors do not add up from frame to frame; positions against successive references are chained.

Faces are smooth: phase correlation, the usual choice, is far less exact on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box, area_mean

__all__ = ["Motion", "MotionMeter"]

Values: TypeAlias = "npt.NDArray[np.float32]"

GRID_PX = 64
"""Faces are compared as squares of this side."""
REGION = 1.25
"""Side of the region compared, in face sides: the face with its outline and little background."""
BLUR_PX = 2.0
"""Smoothing (standard deviation on the grid); the linear model holds for steps of about as much."""
REFINEMENTS = 2
MAX_SHIFT_PX = 8.0
"""A larger shift on the grid (16 % of a face side) asks for a new reference."""
MAX_SCALE_CHANGE = 0.1
"""So does a box that grew or shrank by this share."""
MAX_RESIDUAL = 0.5
"""A frame whose unexplained part is above this share of the reference's contrast does not match it."""
MIN_GAIN = 0.1
GREEN = 1
"""The channel compared: it has half of the sensor's pixels."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Displacement since the frame before (``dx, dy``) and since the start (``x, y``), in face sides, right and down.

    ``trusted`` is False where the picture did not match what was there before: then ``dx = dy = 0``.
    """

    dx: float = 0.0
    dy: float = 0.0
    x: float = 0.0
    y: float = 0.0
    trusted: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """What later frames are compared with.

    ``basis`` ``[6, N]``: x and y gradient, values, 1, x, y. ``fit`` ``[6, N]``: gives their coefficients by weighted
    least squares. ``sides_per_px``: turns grid pixels into face sides.
    """

    region: Box
    side_px: float
    sides_per_px: npt.NDArray[np.float64]
    basis: Values
    fit: Values
    contrast: float


class MotionMeter:
    """``step`` every frame with the box of the face."""

    def __init__(self) -> None:
        self._reference: _Reference | None = None
        self._base = np.zeros(2)
        self._last = np.zeros(2)
        self._read: tuple[Box, ...] = ()

    @property
    def regions(self) -> tuple[Box, ...]:
        """The parts of the picture that the last step looked at."""
        return self._read

    def reset(self) -> None:
        """Forget the face: the next frame starts at position 0."""
        self._reference = None
        self._base, self._last = np.zeros(2), np.zeros(2)

    def step(self, image: npt.NDArray[np.uint8], box: Box) -> Motion:
        """Take the next frame, RGB uint8 ``[H, W, 3]``, with the face box (not enlarged) in its pixels."""
        reference, self._read = self._reference, ()
        if reference is None:
            self._renew(image, box)
            return Motion()
        self._read = (reference.region,)
        before_px = (self._last - self._base) / reference.sides_per_px
        shift_px = _shift_px(reference, _values(image, reference.region), before_px)
        trusted = shift_px is not None
        here = self._last if shift_px is None else self._base + shift_px * reference.sides_per_px
        (dx, dy), self._last = here - self._last, here
        if shift_px is None or _left(reference, shift_px, box):
            self._renew(image, box)
        return Motion(float(dx), float(dy), float(here[0]), float(here[1]), trusted)

    def _renew(self, image: npt.NDArray[np.uint8], box: Box) -> None:
        (x, y), side = box.centre, max(box.w, box.h)
        half = 0.5 * REGION * side
        region = Box(x - half, y - half, 2.0 * half, 2.0 * half).cut(image.shape)
        self._read = (*self._read, region)
        self._reference = _reference(_values(image, region), region, side)
        self._base = self._last


def _values(image: npt.NDArray[np.uint8], region: Box) -> Values:
    """The region's green channel on the grid, smoothed: float32 ``[64, 64]``."""
    grid = area_mean(image[..., GREEN], GRID_PX, region)
    return np.asarray(cv2.GaussianBlur(grid, (0, 0), BLUR_PX), np.float32)


def _reference(values: Values, region: Box, side_px: float) -> _Reference:
    plane = np.linspace(-1.0, 1.0, GRID_PX)
    planes = [np.ones((GRID_PX, GRID_PX)), *np.meshgrid(plane, plane)]
    gradient_y, gradient_x = np.gradient(values)
    basis = np.stack([gradient_x, gradient_y, values, *planes]).reshape(6, -1).astype(np.float64)
    weighted = basis * _WINDOW
    fit = np.linalg.pinv(weighted @ basis.T, hermitian=True) @ weighted
    contrast = _spread(values.ravel() - values.mean())
    sides_per_px = np.array([region.w, region.h]) / (GRID_PX * side_px)
    return _Reference(
        region, side_px, sides_per_px, basis.astype(np.float32), fit.astype(np.float32), max(contrast, 1e-6)
    )


def _shift_px(
    reference: _Reference, values: Values, before_px: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Shift ``(x, y)`` of ``values`` against the reference in grid pixels, looked for about that of the frame before.

    None when they do not match.
    """
    shift = before_px
    for _ in range(REFINEMENTS):
        back = _moved(values, shift).ravel()
        found = reference.fit @ back
        gain = float(found[2])
        if gain < MIN_GAIN:
            return None
        shift = shift - found[:2] / gain
    residual = _spread(np.asarray(back - found @ reference.basis, np.float32))
    return shift if residual <= MAX_RESIDUAL * gain * reference.contrast else None


def _moved(values: Values, shift: npt.NDArray[np.float64]) -> Values:
    """``values`` moved back by ``shift`` grid pixels."""
    if not shift.any():
        return values
    matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (GRID_PX, GRID_PX)
    return np.asarray(cv2.warpAffine(values, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _left(reference: _Reference, shift_px: npt.NDArray[np.float64], box: Box) -> bool:
    """Whether the face left the reference's neighbourhood."""
    scale_change = abs(max(box.w, box.h) / reference.side_px - 1.0)
    return bool(np.abs(shift_px).max() > MAX_SHIFT_PX or scale_change > MAX_SCALE_CHANGE)


def _hann_weights() -> npt.NDArray[np.float64]:
    """Weights ``[64 * 64]``, sum 1, that fade to the border, where what enters and leaves is not shift."""
    fade = np.hanning(GRID_PX + 2)[1:-1] ** 2
    weights: npt.NDArray[np.float64] = np.outer(fade, fade).ravel() / fade.sum() ** 2
    return weights


def _spread(values: Values) -> float:
    """Weighted root mean square of values ``[64 * 64]``."""
    return math.sqrt(np.dot(_WINDOW_F32, values * values))


_WINDOW = _hann_weights()
_WINDOW_F32 = _WINDOW.astype(np.float32)
