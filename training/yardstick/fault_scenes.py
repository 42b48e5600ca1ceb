"""Sixty held-out scenes, each with one fault at a known time, and what has to be said of it.

Scenes are drawn as those of the test recordings are, from seeds that stand in no split: half ``moderate``, half
``hard``. The fault comes once HR and, mostly, RR are ``ok``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from edge.cameras import SCHEMES, Camera, camera_from_uri
from edge.cameras.faulty import Fault, FaultyCamera
from edge.cameras.synthetic import SyntheticCamera
from edge.uri import parse_uri
from training.yardstick.distribution import fresh

__all__ = ["KINDS", "SECONDS", "Kind", "Scene", "cameras_of", "scenes"]

SECONDS = 44
AT_S, FOR_S = (24.0, 27.0), (4.0, 6.0)
"""When a fault begins, and how long it lasts."""
_SEED, _NUMBER, _OF_EACH = 20261125, 66, 2
"""Number of the fresh set; scenes of each level for each kind of fault."""

Where = Literal["rgb", "thermal", "scene"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: where it happens, and which codes tell of it.

    ``hr`` and ``rr``: the rate must leave ``ok``, and any one of these codes must be among its reasons while the fault
    lasts. Empty: the rate may stay ``ok``, as long as it is right.
    """

    where: Where
    text: str
    hr: frozenset[str]
    rr: frozenset[str]


def _both(*codes: str) -> dict[str, frozenset[str]]:
    return {"hr": frozenset(codes), "rr": frozenset(codes)}


def _pulse(*codes: str) -> dict[str, frozenset[str]]:
    return {"hr": frozenset(codes), "rr": frozenset()}


def _breath(*codes: str) -> dict[str, frozenset[str]]:
    return {"hr": frozenset(), "rr": frozenset(codes)}


KINDS: Mapping[str, Kind] = {
    "stop": Kind("rgb", "the RGB camera sends nothing", **_both("camera_ended")),
    "slow": Kind("rgb", "one frame of six comes", **_both("low_fps", "gap")),
    "freeze": Kind("rgb", "the RGB picture is repeated", **_both("frozen")),
    "black": Kind("rgb", "the lens is covered", **_both("no_face", "frozen")),
    "saturate": Kind("rgb", "the RGB picture is overexposed fourfold", **_pulse("overexposed", "light_change")),
    "resize": Kind("rgb", "RGB pictures become half as large", **_both("no_face", "warming_up", "gap", "face_moved")),
    "reorder": Kind("rgb", "two frames of four come in the other order", **_both()),
    "light_step": Kind("rgb", "a lamp goes out and on again", **_both()),
    "light_drift": Kind("rgb", "the light changes slowly by 30 %", **_both()),
    "nan": Kind("thermal", "rows of thermal pixels are NaN", **_breath("thermal_gap")),
    "thermal-stop": Kind("thermal", "the thermal camera sends nothing", **_breath("thermal_gap")),
    "thermal-freeze": Kind("thermal", "the thermal picture is repeated", **_breath("ffc", "thermal_gap")),
    "ffc": Kind("thermal", "the thermal shutter is closed, and said so", **_breath("ffc")),
    "leave": Kind("scene", "the subject leaves and comes back", **_both("no_face")),
    "swap": Kind("scene", "two subjects change places", **_both("face_moved", "no_face", "warming_up")),
}
"""The schedule's faults by name; ``rgb`` and ``thermal`` ones are those of :data:`edge.cameras.faulty.FAULTS`."""


class Scene(msgspec.Struct, frozen=True):
    """A scene, its fault and its time.

    ``people``: two, each in a half of the picture that is a zone of its own. ``number``: which of its level and kind.
    Gates were mended on failures of the scenes with number 0; those with 1 were first looked at when that was done.
    """

    name: str
    level: str
    kind: str
    at_s: float
    for_s: float
    uri: str
    people: int = 1
    number: int = 0


def scenes() -> tuple[Scene, ...]:
    """All sixty; the first of each kind come first, so that a part of them is a fair one."""
    rng = np.random.default_rng([_SEED, _NUMBER])
    drawn = {level: list(fresh("campaign", _NUMBER, level, len(KINDS) * _OF_EACH)) for level in ("moderate", "hard")}
    made = []
    for number in range(_OF_EACH):
        for level, recordings in drawn.items():
            for place, kind in enumerate(KINDS):
                at_s, for_s = (round(float(rng.uniform(*span)), 2) for span in (AT_S, FOR_S))
                uri = recordings[number * len(KINDS) + place].uri
                name = f"{kind}-{level}-{number}"
                people = 2 if kind == "swap" else 1
                uri = _uri(uri, kind, at_s, for_s, number)
                made.append(Scene(name, level, kind, at_s, for_s, uri, people, number))
    return tuple(made)


def _uri(uri: str, kind: str, at_s: float, for_s: float, number: int) -> str:
    """The scene for longer, and with what happens in it."""
    query = dict(parse_uri(uri, "camera", SCHEMES).query) | {"seconds": str(SECONDS)}
    if kind == "leave":
        query |= {"leave_at_s": str(at_s), "leave_s": str(for_s)}
    if kind == "swap":
        first, second = float(query["hr"]), float(query["rr"])
        other = {"hr2": 60.0 if first > 90.0 else 110.0, "rr2": 12.0 if second > 18.0 else 24.0}
        walk = 0.0 if number % 2 else 2.0
        query |= {key: str(value) for key, value in other.items()}
        query |= {"people": "2", "seed2": str(int(query["seed"]) + 1_000), "swap_at_s": str(at_s), "swap_s": str(walk)}
        query |= {"width": "960", "height": "480", "codec": "raw"}
        query |= {"face_x": "0", "face_side": "0.35", "parallax_px": "0"}
        query = {key: value for key, value in query.items() if key not in ("hr_to", "rr_to", "quality", "kbit_s")}
    return "synthetic:?" + "&".join(f"{key}={value}" for key, value in query.items())


def cameras_of(scene: Scene) -> tuple[list[Camera], SyntheticCamera]:
    """RGB and thermal camera with the fault, and the one that knows the truth."""
    rgb, thermal = (camera_from_uri(scene.uri, kind) for kind in ("rgb", "thermal"))
    assert isinstance(rgb, SyntheticCamera)
    kind = KINDS[scene.kind]
    if kind.where == "scene":
        return [rgb, thermal], rgb
    name = {"thermal-stop": "stop", "thermal-freeze": "freeze", "ffc": "shutter"}.get(scene.kind, scene.kind)
    fault = [Fault(name, scene.at_s, scene.for_s)]
    cameras: dict[Where, list[Camera]] = {
        "rgb": [FaultyCamera(rgb, fault), thermal], "thermal": [rgb, FaultyCamera(thermal, fault)],
    }  # fmt: skip
    return cameras[kind.where], rgb
