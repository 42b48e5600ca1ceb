"""What disturbs the measurement, as functions of time: motion, light, blinks, speech, thermal drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.cameras.scene_params import SceneParams, stream
from edge.cameras.scene_physiology import Floats, Wander

__all__ = ["Light", "Motion", "Pose", "Speech", "ThermalDrift"]

MOVE_S, MOVE_SIDE = 0.5, 0.05
GAIN_S = 0.4
BLINK_S = 0.22
LEAVE_S = 0.8
"""How long the subject takes to walk out of the picture, and in again."""
BREATH_HEAD, BREATH_TORSO = 0.003, 0.015
"""Rise of head and shoulders from empty to full lungs, share of the face side, when ``breath_motion`` is 1."""


class Steps:
    """Levels of unit rms that change at random moments, each in ``ramp_s`` seconds; 0 before the first."""

    def __init__(self, rng: np.random.Generator, per_min: float, seconds: float, ramp_s: float) -> None:
        count = 1 + int(2.0 * per_min * seconds / 60.0 + 4.0 * per_min**0.5)
        pauses = rng.exponential(60.0 / per_min, count) if per_min > 0.0 else np.full(count, np.inf)
        starts = np.cumsum(pauses + ramp_s) - ramp_s
        starts = starts[starts < seconds]
        levels = np.concatenate([[0.0], np.clip(rng.standard_normal(len(starts)), -2.0, 2.0)])
        self._times = np.concatenate([[-1.0e9], np.column_stack([starts, starts + ramp_s]).ravel()])
        self._levels = np.concatenate([[0.0], np.column_stack([levels[:-1], levels[1:]]).ravel()])

    def __call__(self, t_s: Floats) -> Floats:
        """Levels at ``t_s`` ``[N]``."""
        return np.asarray(np.interp(t_s, self._times, self._levels))


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where a part of the body is: shift from rest in face sides, tilt about the neck in radians, size; ``[N]``."""

    x: Floats
    y: Floats
    roll: Floats
    size: Floats


class Motion:
    """Head and torso poses. ``rsp`` (lung volume ``[N]``) is handed in, because breathing moves both."""

    def __init__(self, params: SceneParams, level: Mapping[str, float]) -> None:
        rng = stream(params.seed, "motion")
        self._params, self._level = params, level
        self._sway = [Wander(rng, 0.1, 0.6) for _ in range(3)]
        self._posture = [Wander(rng, 0.008, 0.06) for _ in range(4)]
        self._moves = [Steps(rng, level["moves_per_min"], params.seconds, MOVE_S) for _ in range(2)]
        self._nod_phase, self._nod_slant = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
        self._leave_x = 2.0 / params.face_side * (1.0 if rng.random() < 0.5 else -1.0)

    def head(self, t_s: Floats, rsp: Floats) -> Pose:
        """The head's pose at ``t_s``."""
        level = self._level
        nod = level["nod"] * np.sin(2.0 * np.pi * level["nod_hz"] * t_s + self._nod_phase)
        x, y = (
            level["sway"] * 0.7 * self._sway[axis](t_s)
            + level["posture"] * self._posture[axis](t_s)
            + MOVE_SIDE * self._moves[axis](t_s)
            for axis in range(2)
        )
        roll = np.deg2rad(level["roll_deg"]) * (0.8 * self._posture[2](t_s) + 0.3 * self._sway[2](t_s))
        size = 1.0 + 0.5 * level["posture"] * self._posture[3](t_s)
        x = x + self._nod_slant * nod + self._away(t_s)
        return Pose(x, y + nod - self._params.breath_motion * BREATH_HEAD * rsp, roll, size)

    def torso(self, t_s: Floats, rsp: Floats) -> Pose:
        """The torso's pose at ``t_s``: it follows the posture and rises with the breath."""
        x, y = (0.5 * self._level["posture"] * self._posture[axis](t_s) for axis in range(2))
        still = np.zeros_like(t_s)
        return Pose(x + self._away(t_s), y - self._params.breath_motion * BREATH_TORSO * rsp, still, still + 1.0)

    def _away(self, t_s: Floats) -> Floats:
        start, length = self._params.leave_at_s, self._params.leave_s
        if length <= 0.0:
            return np.zeros_like(t_s)
        walk, stop = min(LEAVE_S, length / 2.0), start + length
        knots = [start, start + walk, stop - walk, stop]
        return np.interp(t_s, knots, [0.0, self._leave_x, self._leave_x, 0.0])


