"""The clocks of records: whether the wall clock follows a time server, its text, and whether a run was live."""

from __future__ import annotations

import ctypes
from datetime import datetime, timezone

__all__ = ["clock_synced", "keeps_step", "ns_from_rfc3339", "rfc3339_from_ns"]

_TIMEX_BYTES = 512  # more than any kernel's struct timex
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_PACE = 0.02
_SLACK_S = 2.0
"""A live source's stream time keeps step with the monotonic clock to within this share, or this many seconds."""
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


def ns_from_rfc3339(text: str) -> int:
    """The inverse of :func:`rfc3339_from_ns`; ValueError for a moment that does not exist."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def keeps_step(stream_s: float, made_s: float) -> bool:
    """Whether ``stream_s`` of stream time passed as fast as ``made_s`` on the monotonic clock, as in life.

    A file that was played faster or slower has no time of day.
    """
    return abs(stream_s - made_s) <= max(_SLACK_S, _PACE * stream_s)
