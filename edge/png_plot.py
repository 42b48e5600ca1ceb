"""Plots as PNG with OpenCV, for a device that has no plotting package: a sheet of text and of panels with axes.

Places are pixels of the finished picture. Everything is drawn ``SCALE`` times as large and averaged down, for OpenCV's
stroke letters are thin. Its letters are ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge.svg_plot import Axis

__all__ = ["GRAY", "INK", "LIGHT", "PALE", "Colour", "Panel", "Sheet"]

Floats = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""
Anchor = Literal["left", "middle", "right"]

SCALE = 3
INK: Colour = (33, 37, 41)
GRAY: Colour = (110, 117, 125)
LIGHT: Colour = (222, 226, 230)
PALE: Colour = (241, 243, 245)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAP_PX = 22
"""Height of the font's capitals at its own size."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle of a sheet with a scale along each side."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def places(self, x: Floats, y: Floats) -> Floats:
        """Pixels ``[N, 2]`` of points; NaN stays NaN."""
        right = self.left + (x - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)
        down = self.bottom - (y - self.y.low) / (self.y.high - self.y.low) * (self.bottom - self.top)
        return np.stack([right, down], axis=1)


class Sheet:
    """A white picture to draw on."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._image = np.full((height * SCALE, width * SCALE, 3), 255, np.uint8)

    def text(
        self, text: str, x: float, y: float, *, px: float = 10.0, colour: Colour = INK, anchor: Anchor = "left",
        bold: bool = False,
    ) -> float:  # fmt: skip
        """Text whose capitals are ``px`` high and stand on ``y``; ``x`` is its left end, middle or right end.

        Gives where it ends on the right.
        """
        size, stroke = px * SCALE / _CAP_PX, SCALE + SCALE * bold
        (width, _), _ = cv2.getTextSize(text, _FONT, size, stroke)
        left = x * SCALE - {"left": 0, "middle": width // 2, "right": width}[anchor]
        cv2.putText(self._image, text, (round(left), round(y * SCALE)), _FONT, size, colour, stroke, cv2.LINE_AA)
        return (left + width) / SCALE

    def text_up(self, text: str, x: float, y: float, *, px: float = 8.0, colour: Colour = GRAY) -> None:
        """Text that reads upwards along ``x``, its middle at ``y``."""
        size = px * SCALE / _CAP_PX
        (width, height), below = cv2.getTextSize(text, _FONT, size, SCALE)
        label = np.full((height + below, width, 3), 255, np.uint8)
        cv2.putText(label, text, (0, height), _FONT, size, colour, SCALE, cv2.LINE_AA)
        turned = np.rot90(label)
        top, left = round(y * SCALE) - width // 2, round(x * SCALE) - height
        self._image[top : top + width, left : left + height + below] = turned

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled rectangle."""
        one, other = ((round(x * SCALE), round(y * SCALE)) for x, y in ((left, top), (right, bottom)))
        cv2.rectangle(self._image, one, other, colour, cv2.FILLED)

    def line(self, places: Floats, colour: Colour, width: float = 1.0) -> None:
        """A line through pixels ``[N, 2]``; NaN breaks it."""
        whole = np.isfinite(places).all(axis=1)
        for piece in np.split(places, np.flatnonzero(np.diff(whole.astype(np.int8))) + 1):
            if len(piece) and np.isfinite(piece).all():
                points = np.rint(piece * SCALE).astype(np.int32)
                cv2.polylines(self._image, [points], False, colour, round(width * SCALE), cv2.LINE_AA)  # noqa: FBT003 - OpenCV's signature

    def frame(self, panel: Panel) -> None:
        """The axes of a panel: lines at the ticks of ``y``, marks at those of ``x``, numbers and names."""
        for value, text in panel.y.ticks:
            y = float(panel.places(np.array([panel.x.low]), np.array([value]))[0, 1])
            self.line(np.array([[panel.left, y], [panel.right, y]]), LIGHT)
            self.text(text, panel.left - 6, y + 4, px=8, colour=GRAY, anchor="right")
        for value, text in panel.x.ticks:
            x = float(panel.places(np.array([value]), np.array([panel.y.low]))[0, 0])
            self.line(np.array([[x, panel.bottom], [x, panel.bottom + 5]]), GRAY)
            self.text(text, x, panel.bottom + 18, px=8, colour=GRAY, anchor="middle")
        self.line(np.array([[panel.left, panel.bottom], [panel.right, panel.bottom]]), GRAY)
        self.text(panel.x.label, (panel.left + panel.right) / 2, panel.bottom + 36, px=8, colour=GRAY, anchor="middle")
        self.text_up(panel.y.label, panel.left - 40, (panel.top + panel.bottom) / 2)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        small = cv2.resize(self._image, self._size, interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".png", small[:, :, ::-1])[1])
