"""A lamp changes everything, a pulse changes skin."""

from __future__ import annotations

import numpy as np
import pytest

from edge.signals.filters import transform
from edge.signals.light import light_share, unevenness
from edge.vitals import HR_BAND

FS = 30.0
T = np.arange(300) / FS
PULSE = np.array([0.35, 1.0, 0.6])
"""Relative modulation of R, G, B by blood."""


def cells(
    *, pulse_per_min: float = 70.0, flicker_per_min: float | None = None, tint: float = 0.0, tight: bool = False
) -> np.ndarray:
    """A face of 0.8 % pulse before a wall; ``tight``: skin everywhere. The lamp's 1 % may favour green by ``tint``."""
    rng = np.random.default_rng(1)
    where = np.zeros((9, 9))
    where[:, 1:8] = 1.0
    pulse = 0.004 * np.sin(2 * np.pi * pulse_per_min / 60 * T)
    out = 1.0 - pulse[:, None, None, None] * PULSE[None, :, None, None] * (1.0 if tight else where)
    if flicker_per_min is not None:
        lamp = 0.005 * np.sin(2 * np.pi * flicker_per_min / 60 * T)
        out *= 1.0 + lamp[:, None, None, None] * np.array([1.0 - tint, 1.0, 1.0])[None, :, None, None]
    return np.asarray(120.0 * out + rng.normal(0.0, 0.03, (300, 3, 9, 9)), np.float32)


def share_at(per_min: float, seen: np.ndarray) -> float:
    rates, _ = transform(np.zeros(300), HR_BAND, FS)
    return float(np.interp(per_min, rates, light_share(seen, HR_BAND, FS)))


def test_a_flickering_lamp_is_the_light_and_the_pulse_is_not() -> None:
    seen = cells(pulse_per_min=70, flicker_per_min=114)
    assert share_at(114, seen) > 0.9
    assert share_at(70, seen) < 0.1


def test_a_pulse_in_steady_light_is_no_light() -> None:
    assert share_at(70, cells()) < 0.1


def test_a_pulse_that_fills_a_tight_crop_is_no_light() -> None:
    assert share_at(70, cells(tight=True)) < 0.1


@pytest.mark.parametrize("tint", [-0.2, 0.2])
def test_a_tinted_lamp_is_still_the_light(tint: float) -> None:
    assert share_at(114, cells(flicker_per_min=114, tint=tint)) > 0.6


def test_a_lamp_as_red_as_blood_is_told_by_the_wall() -> None:
    """Beside a grey wall the tint of the lamp does not matter; in a tight crop nothing but it can."""
    seen = cells(flicker_per_min=114, tint=0.6)
    wall = np.array([1.0, 1.3, 1.0], np.float32)  # of another colour than the skin
    seen[:, :, :, [0, 8]] *= wall[None, :, None, None]
    assert share_at(114, seen) > 0.7
    assert share_at(70, seen) < 0.1


def test_every_share_is_between_none_and_all_even_of_nothing() -> None:
    for seen in (
        cells(flicker_per_min=90),
        np.full((300, 3, 9, 9), 80.0, np.float32),
        np.zeros((300, 3, 9, 9), np.float32),
    ):
        share = light_share(seen, HR_BAND, FS)
        assert np.isfinite(share).all()
        assert share.min() >= 0.0
        assert share.max() <= 1.0


def test_light_changes_all_places_alike_and_blood_does_not() -> None:
    where = np.linspace(1.5, 0.5, 9)[None, None, :, None]
    beat = 0.01 * np.sin(2 * np.pi * 70 / 60 * T)[:, None, None, None]
    grain = np.random.default_rng(2).normal(0.0, 0.03, (300, 3, 9, 9))
    picture = np.random.default_rng(3).uniform(40.0, 160.0, (1, 3, 9, 9))  # hair, eyes, skin
    screen, face = (picture * (1.0 + beat * place) + grain for place in (1.0, where))
    assert unevenness(screen.astype(np.float32), 70.0, HR_BAND, FS) < 0.03
    assert unevenness(face.astype(np.float32), 70.0, HR_BAND, FS) > 0.15
