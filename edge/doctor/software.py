"""Python and the packages of the device part."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from edge.doctor import Check, Finding, Subject, ok, poor

__all__ = ["look", "versions"]

DISTRIBUTION = "mmrphys-edge"
TESTED = ((3, 10), (3, 13))


def look(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001 - the protocol's
    """Whether this Python is one that is tested, and no package is missing."""
    low, high = (".".join(map(str, version)) for version in TESTED)
    seen = f"mmrphys {metadata.version(DISTRIBUTION)}, Python {platform.python_version()}, {platform.machine()}"
    if TESTED[0] <= sys.version_info[:2] <= TESTED[1]:
        yield ok(seen)
    else:
        yield poor(f"{seen}; tested are {low} to {high}", f"make the environment with Python {high}", needed=False)
    found = versions()
    missing = [name for name, version in found.items() if version is None]
    if missing:
        fix = f"pip install {' '.join(missing)}, or install {DISTRIBUTION} again"
        yield poor(f"not installed: {', '.join(missing)}", fix, needed=True)
    else:
        yield ok(", ".join(f"{name} {version}" for name, version in found.items()))


def versions() -> dict[str, str | None]:
    """Release of every package that the device part requires here; None where it is missing."""
    lines = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    names = [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines]
    found = {name: _version(name) for name in names}
    if sys.version_info >= (3, 11):
        found.pop("tomli", None)
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


_: Check = look