class Light:
    """Light on the scene, camera gain included, and its lean to one side."""

    def __init__(self, params: SceneParams, level: Mapping[str, float]) -> None:
        rng = stream(params.seed, "light")
        self._level = level
        self._balance = np.exp(level["white_balance"] * np.clip(rng.standard_normal(3), -2.0, 2.0))
        self._balance /= self._balance.mean()
        self._drift, self._side = Wander(rng, 0.02, 0.3), Wander(rng, 0.03, 0.4)
        self._steps = Steps(rng, level["steps_per_min"], params.seconds, 0.02)
        self._gain = Steps(rng, level["steps_per_min"], params.seconds, GAIN_S)
        self._tint = 1.0 + rng.uniform(-0.3, 0.3, (4, 3))
        self._lean = rng.uniform(-0.15, 0.15)
        self._phase = rng.uniform(0.0, 2.0 * np.pi, 2)

    def colour(self, t_s: Floats) -> Floats:
        """Factor ``[N, 3]`` on the brightness of everything, by channel R, G, B; 1 = well exposed white light."""
        level = self._level
        flicker = np.sin(2.0 * np.pi * level["flicker_hz"] * t_s + self._phase[0])
        changes = (
            level["light_drift"] * self._drift(t_s),
            level["light_step"] * self._steps(t_s),
            level["flicker"] * flicker,
        )
        total = np.ones((len(t_s), 3))
        for change, tint in zip(changes, self._tint, strict=False):
            total *= np.maximum(1.0 + change[:, None] * tint, 0.05)
        return np.asarray(total * self.camera(t_s))

    def camera(self, t_s: Floats) -> Floats:
        """The camera's part of :meth:`colour` ``[N, 3]``, its gain and white balance: what changes a lit screen too."""
        gain = 1.0 + self._level["gain_step"] * self._gain(t_s)
        return np.asarray((self._level["exposure"] * gain)[:, None] * self._balance)

    def side(self, t_s: Floats) -> Floats:
        """Lean of the light ``[N]``: the side at +1 gains this share, the side at -1 loses it."""
        level = self._level
        flicker = level["side_flicker"] * np.sin(2.0 * np.pi * level["side_hz"] * t_s + self._phase[1])
        return np.asarray(self._lean + level["side_drift"] * self._side(t_s) + flicker)


class Speech:
    """Lids and lips: 0 = at rest, 1 = eyes shut or mouth open."""

    def __init__(self, params: SceneParams, level: Mapping[str, float]) -> None:
        rng = stream(params.seed, "speech")
        per_s = level["blinks_per_min"] / 60.0
        count = int(2.0 * per_s * params.seconds + 4.0)
        pauses = rng.exponential(1.0 / per_s, count) if per_s > 0.0 else np.full(count, 1.0e9)
        self._blinks = np.cumsum(pauses + 2.0 * BLINK_S)
        self._talk = level["talk"]
        self._syllables, self._phrases = Wander(rng, 1.5, 5.0), Wander(rng, 0.05, 0.3)

    def lids(self, t_s: Floats) -> Floats:
        """How far the eyes are shut ``[N]``."""
        after = np.searchsorted(self._blinks, t_s)
        near = np.minimum(
            np.abs(t_s - self._blinks[np.maximum(after - 1, 0)]),
            np.abs(t_s - self._blinks[np.minimum(after, len(self._blinks) - 1)]),
        )
        return np.asarray(np.clip(1.5 - 3.0 * near / BLINK_S, 0.0, 1.0))

    def lips(self, t_s: Floats) -> Floats:
        """How far the mouth is open ``[N]``."""
        return np.asarray(self._talk * np.clip(self._phrases(t_s), 0.0, 1.0) * np.clip(self._syllables(t_s), 0.0, 1.0))


class ThermalDrift:
    """Error of the thermal camera's absolute temperature: slow drift, and a jump after each shutter event."""

    def __init__(self, params: SceneParams, level: Mapping[str, float]) -> None:
        rng = stream(params.seed, "thermal")
        self._level, self._wander = level, Wander(rng, 0.004, 0.05)
        self._every_s, self._shut_s = params.ffc_every_s, params.ffc_s
        count = int(params.seconds / self._every_s) + 2 if self._every_s > 0.0 else 1
        self._jumps = np.concatenate([[0.0], np.clip(rng.standard_normal(count), -2.0, 2.0)])

    def shut_since(self, t_s: float) -> float | None:
        """When the shutter closed, if it is closed at ``t_s``; it first closes after ``ffc_every_s``."""
        if self._every_s <= 0.0 or t_s < self._every_s:
            return None
        start_s = t_s - t_s % self._every_s
        return start_s if t_s - start_s < self._shut_s else None

    def __call__(self, t_s: Floats) -> Floats:
        """The error in degC at ``t_s`` ``[N]``."""
        drift = self._level["thermal_drift_degc"] * self._wander(t_s)
        if self._every_s <= 0.0:
            return drift
        events = np.clip(np.floor(t_s / self._every_s), 0, len(self._jumps) - 1).astype(np.int64)
        return np.asarray(drift + self._level["thermal_step_degc"] * self._jumps[events])
