"""A camera that is mounted turned, seen upright: ``rotate=90`` (180, 270; clockwise) in the URI of any camera."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast, get_args

from edge.cameras import Camera
from edge.cameras.rotation import Turn, turned
from edge.errors import UsageError
from edge.frames import Frame, FrameKind
from edge.uri import Uri
from edge.vitals import Truth

__all__ = ["UprightCamera", "turn_from_uri"]


class UprightCamera:
    """Another camera's frames, turned. Whatever else that one can be asked is passed on to it."""

    truth_at: Callable[[int], Truth | None]

    def __init__(self, camera: Camera, turn: Turn) -> None:
        self._camera, self._turn = camera, turn
        if hasattr(camera, "truth_at"):  # an attribute of its own: a Protocol's check does not ask __getattr__
            self.truth_at = camera.truth_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    @property
    def name(self) -> str:
        """The other's, which holds the turn."""
        return self._camera.name

    @property
    def kind(self) -> FrameKind:
        """The other's."""
        return self._camera.kind

    @property
    def live(self) -> bool:
        """The other's."""
        return self._camera.live

    def open(self) -> None:
        """Open the other."""
        self._camera.open()

    def read(self) -> Frame | None:
        """The other's next frame, turned."""
        frame = self._camera.read()
        if frame is None:
            return None
        image: Any = turned(frame.image, self._turn)
        return dataclasses.replace(frame, image=image)

    def close(self) -> None:
        """Close the other."""
        self._camera.close()


def turn_from_uri(uri: Uri) -> tuple[Uri, Turn]:
    """The URI without ``rotate``, for the camera's own file, and what it said; UsageError for another angle."""
    text = uri.query.get("rotate", "0")
    turns = {str(turn): turn for turn in get_args(Turn)}
    if text not in turns:
        raise UsageError(f"{uri.scheme}: rotate={text}: want {', '.join(turns)} (degrees clockwise)")
    query = {key: value for key, value in uri.query.items() if key != "rotate"}
    return dataclasses.replace(uri, query=query), cast("Turn", turns[text])
