"""Drawn textures laid over each other into one frame: a wall, a torso, a head, at times a board before them.

Textures are drawn once for a range of densities, at least ``MIN_TEXELS`` a face side, and averaged to the size of a
view pixel, so a small view is the mean of a large one and moves by small parts of a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from edge.cameras.scene_canvas import Canvas, Extent, Planes
from edge.cameras.scene_face import BOARD, HEAD, TORSO, Look, draw_board, draw_head, draw_torso, draw_wall
from edge.cameras.scene_heat import (
    draw_warm_board,
    draw_warm_head,
    draw_warm_room,
    draw_warm_screen,
    draw_warm_torso,
)
from edge.cameras.scene_params import SceneParams
from edge.cameras.scene_screen import is_screen
from edge.cameras.scene_view import View

__all__ = ["Part", "RgbLayers", "RgbState", "Sprite", "ThermalLayers", "Warmth", "texels_for"]

MIN_TEXELS = 100.0
ROOM = Extent(-2.0, -0.5, 2.0, 1.5, 80.0)
SCREEN = (-2.6, -1.1, 2.6, 1.0)
"""What a screen fills at most, in head coordinates."""
FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

Box = tuple[int, int, int, int]
Part = tuple[str, Planes, Box]
"""Name, affine map ``[2, 3]`` from the pixels of the box to texels, box (left, top, right, bottom in view pixels)."""


def texels_for(pixels_per_side: float) -> tuple[float, int]:
    """Texels per face side for a view with so many pixels per face side, and the odd number of texels a pixel spans.

    Views within 9 % of each other share a texture.
    """
    nominal = 2.0 ** (round(4.0 * np.log2(pixels_per_side)) / 4.0)
    span = max(1, 2 * int(np.ceil((MIN_TEXELS / nominal - 1.0) / 2.0)) + 1)
    return nominal * span, span


def _extent(corners: tuple[float, float, float, float], density: float) -> Extent:
    """Whole texels, so that the corners of the texture are those of its extent."""
    x0, y0, x1, y1 = corners
    columns, rows = np.ceil((x1 - x0) * density), np.ceil((y1 - y0) * density)
    return Extent(x0, y0, float(x0 + columns / density), float(y0 + rows / density), density)


def _interleaved(planes: Planes, span: int, sigma: float = 0.0) -> Planes:
    """A texture ``[rows, columns, C]`` whose texels are means over ``span`` texels, blurred by ``sigma`` texels."""
    texture = cv2.merge(list(planes))
    if sigma > 0.3:
        texture = cv2.GaussianBlur(texture, (0, 0), sigma)
    return np.asarray(cv2.blur(texture, (span, span)) if span > 1 else texture, np.float32)


def _warp(texture: Planes, place: Planes, box: Box) -> list[Planes]:
    """The planes of ``texture`` seen in ``box`` (left, top, right, bottom in view pixels)."""
    size = (box[2] - box[0], box[3] - box[1])
    return [np.asarray(plane, np.float32) for plane in cv2.split(cv2.warpAffine(texture, place, size, flags=FLAGS))]


def _room_in(view: View, room: Planes) -> Planes:
    """The room's texture ``[rows, columns, C]`` seen through ``view``, as planes ``[C, rows, columns]``."""
    step_x, step_y = (ROOM.density * s for s in (view.width / view.columns, view.height / view.rows))
    x, y = (view.x - ROOM.x0) * ROOM.density, (view.y - ROOM.y0) * ROOM.density
    place = np.array([[step_x, 0.0, x + 0.5 * step_x - 0.5], [0.0, step_y, y + 0.5 * step_y - 0.5]])
    seen = cv2.warpAffine(room, place, (view.columns, view.rows), flags=FLAGS, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(seen.reshape(view.rows, view.columns, -1).transpose(2, 0, 1))


class Room:
    """The room behind, remembered for the view last asked for."""

    def __init__(self, canvas: Canvas) -> None:
        self._texture = cv2.merge(list(canvas.planes))
        self._view: View | None = None
        self._seen: Planes = canvas.planes

    def seen(self, view: View) -> Planes:
        """Planes ``[C, rows, columns]``; not to be changed."""
        if view != self._view:
            self._view, self._seen = view, _room_in(view, self._texture)
        return self._seen


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One drawn part in colour: ``colour`` (R, G, B times opacity, opacity) and ``maps`` (pulse early, late, side)."""

    extent: Extent
    colour: Planes
    maps: Planes
    changes: Mapping[str, tuple[slice, Planes]]
    """Named changes of ``colour`` in a band of rows: lids, lips."""

    @classmethod
    def of(cls, canvas: Canvas, span: int, variants: Mapping[str, Canvas] | None = None) -> Sprite:
        """The textures of a drawing with planes R, G, B, opacity, pulse."""
        late = np.clip(canvas.y + 0.5, 0.0, 1.0)
        side = np.broadcast_to(np.clip(canvas.x / 0.45, -1.0, 1.0), canvas.planes[4].shape)
        maps = np.stack([canvas.planes[4] * (1.0 - late), canvas.planes[4] * late, side])
        colour = _interleaved(canvas.planes[:4], span)
        changes = {}
        for name, variant in (variants or {}).items():
            change = _interleaved(variant.planes[:4], span) - colour
            rows = np.flatnonzero(np.abs(change).max(axis=(1, 2)) > 0.0)
            band = slice(int(rows[0]), int(rows[-1]) + 1)
            changes[name] = (band, change[band])
        return cls(canvas.extent, colour, _interleaved(maps, span), changes)

    def changed(self, amounts: Mapping[str, float]) -> Planes:
        """``colour`` with each named change added by its amount."""
        wanted = {name: amount for name, amount in amounts.items() if amount > 0.0 and name in self.changes}
        if not wanted:
            return self.colour
        colour: Planes = self.colour.copy()
        for name, amount in wanted.items():
            band, change = self.changes[name]
            colour[band] += amount * change
        return colour


@dataclass(frozen=True, slots=True)
class RgbState:
    """What one RGB frame needs to know beside the places of its parts."""

    light: tuple[float, float, float]
    side: float
    pulse: tuple[float, float]
    """BVP at the forehead and at the chin."""
    face: Mapping[str, float]
    """``lids`` and ``lips``, 0..1."""


class RgbLayers:
    """The drawn parts in colour for one range of densities."""

    def __init__(self, look: Look, pixels_per_side: float, gains: tuple[float, float, float]) -> None:
        texels, span = texels_for(pixels_per_side)
        head = draw_head(look, _extent(HEAD, texels))
        self.sprites = {
            "torso": Sprite.of(draw_torso(look, _extent(TORSO, texels)), span),
            "head": Sprite.of(head["rest"], span, {name: head[name] for name in ("lids", "lips")}),
            "board": Sprite.of(draw_board(_extent(BOARD, texels)), span),
        }
        self.room = Room(draw_wall(look, ROOM))
        self._gains = gains
        self.extents = {name: sprite.extent for name, sprite in self.sprites.items()}

    def compose(self, view: View, state: RgbState, parts: Sequence[Part], out: Planes) -> None:
        """Fill ``out`` float32 ``[3, rows, columns]``; ``parts`` are names, maps and boxes from back to front."""
        across = view.x + view.width * (np.arange(view.columns, dtype=np.float32) + 0.5) / view.columns
        lean = np.clip(1.0 + state.side * across, 0.05, None)[None, :]
        for plane, wall, light in zip(out, self.room.seen(view), state.light, strict=True):
            np.multiply(wall, light * lean, out=plane)
        for name, place, box in parts:
            if box[0] < box[2] and box[1] < box[3]:
                self._lay(self.sprites[name], state, place, box, out)

    def _lay(self, sprite: Sprite, state: RgbState, place: Planes, box: Box, out: Planes) -> None:
        *colours, opacity = _warp(sprite.changed(state.face), place, box)
        early, late, side = _warp(sprite.maps, place, box)
        early *= state.pulse[0]
        late *= state.pulse[1]
        early += late
        side *= state.side
        side += 1.0
        np.subtract(1.0, opacity, out=opacity)
        for plane, colour, light, gain in zip(out, colours, state.light, self._gains, strict=True):
            seen = plane[box[1] : box[3], box[0] : box[2]]
            seen *= opacity
            np.multiply(early, -gain * light, out=late)
            late += light
            late *= side
            late *= colour
            seen += late


class Warmth(NamedTuple):
    """What changes the temperatures of one thermal frame, in degC: at the nostrils, of all the body, in the draught."""

    breath: float
    body: float = 0.0
    draught: float = 0.0


class ThermalLayers:
    """The drawn parts in degC for one range of densities."""

    def __init__(self, look: Look, params: SceneParams, pixels_per_side: float, sensor_pixels: float) -> None:
        texels, span = texels_for(pixels_per_side)
        sigma = params.psf_px * texels / (pixels_per_side * sensor_pixels**0.5)
        drawings = {
            "torso": draw_warm_torso(look, params, _extent(TORSO, texels)),
            "head": draw_warm_head(look, params, _extent(HEAD, texels)),
            "board": draw_warm_board(_extent(BOARD, texels)),
        }
        if is_screen(params):
            drawings["screen"] = draw_warm_screen(params, _extent(SCREEN, texels))
        self.extents = {name: canvas.extent for name, canvas in drawings.items()}
        self._textures = {name: _interleaved(canvas.planes, span, sigma) for name, canvas in drawings.items()}
        self.room = Room(draw_warm_room(params, ROOM))

    def compose(self, view: View, warmth: Warmth, parts: Sequence[Part], out: Planes) -> None:
        """Fill ``out`` float32 ``[rows, columns]`` with degC."""
        np.copyto(out, self.room.seen(view)[0])
        for name, place, box in parts:
            if box[0] < box[2] and box[1] < box[3]:
                degc, opacity, breath, draught = _warp(self._textures[name], place, box)
                seen = out[box[1] : box[3], box[0] : box[2]]
                seen *= 1.0 - opacity
                seen += degc
                seen += warmth.breath * breath
                if warmth.body:
                    seen += warmth.body * opacity
                if warmth.draught:
                    seen += warmth.draught * draught
