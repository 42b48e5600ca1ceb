"""The fixed distributions of synthetic recordings that weights are judged by, as parameters.

``distributions.json`` beside this file is what counts: one camera URI a recording, which ``mmrphys run --rgb`` plays as
well. It was written once by ``python -m training.yardstick.distribution`` and a test holds that it still would be.

``test`` is for figures, ``validation`` for choices; they share no seed. Each has three levels of 40 s recordings at
640x480 or more. HR (even over its logarithm), RR and skin tone are stratified, so that every level has the same spread;
what else is drawn stands in ``_LEVELS``.

* ``moderate``: a still patient before a decent camera: nuisances at 0.35 of their range, pulse 0.3-1.5 % peak to peak,
  raw, MJPEG of quality 85-95 or H.264 at 2-6 Mbit/s.
* ``hard``: nuisances at full range, pulse from 0.15 %, MJPEG from quality 50, H.264 at 0.5-2 Mbit/s, a thermal camera
  that is a little out of line.
* ``faults``: ``moderate``, and two or three of: lost frames in either camera, jitter, shutter pauses (FFC), a frozen
  picture, a covered lens, a face that leaves or is hidden, a thermal camera that freezes or stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import UsageError
from edge.uri import nearest

__all__ = ["LEVELS", "SECONDS", "SPLITS", "Recording", "fresh", "recordings", "stored_text"]

STORE = Path(__file__).resolve().parent / "distributions.json"
SECONDS = 40
LEVELS = ("moderate", "hard", "faults")
SPLITS: Mapping[str, Mapping[str, int]] = {
    "test": {"moderate": 60, "hard": 60, "faults": 60},
    "validation": {"moderate": 24, "hard": 24, "faults": 12},
}
"""How many recordings each level has."""
HR, RR, TONE = (42.0, 170.0), (8.0, 30.0), (1.0, 6.0)
_SEED = 20261124
_FIRST_SCENE_SEED = 3_000_000_000
"""Scenes of training draw 62-bit seeds; these are a small block that they practically never meet."""

Query = dict[str, Any]
Rng = np.random.Generator


class Recording(msgspec.Struct, frozen=True):
    """One recording: its name (``test/hard-07``), level, skin tone (1 lightest .. 6) and the camera URI."""

    name: str
    level: str
    tone: float
    uri: str


@dataclass(frozen=True, slots=True)
class _Level:
    """Ranges; a codec's second range is of ``quality`` or ``kbit_s``."""

    nuisance: float
    amplitude: tuple[float, float]
    breath_degc: tuple[float, float]
    jitter_ms: tuple[float, float]
    drop: tuple[float, float]
    parallax_px: float
    codecs: tuple[tuple[str, tuple[float, float]], ...]


_DECENT = (("raw", (0.0, 0.0)), ("mjpeg", (85.0, 95.0)), ("h264", (2000.0, 6000.0)))
_POOR = (("raw", (0.0, 0.0)), ("mjpeg", (50.0, 85.0)), ("h264", (500.0, 2000.0)))
_MODERATE = _Level(0.35, (0.003, 0.015), (0.2, 1.0), (0.0, 3.0), (0.0, 0.005), 2.0, _DECENT)
_HARD = _Level(1.0, (0.0015, 0.015), (0.1, 1.0), (0.0, 6.0), (0.0, 0.01), 8.0, _POOR)
_LEVELS: Mapping[str, _Level] = {"moderate": _MODERATE, "hard": _HARD, "faults": _MODERATE}

_RGB_SIZES = ((640, 480), (640, 480), (640, 480), (800, 600))
_THERMAL_SIZES = ((80, 60), (160, 120), (160, 120), (256, 192))
_RGB_FPS = (24.0, 25.0, 29.97, 30.0, 30.0, 30.0)
_THERMAL_FPS = (8.7, 8.7, 9.0, 25.0)


def recordings(split: str, level: str) -> tuple[Recording, ...]:
    """The stored recordings of ``split`` (``test`` or ``validation``) and level; UsageError for an unknown one."""
    for word, known in ((split, SPLITS), (level, LEVELS)):
        if word not in known:
            raise UsageError(f"there is no test data {word!r}{nearest(word, known)}")
    held = msgspec.json.decode(STORE.read_bytes(), type=list[Recording])
    return tuple(recording for recording in held if recording.name.startswith(f"{split}/{level}-"))


def fresh(name: str, number: int, level: str, count: int) -> tuple[Recording, ...]:
    """Recordings that nothing was chosen or judged by: drawn as the stored ones are, from seeds of their own.

    They are called ``NAME/LEVEL-00`` and so on; ``number`` (10 to 99) tells one such set from another.
    """
    if level not in LEVELS or not 10 <= number <= 99:
        raise UsageError(f"{name}: want one of {', '.join(LEVELS)} and a number of 10 to 99; seen {level}, {number}")
    return tuple(_drawn(name, number, level, count))


# ------------------------------------------------------------------------------------------------------ how it was made


def stored_text() -> bytes:
    """What ``distributions.json`` holds, made anew."""
    made = [
        recording
        for number, (split, counts) in enumerate(SPLITS.items())
        for level, count in counts.items()
        for recording in _drawn(split, number, level, count)
    ]
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


