"""What is plugged in: cameras with a URI each, and serial ports with a name that stays.

Set-up and doctor look at the same machine, so this is here once. ``root`` is another tree for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.frames import FrameKind
from edge.kernel_files import text_of

__all__ = ["Attached", "attached_cameras", "serial_ports"]

ROOT = Path("/")
_SERIAL_NAMES = ("ttyUSB*", "ttyACM*", "ttyTHS*", "ttyAMA*")
"""USB adapters, boards with a USB port of their own, the UARTs of a Jetson, those of a Raspberry Pi."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A camera that was found: its URI for ``--rgb`` or ``--thermal``, and what it calls itself.

    ``problem`` and ``fix``: why it cannot be used now and what to do; both empty where it can.
    """

    uri: str
    kind: FrameKind
    name: str
    problem: str = ""
    fix: str = ""


def attached_cameras(root: Path = ROOT) -> list[Attached]:
    """Every capture node as a ``video:`` camera, in the order of their numbers."""
    nodes = sorted((root / "dev").glob("video[0-9]*"), key=lambda path: int(path.name.removeprefix("video") or 0))
    names = {node: text_of(root / "sys/class/video4linux" / node.name / "name") for node in nodes}
    return [Attached(f"video:{node}", "rgb", names[node] or node.name) for node in nodes]


def serial_ports(root: Path = ROOT) -> list[str]:
    """Paths of serial ports, by id where udev gives one, for a number may be another port after a replug."""
    by_id = sorted((root / "dev/serial/by-id").glob("*"))
    named = {link.resolve() for link in by_id}
    plain = [path for pattern in _SERIAL_NAMES for path in sorted((root / "dev").glob(pattern))]
    return [str(path) for path in (*by_id, *(path for path in plain if path.resolve() not in named))]
