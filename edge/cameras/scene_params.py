"""What can be asked of the synthetic scene: one flat struct whose fields are also URI parameters, and its nuisances.

A nuisance that is not given is drawn from the seed, and ``nuisance`` (0..1) scales all that are drawn. ``PRESETS``
names three such scales.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

__all__ = ["KNOBS", "PRESETS", "RHYTHMS", "SceneParams", "stream", "strengths"]

PRESETS: Mapping[str, float] = {"calm": 0.15, "moderate": 0.35, "hard": 1.0}
"""Named values of ``nuisance``."""

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Instant = Annotated[float, Meta(ge=0.0)]
Knob = Annotated[float, Meta(ge=0.0, le=60.0)] | None
Rhythm = Annotated[float, Meta(ge=0.05, le=10.0)] | None
Beat = Annotated[float, Meta(ge=0.0, le=10.0)]
Swing = Annotated[float, Meta(ge=0.0, le=5.0)]


class SceneParams(msgspec.Struct, frozen=True, kw_only=True):
    """One subject before an RGB and a thermal camera. Shares are of the mean value unless said otherwise.

    ``hr`` and ``rr`` (per minute) are the rates at the start; ``hr_to`` and ``rr_to`` those after ``seconds``,
    reached in a straight line. ``variability`` scales the beat-to-beat and breath-to-breath changes around them.
    ``amplitude`` is the pulse in green on the forehead of light skin, peak to peak, as a share of the skin's
    brightness; ``breath_degc`` the swing at the nostrils, ``breath_motion`` scales how breath moves the body.
    ``psf_px`` is the blur of the thermal optics, sigma in pixels of the thermal camera. ``tone`` runs from 1 (lightest)
    to 6 (darkest). ``face_side`` is about the side of the face box as a share of the scene's height, ``face_x`` and
    ``face_y`` its rest centre (see :class:`edge.cameras.scene.View`). ``face`` is ``live``, ``photo`` (a picture of
    the subject: no pulse, no breath, no blink, room temperature), ``screen`` (the same picture on a lit screen),
    ``video`` (the living subject on a lit screen) or ``none``. Times are scene seconds, and an event with length 0
    never happens.

    A screen is ``screen_width`` face sides wide. The camera's exposure and its backlight's pulses beat: its brightness
    swings by ``screen_flicker`` (amplitude) at ``screen_hz``, in red by ``screen_red`` of that, in ``screen_bands``
    stripes over the picture (0: all rows at once). Its pixels and the camera's beat too: fringes of strength ``moire``,
    of which ``moire_hz`` pass a place in a second.

    ``heat`` is what the thermal camera sees in the subject's place: its ``own`` (a photograph's is paper, a screen's a
    warm pane), or a ``dummy``'s: a heated head of ``dummy_degc`` all over, which its heater moves by
    ``dummy_swing_degc`` (amplitude) every ``dummy_cycle_s``. A fan changes what stands out of any head by ``fan_degc``
    (amplitude) at ``fan_hz``. So a mannequin is ``face=photo&heat=dummy``.
    """

    seconds: Annotated[float, Meta(gt=0.0, le=86400.0)] = 40.0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    hr: Annotated[float, Meta(ge=30.0, le=240.0)] = 72.0
    rr: Annotated[float, Meta(ge=3.0, le=60.0)] = 15.0
    hr_to: Annotated[float, Meta(ge=30.0, le=240.0)] | None = None
    rr_to: Annotated[float, Meta(ge=3.0, le=60.0)] | None = None
    variability: Annotated[float, Meta(ge=0.0, le=3.0)] = 1.0
    amplitude: Annotated[float, Meta(ge=0.0, le=0.1)] = 0.01
    breath_degc: Annotated[float, Meta(ge=0.0, le=3.0)] = 0.5
    breath_motion: Annotated[float, Meta(ge=0.0, le=5.0)] = 1.0
    tone: Annotated[float, Meta(ge=1.0, le=6.0)] = 3.0
    ambient_degc: Annotated[float, Meta(ge=0.0, le=45.0)] = 22.0
    psf_px: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.7
    face: Literal["live", "photo", "screen", "video", "none"] = "live"
    face_side: Annotated[float, Meta(ge=0.05, le=0.7)] = 0.42
    face_x: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.0
    face_y: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.47
    leave_at_s: Instant = 0.0
    leave_s: Instant = 0.0
    occlude_at_s: Instant = 0.0
    occlude_s: Instant = 0.0
    ffc_every_s: Instant = 0.0
    ffc_s: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.5
    screen_width: Annotated[float, Meta(ge=1.0, le=5.0)] = 2.4
    screen_flicker: Share = 0.02
    screen_hz: Beat = 1.2
    screen_red: Annotated[float, Meta(ge=0.0, le=2.0)] = 1.0
    screen_bands: Annotated[float, Meta(ge=0.0, le=20.0)] = 0.0
    moire: Share = 0.03
    moire_hz: Beat = 0.1
    heat: Literal["own", "dummy"] = "own"
    dummy_degc: Annotated[float, Meta(ge=0.0, le=60.0)] = 34.0
    dummy_swing_degc: Swing = 0.0
    dummy_cycle_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 120.0
    fan_degc: Swing = 0.0
    fan_hz: Beat = 0.25

    nuisance: Share = PRESETS["calm"]
    sway: Knob = None
    posture: Knob = None
    moves_per_min: Knob = None
    nod: Knob = None
    nod_hz: Rhythm = None
    roll_deg: Knob = None
    exposure: Knob = None
    light_drift: Knob = None
    steps_per_min: Knob = None
    light_step: Knob = None
    flicker: Knob = None
    flicker_hz: Rhythm = None
    side_flicker: Knob = None
    side_hz: Rhythm = None
    side_drift: Knob = None
    gain_step: Knob = None
    white_balance: Knob = None
    noise: Knob = None
    texture: Knob = None
    blinks_per_min: Knob = None
    talk: Knob = None
    thermal_drift_degc: Knob = None
    thermal_step_degc: Knob = None
    netd_degc: Knob = None


class Draw(NamedTuple):
    """``base + nuisance * uniform(low, high)``; the second part with probability ``chance`` only."""

    base: float
    low: float
    high: float
    chance: float = 1.0


KNOBS: Mapping[str, Draw] = {
    "sway": Draw(0.0, 0.005, 0.03),  # quick head sway (0.1-0.6 Hz), rms, share of the face side
    "posture": Draw(0.0, 0.01, 0.05),  # slow head drift, rms, share of the face side
    "moves_per_min": Draw(0.0, 1.0, 8.0, 0.6),  # quick moves to another place
    "nod": Draw(0.0, 0.002, 0.015, 0.4),  # rhythmic nodding, amplitude, share of the face side
    "roll_deg": Draw(0.3, 0.5, 3.0),  # head tilt, rms
    "exposure": Draw(1.0, -0.6, 0.1, 0.7),  # brightness of the picture, 1 = well exposed
    "light_drift": Draw(0.0, 0.01, 0.1, 0.8),  # slow change of all light, rms
    "steps_per_min": Draw(0.0, 1.0, 6.0, 0.5),  # sudden changes of light and of gain
    "light_step": Draw(0.0, 0.02, 0.15),  # size of a light step
    "gain_step": Draw(0.0, 0.01, 0.06),  # size of an automatic exposure's correction
    "flicker": Draw(0.0, 0.002, 0.012, 0.4),  # rhythmic change of all light, amplitude
    "side_flicker": Draw(0.0, 0.002, 0.012, 0.3),  # the same from one side only
    "side_drift": Draw(0.0, 0.02, 0.15, 0.8),  # slow change of a light from one side, rms
    "white_balance": Draw(0.015, 0.02, 0.08),  # spread of the channel gains
    "noise": Draw(1.0, 0.0, 1.5),  # sensor noise, 1 = a usual webcam
    "texture": Draw(0.015, 0.0, 0.025),  # uneven skin, rms
    "blinks_per_min": Draw(10.0, 0.0, 20.0),
    "talk": Draw(0.0, 0.2, 1.0, 0.5),  # mouth movement, 1 = lively speech
    "thermal_drift_degc": Draw(0.02, 0.0, 0.3),  # slow drift of the thermal camera, rms
    "thermal_step_degc": Draw(0.05, 0.0, 0.3),  # jump of its offset at a shutter event, rms
    "netd_degc": Draw(0.05, 0.0, 0.05),  # its noise per pixel, rms
}
RHYTHMS: Mapping[str, tuple[float, float]] = {"nod_hz": (0.8, 2.5), "flicker_hz": (0.7, 3.0), "side_hz": (0.7, 3.0)}
"""Bands of the distractors: mains light seen through a frame rate folds into the band of the pulse."""


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one part of the scene: other parts neither share nor shift them."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def strengths(params: SceneParams) -> Mapping[str, float]:
    """Every nuisance by name: as given, else drawn from the seed and scaled with ``nuisance``."""
    drawn = {name: _draw(params, name, how) for name, how in KNOBS.items()}
    drawn |= {name: float(stream(params.seed, name).uniform(*band)) for name, band in RHYTHMS.items()}
    given = {name: getattr(params, name) for name in drawn}
    return {name: drawn[name] if given[name] is None else given[name] for name in drawn}


def _draw(params: SceneParams, name: str, how: Draw) -> float:
    rng = stream(params.seed, name)
    extra = float(rng.uniform(how.low, how.high))
    return how.base + params.nuisance * extra * bool(rng.random() < how.chance)
