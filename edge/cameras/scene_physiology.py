"""The body: pulse and breath as functions of time, vectorised, with the rates that are true at each instant.

Rates are integrated once to phases on a fixed grid; waveforms are functions of phase, so a mean rate over any window is
exact: cycles divided by time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.cameras.scene_params import SceneParams, stream

__all__ = ["Floats", "Physiology", "Truth", "Wander"]

Floats = npt.NDArray[np.float64]

GRID_HZ = 25.0
LEAD_S = 2.0
"""The grid reaches this far beyond both ends, for pulses that arrive late and stamps with jitter."""
RSA, HR_WANDER, HR_JITTER = 0.03, 0.012, 0.012
RR_WANDER, RR_JITTER = 0.03, 0.03
INHALE = 0.4
DICROTIC = 0.36


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is so at the times asked for: float64 ``[N]`` each.

    ``bvp`` is blood volume (peak to peak about 1, rises with blood, so skin darkens), ``rsp`` lung volume (the same
    scale, rises with inhalation), ``hr_per_min`` and ``rr_per_min`` the instantaneous rates.
    """

    bvp: Floats
    rsp: Floats
    hr_per_min: Floats
    rr_per_min: Floats


class Wander:
    """A smooth random function of time with unit rms: sinusoids, equally spread over ``log(low_hz)..log(high_hz)``."""

    def __init__(self, rng: np.random.Generator, low_hz: float, high_hz: float, terms: int = 7) -> None:
        places = (np.arange(terms) + rng.random(terms)) / terms
        self._hz = low_hz * (high_hz / low_hz) ** places
        self._phase = rng.uniform(0.0, 2.0 * np.pi, terms)

    def __call__(self, t_s: Floats) -> Floats:
        """Values at ``t_s`` ``[N]``."""
        total = np.zeros_like(t_s)
        for hz, phase in zip(self._hz, self._phase, strict=True):
            total += np.sin(2.0 * np.pi * hz * t_s + phase)
        return np.asarray(total * np.sqrt(2.0 / len(self._hz)))


