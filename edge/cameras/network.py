"""A network camera as one that comes back: each connection is a video that is opened anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge.cameras import Camera
from edge.cameras.returning import ReturningCamera
from edge.errors import GoneError, InputError
from edge.frames import Frame, FrameKind

__all__ = ["AGAIN_S", "FIRST_S", "Connection", "network_camera"]

FIRST_S, AGAIN_S = 10.0, 4.0
"""How long a camera may take to answer: at the start, and from then on, where a stopped run waits for it."""


class Connection(Camera, Protocol):
    """A camera over one connection, which stamps by the sender's clock."""

    @property
    def drift_ppm(self) -> float | None:
        """See :class:`~edge.cameras.returning.Session`."""


class _NetworkSession:
    """One connection; see :class:`~edge.cameras.returning.Session`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def drift_ppm(self) -> float | None:
        """Of the sender's clock."""
        return self._connection.drift_ppm

    def next(self, timeout_s: float) -> Frame:  # noqa: ARG002 - FFmpeg waits as long as it was told at opening
        """The next frame; GoneError when the stream broke or ended."""
        try:
            frame = self._connection.read()
        except InputError as error:
            raise GoneError(str(error)) from error
        if frame is None:
            raise GoneError(f"{self._connection.name} ended its stream")
        return frame

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def network_camera(name: str, kind: FrameKind, connection_for: Callable[[float], Connection]) -> ReturningCamera:
    """The camera whose connections ``connection_for`` makes, not yet opened, given the seconds of patience."""
    patience_s = FIRST_S

    def connect() -> _NetworkSession:
        nonlocal patience_s
        connection = connection_for(patience_s)
        connection.open()
        patience_s = AGAIN_S
        return _NetworkSession(connection)

    return ReturningCamera(name, kind, connect)
