"""The subject: a stylised person drawn in head coordinates, in colour and in strength of the pulse; and what is behind.

Head coordinates have the centre of the face as origin and about the side of its box as unit, x to the right and y
down in the picture. Skin differs in pulse by place: forehead and cheeks strong, nose, lips and chin weak, eyes, hair,
cloth none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.cameras.scene_canvas import Canvas, Extent, Shape, lattice
from edge.cameras.scene_params import SceneParams, stream
from edge.cameras.scene_physiology import Floats

__all__ = ["BOARD", "HEAD", "TORSO", "Look", "draw_board", "draw_head", "draw_torso", "draw_wall", "look_from"]

HEAD = (-0.75, -0.95, 0.75, 0.95)
TORSO = (-1.5, -0.3, 1.5, 2.6)
BOARD = (-0.95, -1.1, 0.95, 0.95)
"""What head, torso and board fill at most: x0, y0, x1, y1."""

BOARD_SHAPE = Shape(0.0, -0.08, 0.85, 0.95, 0.03, 8.0)

RGB = slice(0, 3)
PULSE = slice(4, 5)

Colour = tuple[float, float, float]

TONES: tuple[Colour, ...] = (
    (212.0, 178.0, 160.0), (204.0, 165.0, 142.0), (190.0, 146.0, 118.0),
    (168.0, 121.0, 93.0), (140.0, 97.0, 73.0), (114.0, 78.0, 60.0),
)  # fmt: skip
"""Camera values of well exposed forehead skin for tones 1 to 6; cameras lift the darkest."""
HAIR: tuple[Colour, ...] = ((38.0, 30.0, 27.0), (62.0, 44.0, 33.0), (96.0, 68.0, 44.0), (150.0, 120.0, 78.0))
CLOTH: tuple[Colour, ...] = (
    (70.0, 84.0, 112.0), (120.0, 58.0, 56.0), (66.0, 96.0, 78.0), (150.0, 148.0, 140.0), (52.0, 52.0, 58.0),
)  # fmt: skip
WALL: tuple[Colour, ...] = ((168.0, 170.0, 168.0), (140.0, 150.0, 160.0), (176.0, 164.0, 146.0), (120.0, 128.0, 122.0))


@dataclass(frozen=True, slots=True)
class Look:
    """What makes a subject: proportions in head coordinates, colours, hair, skin."""

    skin: Colour
    hair: Colour
    cloth: Colour
    wall: Colour
    half_width: float
    eye_x: float
    eye_y: float
    mouth_y: float
    mouth_half: float
    brow: float
    hairline: float
    long_hair: bool
    glasses: bool
    stubble: float
    texture: float
    seed: int


def look_from(params: SceneParams, texture: float) -> Look:
    """The subject of ``params.seed`` and ``params.tone``; ``texture`` is the unevenness of the skin, rms."""
    rng = stream(params.seed, "look")
    darkness = (params.tone - 1.0) / 5.0
    skin = _between(TONES, params.tone - 1.0, 1.0 + rng.uniform(-0.04, 0.04, 3))
    hair = HAIR[min(int(rng.integers(len(HAIR)) * (1.0 - darkness) ** 0.5), len(HAIR) - 1)]
    return Look(
        skin=skin,
        hair=hair,
        cloth=CLOTH[int(rng.integers(len(CLOTH)))],
        wall=WALL[int(rng.integers(len(WALL)))],
        half_width=rng.uniform(0.435, 0.47),
        eye_x=rng.uniform(0.18, 0.2),
        eye_y=rng.uniform(-0.13, -0.115),
        mouth_y=rng.uniform(0.27, 0.29),
        mouth_half=rng.uniform(0.13, 0.16),
        brow=rng.uniform(0.016, 0.026),
        hairline=rng.uniform(-0.47, -0.4),
        long_hair=bool(rng.random() < 0.35),
        glasses=bool(rng.random() < 0.15),
        stubble=float(rng.choice([0.0, 0.0, 0.0, 0.15, 0.3])),
        texture=texture,
        seed=params.seed,
    )


def _between(table: tuple[Colour, ...], place: float, factors: Floats) -> Colour:
    """The colour at a fractional place in the table, each channel times its factor."""
    at = np.arange(len(table))
    red, green, blue = (float(np.interp(place, at, column)) for column in zip(*table, strict=True))
    return red * float(factors[0]), green * float(factors[1]), blue * float(factors[2])


def _tinted(colour: Colour, factor: float, pulse: float = 0.0) -> tuple[float, ...]:
    """An opaque paint: the colour times ``factor``, and how strongly it pulses."""
    return (*(channel * factor for channel in colour), 1.0, pulse)


def draw_head(look: Look, extent: Extent) -> dict[str, Canvas]:
    """The head as planes R, G, B, opacity, pulse: ``rest``, ``lids`` (eyes shut) and ``lips`` (mouth open)."""
    base = Canvas(extent, 5)
    _skull(look, base)
    _relief(look, base)
    _skin_texture(look, base)
    _nose(look, base)
    drawings = {"rest": base, "lids": base.copy(), "lips": base.copy()}
    for name, canvas in drawings.items():
        _mouth(look, canvas, is_open=name == "lips")
        _eyes(look, canvas, is_shut=name == "lids")
        _hair(look, canvas)
    return drawings


def _skull(look: Look, canvas: Canvas) -> None:
    hair, skin = _tinted(look.hair, 1.0), _tinted(look.skin, 1.0, 0.75)
    canvas.paint(Shape(0.0, -0.2, 0.5, 0.5, 0.03, 2.1), hair)
    for ear in Shape(look.half_width + 0.015, -0.03, 0.045, 0.11, 0.02).pair():
        canvas.paint(ear, _tinted(look.skin, 0.82, 0.5))
    canvas.paint(Shape(0.0, 0.03, look.half_width, 0.53, 0.025, 2.35), skin)


def _relief(look: Look, canvas: Canvas) -> None:
    """Light and shade of the face's form, and where blood shows most."""
    x, y = canvas.x / look.half_width, (canvas.y - 0.03) / 0.55
    rim = np.clip(x * x + y * y, 0.0, 1.4)
    canvas.planes[RGB] *= 1.04 - 0.24 * rim * rim
    lights = [(Shape(0.0, -0.3, 0.26, 0.15, 0.18), 1.08, 1.45)]
    lights += [(cheek, 1.07, 1.35) for cheek in Shape(0.23, 0.08, 0.13, 0.12, 0.16).pair()]
    for place, light, pulse in lights:
        canvas.shade(place, light, RGB)
        canvas.shade(place, pulse, PULSE)
    shades = [
        (Shape(0.0, 0.46, 0.16, 0.09, 0.12), 0.97, 0.7),
        *((socket, 0.72, 0.6) for socket in Shape(look.eye_x, look.eye_y - 0.01, 0.125, 0.075, 0.09).pair()),
        *((fold, 0.9, 0.9) for fold in Shape(0.15, 0.19, 0.012, 0.09, 0.05, 2.0, 25.0).pair()),
    ]
    for place, shade, pulse in shades:
        canvas.shade(place, shade, RGB)
        canvas.shade(place, pulse, PULSE)
    if look.stubble:
        canvas.shade(Shape(0.0, 0.36, 0.36, 0.22, 0.16, 3.0), 1.0 - look.stubble, RGB)


