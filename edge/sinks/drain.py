"""How fast a backlog may go out, so that what is new is never late.

Two limits: so many messages a second, which spares the broker when many devices come back at once; and a window of
unconfirmed ones that halves when a confirmation takes long and grows by one when it does not, as TCP's does (additive
increase, multiplicative decrease). On a slow line the backlog then fills no queue that new data would have to wait in.
"""

from __future__ import annotations

__all__ = ["Drain"]

_PER_S = 2_000.0
_BURST = 100.0
_LATE_NS = 500_000_000
_START = 2


class Drain:
    """Asked before each message of the backlog; times are monotonic, ns. ``most`` is what the broker takes at once."""

    def __init__(self, most: int, per_s: float = _PER_S) -> None:
        self._most = max(1, most)
        self._window = float(min(_START, self._most))
        self._per_s = per_s
        self._tokens = _BURST
        self._then_ns: int | None = None

    @property
    def window(self) -> int:
        """How many messages may be unconfirmed."""
        return int(self._window)

    def allows(self, unconfirmed: int, now_ns: int) -> bool:
        """Whether one more may go."""
        if self._then_ns is not None:
            self._tokens = min(_BURST, self._tokens + (now_ns - self._then_ns) * 1e-9 * self._per_s)
        self._then_ns = now_ns
        return unconfirmed < self.window and self._tokens >= 1.0

    def sent(self) -> None:
        """One went."""
        self._tokens -= 1.0

    def confirmed(self, took_ns: int) -> None:
        """One was confirmed after ``took_ns``."""
        if took_ns > _LATE_NS:
            self._window = max(1.0, self._window / 2)
        else:
            self._window = min(float(self._most), self._window + 1 / self._window)
