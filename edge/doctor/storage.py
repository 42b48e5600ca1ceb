"""Room on the disks that this program writes to, and leave to write there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.sinks import RESERVED, SCHEMES
from edge.uri import parse_uri

__all__ = ["look"]

LEAST_MB, GOOD_MB = 100.0, 1000.0
"""Below the first a run soon loses records; below the second an engine may not fit."""


def look(subject: Subject) -> Iterator[Finding]:
    """The user's state and cache folders, and the folders of the kit's files."""
    env, home = subject.environment, Path.home()
    places = {
        "state": Path(env.get("XDG_STATE_HOME") or home / ".local/state") / "mmrphys",
        "engines": Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "mmrphys",
    }
    for text in subject.kit.sinks if subject.named else ():
        if text.startswith("jsonl:") and not text.startswith("jsonl:-"):
            places[text] = Path(parse_uri(text, "sink", SCHEMES, RESERVED).target).absolute().parent
    for what, place in places.items():
        yield judged(what, place, needed=what.startswith("jsonl:"))


def judged(what: str, place: Path, *, needed: bool) -> Finding:
    """Whether ``place``, or its nearest parent that is there, can be written and has room."""
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    if needed and there != place:
        return poor(f"{what}: the folder {place} is not there", f"mkdir -p {place}", needed=True)
    if not os.access(there, os.W_OK | os.X_OK):
        return poor(f"{what}: {there} cannot be written", f"sudo chown $USER {there}, or use another", needed=needed)
    free_mb = shutil.disk_usage(there).free / 1e6
    if free_mb < GOOD_MB:
        seen = f"{what}: {free_mb:.0f} MB free at {place}, want {GOOD_MB:.0f}"
        return poor(seen, "remove what is not needed, or write elsewhere", needed=needed and free_mb < LEAST_MB)
    return ok(f"{what}: {free_mb / 1000.0:.1f} GB free at {place}")


_: Check = look