def _skin_texture(look: Look, canvas: Canvas) -> None:
    rng = stream(look.seed, "texture")
    uneven = 0.7 * lattice(rng, canvas.extent, 5.0) + 0.7 * lattice(rng, canvas.extent, 26.0)
    canvas.planes[RGB] *= 1.0 + look.texture * uneven
    canvas.planes[PULSE] *= 1.0 + 0.12 * np.clip(lattice(rng, canvas.extent, 4.0), -2.0, 2.0)


def _nose(look: Look, canvas: Canvas) -> None:
    for side in Shape(0.07, -0.06, 0.022, 0.13, 0.06, 2.0, 6.0).pair():
        canvas.shade(side, 0.86, RGB)
    canvas.shade(Shape(0.0, -0.03, 0.032, 0.17, 0.05), 1.12, RGB)
    canvas.shade(Shape(0.0, 0.09, 0.05, 0.04, 0.05), 1.08, RGB)
    canvas.shade(Shape(0.0, 0.03, 0.085, 0.14, 0.06), 0.65, PULSE)
    canvas.shade(Shape(0.0, 0.15, 0.1, 0.028, 0.04), 0.78, RGB)
    for wing in Shape(0.085, 0.11, 0.012, 0.035, 0.03).pair():
        canvas.shade(wing, 0.8, RGB)
    for nostril in Shape(0.04, 0.135, 0.024, 0.011, 0.015, 2.0, -15.0).pair():
        canvas.paint(nostril, _tinted(look.skin, 0.3), 0.85)


def _mouth(look: Look, canvas: Canvas, *, is_open: bool) -> None:
    red = (look.skin[0] * 0.82, look.skin[1] * 0.6, look.skin[2] * 0.62)
    drop = 0.05 if is_open else 0.0
    y, half = look.mouth_y, look.mouth_half
    canvas.paint(Shape(0.0, y - 0.014, half, 0.022, 0.018), _tinted(red, 0.88, 0.35), 0.85)
    canvas.paint(Shape(0.0, y + 0.024 + drop, half * 0.82, 0.028, 0.02), _tinted(red, 1.0, 0.45), 0.85)
    canvas.paint(Shape(0.0, y + 0.003 + drop / 2, half, 0.008 + drop / 2, 0.012), _tinted(red, 0.35))
    canvas.shade(Shape(0.0, y + 0.085 + drop, half * 0.6, 0.02, 0.04), 0.86, RGB)


