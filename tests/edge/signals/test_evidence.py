"""From cues to evidence: each cue spoiled alone must show in quality, life or reasons."""

from __future__ import annotations

import numpy as np
import pytest

from edge.signals.evidence import Evidence, breath_evidence, pulse_evidence

FS = 30.0
T = np.arange(300) / FS
T30 = np.arange(900) / FS


def cells(rate_per_min: float = 75.0, pulse: float = 0.004, level: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    beat = np.sin(2 * np.pi * rate_per_min / 60 * T).reshape(-1, 1, 1, 1) * np.array([0.3, 1.0, 0.6]).reshape(
        1, 3, 1, 1
    )
    texture = rng.uniform(0.7, 1.2, (1, 1, 9, 9))
    place = np.linspace(1.5, 0.5, 9).reshape(1, 1, 9, 1)  # blood shows most on the forehead
    skin = np.array([150.0, 110.0, 90.0]).reshape(1, 3, 1, 1) * texture * level * (1 + pulse * beat * place)
    return (skin + rng.normal(0, 0.1, skin.shape)).astype(np.float32)


def bvp(rate_per_min: float = 75.0) -> np.ndarray:
    return np.sin(2 * np.pi * rate_per_min / 60 * T + 0.5).astype(np.float32)


def sway(share: float, rate_per_min: float, t: np.ndarray = T) -> np.ndarray:
    return np.stack([0 * t, share * np.sin(2 * np.pi * rate_per_min / 60 * t)], axis=1)


STILL = sway(0.0, 60.0)


def pulse(wave: np.ndarray, skin: np.ndarray, motion: np.ndarray = STILL, prior: float | None = None) -> Evidence:
    return pulse_evidence(wave, skin, motion, FS, prior)


def test_agreeing_cues_are_alive_and_good() -> None:
    found = pulse(bvp(), cells())
    assert found.rate_per_min == pytest.approx(75, abs=1)
    assert found.alive
    assert found.sqi > 0.8
    assert found.why == ()
    assert 0 < found.uncertainty_per_min < 2


def test_a_network_that_sees_another_rate_than_the_skin_is_not_believed() -> None:
    found = pulse(bvp(118), cells())
    assert "cues_disagree" in found.why
    assert not found.alive
    assert found.sqi < 0.5
    assert found.by_cue["network"] == pytest.approx(118, abs=1)
    assert found.by_cue["pos"] == pytest.approx(75, abs=1)


def test_a_network_that_sees_nothing_leaves_the_rate_to_the_skin() -> None:
    noise = np.random.default_rng(7).standard_normal(300).astype(np.float32)
    found = pulse(noise, cells())
    assert found.rate_per_min == pytest.approx(75, abs=2)
    assert "cues_disagree" in found.why
    assert found.sqi < 0.5


def test_a_doubled_network_does_not_double_the_rate() -> None:
    assert pulse(bvp(150), cells()).rate_per_min == pytest.approx(75, abs=2)


def test_a_wave_without_a_shared_pulse_is_not_alive() -> None:
    found = pulse(bvp(), cells(pulse=0.0))
    assert not found.alive
    assert "not_alive" in found.why


@pytest.mark.parametrize(("level", "code"), [(0.1, "dark"), (2.0, "overexposed")])
def test_exposure_is_named(level: float, code: str) -> None:
    skin = np.minimum(cells(level=level), 255.0)
    assert code in pulse(bvp(), skin).why


def test_motion_is_named_and_costs_quality() -> None:
    calm, moving = pulse(bvp(), cells()), pulse(bvp(), cells(), sway(0.06, 50))
    assert "motion" in moving.why
    assert moving.sqi < calm.sqi


def test_motion_at_the_rate_itself_is_named_though_small() -> None:
    assert "motion" in pulse(bvp(), cells(), sway(0.008, 75)).why
    assert "motion" not in pulse(bvp(), cells(), sway(0.008, 130)).why


def test_a_flickering_lamp_is_no_pulse_though_every_cue_shows_it() -> None:
    """As weak a pulse as compression leaves: nothing but the lamp is there to see."""
    lamp = (1.0 + 0.006 * np.sin(2 * np.pi * 130 / 60 * T)).reshape(-1, 1, 1, 1)
    lit = (cells(pulse=0.0) * lamp * np.array([0.9, 1.1, 1.0]).reshape(1, 3, 1, 1)).astype(np.float32)
    found = pulse(bvp(130), lit)
    assert not found.alive
    assert "light_change" in found.why


def test_a_pulse_beside_a_flickering_lamp_is_still_read() -> None:
    lamp = (1.0 + 0.01 * np.sin(2 * np.pi * 130 / 60 * T)).reshape(-1, 1, 1, 1)
    found = pulse(bvp(75), (cells(75) * lamp).astype(np.float32))
    assert found.alive
    assert found.rate_per_min == pytest.approx(75, abs=1.5)


def test_a_rate_at_the_edge_of_the_band_is_never_alive() -> None:
    found = pulse(bvp(196.5), cells(196.5))
    assert "rate_out_of_band" in found.why
    assert not found.alive


def test_nothing_at_all_is_weak_and_finite() -> None:
    found = pulse(np.zeros(300, np.float32), np.full((300, 3, 9, 9), 90.0, np.float32))
    assert (found.rate_per_min, found.alive, found.why) == (None, False, ("weak_signal",))


def breath_cells(rate_per_min: float, degc: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(1)
    out = rng.normal(34.0, 0.02, (900, 9, 9))
    out[:, 5:7, 4] += degc * np.sin(2 * np.pi * rate_per_min / 60 * T30)[:, None]
    return out.astype(np.float32)


PLAIN = np.random.default_rng(2).normal(100.0, 0.05, (900, 3, 9, 9)).astype(np.float32)
STILL30 = np.random.default_rng(3).normal(0, 1e-4, (900, 2))


def test_breath_needs_two_cues_that_agree() -> None:
    rsp = np.sin(2 * np.pi * 16 / 60 * T30).astype(np.float32)
    agree = breath_evidence(rsp, breath_cells(16), PLAIN, STILL30, FS, None)
    assert agree.alive
    assert agree.rate_per_min == pytest.approx(16, abs=0.6)
    assert agree.sqi > 0.6
    differ = breath_evidence(rsp, breath_cells(27), PLAIN, STILL30, FS, None)
    assert not differ.alive
    assert "cues_disagree" in differ.why


def test_a_nodding_picture_is_no_breath_where_thermal_sees_none() -> None:
    nod = sway(0.012, 15, T30)
    light = (PLAIN * (1 + 0.01 * np.sin(2 * np.pi * 15 / 60 * T30)).reshape(-1, 1, 1, 1)).astype(np.float32)
    found = breath_evidence(None, breath_cells(15, degc=0.0), light, nod, FS, None)
    assert not found.alive
    assert "motion" in found.why


def test_breath_without_thermal_needs_motion_and_light_to_agree() -> None:
    light = PLAIN * (1 + 0.002 * np.sin(2 * np.pi * 13 / 60 * T30)).reshape(-1, 1, 1, 1)
    moved = sway(0.01, 13, T30)
    assert breath_evidence(None, None, light.astype(np.float32), moved, FS, None).alive
    assert not breath_evidence(None, None, PLAIN, sway(0.01, 21, T30) + STILL30, FS, None).alive


def rsp(rate_per_min: float) -> np.ndarray:
    return np.sin(2 * np.pi * rate_per_min / 60 * T30).astype(np.float32)


def breathing(rate_per_min: float) -> tuple[np.ndarray, np.ndarray]:
    """RGB cells and displacement of a body that breathes at a rate, less than what is called a nod."""
    light = PLAIN * (1 + 0.002 * np.sin(2 * np.pi * rate_per_min / 60 * T30)).reshape(-1, 1, 1, 1)
    return light.astype(np.float32), sway(0.004, rate_per_min, T30)


def test_each_modality_tells_how_well_it_shows_the_breath_by_itself() -> None:
    apart = breath_evidence(rsp(16), breath_cells(16), PLAIN, STILL30, FS, None)
    assert apart.sources == ("thermal",)
    assert apart.source_sqi["thermal"] > 0.8
    assert apart.source_sqi["rgb"] < 0.3
    both = breath_evidence(rsp(16), breath_cells(16), *breathing(16), FS, None)
    assert min(both.source_sqi.values()) > 0.8
    other = breath_evidence(rsp(16), breath_cells(16), *breathing(23), FS, None)
    assert other.sources == ("thermal",)
    assert other.source_sqi["rgb"] < 0.1


def test_without_thermal_the_rate_and_its_quality_are_those_of_rgb() -> None:
    found = breath_evidence(None, None, *breathing(13), FS, None)
    assert found.sources == ("rgb",)
    assert set(found.source_sqi) == {"rgb"}
    assert found.source_sqi["rgb"] > 0.8


def test_a_nod_is_no_breath_that_rgb_shows() -> None:
    nod = sway(0.012, 16, T30)
    found = breath_evidence(rsp(16), breath_cells(16), PLAIN, nod, FS, None)
    assert found.source_sqi["rgb"] == 0.0
    assert found.source_sqi["thermal"] > 0.8


def test_a_network_that_mixes_modalities_is_a_source_and_tells_of_neither() -> None:
    weak = breath_cells(16, degc=0.0)
    found = breath_evidence(rsp(16), weak, *breathing(16), FS, None, ("rgb", "thermal"))
    assert set(found.sources) == {"rgb", "thermal"}
    assert found.source_sqi["rgb"] > 0.8
    assert found.source_sqi["thermal"] < 0.3
    alone = breath_evidence(rsp(16), None, *breathing(16), FS, None, ("rgb",))
    assert alone.sources == ("rgb",)
    assert set(alone.source_sqi) == {"rgb"}


def test_a_change_that_all_places_share_alike_is_a_screens_or_a_lamps_whatever_its_colours_and_surroundings() -> None:
    beat = np.sin(2 * np.pi * 75 / 60 * T).reshape(-1, 1, 1, 1) * np.array([0.3, 1.0, 0.6]).reshape(1, 3, 1, 1)
    screen = cells(pulse=0.0).astype(np.float64)
    screen[:, :, :, 1:8] *= 1.0 + 0.004 * beat  # beside it stands the wall of the room
    found = pulse(bvp(), screen.astype(np.float32))
    assert not found.alive
    assert "light_change" in found.why