def _drawn(split: str, number: int, level: str, count: int) -> list[Recording]:
    place = LEVELS.index(level)
    rng = np.random.default_rng([_SEED, number, place])
    hr, rr, tone = (_stratified(rng, count, *span, log=log) for span, log in ((HR, True), (RR, False), (TONE, False)))
    made = []
    for i in range(count):
        seed = _FIRST_SCENE_SEED + 100_000 * number + 10_000 * place + i
        query = _query(_LEVELS[level], seed, float(hr[i]), float(rr[i]), float(tone[i]), rng)
        if level == "faults":
            query |= _faults(rng)
        text = "&".join(f"{key}={value}" for key, value in query.items())
        made.append(Recording(f"{split}/{level}-{i:02d}", level, query["tone"], f"synthetic:?{text}"))
    return made


def _stratified(rng: Rng, count: int, low: float, high: float, *, log: bool) -> np.ndarray[Any, Any]:
    """One value from each of ``count`` equal parts of the range, in random order."""
    places = (rng.permutation(count) + rng.random(count)) / count
    return np.asarray(low * (high / low) ** places if log else low + (high - low) * places)


def _query(level: _Level, seed: int, hr: float, rr: float, tone: float, rng: Rng) -> Query:
    hr_to, rr_to = (float(np.clip(rate * np.exp(rng.normal(0.0, 0.05)), *span)) for rate, span in ((hr, HR), (rr, RR)))
    codec, span = level.codecs[int(rng.integers(len(level.codecs)))]
    (width, height), (thermal_width, thermal_height) = _one(rng, _RGB_SIZES), _one(rng, _THERMAL_SIZES)
    strength = float(rng.uniform(*span))
    query: Query = {
        "seconds": SECONDS,
        "seed": seed,
        "hr": round(hr, 2),
        "hr_to": round(hr_to, 2),
        "rr": round(rr, 2),
        "rr_to": round(rr_to, 2),
        "tone": round(tone, 2),
        "amplitude": round(float(np.exp(rng.uniform(*np.log(level.amplitude)))), 5),
        "breath_degc": round(float(rng.uniform(*level.breath_degc)), 3),
        "nuisance": level.nuisance,
        "ambient_degc": round(float(rng.uniform(18.0, 28.0)), 1),
        "face_side": round(float(rng.uniform(0.28, 0.5)), 3),
        "face_x": round(float(rng.uniform(-0.12, 0.12)), 3),
        "width": width,
        "height": height,
        "fps": _one(rng, _RGB_FPS),
        "thermal_width": thermal_width,
        "thermal_height": thermal_height,
        "thermal_fps": _one(rng, _THERMAL_FPS),
        "offset_ms": round(float(rng.uniform(0.0, 110.0)), 1),
        "parallax_px": round(float(rng.uniform(-level.parallax_px, level.parallax_px)), 1),
        "psf_px": round(float(rng.uniform(0.5, 1.2)), 2),
        "jitter_ms": round(float(rng.uniform(*level.jitter_ms)), 2),
        "drop": round(float(rng.uniform(*level.drop)), 4),
        "codec": codec,
    }
    strengths: Mapping[str, Query] = {
        "raw": {}, "mjpeg": {"quality": round(strength)}, "h264": {"kbit_s": round(strength)},
    }  # fmt: skip
    return query | strengths[codec]


def _one(rng: Rng, choices: tuple[Any, ...]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _span(rng: Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 3)


_FAULTS: tuple[Callable[[Rng], Query], ...] = (
    lambda rng: {"drop": _span(rng, 0.03, 0.2)},
    lambda rng: {"thermal_drop": _span(rng, 0.05, 0.4)},
    lambda rng: {"jitter_ms": _span(rng, 5.0, 15.0)},
    lambda rng: {"ffc_every_s": _span(rng, 11.0, 25.0), "ffc_s": _span(rng, 0.4, 2.0)},
    lambda rng: {"freeze_at_s": _span(rng, 14.0, 30.0), "freeze_s": _span(rng, 0.3, 4.0)},
    lambda rng: {"black_at_s": _span(rng, 14.0, 30.0), "black_s": _span(rng, 0.2, 2.0)},
    lambda rng: {"leave_at_s": _span(rng, 12.0, 20.0), "leave_s": _span(rng, 3.0, 6.0)},
    lambda rng: {"occlude_at_s": _span(rng, 12.0, 30.0), "occlude_s": _span(rng, 0.5, 3.0)},
    lambda rng: {"thermal_freeze_at_s": _span(rng, 12.0, 30.0), "thermal_freeze_s": _span(rng, 1.0, 6.0)},
    lambda rng: {"thermal_stop_at_s": _span(rng, 15.0, 38.0)},
)


def _faults(rng: Rng) -> Query:
    """Two or three faults of different kinds."""
    chosen = rng.permutation(len(_FAULTS))[: int(rng.integers(2, 4))]
    found: Query = {}
    for index in sorted(chosen.tolist()):
        found |= _FAULTS[index](rng)
    return found


if __name__ == "__main__":
    STORE.write_bytes(stored_text())