def _eyes(look: Look, canvas: Canvas, *, is_shut: bool) -> None:
    lash = tuple(0.5 * channel for channel in look.hair)
    for eye in Shape(look.eye_x, look.eye_y, 0.078, 0.034, 0.012, 2.0, 3.0).pair():
        if is_shut:
            canvas.paint(Shape(eye.cx, eye.cy, 0.078, 0.034, 0.03), _tinted(look.skin, 0.74, 0.45))
            canvas.paint(Shape(eye.cx, eye.cy + 0.022, 0.076, 0.008, 0.012), _tinted(look.hair, 0.5), 0.9)
            continue
        canvas.paint(eye, (178.0, 171.0, 167.0, 1.0, 0.0), 0.9)
        canvas.paint(Shape(eye.cx, eye.cy - 0.003, 0.033, 0.033, 0.012), (58.0, 44.0, 34.0, 1.0, 0.0))
        canvas.paint(Shape(eye.cx, eye.cy - 0.003, 0.014, 0.014, 0.008), (12.0, 11.0, 11.0, 1.0, 0.0))
        canvas.paint(Shape(eye.cx, eye.cy - 0.031, 0.084, 0.011, 0.014), (*lash, 1.0, 0.0), 0.95)
    for brow in Shape(look.eye_x + 0.01, look.eye_y - 0.105, 0.115, look.brow, 0.022, 2.0, -1.0).pair():
        canvas.paint(brow, _tinted(look.hair, 0.8, 0.08), 0.85)
    if look.glasses:
        _glasses(look, canvas)


def _glasses(look: Look, canvas: Canvas) -> None:
    """Thin frames: each rim is the dark shape with the old picture put back inside."""
    before = canvas.planes.copy()
    inner = np.zeros(canvas.planes.shape[1:], np.float32)
    for rim in Shape(look.eye_x, look.eye_y + 0.01, 0.135, 0.09, 0.012, 3.0).pair():
        canvas.paint(rim, (48.0, 44.0, 42.0, 1.0, 0.0))
        glass = Canvas(canvas.extent, 1)
        glass.paint(Shape(rim.cx, rim.cy, rim.rx - 0.013, rim.ry - 0.013, 0.012, 3.0), (1.0,))
        inner = np.maximum(inner, glass.planes[0])
    canvas.planes += (before - canvas.planes) * inner
    canvas.paint(Shape(0.0, look.eye_y - 0.01, 0.06, 0.008, 0.012), (48.0, 44.0, 42.0, 1.0, 0.0))


def _hair(look: Look, canvas: Canvas) -> None:
    """The front hair: a cap above the hairline, and locks at the temples."""
    paint = _tinted(look.hair, 1.05)
    canvas.paint(Shape(0.0, look.hairline - 0.1, 0.36, 0.12, 0.06, 2.2), paint)
    for lock in Shape(0.43, -0.3, 0.08, 0.22, 0.05, 2.0, -14.0).pair():
        canvas.paint(lock, paint)
    if look.long_hair:
        for curtain in Shape(0.5, 0.1, 0.075, 0.5, 0.05, 2.4).pair():
            canvas.paint(curtain, paint)


def draw_torso(look: Look, extent: Extent) -> Canvas:
    """Neck and shoulders as planes R, G, B, opacity, pulse, in head coordinates of the head at rest."""
    canvas = Canvas(extent, 5)
    if look.long_hair:
        canvas.paint(Shape(0.0, 0.3, 0.52, 0.5, 0.06, 3.0), _tinted(look.hair, 0.75))
    canvas.paint(Shape(0.0, 1.75, 1.2, 0.95, 0.04, 3.2), _tinted(look.cloth, 1.0))
    for fold in Shape(0.55, 1.5, 0.05, 0.5, 0.15, 2.0, 10.0).pair():
        canvas.shade(fold, 0.85, RGB)
    canvas.paint(Shape(0.0, 0.6, 0.25, 0.36, 0.03, 4.0), _tinted(look.skin, 0.8, 0.4))
    canvas.shade(Shape(0.0, 0.52, 0.3, 0.14, 0.14), 0.72, RGB)
    return canvas


def draw_wall(look: Look, extent: Extent) -> Canvas:
    """The room behind as planes R, G, B, in scene coordinates: a wall with a few soft panels."""
    rng = stream(look.seed, "wall")
    canvas = Canvas(extent, 3)
    canvas.planes += np.array(look.wall, np.float32)[:, None, None]
    for _ in range(4):
        place = Shape(
            rng.uniform(-1.0, 1.0), rng.uniform(0.0, 1.0), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4), 0.06, 8.0
        )
        canvas.shade(place, rng.uniform(0.8, 1.12), RGB)
    canvas.planes *= 1.05 - 0.15 * canvas.y + 0.03 * lattice(rng, extent, 3.0, reach=2.5)
    return canvas


def draw_board(extent: Extent) -> Canvas:
    """A grey board as planes R, G, B, opacity, pulse, in head coordinates: what hides the face when it is occluded."""
    canvas = Canvas(extent, 5)
    canvas.paint(BOARD_SHAPE, (112.0, 112.0, 108.0, 1.0, 0.0))
    return canvas
