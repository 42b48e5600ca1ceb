"""Who has a device open, from ``/proc``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.kernel_files import text_of

__all__ = ["Holder", "holders_of"]


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open."""

    pid: int
    name: str


def holders_of(path: str, proc: Path = Path("/proc")) -> tuple[list[Holder], int]:
    """Who has a device open, links followed, and how many processes would not let themselves be looked into."""
    target, hidden, found = str(Path(path).resolve()), 0, []
    for place in sorted(proc.glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            held = target in set(_open_files(place / "fd"))
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # it ended meanwhile
        else:
            found += [Holder(int(place.name), text_of(place / "comm") or "?")] * held
    return found, hidden


def _open_files(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        try:
            yield str(entry.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
