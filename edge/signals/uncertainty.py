"""The standard uncertainty of a rate: what noise does to its peak, and that no pulse or breath is steady.

The bound for a steady sine in white noise, which a reading brings, is far below the errors of real ones: noise is not
white, a Hann window leaves a wave's ends unused, and a rate that wanders has no one peak at its mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.signals.rates import Reading

__all__ = ["BREATH", "PULSE", "Calibration", "standard_uncertainty"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """``noise``: times the bound for a steady sine; ``unsteady``: share of the rate; ``spread``: times that of cues."""

    noise: float
    unsteady: float
    spread: float = 0.0


PULSE = Calibration(noise=1.6, unsteady=0.005, spread=1.0)
BREATH = Calibration(noise=3.8, unsteady=0.009)


def standard_uncertainty(reading: Reading, calibration: Calibration, spread_per_min: float = 0.0) -> float:
    """Per minute, of the rate that was read; ``spread_per_min`` is how far the network's own rate is from it."""
    parts = (
        calibration.noise * reading.bound_per_min,
        calibration.unsteady * reading.rate_per_min,
        calibration.spread * spread_per_min,
    )
    return math.hypot(*parts)
