"""Cameras: frames in. One file per kind of source behind :class:`Camera`, found by its URI's scheme in ``SCHEMES``.

To add one: write ``edge/cameras/<name>.py`` with ``from_uri(uri: Uri, kind: FrameKind) -> Camera`` and add one row to
the table. A camera only opens, reads and closes; threads, pacing and drop policy live in ``edge/loop.py``.
"""

from __future__ import annotations

import importlib
from typing import Protocol

from edge.frames import Frame, FrameKind
from edge.uri import parse_uri

__all__ = ["SCHEMES", "Camera", "camera_from_uri"]

SCHEMES: dict[str, str] = {
    "cptv": "edge.cameras.cptv",
    "mcap": "edge.cameras.mcap",
    "synthetic": "edge.cameras.synthetic",
    "video": "edge.cameras.video",
    "v4l2": "edge.cameras.v4l2",
    "lepton": "edge.cameras.lepton",
    "y16": "edge.cameras.y16",
    "gstreamer": "edge.cameras.gstreamer",
}


class Camera(Protocol):
    """A source of frames of one kind.

    ``live`` sources cannot wait; the others deliver every frame, whatever the reader's speed.
    """

    @property
    def name(self) -> str:
        """Its URI without secrets, for messages."""

    @property
    def kind(self) -> FrameKind:
        """What its frames are."""

    @property
    def live(self) -> bool:
        """True when frames are lost unless read in time."""

    def open(self) -> None:
        """Open the device or file; InputError when it cannot be used."""

    def read(self) -> Frame | None:
        """The next frame; None at the regular end. InputError when the source broke or ended early.

        A live source that has none for a moment (at most 4 s) raises SilentError, so that nobody hangs: read it again.
        """

    def close(self) -> None:
        """Release everything; may be called twice."""


def camera_from_uri(text: str, kind: FrameKind) -> Camera:
    """The camera a URI names, not yet opened. A bare path or ``rtsp://`` address means ``video:``.

    ``rotate`` (0, 90, 180, 270 degrees clockwise) is a parameter of every camera, but of ``rtsp://`` addresses, whose
    parameters belong to the network camera, which can turn its picture itself.

    Raises
    ------
    UsageError
        Unknown or unbuilt scheme, unknown or malformed parameter.
    """
    if text.startswith(("/", "./", "../", "rtsp://")):
        text = f"video:{text}"
    uri = parse_uri(text, "camera", SCHEMES)
    from edge.cameras.upright import UprightCamera, turn_from_uri  # noqa: PLC0415 - it needs this module

    uri, turn = turn_from_uri(uri)
    camera: Camera = importlib.import_module(SCHEMES[uri.scheme]).from_uri(uri, kind)
    return UprightCamera(camera, turn) if turn else camera
