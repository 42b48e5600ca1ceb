"""The wall clock of records: whether it follows a time server, and its text."""

from __future__ import annotations

import ctypes
from datetime import datetime, timezone

__all__ = ["clock_synced", "rfc3339_from_ns"]

_TIMEX_BYTES = 512  # more than any kernel's struct timex
_TIME_ERROR = 5  # adjtimex(2): "the clock is not synchronised"


def clock_synced() -> bool:
    """True when the kernel says that its clock is disciplined; False when not, or when it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # all zero: read only, changes nothing
    return 0 <= state < _TIME_ERROR


def rfc3339_from_ns(wall_ns: int) -> str:
    """Nanoseconds since 1970 (UTC) as ``2026-11-22T10:15:07.120Z``, cut to milliseconds."""
    seconds, rest_ns = divmod(wall_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest_ns // 10**6:03d}Z"
