"""The default detector: OpenCV's Haar frontal cascade (Viola and Jones 2001), on the picture's area mean.

Of the cascades that OpenCV ships, ``alt2`` finds the same faces as ``default`` with a third of the false alarms on
walls and noise. A gain that brings the bright end to full scale finds faces in the dark; histogram equalisation does
too, but loses small faces before a wide background.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box
from edge.errors import FaultError, UsageError
from edge.faces import Detection, Detector

__all__ = ["HaarDetector", "open_detector"]

LONG_SIDE_PX = 320
"""The picture is reduced to this before the search."""
SMALLEST_SHARE = 0.1
"""Smallest face looked for, as a share of the picture's short side."""
SMALLEST_PX = 20
"""Side of the window that the cascade was trained on, in the reduced picture."""
SCALE_STEP = 1.1
NEIGHBOURS = 4
"""Windows that must agree on a face."""
BRIGHT_PERCENTILE = 99.0
MAX_GAIN = 8.0


class HaarDetector:
    """Frontal faces of at least a tenth of the picture's short side. Scores are the last stage's weights, no unit."""

    def __init__(self) -> None:
        path = Path(cv2.__file__).with_name("data") / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise FaultError(f"the face cascade {path} cannot be loaded; install opencv-python-headless below 5 again")

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        """All faces in RGB uint8 ``[H, W, 3]``, most certain first; boxes are squares in its pixels."""
        gray, scale = _reduced(rgb)
        side = max(SMALLEST_PX, round(SMALLEST_SHARE * min(gray.shape)))
        boxes, _, scores = self._cascade.detectMultiScale3(
            _brightened(gray),
            scaleFactor=SCALE_STEP,
            minNeighbors=NEIGHBOURS,
            minSize=(side, side),
            outputRejectLevels=True,
        )
        found = [
            Detection(Box(*(float(edge) / scale for edge in box)), float(score))
            for box, score in zip(boxes, scores, strict=True)
        ]
        return sorted(found, key=lambda detection: -detection.score)


def _reduced(rgb: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    """Gray picture whose long side is at most 320 pixels, and its scale against ``rgb``."""
    scale = min(1.0, LONG_SIDE_PX / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else rgb
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8), scale


def _brightened(gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """``gray`` with its 99th percentile brought to full scale: the cascade refuses windows with little contrast."""
    bright = float(np.percentile(gray[::4, ::4], BRIGHT_PERCENTILE))
    return np.asarray(cv2.convertScaleAbs(gray, alpha=min(255.0 / max(bright, 1.0), MAX_GAIN)), np.uint8)


def open_detector(target: str) -> Detector:
    """The detector, cascade loaded; UsageError for a target, FaultError when OpenCV's data files are missing."""
    if target:
        raise UsageError(f"detector haar takes no model; seen {target!r}; write --detector haar")
    return HaarDetector()
