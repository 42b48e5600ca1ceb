"""The subject and the room as a thermal camera sees them: degC and breath strength, on the same shapes as the face."""

from __future__ import annotations

from collections.abc import Iterator

from edge.cameras.scene_canvas import Canvas, Extent, Shape, lattice
from edge.cameras.scene_face import BOARD_SHAPE, Look
from edge.cameras.scene_params import SceneParams, stream
from edge.cameras.scene_screen import screen_shape

__all__ = ["draw_warm_board", "draw_warm_head", "draw_warm_room", "draw_warm_screen", "draw_warm_torso"]

SKIN_DEGC, NOSE_DEGC, CANTHUS_DEGC, MOUTH_DEGC, NECK_DEGC = 34.0, 32.3, 35.4, 34.3, 34.4
BOARD_DEGC = 24.5
PAPER_DEGC = 1.0
"""A photograph is this much warmer than the room."""
PANE_DEGC = 6.0
"""A lit screen is this much warmer than the room; it hides what it shows from a thermal camera, as any glass does."""


def _warm(params: SceneParams, degc: float, coupling: float) -> float:
    """A surface at ``degc`` in a 22 degC room, in this room; ``coupling`` is how far it follows the room (0..1)."""
    if params.heat == "dummy":
        return params.dummy_degc
    if params.face == "photo":
        return params.ambient_degc + PAPER_DEGC
    return degc + coupling * (params.ambient_degc - 22.0)


def draw_warm_head(look: Look, params: SceneParams, extent: Extent) -> Canvas:
    """The head as planes degC (times opacity), opacity, breath strength (0..1, strongest below the nose), draught."""
    canvas = Canvas(extent, 4)
    for shape, degc, coupling, opacity in _warm_parts(look):
        canvas.paint(shape, (_warm(params, degc, coupling), 1.0, 0.0, 0.0), opacity)
    _draught(look, canvas)
    if params.face == "live" and params.heat == "own":
        _uneven(look, canvas)
        _breath(look, canvas)
    return canvas


def _warm_parts(look: Look) -> Iterator[tuple[Shape, float, float, float]]:
    """Shapes from back to front: degC in a 22 degC room, how far they follow the room, opacity."""
    yield Shape(0.0, -0.2, 0.5, 0.5, 0.05, 2.1), 28.5, 0.5, 1.0
    for ear in Shape(look.half_width + 0.015, -0.03, 0.045, 0.11, 0.03).pair():
        yield ear, 31.5, 0.4, 1.0
    yield Shape(0.0, 0.03, look.half_width, 0.53, 0.04, 2.35), SKIN_DEGC, 0.15, 1.0
    yield Shape(0.0, -0.28, 0.3, 0.14, 0.2), SKIN_DEGC + 0.6, 0.1, 1.0
    for cheek in Shape(0.25, 0.12, 0.12, 0.12, 0.16).pair():
        yield cheek, SKIN_DEGC - 0.7, 0.25, 0.8
    yield Shape(0.0, 0.04, 0.065, 0.15, 0.08), NOSE_DEGC, 0.3, 0.9
    for corner in Shape(look.eye_x - 0.07, look.eye_y + 0.01, 0.04, 0.04, 0.05).pair():
        yield corner, CANTHUS_DEGC, 0.05, 0.9
    for brow in Shape(look.eye_x, look.eye_y - 0.1, 0.11, 0.025, 0.04).pair():
        yield brow, SKIN_DEGC - 1.0, 0.2, 0.7
    yield Shape(0.0, look.mouth_y, look.mouth_half, 0.04, 0.05), MOUTH_DEGC, 0.15, 0.8
    if look.glasses:
        for glass in Shape(look.eye_x, look.eye_y + 0.01, 0.135, 0.09, 0.02, 3.0).pair():
            yield glass, 26.5, 0.7, 0.95
    yield Shape(0.0, look.hairline - 0.1, 0.36, 0.12, 0.06, 2.2), 29.0, 0.5, 1.0
    if look.long_hair:
        for curtain in Shape(0.5, 0.1, 0.075, 0.5, 0.05, 2.4).pair():
            yield curtain, 27.5, 0.6, 1.0


