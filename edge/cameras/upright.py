"""A camera that is mounted turned, seen upright: ``rotate=90`` (180, 270; clockwise) in the URI of any camera."""

from __future__ import annotations

import dataclasses
from typing import Any, cast, get_args

from edge.cameras import Camera
from edge.cameras.around import AroundCamera
from edge.cameras.rotation import Turn, turned
from edge.errors import UsageError
from edge.frames import Frame
from edge.uri import Uri

__all__ = ["UprightCamera", "turn_from_uri"]


class UprightCamera(AroundCamera):
    """Another camera's frames, turned."""

    def __init__(self, camera: Camera, turn: Turn) -> None:
        super().__init__(camera)
        self._turn = turn

    def read(self) -> Frame | None:
        """The other's next frame, turned."""
        frame = self._camera.read()
        if frame is None:
            return None
        image: Any = turned(frame.image, self._turn)
        return dataclasses.replace(frame, image=image)


def turn_from_uri(uri: Uri) -> tuple[Uri, Turn]:
    """The URI without ``rotate``, for the camera's own file, and what it said; UsageError for another angle."""
    text = uri.query.get("rotate", "0")
    turns = {str(turn): turn for turn in get_args(Turn)}
    if text not in turns:
        raise UsageError(f"{uri.scheme}: rotate={text}: want {', '.join(turns)} (degrees clockwise)")
    query = {key: value for key, value in uri.query.items() if key != "rotate"}
    return dataclasses.replace(uri, query=query), cast("Turn", turns[text])
