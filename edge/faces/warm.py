"""Faces in thermal frames by their warmth alone: for a thermal camera that does not see what the RGB camera sees.

Two thresholds by Otsu (1979): between the room and all that is warm, and within the latter between cloth and skin.
Patches of skin that stand one above the other are one face, which glasses divide. A face has a head's proportions and
is not round, as reference discs and lamps are. The largest is the surest. The neck belongs to the patch, so the box is
a square a little wider than the patch, at its top.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box
from edge.faces import Detection

__all__ = ["WarmDetector"]

Degc = npt.NDArray[np.float32]
Patch = tuple[int, int, int, int, int]
"""Left, top, right, bottom and pixels of skin."""

_MIN_CONTRAST_DEGC = 2.0
"""Skin is at least this much warmer than the room."""
_SMALLEST_SHARE = 0.15
"""Width of the narrowest face as a share of the picture's short side."""
_ASPECT = (0.9, 2.6)
"""Height of a face with its neck by its width."""
_FILL = 0.45
"""Share of its rectangle that a face covers at least."""
_ROUND_ASPECT, _ROUND_FILL = 1.15, 0.75
"""A patch no taller than this and fuller than this is a disc (a circle fills 0.785 of its square)."""
_GAP = 0.5
"""Patches no farther apart than this share of their width, one above the other, are one face."""
_BLUR_SHARE = 0.01
"""Against noise, as a share of the short side."""
_SIDE, _TOP = 1.2, 0.1
"""Side of the box by the width of the skin, and how far it starts below its top: about as boxes in RGB lie."""


class WarmDetector:
    """Faces in thermal pictures. Scores are areas of skin as shares of the picture."""

    def detect(self, image: Degc, /) -> list[Detection]:
        """All faces in float32 ``[H, W]`` degC, largest first; boxes are squares in its pixels."""
        if not np.isfinite(image).all():
            return []
        short = min(image.shape)
        smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), max(_BLUR_SHARE * short, 0.8)), np.float32)
        warm_degc = _otsu(smooth)
        skin_degc = _otsu(smooth[smooth > warm_degc])
        room_degc = float(np.median(smooth[smooth <= warm_degc]))
        if not skin_degc - room_degc >= _MIN_CONTRAST_DEGC:
            return []
        faces = [patch for patch in _joined(_patches(smooth > skin_degc, short)) if _is_face(patch, short)]
        return [_detection(patch, image.size) for patch in sorted(faces, key=lambda patch: -patch[4])]


def _otsu(values: Degc) -> float:
    """The threshold in degC that best parts the values in two; NaN of fewer than two values."""
    if values.size < 2:
        return float("nan")
    low, high = np.quantile(values, (0.001, 0.999))
    counts, edges = np.histogram(np.clip(values, low, high), 128, (low, max(high, low + 1e-3)))
    middles, share = 0.5 * (edges[1:] + edges[:-1]), counts / counts.sum()
    below, mean = np.cumsum(share), np.cumsum(share * middles)
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1.0 - below), 1e-9)
    return float(middles[np.argmax(between)])


def _patches(skin: npt.NDArray[np.bool_], short: int) -> list[Patch]:
    """Patches that touch, from top to bottom; specks are none."""
    size = max(3, round(0.03 * short) | 1)
    mask = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((2 * size - 1, size), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    _, _, table, _ = cv2.connectedComponentsWithStats(mask)
    return sorted(((x, y, x + w, y + h, n) for x, y, w, h, n in table[1:].tolist()), key=lambda patch: patch[1])


def _joined(patches: list[Patch]) -> list[Patch]:
    """Patches one above the other as one."""
    out: list[Patch] = []
    for patch in patches:
        above = next((i for i, upper in enumerate(out) if _belong(upper, patch)), None)
        if above is None:
            out.append(patch)
        else:
            upper = out[above]
            corners = (min(upper[0], patch[0]), upper[1], max(upper[2], patch[2]), max(upper[3], patch[3]))
            out[above] = (*corners, upper[4] + patch[4])
    return out


def _belong(upper: Patch, lower: Patch) -> bool:
    widths = upper[2] - upper[0], lower[2] - lower[0]
    shared = min(upper[2], lower[2]) - max(upper[0], lower[0])
    return shared >= 0.6 * max(widths) and lower[1] - upper[3] <= _GAP * max(widths)


def _is_face(patch: Patch, short: int) -> bool:
    width, height = patch[2] - patch[0], patch[3] - patch[1]
    aspect, fill = height / width, patch[4] / (width * height)
    is_round = aspect <= _ROUND_ASPECT and fill >= _ROUND_FILL
    return width >= _SMALLEST_SHARE * short and _ASPECT[0] <= aspect <= _ASPECT[1] and fill >= _FILL and not is_round


def _detection(patch: Patch, pixels: int) -> Detection:
    width, height = patch[2] - patch[0], patch[3] - patch[1]
    side = min(_SIDE * width, float(height))
    return Detection(Box(0.5 * (patch[0] + patch[2] - side), patch[1] + _TOP * side, side, side), patch[4] / pixels)
