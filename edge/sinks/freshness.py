"""What a screen may show of a rate that gets older. ``web/static/freshness.js`` is this in the browser's language.

The browser gets the limits from here, and a test holds that both give the same, over random rates and ages.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.vitals import OLDEST_MS, VALUE_STATES

__all__ = ["DEAD_MS", "LIMITS", "STALE_MS", "Shown", "quality_word", "shown"]

STALE_MS = 3_000
"""Without news for so long a value is grey."""
DEAD_MS = OLDEST_MS
"""A value that is older than this is not shown, whatever its record says."""
LIMITS = {"stale_ms": STALE_MS, "dead_ms": DEAD_MS, "value_states": sorted(VALUE_STATES)}
_WORDS = ((0.75, "good"), (0.5, "fair"), (0.0, "poor"))


@dataclass(frozen=True, slots=True)
class Shown:
    """``value`` None is shown as dashes; ``grey``: not to be taken for the present; ``state`` as it is to be called."""

    value: float | None
    state: str
    grey: bool


def shown(value: float | None, state: str, age_ms: float, silent_ms: float) -> Shown:
    """What to show of a rate. ``age_ms``: of the frame behind it, when its record was made; ``silent_ms``: since then.

    The ages are bounds from above. What is not a number of ms, or negative, is taken as too old.
    """
    total_ms = age_ms + silent_ms
    if value is None or state not in VALUE_STATES:
        return Shown(None, state if silent_ms <= DEAD_MS else "stale", grey=not silent_ms <= STALE_MS)
    if not (age_ms >= 0 and silent_ms >= 0 and total_ms <= DEAD_MS):
        return Shown(None, "stale", grey=True)
    if silent_ms > STALE_MS:
        return Shown(value, "stale", grey=True)
    return Shown(value, state, grey=state == "hold")


def quality_word(sqi: float) -> str:
    """A word for a quality of 0..1; below ``fair`` no rate is ``ok``."""
    return next(word for least, word in _WORDS if sqi >= least)
