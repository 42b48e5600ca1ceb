"""Models of every kind on painted frames: one modality or both, one task or both, other rates and lengths."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.painted_face import HR_PER_MIN, Bench, S, bundle_like, rgb_frames, thermal_frames

from edge.bundle import Bundle
from edge.errors import BundleError
from edge.frames import Frame
from edge.pipeline import WaveBlock
from edge.vitals import VALUE_STATES, Estimate

pytestmark = pytest.mark.scenes

BOTH = ("rgb", "thermal")


def kind(channels: tuple[str, ...], **changes: Any) -> Bundle:
    """A model whose every output comes from all its channels."""
    sources = dict.fromkeys(changes.get("tasks", ("bvp", "rsp")), channels)
    return bundle_like(**{"channels": channels, "sources": sources} | changes)


def both_cameras(rgb_s: float, thermal_s: float, **scene: Any) -> list[Frame]:
    frames = [*rgb_frames(rgb_s), *thermal_frames(thermal_s, wall_degc=24.0, **scene)]
    return sorted(frames, key=lambda frame: frame.pts_ns)


def rates(bench: Bench, name: str) -> dict[int, Estimate]:
    return {look.pts_ns // S: getattr(look, name) for look in bench.finish()}


@pytest.mark.parametrize(("fps", "frames", "size"), [(30.0, 161, 9), (25.0, 181, 36), (25.0, 161, 72), (30.0, 61, 9)])
def test_rate_length_and_size_of_the_model_do_not_change_what_is_read(fps: float, frames: int, size: int) -> None:
    bench = Bench(bundle=kind(("rgb",), fps=fps, frames=frames, size=size)).feed(rgb_frames(13))
    hr = rates(bench, "hr")
    assert hr[12].state == "ok"
    assert hr[12].value == pytest.approx(HR_PER_MIN, abs=1.5)
    assert min(one.window_s for one in hr.values() if one.value is not None) >= 6.0


def test_a_window_longer_than_any_that_is_looked_at_works() -> None:
    bench = Bench(bundle=kind(("rgb",), frames=1001)).feed(rgb_frames(37))
    hr = rates(bench, "hr")
    assert hr[36].value == pytest.approx(HR_PER_MIN, abs=1.5)
    assert hr[36].window_s == 10.0


def test_a_model_too_slow_for_a_pulse_is_refused() -> None:
    with pytest.raises(BundleError, match=r"6\.5 frames per second; want over 6\.6"):
        Bench(bundle=kind(("rgb",), fps=6.5))


def test_breath_of_an_rgb_model_is_never_ok_without_thermal() -> None:
    rr = rates(Bench(bundle=kind(("rgb",))).feed(rgb_frames(24)), "rr")
    assert all(one.state != "ok" for one in rr.values())
    assert "no_thermal" in rr[23].why


def test_a_pulse_model_leaves_breath_to_the_nostrils() -> None:
    bench = Bench(bundle=kind(("rgb",), tasks=("bvp",)), thermal=True).feed(both_cameras(26, 26))
    assert rates(bench, "rr")[25].value == pytest.approx(15, abs=1)
    assert rates(bench, "hr")[25].state == "ok"
    waves = [output.signals for output in bench.outputs if isinstance(output, WaveBlock)]
    assert waves
    assert all(wave.rsp is None for wave in waves)


@pytest.mark.parametrize("channels", [("thermal",), BOTH])
def test_a_breath_model_gives_no_pulse_and_says_why(channels: tuple[str, ...]) -> None:
    bench = Bench(bundle=kind(channels, tasks=("rsp",)), thermal=True).feed(both_cameras(26, 26))
    hr, rr = rates(bench, "hr"), rates(bench, "rr")
    assert all(one.value is None for one in hr.values())
    assert {(hr[second].state, hr[second].why) for second in range(8, 26)} == {("lost", ("not_in_model",))}
    assert rr[25].state == "ok"
    assert rr[25].value == pytest.approx(15, abs=1)
    waves = [output.signals for output in bench.outputs if isinstance(output, WaveBlock)]
    assert len(waves) >= 5  # breath is shown once RR passed, though there is no pulse to pass
    assert all(wave.bvp is None and wave.rsp is not None for wave in waves)


def test_a_thermal_pulse_counts_where_rgb_shows_it_too() -> None:
    bench = Bench(bundle=kind(("thermal",)), thermal=True).feed(both_cameras(14, 14, pulse_degc=0.3))
    hr = rates(bench, "hr")
    assert hr[13].state == "ok"
    assert hr[13].value == pytest.approx(HR_PER_MIN, abs=1.5)
    waves = [output.signals for output in bench.outputs if isinstance(output, WaveBlock)]
    assert {wave.bvp_source for wave in waves} == {"thermal"}


def test_a_thermal_pulse_is_withheld_without_its_camera() -> None:
    bench = Bench(bundle=kind(("thermal",))).feed(rgb_frames(24))
    for name in ("hr", "rr"):
        found = rates(bench, name)
        assert not VALUE_STATES & {one.state for one in found.values()}
        assert "no_thermal" in found[23].why
    assert rates(bench, "hr")[23].state == "lost"
    assert not [output for output in bench.outputs if isinstance(output, WaveBlock)]


def test_a_thermal_pulse_is_lost_with_its_camera() -> None:
    bench = Bench(bundle=kind(("thermal",)), thermal=True).feed(both_cameras(26, 14, pulse_degc=0.3))
    hr = rates(bench, "hr")
    assert hr[13].state == "ok"
    assert {(hr[second].state, hr[second].why[0]) for second in range(17, 26)} == {("lost", "thermal_gap")}


def test_a_pulse_of_both_modalities_stays_without_thermal() -> None:
    hr = rates(Bench(bundle=kind(BOTH)).feed(rgb_frames(13)), "hr")
    assert hr[12].state == "ok"
    assert hr[12].value == pytest.approx(HR_PER_MIN, abs=1.5)
