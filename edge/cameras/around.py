"""What a camera around another one passes on: all that it does not do itself."""

from __future__ import annotations

from typing import Any

from edge.cameras import Camera
from edge.frames import FrameKind

__all__ = ["AroundCamera"]


class AroundCamera:
    """The other camera but for ``read``, which is the subclass's. Whatever else that one can be asked is passed on."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    @property
    def name(self) -> str:
        """The other's."""
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

    def close(self) -> None:
        """Close the other."""
        self._camera.close()
