"""The cameras of this machine: what they can send, the URI to paste, and why one cannot be used, with the fix.

V4L2 nodes come from ``/dev``; CSI sensors of a Jetson appear there too, and are used through ``gstreamer:argus``. What
a camera is taken for is read from ``known.THERMAL``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.cameras.known import thermal_from_usb
from edge.cameras.uvc import Mode, UvcStream
from edge.cameras.uvc_find import Nodes, explained
from edge.cameras.v4l2 import FORMATS
from edge.frames import FrameKind
from edge.holders import holders_of

__all__ = ["NO_CAMERAS", "FoundCamera", "found_cameras"]

NO_CAMERAS = (
    "no cameras found: plug one in (a container also needs --device /dev/video0); files, rtsp:// addresses and "
    "synthetic: need no device"
)
_TEGRA, _TEGRA_CARD = "tegra-video", "vi-output"
"""Driver and name of the nodes that give the raw pixels of a Jetson's CSI sensors."""
_ARGUS = "nvargus-daemon"


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """One camera. ``uri`` is what ``--rgb`` or ``--thermal`` takes.

    ``problem`` and ``fix``: why it cannot be used now, and what to do; both empty where it can. ``modes`` are empty
    where it could not be asked, and of a camera that is busy they are what it offers.
    """

    path: str
    uri: str
    kind: FrameKind
    name: str
    driver: str
    by_id: str | None = None
    usb_id: str | None = None
    modes: tuple[Mode, ...] = ()
    problem: str = ""
    fix: str = ""

    @property
    def usable(self) -> bool:
        """True when a run could open it now."""
        return not self.problem


def found_cameras(nodes: Nodes | None = None, proc: Path = Path("/proc")) -> list[FoundCamera]:
    """All cameras of this machine, in the order of their nodes. Opens each for a moment and streams none."""
    nodes = nodes or Nodes()
    found, sensors = [], 0
    for path in nodes.paths():
        camera = _camera(nodes, path, sensors, proc)
        if camera is not None:
            sensors += camera.driver == _TEGRA
            found.append(camera)
    return found


def _camera(nodes: Nodes, path: str, sensors: int, proc: Path) -> FoundCamera | None:
    """None for a node that carries no pictures, or whose pictures are nothing that a driver here takes."""
    link, usb_id = nodes.link(path), nodes.usb_id(path)
    try:
        device = nodes.opener(path)
    except OSError as error:
        problem, fix = explained(error)
        uri = f"v4l2:{link or path}"
        return FoundCamera(path, uri, "rgb", _name_of(nodes, path), "", link, usb_id, (), problem, fix)
    with closing(UvcStream(device, path)) as stream:
        try:
            capability = stream.capability()
            if not capability.captures:
                return None
            modes = tuple(stream.modes())
            problem, fix = _use(stream, path, proc)
        except OSError as error:
            problem, fix = explained(error)
            return FoundCamera(path, f"v4l2:{link or path}", "rgb", path, "", link, usb_id, (), problem, fix)
    if capability.driver == _TEGRA or capability.card.startswith(_TEGRA_CARD):
        problem, fix = _argus(proc)
        uri = f"gstreamer:argus?sensor={sensors}"
        return FoundCamera(path, uri, "rgb", capability.card, _TEGRA, link, usb_id, modes, problem, fix)
    kind, uri = _taken_for(link or path, usb_id, modes)
    if not uri:
        uri = f"{'v4l2' if kind == 'rgb' else 'y16'}:{link or path}"
        problem = problem or f"it sends {_formats(modes)} and is in no table of ours"
        fix = fix or f"wanted are {', '.join(FORMATS)}, or a row in edge/cameras/y16.py; else a gstreamer: pipeline"
    return FoundCamera(path, uri, kind, capability.card, capability.driver, link, usb_id, modes, problem, fix)


def _name_of(nodes: Nodes, path: str) -> str:
    try:
        return (nodes.sys / Path(path).name / "name").read_text().strip()
    except OSError:
        return path


def _taken_for(path: str, usb_id: str | None, modes: Iterable[Mode]) -> tuple[FrameKind, str]:
    """What kind of camera it is, and its URI; an empty one for a camera that no driver here takes."""
    row = thermal_from_usb(usb_id, modes)
    if row is not None:
        return "thermal", row.uri.format(path=path)
    known, offered = {code for codes in FORMATS.values() for code in codes}, {mode.fourcc for mode in modes}
    if offered & known:
        return "rgb", f"v4l2:{path}"
    return ("thermal" if "Y16" in offered else "rgb"), ""


def _formats(modes: Iterable[Mode]) -> str:
    return ", ".join(sorted({mode.fourcc for mode in modes})) or "nothing"


def _use(stream: UvcStream, path: str, proc: Path) -> tuple[str, str]:
    """Whether another program streams from it: then the driver gives nobody else its buffers."""
    if not stream.is_busy():
        return "", ""
    holders, _ = holders_of(path, proc)
    others = ", ".join(f"{one.name} (process {one.pid})" for one in holders if one.pid != os.getpid())
    return f"used by {others or 'another program'}", "close that one first"


def _argus(proc: Path) -> tuple[str, str]:
    """CSI sensors are read through NVIDIA's camera daemon."""
    for process in proc.glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == _ARGUS:
                return "", ""
        except OSError:
            continue
    return f"{_ARGUS} does not run", "start it: sudo systemctl start nvargus-daemon"