class Physiology:
    """Pulse and breath of one subject, defined from 0 to ``params.seconds``."""

    def __init__(self, params: SceneParams) -> None:
        self._grid = np.arange(-LEAD_S, params.seconds + LEAD_S, 1.0 / GRID_HZ)
        rng = stream(params.seed, "physiology")
        spread = params.variability
        drift = spread * RR_WANDER * Wander(rng, 0.01, 0.08)(self._grid)
        breath_jitter = spread * RR_JITTER * self._noise(rng, params.rr / 60.0)
        self._breaths = self._integrate(
            self._ramp(params.rr, params.rr_to, params.seconds) * (1 + drift + breath_jitter)
        )
        self._depth = self._per_cycle(rng, self._breaths, 0.12 * spread)
        sinus = RSA * 2.0 * self.rsp(self._grid)
        drift = HR_WANDER * Wander(rng, 0.01, 0.1)(self._grid)
        jitter = HR_JITTER * self._noise(rng, params.hr / 60.0)
        self._beats = self._integrate(
            self._ramp(params.hr, params.hr_to, params.seconds) * (1 + spread * (sinus + drift + jitter))
        )
        self._size = self._per_cycle(rng, self._beats, 0.05 * spread)
        self._notch = self._per_cycle(rng, self._beats, 0.15 * spread)

    def _ramp(self, start: float, stop: float | None, seconds: float) -> Floats:
        share = np.clip(self._grid / seconds, 0.0, 1.0)
        return np.asarray(start + share * ((start if stop is None else stop) - start))

    def _noise(self, rng: np.random.Generator, node_hz: float) -> Floats:
        """Unit noise with one independent value a cycle, straight between them."""
        places = (self._grid - self._grid[0]) * node_hz
        nodes = np.clip(rng.standard_normal(int(places[-1]) + 2), -2.5, 2.5)
        return np.asarray(np.interp(places, np.arange(len(nodes)), nodes))

    def _integrate(self, per_min: Floats) -> Floats:
        steps = 0.5 * (per_min[1:] + per_min[:-1]) / (60.0 * GRID_HZ)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @staticmethod
    def _per_cycle(rng: np.random.Generator, cycles: Floats, spread: float) -> Floats:
        return 1.0 + spread * np.clip(rng.standard_normal(int(cycles[-1]) + 2), -2.5, 2.5)

    def rsp(self, t_s: Floats) -> Floats:
        """Lung volume ``[N]``: a quick inhalation, a slower exhalation with a rest at its end."""
        phase = np.interp(t_s, self._grid, self._breaths)
        cycle = phase.astype(np.int64)
        place = phase - cycle
        rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(place / INHALE, 0.0, 1.0))
        fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((place - INHALE) / (1.0 - INHALE), 0.0, 1.0) ** 0.8)
        return np.asarray(self._depth[cycle] * rise * fall - 0.46)

    def bvp(self, t_s: Floats) -> Floats:
        """Blood volume ``[N]``: systolic peak, dicrotic notch and wave; breath changes its size and its baseline."""
        phase = np.interp(t_s, self._grid, self._beats)
        cycle = phase.astype(np.int64)
        wave = _pulse_wave(phase - cycle, self._rate(self._beats, t_s), DICROTIC * self._notch[cycle])
        rsp = self.rsp(t_s)
        return np.asarray(self._size[cycle] * (1.0 - 0.15 * rsp) * wave - 0.37 + 0.12 * rsp)

    def _rate(self, cycles: Floats, t_s: Floats) -> Floats:
        half = 0.5 / GRID_HZ
        return (np.interp(t_s + half, self._grid, cycles) - np.interp(t_s - half, self._grid, cycles)) * GRID_HZ

    def truth(self, t_s: Floats) -> Truth:
        """Everything that is true at ``t_s`` ``[N]``."""
        hr, rr = (60.0 * self._rate(cycles, t_s) for cycles in (self._beats, self._breaths))
        return Truth(self.bvp(t_s), self.rsp(t_s), hr, rr)

    def mean_hr_per_min(self, t_s: float, window_s: float = 10.0) -> float:
        """Beats over the last ``window_s`` seconds before ``t_s`` (fewer at the start), per minute."""
        return self._mean(self._beats, t_s, window_s)

    def mean_rr_per_min(self, t_s: float, window_s: float = 30.0) -> float:
        """Breaths over the last ``window_s`` seconds before ``t_s`` (fewer at the start), per minute."""
        return self._mean(self._breaths, t_s, window_s)

    def beats_s(self, start_s: float, end_s: float) -> Floats:
        """When beats begin (the foot of the pulse wave) in ``start_s <= t < end_s``, in seconds, rising."""
        first, last = np.interp([start_s, end_s], self._grid, self._beats)
        return np.asarray(np.interp(np.arange(np.ceil(first), np.ceil(last)), self._beats, self._grid))

    def _mean(self, cycles: Floats, t_s: float, window_s: float) -> float:
        start_s = min(max(0.0, t_s - window_s), t_s - 1.0 / GRID_HZ)
        ends = np.interp([start_s, t_s], self._grid, cycles)
        return float(60.0 * (ends[1] - ends[0]) / (t_s - start_s))


def _pulse_wave(place: Floats, beats_hz: Floats, dicrotic: Floats) -> Floats:
    """One beat over ``place`` 0..1: a half cosine up to 1, a Gaussian down, and the smaller dicrotic wave behind it."""
    # Systole lasts about as long at any rate, so it fills more of a fast beat.
    peak = np.clip(0.13 + 0.085 * beats_hz, 0.18, 0.38)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(place / peak, 0.0, 1.0))
    width = 0.105 + 0.025 * beats_hz
    fall = np.exp(-0.5 * (np.maximum(place - peak, 0.0) / width) ** 2)
    return np.asarray(rise * fall + dicrotic * np.exp(-0.5 * ((place - peak - 0.34) / 0.12) ** 2))
