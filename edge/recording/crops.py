"""Which rectangles of a picture to keep for the regions that were read."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edge.clips.crop import Box
from edge.recording.messages import Crop

__all__ = ["crops_of"]


def crops_of(regions: Iterable[Box], shape: tuple[int, ...]) -> tuple[Crop, ...]:
    """The rectangles that hold all regions; those that overlap become one, so that no pixel is kept twice."""
    found: list[Crop] = []
    for region in regions:
        crop = _crop(region, shape)
        while (other := next((one for one in found if _overlap(one, crop)), None)) is not None:
            found.remove(other)
            crop = _around(other, crop)
        found.append(crop)
    return tuple(found)


def _crop(region: Box, shape: tuple[int, ...]) -> Crop:
    """The pixels that a region touches, and one more on each side, where rounding might touch them."""
    x, y = max(0, math.floor(region.x) - 1), max(0, math.floor(region.y) - 1)
    right = min(shape[1], math.ceil(region.x + region.w) + 1)
    bottom = min(shape[0], math.ceil(region.y + region.h) + 1)
    return Crop(x, y, right - x, bottom - y)


def _overlap(a: Crop, b: Crop) -> bool:
    return a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h


def _around(a: Crop, b: Crop) -> Crop:
    x, y = min(a.x, b.x), min(a.y, b.y)
    return Crop(x, y, max(a.x + a.w, b.x + b.w) - x, max(a.y + a.h, b.y + b.h) - y)
