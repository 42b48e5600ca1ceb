"""Which V4L2 node is which camera: by path, by the id that udev gave it, by the USB port; and why one cannot be opened.

``/dev/video0`` may be another camera after a replug. What stays is its link below ``/dev/v4l/by-id`` (maker, model,
serial number), else its name and the port it is plugged into.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edge.cameras.uvc import Device, UvcStream, open_device
from edge.errors import InputError

__all__ = ["CameraId", "Nodes", "explained"]

_NUMBER = re.compile(r"video\d+$")
LISTED = "`mmrphys cameras` lists what is there"
GROUP_FIX = "add yourself to the group video: sudo usermod -aG video $USER, then log in again"


def explained(error: OSError) -> tuple[str, str]:
    """What is wrong with a node, and what to do about it."""
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "there is no such device", f"plug it in; {LISTED}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied", GROUP_FIX
    if error.errno == errno.EBUSY:
        return "used by another program", "close that one first"
    if error.errno == errno.ENOTTY:
        return "it is no camera", LISTED
    if error.errno == errno.ENOSPC:
        return "its USB bus has no room left", "use another port, format=mjpeg, or a smaller picture"
    return error.strerror or "it does not answer", "plug it in again, at another port"


@dataclass(frozen=True, slots=True)
class CameraId:
    """What a camera is known by after a replug. ``link``: its path below ``/dev/v4l/by-id``, where there is one."""

    card: str
    bus: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Nodes:
    """The V4L2 nodes of this machine, or of a test's."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys/class/video4linux")
    opener: Callable[[str], Device] = open_device

    def paths(self) -> list[str]:
        """All nodes, in the order of their numbers."""
        nodes = [path for path in self.dev.glob("video*") if _NUMBER.match(path.name)]
        return [str(path) for path in sorted(nodes, key=lambda path: int(path.name.removeprefix("video")))]

    def link(self, path: str) -> str | None:
        """The by-id link that leads to a node."""
        links = sorted((self.dev / "v4l" / "by-id").glob("*"))
        real = Path(path).resolve()
        return next((str(link) for link in links if link.resolve() == real), None)

    def usb_id(self, path: str) -> str | None:
        """``"1e4e:0100"``: vendor and product of the USB device behind a node."""
        interface = self.sys / Path(path).resolve().name / "device"
        try:
            device = interface.resolve().parent
            return ":".join((device / name).read_text().strip() for name in ("idVendor", "idProduct"))
        except OSError:
            return None

    def open(self, path: str, name: str) -> tuple[UvcStream, CameraId]:
        """Open the camera at ``path``; InputError, in one line with the fix, when it cannot be used."""
        with ExitStack() as undo:
            try:
                stream = UvcStream(self.opener(path), name)
                undo.callback(stream.close)
                capability = stream.capability()
            except OSError as error:
                problem, fix = explained(error)
                raise InputError(f"{name} cannot be opened: {problem}; {fix}") from error
            if not capability.captures:
                raise InputError(f"{name} carries no pictures (it is the camera's node for metadata); {LISTED}")
            undo.pop_all()
        return stream, CameraId(capability.card, capability.bus, self.link(path))

    def again(self, known: CameraId, path: str, name: str) -> UvcStream:
        """Find a camera anew, wherever it is now; InputError while it is away."""
        for candidate, by_link in self._candidates(known, path):
            try:
                stream, found = self.open(candidate, name)
            except InputError:
                continue
            if found.card == known.card and (by_link or found.bus == known.bus):
                return stream
            stream.close()
        raise InputError(f"{name} ({known.card}) is not there; plug it in")

    def _candidates(self, known: CameraId, path: str) -> Iterator[tuple[str, bool]]:
        if known.link is not None:
            if Path(known.link).exists():
                yield known.link, True
            return
        others = [other for other in self.paths() if other != path]
        yield from ((candidate, False) for candidate in (path, *others))
