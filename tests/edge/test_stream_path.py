"""A person in mode ``stream``: when the stream is believed, what happens when it is not, and what is shown."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fakes.living_cells import FPS, HR_PER_MIN, RR_PER_MIN, Bedside, GreenStream, S, cells_at
from fakes.painted_face import bundle_like

from edge.clips.grid import Mark
from edge.stream_path import SETTLE_S, TRUST_S, StreamPath
from edge.vitals import VALUE_STATES

FIRST_STREAM_S = 27
"""6 s to settle, 20 s of trust, and what the stream stands behind."""


def lamp(t_s: float) -> float:
    """15 % at 0.08 Hz, from second 40 to 60."""
    return 1.0 + 0.15 * math.sin(2 * math.pi * 0.08 * (t_s - 40.0)) * (40.0 < t_s < 60.0)


@pytest.fixture(scope="module")
def disturbed() -> Bedside:
    """A patient under a lamp that changes for 20 s."""
    return Bedside(GreenStream()).lie(100, lamp)


def test_windows_serve_until_the_stream_is_believed_and_no_rate_loses_ok_by_the_change() -> None:
    bed = Bedside(GreenStream()).lie(36)
    modes = {second: look.mode for second, look in bed.looks.items()}
    first = min(second for second, mode in modes.items() if mode == "stream")
    assert first == FIRST_STREAM_S
    assert {modes[second] for second in range(first, 37)} == {"stream"}
    assert bed.windows == list(range(7, first))
    assert {bed.looks[second].hr.state for second in range(9, 37)} == {"ok"}
    assert {bed.looks[second].rr.state for second in range(22, 37)} == {"ok"}
    last = bed.looks[36]
    assert last.hr.value == pytest.approx(HR_PER_MIN, abs=1.0)
    assert last.rr.value == pytest.approx(RR_PER_MIN, abs=1.0)
    assert last.rr.window_s <= 36 - SETTLE_S - 20 / FPS  # nothing from before the statistics settled


def test_a_changing_light_is_named_at_once_and_windows_give_the_values(disturbed: Bedside) -> None:
    looks = disturbed.looks
    assert looks[40].mode == "stream"
    turn = min(second for second in range(41, 60) if looks[second].mode == "exact")
    assert turn <= 43
    hr = looks[turn].hr
    assert (hr.state, hr.why[0]) == ("low_quality", "light_change")
    assert hr.value == pytest.approx(HR_PER_MIN, abs=2.0)
    assert hr.window_s == 6.0  # one window, nothing of the stream
    assert looks[turn + 3].hr.window_s > hr.window_s
    assert "light_change" not in looks[turn + 4].hr.why  # by then windows alone passed the life gate
    assert looks[turn].rr.state == "hold"
    assert looks[turn].rr.why == ("light_change",)


def test_the_stream_comes_back_after_quiet_seconds_and_not_before(disturbed: Bedside) -> None:
    modes = {second: look.mode for second, look in disturbed.looks.items()}
    back = min(second for second in range(60, 101) if modes[second] == "stream")
    assert {modes[second] for second in range(44, back)} == {"exact"}
    assert back >= 60 + SETTLE_S + TRUST_S
    assert {modes[second] for second in range(back, 101)} == {"stream"}
    assert {disturbed.looks[second].hr.state for second in range(70, 101)} == {"ok"}


def test_no_value_is_wrong_however_the_light_changes(disturbed: Bedside) -> None:
    valued = [look.hr for look in disturbed.looks.values() if look.hr.state in VALUE_STATES]
    assert len(valued) > 85
    assert all(one.value == pytest.approx(HR_PER_MIN, abs=3.0) for one in valued)


def test_the_first_wave_comes_within_a_second_of_the_face_and_says_that_nobody_judged_it() -> None:
    bed = Bedside(GreenStream()).lie(4)
    at_ns, waves, samples = next(bed.pieces("bvp"))
    assert at_ns <= 1.0 * S
    assert (waves.mode, waves.states[0]) == ("stream", "starting")
    assert len(samples) == 2  # 12 frames, 10 late
    behind_s = [
        (at - waves.signals.t0_ns) / S - len(samples) / FPS + 1 / FPS for at, waves, samples in bed.pieces("bvp")
    ]
    assert max(behind_s) == pytest.approx(10 / FPS, abs=1e-6)  # at the end of each chunk only the look-ahead is left


def test_waves_join_without_a_gap_and_a_disturbance_leaves_a_short_one(disturbed: Bedside) -> None:
    gaps_s = []
    for (_, one, samples), (_, two, _) in itertools.pairwise(disturbed.pieces("bvp")):
        gaps_s.append((two.signals.t0_ns - one.signals.t0_ns) / S - len(samples) / FPS)
    assert min(gaps_s) > -1e-6  # no sample twice
    broken = [gap_s for gap_s in gaps_s if gap_s > 1e-6]
    assert 1 <= len(broken) <= 10
    assert max(broken) < 6.0  # while one of the cues has nothing at all at the rate there is none to show


def test_what_has_no_pulse_shows_a_wave_only_until_it_was_judged() -> None:
    bed = Bedside(GreenStream(), pulse=0.0).lie(20)
    assert all(look.hr.value is None for look in bed.looks.values())
    judged_s = min(second for second, look in bed.looks.items() if look.hr.state == "lost")
    assert judged_s <= 8
    for task in ("bvp", "rsp"):
        shown = list(bed.pieces(task))
        assert shown
        assert max(at_ns for at_ns, _, _ in shown) <= judged_s * S
        assert {waves.states[0] for _, waves, _ in shown} == {"starting"}


@pytest.mark.parametrize("stream", [GreenStream(), None], ids=["stream", "exact"])
def test_thermal_that_moved_leaves_hr_ok_and_begins_breath_as_for_somebody_new(stream: GreenStream | None) -> None:
    """No RR knows anything of the place before: each is that of a person who was told what came after alone."""
    bed, new = (Bedside(stream).lie(30) for _ in range(2))
    bed.lie(1 / FPS, marks=Mark.THERMAL_MOVED).lie(26 - 1 / FPS)
    new.person.forget()
    new.lie(26)
    assert {bed.looks[second].hr.state for second in range(9, 57)} == {"ok"}
    assert all(look.hr.value == pytest.approx(HR_PER_MIN, abs=2.0) for second, look in bed.looks.items() if second > 30)
    assert bed.looks[30].rr.state == "ok"
    assert {bed.looks[second].rr.state for second in range(31, 45)} == {"starting"}
    assert {bed.looks[second].rr.state for second in range(51, 57)} == {"ok"}
    for second in range(31, 57):
        old, wanted = bed.looks[second].rr, new.looks[second].rr
        assert (old.value, old.sqi, old.window_s) == (wanted.value, wanted.sqi, wanted.window_s)
    assert bed.looks[56].mode == ("exact" if stream is None else new.looks[56].mode)


def test_a_model_whose_pulse_needs_thermal_begins_all_anew_where_thermal_moved() -> None:
    bed = Bedside(None)
    bed.person._bundle = bundle_like(sources={"bvp": ("thermal",), "rsp": ("thermal",)})
    bed.lie(12).lie(1 / FPS, marks=Mark.THERMAL_MOVED).lie(10 - 1 / FPS)
    assert bed.looks[12].hr.state == "ok"
    assert all(bed.looks[second].hr.value is None for second in range(13, 18))
    assert bed.looks[22].hr.state == "ok"


def test_a_person_without_a_stream_is_the_person_that_was() -> None:
    bed = Bedside(None).lie(24)
    assert {look.mode for look in bed.looks.values()} == {"exact"}
    assert {waves.mode for _, waves in bed.shown} == {None}
    assert bed.shown[0][0] >= 9 * S  # what passed the life gate, and nothing before


def test_a_bridged_gap_ends_belief() -> None:
    bed = Bedside(GreenStream()).lie(30).lie(0.3, marks=Mark.RGB_BRIDGED).lie(6)
    assert bed.looks[30].mode == "stream"
    assert {bed.looks[second].mode for second in range(31, 37)} == {"exact"}
    assert bed.looks[31].hr.state != "ok"


def test_a_face_that_drifts_away_is_motion() -> None:
    bed = Bedside(GreenStream()).lie(30).lie(4, place=lambda t_s: 0.05 * (t_s - 30.0))
    looks = bed.looks
    turn = min(second for second in range(31, 35) if looks[second].mode == "exact")
    assert looks[turn].hr.why[0] == "motion"


def test_a_stream_that_fails_leaves_windows_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    stream = GreenStream()
    bed = Bedside(stream).lie(30)
    stream.broken = True
    bed.lie(5)
    assert {bed.looks[second].mode for second in range(31, 36)} == {"exact"}
    assert bed.looks[31].hr.why == ("runtime",)
    assert bed.looks[35].hr.state == "ok"
    assert len(caplog.records) == 1  # said once, not at every chunk
    stream.broken = False
    assert bed.lie(30).looks[65].mode == "stream"


def test_another_person_begins_anew() -> None:
    bed = Bedside(GreenStream()).lie(30)
    bed.person.forget()
    bed.lie(6)
    assert {bed.looks[second].mode for second in range(31, 37)} == {"exact"}
    assert all(bed.looks[second].hr.value is None for second in range(31, 36))


def test_persons_share_an_engine_and_nothing_else() -> None:
    def wave(paths: list[StreamPath], of: int) -> np.ndarray:
        rngs = [np.random.default_rng(seed) for seed in range(len(paths))]
        for k in range(60):
            for path, rng in zip(paths, rngs, strict=True):
                cells = cells_at(k / FPS, rng)
                path.take(cells, cells, np.zeros(2, np.float32), Mark.NONE)
        return paths[of].waves["bvp"].newest(50)

    engine = GreenStream()
    alone = wave([StreamPath(engine, ("bvp", "rsp"), FPS, 900)], 0)
    beside = wave([StreamPath(engine, ("bvp", "rsp"), FPS, 900) for _ in range(3)], 0)
    assert len(alone) == 50
    assert np.array_equal(alone, beside)


def test_a_sample_is_where_a_window_has_it() -> None:
    """The stream's sample ``i`` belongs to the same frame as that of a window."""
    bed = Bedside(GreenStream()).lie(8)
    clip = bed.person._window.clip(FPS)  # what a run of the model would be given
    window = bed.runtime.infer(clip.data[None])["bvp"][0]
    path = bed.person._stream
    assert path is not None
    first = 8 * round(FPS) - len(window) - 1
    streamed = path.waves["bvp"].between(first, first + 100)
    assert np.allclose(streamed, window[:100], atol=1e-4)
