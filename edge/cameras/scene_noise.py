"""Sensor noise that depends on a frame's time alone: windows at scrambled places into one pool of normal numbers."""

from __future__ import annotations

import math

import numpy as np

from edge.cameras.scene_canvas import Planes
from edge.cameras.scene_params import stream

__all__ = ["NoisePool", "expose"]

SPAN = 1 << 16
"""How many places a window may start at: white within a frame, and equal in two frames about never."""

READ_NOISE, SHOT_NOISE = 0.7, 0.012
"""Noise of one pixel in grey levels: variance = read^2 + shot * level."""
ROUNDING = 1.0 / 12.0
"""Variance of rounding to whole grey levels."""


class NoisePool:
    """Standard normal float32 numbers for frames of up to ``size`` values."""

    def __init__(self, seed: int, name: str, size: int) -> None:
        rng = stream(seed, f"noise {name}")
        self.size = size
        self._salt = int(rng.integers(1 << 62))
        self._numbers = rng.standard_normal(size + SPAN, dtype=np.float32)

    def at(self, t_s: float, shape: tuple[int, ...]) -> Planes:
        """The noise of the frame at ``t_s`` (to the nanosecond), read-only by agreement."""
        start = _scrambled(round(t_s * 1.0e9) ^ self._salt) % SPAN
        return self._numbers[start : start + math.prod(shape)].reshape(shape)


def expose(plane: Planes, grain: Planes, level: float, sensor_pixels: float, work: Planes) -> None:
    """Add a sensor's noise to one plane of grey levels and clip it to 0..255, in place.

    ``grain`` is standard normal, ``level`` scales it (1 = a usual webcam, 0 = none), ``work`` is overwritten. The
    mean over ``sensor_pixels`` pixels is less noisy, and carries what their rounding leaves.
    """
    if level > 0.0:
        share = level**2 / sensor_pixels
        rounding = ROUNDING / sensor_pixels if sensor_pixels > 1.0 else 0.0
        np.multiply(plane, share * SHOT_NOISE, out=work)
        work += share * READ_NOISE**2 + rounding
        np.sqrt(work, out=work)
        work *= grain
        plane += work
    np.clip(plane, 0.0, 255.0, out=plane)


def _scrambled(number: int) -> int:
    """A 64-bit hash: the output step of the SplitMix64 generator (Steele, Lea and Flood 2014)."""
    mask = (1 << 64) - 1
    number = (number + 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)
