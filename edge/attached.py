"""What is plugged in: cameras with a URI each, serial ports with a name that stays, and who holds a device.

Set-up and doctor look at the same machine, so this is here once. ``root`` is another tree for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.frames import FrameKind

__all__ = ["Attached", "Holder", "attached_cameras", "holders_of", "serial_ports"]

ROOT = Path("/")
_SERIAL_NAMES = ("ttyUSB*", "ttyACM*", "ttyTHS*", "ttyAMA*")
"""USB adapters, boards with a USB port of their own, the UARTs of a Jetson, those of a Raspberry Pi."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A camera that was found: its URI for ``--rgb`` or ``--thermal``, what it calls itself, why it cannot be used."""

    uri: str
    kind: FrameKind
    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open."""

    pid: int
    name: str


def attached_cameras(root: Path = ROOT) -> list[Attached]:
    """Every capture node as a ``video:`` camera, in the order of their numbers."""
    nodes = sorted((root / "dev").glob("video[0-9]*"), key=lambda path: int(path.name.removeprefix("video") or 0))
    names = {node: _text(root / "sys/class/video4linux" / node.name / "name") for node in nodes}
    return [Attached(f"video:{node}", "rgb", names[node] or node.name) for node in nodes]


def serial_ports(root: Path = ROOT) -> list[str]:
    """Paths of serial ports, by id where udev gives one, for a number may be another port after a replug."""
    by_id = sorted((root / "dev/serial/by-id").glob("*"))
    named = {link.resolve() for link in by_id}
    plain = [path for pattern in _SERIAL_NAMES for path in sorted((root / "dev").glob(pattern))]
    return [str(path) for path in (*by_id, *(path for path in plain if path.resolve() not in named))]


def holders_of(path: str, root: Path = ROOT) -> tuple[list[Holder], int]:
    """Who has a device open, links followed, and how many processes would not let themselves be looked into."""
    target, hidden, found = str(Path(path).resolve()), 0, []
    for place in sorted((root / "proc").glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            held = target in set(_open_files(place / "fd"))
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # it ended meanwhile
        else:
            found += [Holder(int(place.name), _text(place / "comm") or "?")] * held
    return found, hidden


def _open_files(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        try:
            yield str(entry.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
