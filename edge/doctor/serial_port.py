"""Serial ports: whether the kit's are there and free, and who holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.holders import Holder, holders_of
from edge.serial_ports import serial_ports
from edge.sinks import RESERVED, SCHEMES
from edge.uri import parse_uri

__all__ = ["look"]

_KNOWN = {
    "ModemManager": "sudo systemctl disable --now ModemManager, which takes every port for a modem",
    "brltty": "sudo apt-get remove brltty, which takes some adapters for a Braille display",
}
"""Programs that are known to take ports that are not theirs."""


def look(subject: Subject) -> Iterator[Finding]:
    """The ports of the kit; without any, the ports there are."""
    targets = [text for text in subject.kit.sinks if text.startswith("serial:")] if subject.named else []
    for text in targets:
        yield _of_port(parse_uri(text, "sink", SCHEMES, RESERVED).target, subject.root)
    if not targets:
        found = serial_ports(subject.root / "dev")
        yield ok(f"no port in the kit; there are: {', '.join(found)}" if found else "no port in the kit, none here")


def _of_port(path: str, root: Path) -> Finding:
    if not Path(path).exists():
        there = ", ".join(serial_ports(root / "dev")) or "no port at all"
        return poor(f"{path} is not there; there is {there}", "plug it in, or name another in the kit", needed=True)
    if not os.access(path, os.R_OK | os.W_OK):
        fix = "sudo usermod -aG dialout $USER, then log in again"
        return poor(f"no permission for {path}", fix, needed=True)
    return judged(path, *holders_of(path, root / "proc"))


def judged(path: str, holders: list[Holder], hidden: int) -> Finding:
    """What it means that ``holders`` have the port open, while ``hidden`` processes could not be looked into."""
    unseen = f" ({hidden} processes of other users could not be looked into; sudo would show them)" if hidden else ""
    own = [one for one in holders if one.name.startswith("mmrphys")]
    others = [one for one in holders if one not in own]
    if others:
        who = ", ".join(f"{one.name} (process {one.pid})" for one in others)
        fix = _KNOWN.get(others[0].name, f"end {others[0].name}, or let it leave the port alone")
        return poor(f"{path} is held by {who}{unseen}", fix, needed=True)
    if own:
        return ok(f"{path} is held by mmrphys itself (process {own[0].pid})")
    return ok(f"{path} is there, may be opened, and is free{unseen}")


_: Check = look
