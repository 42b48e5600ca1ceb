"""What looks like a living face and is none: screens, whose light may beat like a heart, and heated heads.

Each is played through the whole program, with the real detector, for 41 s: longer than any window.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cli import main

pytestmark = pytest.mark.scenes

SECONDS = 41
SMALL = "width=320&height=240"
"""Scenes that are quick to draw; the face is 100 px wide."""
LIKE_BLOOD = "screen_flicker=0.02&screen_hz=1.2&screen_red=0.35"
"""Red of a slow phosphor: the flicker has the colours and the strength of a strong pulse."""
DUMMY = "face=photo&heat=dummy"


@dataclass(frozen=True, slots=True)
class Shown:
    """What HR or RR was in each look: states, values that are numbers, and the reasons of the looks from 20 s on."""

    states: set[str]
    values: list[float]
    whys: list[list[str]]

    @classmethod
    def of(cls, looks: list[dict[str, Any]], rate: str) -> Shown:
        rates = [look[rate] for look in looks]
        values = [one["value"] for one in rates if one["value"] is not None]
        return cls({one["state"] for one in rates}, values, [one["why"] for one in rates[20:]])

    def share_told(self, *codes: str) -> float:
        """Share of the looks that name one of ``codes``."""
        return float(np.mean([any(code in why for code in codes) for why in self.whys]))


def played(out: Path, query: str, *, thermal: bool = True) -> tuple[Shown, Shown]:
    """HR and RR of a scene."""
    words = ["--rgb", f"synthetic:?seconds={SECONDS}&{query}&{SMALL}", *([] if thermal else ["--thermal", "none"])]
    assert main(["run", *words, "--sink", f"jsonl:{out}", "--speed", "max"]) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    looks = [record for record in records if record["kind"] == "numerics"]
    assert len(looks) >= SECONDS - 1
    assert sum(look["hr"]["state"] == "no_face" for look in looks) <= 2  # it is taken for a face
    return Shown.of(looks, "hr"), Shown.of(looks, "rr")


# ------------------------------------------------------------------------------------------------------- screens


@pytest.mark.slow
def test_a_screen_that_flickers_like_blood_has_neither_rate(tmp_path: Path) -> None:
    hr, rr = played(tmp_path / "a.jsonl", f"face=screen&seed=5&{LIKE_BLOOD}")
    assert hr.values == rr.values == []
    assert hr.share_told("light_change") > 0.9
    assert rr.share_told("cold_face") == 1.0


def flickers(count: int) -> Iterator[str]:
    """Screens whose backlight folds into the band of the pulse, of all strengths, colours, shutters and sizes."""
    rng = np.random.default_rng(20)
    for number in range(count):
        shape = f"screen_width={(1.3, 2.4)[number % 2]}&screen_bands={(0, 0, 0.5, 4)[number % 4]}"
        light = f"screen_flicker={rng.uniform(0.01, 0.1):.3f}&screen_red={rng.uniform(0.2, 1.0):.2f}"
        fringes = f"moire={rng.uniform(0.0, 0.08):.3f}&moire_hz={rng.uniform(0.0, 2.0):.2f}"
        who = f"seed={700 + number}&tone={1 + number % 6}&nuisance={(0.0, 0.15, 0.35)[number % 3]}"
        codec = ("raw", "mjpeg", "h264&kbit_s=1000")[number % 3]
        yield f"{who}&screen_hz={rng.uniform(0.65, 3.25):.2f}&{light}&{shape}&{fringes}&codec={codec}"


@pytest.mark.slow
@pytest.mark.parametrize("query", list(flickers(12)))
def test_no_screen_with_a_still_picture_has_a_pulse_for_an_rgb_camera_alone(tmp_path: Path, query: str) -> None:
    hr, rr = played(tmp_path / "a.jsonl", f"face=screen&{query}", thermal=False)
    assert hr.values == rr.values == []
    assert hr.share_told("light_change", "not_alive") > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.3, 2.4])
def test_a_video_of_a_living_face_has_its_pulse_for_rgb_and_is_never_ok_beside_thermal(
    tmp_path: Path, width: float
) -> None:
    """Somebody's heart beats in these pixels. RGB cannot tell; a thermal camera sees a pane, and that is said."""
    video = f"face=video&seed=5&hr=72&screen_flicker=0&screen_width={width}"
    alone, _ = played(tmp_path / "a.jsonl", video, thermal=False)
    assert "ok" in alone.states
    assert np.median(alone.values) == pytest.approx(72, abs=4)
    hr, rr = played(tmp_path / "b.jsonl", video)
    assert "ok" not in hr.states
    assert hr.share_told("cold_face") == rr.share_told("cold_face") == 1.0
    assert rr.values == []


# ------------------------------------------------------------------------------------------------------- heated heads


def test_a_mannequin_before_a_fan_neither_beats_nor_breathes(tmp_path: Path) -> None:
    """The fan's period is a breath's; it was RR ``ok`` before forehead and cheeks were asked."""
    hr, rr = played(tmp_path / "a.jsonl", f"{DUMMY}&seed=5&fan_degc=0.3&fan_hz=0.25")
    assert hr.values == rr.values == []
    assert hr.share_told("not_alive", "light_change") == rr.share_told("draught") == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "seed=11",
        "seed=12&fan_degc=0.1&fan_hz=0.35",
        "seed=13&fan_degc=1&fan_hz=0.15&nuisance=0.35",
        "seed=14&dummy_swing_degc=0.5&dummy_cycle_s=60",
        "seed=15&dummy_swing_degc=0.3&dummy_cycle_s=5",
        "seed=16&thermal_drift_degc=0.3&ffc_every_s=13",
        "seed=17&dummy_degc=38&fan_degc=0.3&fan_hz=0.2&nuisance=0",
    ],
)
def test_no_mannequin_beats_or_breathes(tmp_path: Path, query: str) -> None:
    hr, rr = played(tmp_path / "a.jsonl", f"{DUMMY}&{query}")
    assert hr.values == []
    assert rr.values == []
    assert hr.share_told("not_alive", "light_change") > 0.9
    assert rr.share_told("draught", "cues_disagree", "ffc", "thermal_gap") > 0.9


@pytest.mark.slow
def test_a_living_face_beside_a_mannequins_heat_beats_and_does_not_breathe_by_the_fan(tmp_path: Path) -> None:
    hr, rr = played(tmp_path / "a.jsonl", "face=live&heat=dummy&seed=5&hr=72&rr=12&fan_degc=0.3&fan_hz=0.3")
    assert "ok" in hr.states
    assert np.median(hr.values) == pytest.approx(72, abs=4)
    assert rr.values == []
    assert rr.share_told("draught") > 0.9


@pytest.mark.slow
def test_a_photograph_before_a_heated_head_that_swings_has_neither_rate_though_it_nods(tmp_path: Path) -> None:
    hr, rr = played(tmp_path / "a.jsonl", f"{DUMMY}&seed=6&nod=0.01&nod_hz=0.3&fan_degc=0.2&fan_hz=0.3")
    assert hr.values == []
    assert "ok" not in rr.states
    assert rr.share_told("draught", "motion") > 0.9
