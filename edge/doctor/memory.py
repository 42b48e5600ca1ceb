"""Memory that is left, and what swap does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.kernel_files import text_of

__all__ = ["look"]

LEAST_MB = 500.0
"""A run holds about 200 MB; the build of an engine more."""


def look(subject: Subject) -> Iterator[Finding]:
    """From the kernel's own count."""
    text = text_of(subject.root / "proc/meminfo")
    found = {name: int(kib) * 1024 / 1e6 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    if "MemAvailable" not in found:
        yield ok("this kernel does not tell how much memory is left")
        return
    free_mb, all_mb = found["MemAvailable"], found.get("MemTotal", 0.0)
    seen = f"{free_mb:.0f} MB of {all_mb:.0f} MB are free"
    if free_mb < LEAST_MB:
        yield poor(f"{seen}, want {LEAST_MB:.0f}", "close other programs, the desktop first", needed=False)
    else:
        yield ok(seen)


_: Check = look
