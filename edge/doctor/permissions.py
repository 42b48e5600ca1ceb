"""Whether this user may open cameras, serial ports and the GPU."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.doctor import Check, Finding, Subject, ok, poor

__all__ = ["look"]

_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "video": ("cameras", ("video[0-9]*",)),
    "dialout": ("serial ports", ("ttyUSB*", "ttyACM*", "ttyTHS*")),
    "render": ("the GPU", ("dri/renderD*", "nvhost-gpu", "nvidia0")),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A device file: where, whose group it is, and whether this user may read and write it."""

    path: Path
    group: str
    usable: bool


def look(subject: Subject) -> Iterator[Finding]:
    """One finding for each group of device files."""
    groups = _own_groups()
    for group, (what, patterns) in _KINDS.items():
        paths = [path for pattern in patterns for path in sorted((subject.root / "dev").glob(pattern))]
        nodes = [Node(path, _group_of(path), os.access(path, os.R_OK | os.W_OK)) for path in paths]
        yield judged(group, what, nodes, member=group in groups or os.geteuid() == 0)


def judged(group: str, what: str, nodes: list[Node], *, member: bool) -> Finding:
    """What ``nodes`` of a kind mean for a user who is in ``group``, or is not."""
    shut = [node for node in nodes if not node.usable]
    if shut:
        owner = shut[0].group or group
        seen = f"no permission for {what}: {', '.join(str(node.path) for node in shut)} (group {owner})"
        return poor(seen, _join(owner), needed=False)
    if nodes:
        return ok(f"{what}: {len(nodes)} device files, all may be opened")
    if member:
        return ok(f"{what}: no device file here; group {group} is granted")
    return poor(f"{what}: no device file here, and this user is not in group {group}", _join(group), needed=False)


def _join(group: str) -> str:
    return f"sudo usermod -aG {group} $USER, then log in again"


def _own_groups() -> set[str]:
    return {_group_name(number) for number in {*os.getgroups(), os.getegid()}}


def _group_of(path: Path) -> str:
    try:
        return _group_name(path.stat().st_gid)
    except OSError:
        return ""


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


_: Check = look