def _uneven(look: Look, canvas: Canvas) -> None:
    noise = lattice(stream(look.seed, "heat"), canvas.extent, 5.0)
    canvas.planes[0] += 0.15 * noise * canvas.planes[1]


def _breath(look: Look, canvas: Canvas) -> None:
    """Air warms and cools the nostrils' rims most, the upper lip less, the mouth a little."""
    _, opacity, breath, _ = canvas.planes
    air = Canvas(canvas.extent, 1)
    air.paint(Shape(0.0, look.mouth_y, 0.13, 0.05, 0.08), (0.3,))
    air.paint(Shape(0.0, 0.185, 0.1, 0.06, 0.08), (0.65,))
    for nostril in Shape(0.045, 0.135, 0.05, 0.04, 0.04).pair():
        air.paint(nostril, (1.0,))
    breath[:] = air.planes[0] * opacity


def _draught(look: Look, canvas: Canvas) -> None:
    """Moving air cools what stands out most: the nose, then brows, lips and chin, the rest of the face less."""
    air = Canvas(canvas.extent, 1)
    air.paint(Shape(0.0, 0.03, look.half_width, 0.53, 0.1, 2.35), (0.4,))
    air.paint(Shape(0.0, look.eye_y - 0.1, 0.3, 0.05, 0.08), (0.6,))
    air.paint(Shape(0.0, 0.4, 0.18, 0.18, 0.12), (0.65,))
    air.paint(Shape(0.0, 0.08, 0.09, 0.13, 0.08), (1.0,))
    canvas.planes[3] = air.planes[0] * canvas.planes[1]


def draw_warm_torso(look: Look, params: SceneParams, extent: Extent) -> Canvas:
    """Neck and shoulders, planes as the head's."""
    canvas = Canvas(extent, 4)
    if look.long_hair:
        canvas.paint(Shape(0.0, 0.3, 0.52, 0.5, 0.06, 3.0), (_warm(params, 27.0, 0.6), 1.0, 0.0, 0.0))
    canvas.paint(Shape(0.0, 1.75, 1.2, 0.95, 0.05, 3.2), (_warm(params, 27.5, 0.6), 1.0, 0.0, 0.0))
    canvas.paint(Shape(0.0, 0.6, 0.25, 0.36, 0.04, 4.0), (_warm(params, NECK_DEGC, 0.15), 1.0, 0.0, 0.0))
    canvas.planes[0] += 0.2 * lattice(stream(look.seed, "cloth"), extent, 3.0, reach=3.0) * canvas.planes[1]
    return canvas


def draw_warm_room(params: SceneParams, extent: Extent) -> Canvas:
    """The room behind as one plane in degC, in scene coordinates."""
    canvas = Canvas(extent, 1)
    canvas.planes[0] = params.ambient_degc + 0.25 * lattice(stream(params.seed, "room"), extent, 2.5, reach=2.5)
    canvas.planes[0] -= 0.8 * (canvas.y - 0.5)
    return canvas


def draw_warm_board(extent: Extent) -> Canvas:
    """The board that hides the face, planes as the head's."""
    canvas = Canvas(extent, 4)
    canvas.paint(BOARD_SHAPE, (BOARD_DEGC, 1.0, 0.0, 0.0))
    return canvas


def draw_warm_screen(params: SceneParams, extent: Extent) -> Canvas:
    """The pane of a lit screen, planes as the head's."""
    canvas = Canvas(extent, 4)
    canvas.paint(screen_shape(params.screen_width), (params.ambient_degc + PANE_DEGC, 1.0, 0.0, 0.0))
    return canvas
