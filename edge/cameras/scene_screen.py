"""A lit screen that shows the subject's picture: its pane and frame, its backlight's beat, and moire.

A backlight is dimmed by pulses far quicker than any camera. Where all rows are exposed at once, or the pulses are near
a multiple of the frame rate, they fold to a slow flicker of the whole pane; a rolling shutter sees stripes that wander
at the same rate. White diodes hold a phosphor whose red lasts for milliseconds after each pulse, so that red may
flicker less than green, as blood makes skin do. Camera pixels and the pane's beat too, by colour: fringes.
"""

from __future__ import annotations

import numpy as np

from edge.cameras.scene_canvas import Canvas, Extent, Planes, Shape
from edge.cameras.scene_params import SceneParams
from edge.cameras.scene_view import View

__all__ = ["Screen", "is_screen", "screen_shape"]

FRAME = 0.05
"""Width of the frame around the pane, in face sides."""
FRAME_COLOUR = (26.0, 26.0, 28.0)
TINT = (1.0, 1.08, 1.16)
"""A pane is brighter and bluer than the room's light."""
FRINGES, BEND = 4.0, 1.2
"""Of moire: fringes in a face side, and how fast they get closer outwards."""
RED = 0


def is_screen(params: SceneParams) -> bool:
    """Whether the subject is seen on a screen."""
    return params.face in {"screen", "video"}


def screen_shape(width: float, grown: float = 0.0) -> Shape:
    """The pane in head coordinates, ``width`` face sides wide, larger by ``grown`` on each side."""
    return Shape(0.0, -0.05, 0.5 * width + grown, 0.95 + grown, 0.02, 24.0)


class Screen:
    """Puts a picture on the pane, and the room around it. Where the pane stands does not change with time."""

    def __init__(self, params: SceneParams) -> None:
        self._params = params
        self._view: View | None = None

    def show(self, view: View, t_s: float, room: Planes, picture: Planes) -> None:
        """Change ``picture`` (the subject as the camera would see it without a screen) into the room with the screen.

        Both float32 ``[3, rows, columns]`` of ``view``, 0..255.
        """
        if view != self._view:
            self._view = view
            self._lay_out(view)
        for colour, (seen, wall) in enumerate(zip(picture, room, strict=True)):
            around = wall + (FRAME_COLOUR[colour] - wall) * self._frame
            shown = seen * self._flicker(t_s, colour)
            if self._params.moire:
                shown *= self._moire(t_s, colour)
            picture[colour] = around + (shown - around) * self._pane

    def _flicker(self, t_s: float, colour: int) -> Planes:
        """Factor on one colour ``[rows, 1]``."""
        params = self._params
        share = params.screen_red if colour == RED else 1.0
        beat = np.sin(2.0 * np.pi * (params.screen_hz * t_s + params.screen_bands * self._rows))
        return np.asarray(TINT[colour] * (1.0 + params.screen_flicker * share * beat), np.float32)

    def _moire(self, t_s: float, colour: int) -> Planes:
        """Factor on one colour ``[rows, columns]``."""
        turn = 2.0 * np.pi * (colour / 3.0 - self._params.moire_hz * t_s)
        even, odd = (np.float32(self._params.moire * wave(turn)) for wave in (np.cos, np.sin))
        return np.asarray(1.0 + even * self._fringes[0] - odd * self._fringes[1], np.float32)

    def _lay_out(self, view: View) -> None:
        """Pane and frame as opacities, the fringes, and the height of each row, for a view."""
        params = self._params
        side = params.face_side
        x0, y0 = (view.x - params.face_x) / side, (view.y - params.face_y) / side
        canvas = Canvas(Extent(x0, y0, x0 + view.width / side, y0 + view.height / side, view.density * side), 2)
        canvas.paint(screen_shape(params.screen_width), (1.0, 0.0))
        self._pane = canvas.planes[0].copy()
        canvas.paint(screen_shape(params.screen_width, FRAME), (0.0, 1.0))
        self._frame = canvas.planes[1]
        turn = 2.0 * np.pi * (FRINGES * (0.8 * canvas.x + 0.6 * canvas.y) + BEND * (canvas.x**2 + canvas.y**2))
        self._fringes = np.cos(turn), np.sin(turn)
        self._rows = params.face_y + side * canvas.y
