"""YuNet, a small neural face detector, from a model file that the user names: ``yunet:/path/model.onnx``.

OpenCV runs it (``cv2.FaceDetectorYN``; Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", 2023). Its
boxes run from chin to hairline; the default bundle was trained and measured on those of ``haar``, so rates behind this
detector are not measured. No model is part of this program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.clips.crop import Box
from edge.errors import FaultError, InputError, UsageError
from edge.faces import Detection, Detector

__all__ = ["YunetDetector", "open_detector"]

LONG_SIDE_PX = 320
"""The picture is reduced to this before the search."""
MIN_SCORE = 0.7
_NMS_OVERLAP = 0.3
_COLUMNS = 15
"""Of the answer: box, five points, score."""


class YunetDetector:
    """Faces of at least about 10 px in the picture reduced to 320. Scores are 0..1."""

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (LONG_SIDE_PX, LONG_SIDE_PX), MIN_SCORE, _NMS_OVERLAP)
            self.detect(np.zeros((LONG_SIDE_PX, LONG_SIDE_PX, 3), np.uint8))
        except (cv2.error, ValueError) as error:
            seen = f"{path} is no face detector that OpenCV {cv2.__version__} runs ({getattr(error, 'err', error)})"
            raise FaultError(f"{seen}; want a YuNet model in ONNX, as the OpenCV model zoo has it") from error

    def detect(self, image: npt.NDArray[np.uint8], /) -> list[Detection]:
        """All faces in RGB uint8 ``[H, W, 3]``, most certain first; boxes in its pixels."""
        scale = min(1.0, LONG_SIDE_PX / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return sorted(_detections(rows, scale), key=lambda face: -face.score)


def _detections(rows: Any, scale: float) -> list[Detection]:
    """From rows ``[N, 15]`` of left, top, width, height, ten coordinates and score, in the reduced picture's pixels."""
    if rows is None:
        return []
    if rows.ndim != 2 or rows.shape[1] != _COLUMNS:
        raise ValueError(f"it answers {list(rows.shape)} instead of [N, {_COLUMNS}]")
    sound = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)]
    return [Detection(Box(*(float(edge) / scale for edge in row[:4])), float(row[-1])) for row in sound]


def open_detector(target: str) -> Detector:
    """The detector with the model at ``target``.

    Raises
    ------
    UsageError
        No file is named.
    InputError
        The file is not there.
    FaultError
        It is no such model.
    """
    if not target:
        raise UsageError("detector yunet: names no model; write --detector yunet:/path/model.onnx")
    path = Path(target)
    if not path.is_file():
        raise InputError(f"detector yunet: there is no file {path}; download a YuNet model and name its place")
    return YunetDetector(path)
