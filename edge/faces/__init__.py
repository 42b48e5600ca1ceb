"""Faces: images to boxes. Detectors stand behind :class:`Detector`, found by name; ``track`` keeps a face over time.

To add a detector: write ``edge/faces/<name>.py`` with ``open_detector(target: str) -> Detector``, where ``target`` is
what follows the name and a colon (a model file), and add one row to the table.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from edge.clips.crop import Box
from edge.errors import UsageError
from edge.uri import nearest

__all__ = ["DETECTORS", "Detection", "Detector", "detector_by_name"]

DETECTORS: dict[str, str] = {"haar": "edge.faces.haar", "yunet": "edge.faces.yunet"}


@dataclass(frozen=True, slots=True)
class Detection:
    """A face found: its box in pixels of the image, and a score that grows with certainty (the detector's own unit)."""

    box: Box
    score: float


class Detector(Protocol):
    """Finds faces in one image. Keeps nothing between calls, so that its answer depends on the image alone.

    It may be called from another thread than the frames', never from two at a time.
    """

    def detect(self, image: npt.NDArray[Any], /) -> list[Detection]:
        """All faces, most certain first; empty when there is none. Boxes are in the image's pixels.

        ``image`` is RGB uint8 ``[H, W, 3]``; for a detector of warm faces float32 ``[H, W]`` in degC.
        """


def detector_by_name(text: str) -> Detector:
    """The detector ``NAME`` or ``NAME:TARGET`` of ``DETECTORS``, ready for use.

    Raises
    ------
    UsageError
        Unknown name, or a target where none is wanted or none where one is.
    InputError
        The target is not there.
    FaultError
        The detector's own files cannot be loaded.
    """
    name, _, target = text.partition(":")
    if name not in DETECTORS:
        raise UsageError(f"there is no face detector {name!r}{nearest(name, DETECTORS)}")
    detector: Detector = importlib.import_module(DETECTORS[name]).open_detector(target)
    return detector
