"""The wall clock, which stamps records: it decides nothing, but a record of 1970 helps nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone

from edge.doctor import Check, Finding, Subject, ok, poor
from edge.sinks.clocks import clock_synced, rfc3339_from_ns

__all__ = ["look"]

BORN_NS = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()) * 10**9
"""This program is younger than a clock that stands before."""
_FIX = "sudo timedatectl set-ntp true, or set a time server in /etc/systemd/timesyncd.conf"


def look(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001 - the protocol's
    """What the kernel says of its clock."""
    yield judged(time.time_ns(), synced=clock_synced())


def judged(wall_ns: int, *, synced: bool) -> Finding:
    """Whether a clock at ``wall_ns`` since 1970 can be right, and follows a time server."""
    now = rfc3339_from_ns(wall_ns)
    if wall_ns < BORN_NS:
        return poor(f"the clock says {now}, which cannot be", _FIX, needed=False)
    if not synced:
        return poor(f"the clock ({now}) follows no time server: records say clock free", _FIX, needed=False)
    return ok(f"the clock ({now}) follows a time server")


_: Check = look
