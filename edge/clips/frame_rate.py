"""The real frame rate of a stream, from its stamps, and the limits inside which its windows are used."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from operator import sub

import numpy as np

from edge.vitals import codes_that_hold

__all__ = ["RateLimits", "RateMeter", "StreamRate"]

NS_PER_S = 1_000_000_000
MAX_STAMPS = 1024


@dataclass(frozen=True, slots=True)
class StreamRate:
    """Measured over the last seconds of stamps.

    ``fps`` is spacings per second, ``period_ns`` the median spacing, ``jitter_ms`` the standard deviation of the
    spacings that are no gap (at most 1.5 medians), ``max_gap_s`` the largest spacing.
    """

    fps: float
    period_ns: float
    jitter_ms: float
    max_gap_s: float


class RateMeter:
    """Frame rate and gaps of one stream over its last ``span_s`` seconds of stamps (at most 1024 frames)."""

    def __init__(self, span_s: float = 2.0) -> None:
        self._span_ns = round(span_s * NS_PER_S)
        self._stamps_ns: deque[int] = deque(maxlen=MAX_STAMPS)

    def add(self, pts_ns: int) -> None:
        """Take the stamp of the next frame. Stamps rise; after a silence longer than the span measuring starts anew."""
        self._stamps_ns.append(pts_ns)
        while pts_ns - self._stamps_ns[0] > self._span_ns:
            self._stamps_ns.popleft()

    @property
    def period_ns(self) -> float | None:
        """The median spacing, as :attr:`rate` has it, at a price that one can pay on every frame."""
        if len(self._stamps_ns) < 3:
            return None
        spacings = sorted(map(sub, islice(self._stamps_ns, 1, None), self._stamps_ns))
        upper = len(spacings) // 2
        return float(spacings[upper]) if len(spacings) % 2 else 0.5 * (spacings[upper - 1] + spacings[upper])

    @property
    def rate(self) -> StreamRate | None:
        """What was measured; None until three stamps are there."""
        if len(self._stamps_ns) < 3:
            return None
        spacings = np.diff(np.fromiter(self._stamps_ns, np.int64)).astype(np.float64)
        period_ns = float(np.median(spacings))
        regular = spacings[spacings <= 1.5 * period_ns]
        return StreamRate(
            fps=NS_PER_S / float(spacings.mean()),
            period_ns=period_ns,
            jitter_ms=float(regular.std()) * 1e-6,
            max_gap_s=float(spacings.max()) / NS_PER_S,
        )


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A window of a stream outside these is refused. The defaults are for RGB.

    Stamps make up for jitter, but spacings that scatter by half a frame at 30 fps are no sound stamps.
    """

    min_fps: float = 15.0
    max_fps: float = 120.0
    max_gap_s: float = 0.25
    max_jitter_ms: float = 15.0

    def broken_by(self, rate: StreamRate) -> tuple[str, ...]:
        """Published reason codes, empty when inside: ``low_fps``, ``gap``, ``jitter`` (or too many frames)."""
        found = {
            "low_fps": rate.fps < self.min_fps,
            "jitter": rate.jitter_ms > self.max_jitter_ms or rate.fps > self.max_fps,
            "gap": rate.max_gap_s > self.max_gap_s,
        }
        return codes_that_hold(found)
