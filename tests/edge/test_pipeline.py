"""One step of the method on painted frames: a patch with a known pulse before a detector that knows where it is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from fakes.painted_face import HR_PER_MIN, Bench, S, rgb_frames, thermal_frames

from edge.clips.crop import Box
from edge.errors import FaultError
from edge.frames import Frame
from edge.pipeline import WaveBlock
from edge.rig import CameraGeometry, Plane, Rig
from edge.vitals import FACTS, REASONS, Vitals

pytestmark = pytest.mark.scenes


def test_looks_come_once_a_second_and_at_the_end() -> None:
    looks = Bench().feed(rgb_frames(3.5)).finish()
    assert [look.pts_ns for look in looks] == [S, 2 * S, 3 * S, round(104 / 30 * S)]


def test_the_pulse_becomes_ok_by_nine_seconds_and_is_right() -> None:
    bench = Bench().feed(rgb_frames(12))
    states = {look.pts_ns // S: look.hr for look in bench.finish()}
    assert states[5].state == "starting"
    assert states[9].state == "ok"
    assert states[9].value == pytest.approx(HR_PER_MIN, abs=1.5)
    assert [states[second].window_s for second in (7, 8, 9)] == [6.0, 7.0, 8.0]
    assert all(look.zone == "bed-1" and look.face_px == 80.0 for look in bench.vitals)


def test_waves_come_only_with_a_pulse_that_passed_and_join() -> None:
    bench = Bench().feed(rgb_frames(14))
    first_ok = next(i for i, output in enumerate(bench.outputs) if isinstance(output, Vitals) and output.hr.value)
    blocks = [(i, output) for i, output in enumerate(bench.outputs) if isinstance(output, WaveBlock)]
    assert blocks
    assert all(i > first_ok for i, _ in blocks)
    for (_, one), (_, two) in itertools.pairwise(blocks):
        assert one.signals.bvp is not None
        end_ns = one.signals.t0_ns + len(one.signals.bvp) / one.signals.fs * 1e9
        assert two.signals.t0_ns == pytest.approx(end_ns, abs=2)


def test_breath_comes_from_thermal() -> None:
    frames = sorted([*rgb_frames(26), *thermal_frames(26)], key=lambda frame: frame.pts_ns)
    last = Bench(thermal=True).feed(frames).finish()[-1]
    assert last.rr.state == "ok"
    assert last.rr.value == pytest.approx(15, abs=1)
    assert last.skew_ms is not None
    assert last.skew_ms < 60


def test_a_thermal_camera_that_stops_is_lost_within_three_seconds_and_takes_no_hr() -> None:
    frames = sorted([*rgb_frames(26), *thermal_frames(20)], key=lambda frame: frame.pts_ns)
    looks = {look.pts_ns // S: look for look in Bench(thermal=True).feed(frames).vitals}
    assert looks[19].rr.value is not None
    assert {looks[second].rr.state for second in (23, 24, 25)} == {"thermal_lost"}
    assert {looks[second].hr.state for second in (19, 23, 24, 25)} == {"ok"}


def test_a_shutter_without_telemetry_is_seen_from_its_frozen_picture_and_said() -> None:
    moving = list(thermal_frames(9))
    thermal = [replace(frame, image=moving[35].image) if 4.0 < frame.pts_ns / S < 6.0 else frame for frame in moving]
    frames = sorted([*rgb_frames(9), *thermal], key=lambda frame: frame.pts_ns)
    looks = {look.pts_ns // S: look for look in Bench(thermal=True).feed(frames).vitals}
    assert [second for second, look in looks.items() if "ffc" in look.rr.why] == [5, 6, 7, 8]
    assert all("ffc" not in look.hr.why for look in looks.values())


def test_a_face_that_the_thermal_camera_does_not_see_costs_thermal_alone() -> None:
    rows = ((1.0, 0.0, 500.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    plane = Plane(thermal_from_rgb=rows, marker_px=50.0, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)
    sizes = CameraGeometry(width=140, height=140), CameraGeometry(width=120, height=120)
    rig = Rig(rgb=sizes[0], thermal=sizes[1], planes=(plane,))
    frames = sorted([*rgb_frames(17), *thermal_frames(17)], key=lambda frame: frame.pts_ns)
    last = Bench(thermal=True, rig=rig).feed(frames).vitals[-1]
    assert (last.hr.state, last.rr.state == "ok") == ("ok", False)
    assert "thermal_gap" in last.rr.why


def test_drops_are_the_gaps_in_the_sequence() -> None:
    frames = [frame for frame in rgb_frames(4) if frame.seq % 10]
    looks = Bench().feed(frames).finish()
    assert looks[-1].dropped == {"rgb": 11}


def test_a_gap_starts_over() -> None:
    bench = Bench().feed(frame for frame in rgb_frames(16) if not 9.5 < frame.pts_ns / S < 12.0)
    looks = {look.pts_ns // S: look.hr for look in bench.finish()}
    assert looks[9].state == "ok"
    assert looks[13].value is None
    assert looks[15].window_s < 5


def test_too_few_frames_per_second_are_lost_with_the_reason() -> None:
    looks = Bench().feed(rgb_frames(10, fps=8)).finish()
    assert (looks[-1].hr.state, looks[-1].hr.why) == ("lost", ("low_fps",))
    assert REASONS["low_fps"].said(looks[-1].facts["hr"]) == "the camera gives 8.0 frames a second, want >= 15"


@pytest.mark.parametrize(("fps", "given"), [(16.0, True), (14.0, False)])
def test_beats_are_given_from_the_slowest_camera_that_hr_may_come_from_and_of_none_that_is_slower(
    fps: float, *, given: bool
) -> None:
    """Their timing hardly depends on the frame rate (``python -m edge.benchmarks.beats``), so there is one limit."""
    looks = Bench().feed(rgb_frames(16, fps)).vitals
    assert (looks[-1].hr.state == "ok") == given
    assert any(look.beats and look.beats.intervals_ms for look in looks) == given


def test_what_was_measured_beside_the_rates_goes_with_them() -> None:
    look = Bench().feed(rgb_frames(12)).finish()[-1]
    facts = look.facts["hr"]
    assert set(facts) <= set(FACTS)
    assert facts["face_px"] == 80.0
    assert facts["fps"] == pytest.approx(30.0)
    assert facts["motion"] < 0.01
    assert 30.0 < facts["level"] < 245.0
    assert facts["seen_s"] == look.hr.window_s
    per_min, power = look.spectra["hr"]
    assert per_min[power.argmax()] == pytest.approx(HR_PER_MIN, abs=2.0)  # what was read is where the peak is
    assert "rr" not in look.spectra  # too short to look at


def test_a_face_that_leaves_takes_value_and_window() -> None:
    bench = Bench().feed(rgb_frames(10))
    assert bench.vitals[-1].hr.state == "ok"
    bench.face.away = True
    bench.feed(rgb_frames(4, start_s=10.0))
    assert (bench.vitals[-1].hr.state, bench.vitals[-1].hr.why) == ("no_face", ("no_face",))
    bench.face.away = False
    bench.feed(rgb_frames(3, start_s=14.0))
    assert bench.vitals[-1].hr.state == "starting"
    assert bench.vitals[-1].person == 1


def test_a_face_that_jumps_starts_over_and_says_so() -> None:
    bench = Bench().feed(rgb_frames(10))
    bench.face.place = Box(60.0, 60.0, 70.0, 70.0)
    bench.feed(rgb_frames(4, start_s=10.0))
    assert bench.vitals[-1].hr.state == "starting"
    assert "face_moved" in bench.vitals[-1].hr.why
    assert "face_small" in bench.vitals[-1].hr.why
    assert bench.vitals[-1].person == 0


def test_frozen_frames_are_stale() -> None:
    bench = Bench().feed(rgb_frames(10))
    still = next(rgb_frames(1)).image
    bench.feed(Frame(still, round((10 + k / 30) * S), "media", 300 + k, "rgb") for k in range(90))
    assert (bench.vitals[-1].hr.state, bench.vitals[-1].hr.why) == ("stale", ("frozen",))
    assert bench.vitals[-1].hr.value is None


def test_a_failing_engine_is_a_fault_and_passed_on_after_three() -> None:
    bench = Bench().feed(rgb_frames(10))
    bench.runtime.broken = True
    with pytest.raises(FaultError, match="engine gone"):
        bench.feed(rgb_frames(6, start_s=10.0))
    assert (bench.vitals[-1].hr.state, bench.vitals[-1].hr.value) == ("fault", None)


def test_a_silent_live_camera_is_lost_and_looks_go_on() -> None:
    bench = Bench().feed(rgb_frames(10))
    outputs = [*bench.pipeline.idle(round(11.0 * S)), *bench.pipeline.idle(round(13.5 * S))]
    looks = [output for output in outputs if isinstance(output, Vitals)]
    assert [(look.hr.state, look.rr.state) for look in looks[-1:]] == [("camera_lost", "camera_lost")]
    assert looks[-1].hr.value is None


def test_the_end_after_a_silence_looks_no_further_back() -> None:
    bench = Bench().feed(rgb_frames(10))
    bench.outputs += bench.pipeline.idle(25 * S)
    looks = bench.finish()
    assert looks[-1].hr.state == "camera_lost"
    assert [look.pts_ns for look in looks] == sorted(look.pts_ns for look in looks)


def test_a_dead_camera_loses_ok_within_two_seconds_of_the_clock() -> None:
    bench = Bench().feed(rgb_frames(10))
    shown: dict[float, str] = {}
    for tenth in range(100, 130):
        bench.outputs += bench.pipeline.idle(tenth * S // 10)
        shown[tenth / 10] = bench.vitals[-1].hr.state
    assert shown[10.0] == "ok"
    assert {state for second, state in shown.items() if second >= 12.0} == {"camera_lost"}


def test_a_file_with_a_hole_shows_a_lost_camera_in_it() -> None:
    bench = Bench().feed(frame for frame in rgb_frames(17) if not 10.2 < frame.pts_ns / S < 15.1)
    looks = {look.pts_ns // S: look for look in bench.finish()}
    assert [looks[second].hr.state for second in (10, 12, 13, 14, 15)] == ["ok", *["camera_lost"] * 4]
    assert looks[13].fps == {"rgb": 0.0}


@pytest.mark.parametrize("silence_s", [1.05 + 0.05 * k for k in range(8)])
def test_no_window_spans_a_silence_whatever_its_phase(silence_s: float) -> None:
    frames = [*rgb_frames(18), *thermal_frames(18)]
    kept = sorted(
        (frame for frame in frames if frame.kind == "thermal" or not 11.0 < frame.pts_ns / S < 11.0 + silence_s),
        key=lambda frame: frame.pts_ns,
    )
    looks = {look.pts_ns // S: look.hr for look in Bench(thermal=True).feed(kept).finish()}
    assert looks[10].state == "ok"
    assert all(looks[second].value is None for second in (13, 14, 15, 16, 17))


@pytest.mark.parametrize("gaps", [[(12.0, 12.5)], [(40.85, 41.5)], [(30.0, 30.4), (34.0, 34.4)]])
def test_a_bridged_gap_costs_the_window_and_never_serves_old_evidence(gaps: list[tuple[float, float]]) -> None:
    end_s = gaps[-1][1] + 13
    frames = (frame for frame in rgb_frames(end_s) if not any(a < frame.pts_ns / S < b for a, b in gaps))
    looks = Bench().feed(frames).finish()
    assert all(look.hr.age_ms <= 2000 for look in looks if look.hr.state in ("ok", "low_quality"))
    after = [look.hr for look in looks if gaps[-1][1] + 1 < look.pts_ns / S < gaps[-1][1] + 5.5]
    assert all(rate.value is None for rate in after)
    assert looks[-1].hr.state == "ok"


def test_one_window_is_one_look_however_long_the_hop() -> None:
    looks = Bench(hop_s=4.0).feed(rgb_frames(18)).finish()
    first_ok = next((look.pts_ns // S for look in looks if look.hr.state == "ok"), 99)
    assert first_ok >= 16  # runs at 8, 12 and 16 s


def test_a_state_keeps_the_number_of_the_person_it_ends() -> None:
    bench = Bench().feed(rgb_frames(3))
    bench.face.away = True
    bench.feed(rgb_frames(4, start_s=3.0))
    bench.face.away = False
    bench.feed(rgb_frames(3, start_s=7.0))
    bench.face.away = True
    bench.feed(rgb_frames(4, start_s=10.0))
    assert [(look.person, look.hr.state) for look in bench.vitals][-1] == (1, "no_face")


def test_breath_waves_need_thermal() -> None:
    blocks = [output for output in Bench().feed(rgb_frames(14)).outputs if isinstance(output, WaveBlock)]
    assert blocks
    assert all(block.signals.rsp is None for block in blocks)


def test_a_shorter_hop_runs_the_model_more_often() -> None:
    slow, fast = Bench().feed(rgb_frames(10)), Bench(hop_s=0.25).feed(rgb_frames(10))
    assert fast.runtime.windows > 3 * slow.runtime.windows
    assert fast.pipeline.counts.windows == fast.runtime.windows
    assert [look.pts_ns for look in fast.vitals] == [look.pts_ns for look in slow.vitals]


def test_outputs_depend_on_frames_alone() -> None:
    def outputs() -> list[Vitals]:
        return Bench().feed(rgb_frames(9)).finish()

    assert outputs() == outputs()
