"""Advice for whoever aims the cameras: each thing that was measured, what is wanted, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.clips.crop import ENLARGED, MIN_FACE_PX
from edge.clips.warp import MIN_INSIDE
from edge.sight import FaceSeen, Sight
from edge.signals.evidence import BRIGHT, DARK

__all__ = ["Advice", "aiming_from"]

_CUT_SHARE = 0.05
"""A region may stand out of the picture by so much of its side."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing: whether it is well, and the sentence."""

    well: bool
    text: str


def aiming_from(sight: Sight, skew_ms: float | None) -> dict[str, Any]:
    """What the view for aiming shows: the sight with advice; ``skew_ms`` is the median distance of paired stamps."""
    names = len(sight.faces) > 1
    advice: list[Advice] = []
    faces = []
    for face in sight.faces:
        own = list(_about(face, sight))
        who = f"{face.zone}/{face.person}: " if names else ""
        advice += [Advice(one.well, who + one.text) for one in own]
        faces.append({**msgspec.to_builtins(face), "well": all(one.well for one in own)})
    advice += _of_all(sight, skew_ms)
    return {
        **msgspec.to_builtins(sight),
        "faces": faces,
        "headline": _headline(sight, all(one.well for one in advice)),
        "advice": [msgspec.to_builtins(one) for one in advice],
    }


def _headline(sight: Sight, well: bool) -> str:
    if not sight.faces:
        return "No face is found"
    count = "One face" if len(sight.faces) == 1 else f"{len(sight.faces)} faces"
    return f"{count}, aimed well" if well else f"{count}, not aimed well yet"


def _about(face: FaceSeen, sight: Sight) -> Iterator[Advice]:
    yield _size(face)
    yield _place(face, sight)
    yield _light(face.level, "the face")
    if face.thermal_share is not None:
        well = face.thermal_share >= MIN_INSIDE
        fix = "" if well else ": aim the thermal camera, or calibrate again with mmrphys calibrate rig"
        yield Advice(
            well, f"the thermal camera sees {face.thermal_share:.0%} of the face (want >= {MIN_INSIDE:.0%}){fix}"
        )


def _size(face: FaceSeen) -> Advice:
    where = "" if face.distance_m is None else f" at about {face.distance_m:.1f} m"
    seen = f"the face is {face.side_px:.0f} px wide{where} (want >= {MIN_FACE_PX:.0f})"
    if face.side_px >= MIN_FACE_PX:
        return Advice(well=True, text=seen)
    share = face.side_px / MIN_FACE_PX
    if face.distance_m is None:
        return Advice(well=False, text=f"{seen}: come to {share:.0%} of this distance, or take a longer lens")
    closer_m = face.distance_m * (1.0 - share)
    return Advice(well=False, text=f"{seen}: come {closer_m:.1f} m closer, or take a longer lens")


def _place(face: FaceSeen, sight: Sight) -> Advice:
    """Whether the whole region that the model sees is in the picture, and where to aim if not."""
    x, y, w, h = face.box
    more_x, more_y = (ENLARGED - 1.0) / 2.0 * w, (ENLARGED - 1.0) / 2.0 * h
    out = {
        "left": (more_x - x) / w,
        "right": (x + w + more_x - 1.0) / w,
        "up": (more_y - y) / h,
        "down": (y + h + more_y - 1.0) / h,
    }
    ways = [way for way, share in out.items() if share > _CUT_SHARE]
    if not ways:
        return Advice(well=True, text=f"the face is whole in the picture of {sight.width_px} x {sight.height_px}")
    if {"left", "right"} <= {*ways} or {"up", "down"} <= {*ways}:
        return Advice(well=False, text="the face does not fit into the picture: move back")
    return Advice(well=False, text=f"the face is at the edge of the picture: aim the camera more {' and '.join(ways)}")


def _light(level: float, what: str) -> Advice:
    seen = f"{what} has brightness {level:.0f} of 255 (want {DARK:.0f} to {BRIGHT:.0f})"
    if level < DARK:
        return Advice(well=False, text=f"{seen}: add light from the front")
    if level > BRIGHT:
        return Advice(well=False, text=f"{seen}: reduce exposure or light")
    return Advice(well=True, text=seen)


def _of_all(sight: Sight, skew_ms: float | None) -> Iterator[Advice]:
    if not sight.faces:
        yield Advice(well=False, text="face the camera; check light, focus and distance")
        yield _light(sight.level, "the picture")
    if sight.thermal is None:
        return
    if sight.faces and all(face.thermal_share is None for face in sight.faces):
        seen = "no rig is given: both cameras are taken to see the same field (measure it: mmrphys calibrate rig)"
        yield Advice(well=True, text=seen)
    if skew_ms is None:
        yield Advice(
            well=False, text="no thermal frame is near enough in time: check the thermal camera's cable and rate"
        )
    else:
        yield Advice(
            well=True, text=f"thermal and RGB frames are {skew_ms:.0f} ms apart (want <= {sight.gate_ms:.0f} ms)"
        )
