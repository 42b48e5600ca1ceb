"""The fault campaign: its scenes, what its figures count, and its report; one real scene when there is time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from training.yardstick.fault_figures import PARTS, Campaign, KindLine, campaign
from training.yardstick.fault_play import MODES, Played, Row, TimedBeats, played
from training.yardstick.fault_report import markdown, save
from training.yardstick.fault_scenes import KINDS, SECONDS, Scene, scenes

AT_S = 20.0


def scene(kind: str = "stop", number: int = 0) -> Scene:
    return Scene(f"{kind}-moderate-{number}", "moderate", kind, AT_S, 5.0, "synthetic:?seed=1", number=number)


def rows(mode: str, rate: str, states: Mapping[int, str], *, off: float = 0.0, why: tuple[str, ...] = ()) -> list[Row]:
    """Looks at 1 to 29 s of a scene in which the truth is 60; ``ok`` but for those named, ``off`` per minute wrong."""
    made = []
    for t_s in range(1, 30):
        state = states.get(t_s, "ok")
        value = 60.0 + off if state == "ok" else None
        made.append(Row("main", mode, rate, float(t_s), 60.0, state, value, 0.9, () if state == "ok" else why, None))
    return made


def showed(of: Scene, **differently: list[Row]) -> Played:
    """Both modes and rates alike, but for those given as ``exact_hr`` and so on."""
    plain = {f"{mode}_{rate}": rows(mode, rate, {}) for mode in MODES for rate in ("hr", "rr")}
    every = (plain | differently).values()
    return Played(of, 30.0, tuple(row for part in every for row in part), (), dict.fromkeys(MODES, 0.9))


def judged(*done: Played) -> Campaign:
    return campaign(done, machine="a machine, 2 cores, load 0", bundle="sha256:" + "0" * 64, front="0" * 16)


def line(result: Campaign, kind: str, rate: str = "hr", mode: str = "exact") -> KindLine:
    return next(one for one in result.kinds if (one.kind, one.rate, one.mode) == (kind, rate, mode))


def test_sixty_scenes_hold_each_fault_four_times_and_half_of_them_are_held_out() -> None:
    made = scenes()
    assert Counter((one.kind, one.level) for one in made) == {
        (kind, level): 2 for kind in KINDS for level in ("moderate", "hard")
    }
    assert Counter(one.number for one in made) == {0: 30, 1: 30}
    assert {one.number for one in made[:30]} == {0}
    assert len({one.uri for one in made}) == 60
    assert all(one.at_s + one.for_s + 2.0 < SECONDS for one in made)


def test_a_fault_that_is_left_in_time_and_told() -> None:
    left = rows("exact", "hr", dict.fromkeys(range(22, 27), "camera_lost"), why=("camera_ended",))
    found = line(judged(showed(scene(), exact_hr=left)), "stop")
    assert (found.left_s, found.left_in_time, found.told, found.of) == ((2.0,), 1, 1, 1)
    assert (found.coverage, found.ok, found.ok_wrong, found.mae) == (1.0, 24, 0, 0.0)


def test_one_that_is_left_late_or_never_or_not_told_is_counted_so() -> None:
    late = rows("exact", "hr", dict.fromkeys(range(23, 27), "lost"), why=("motion",))
    result = judged(showed(scene(), exact_hr=late))
    assert (line(result, "stop").left_s, line(result, "stop").left_in_time) == ((3.0,), 0)
    assert (line(result, "stop").told, line(result, "stop").of) == (0, 1)
    assert line(result, "stop", mode="stream").left_s == (None,)
    assert "0 of 1 | -, 1 never | 0 of 1" in markdown(result)


def test_what_was_not_ok_before_has_nothing_to_leave() -> None:
    withheld = rows("exact", "hr", dict.fromkeys(range(1, 30), "lost"), why=("weak_signal",))
    found = line(judged(showed(scene(), exact_hr=withheld)), "stop")
    assert (found.left_s, found.was_ok, found.coverage, found.false_confidence) == ((), 0, 0.0, None)


def test_wrong_values_are_false_confidence_in_their_part_and_are_named() -> None:
    off = rows("exact", "hr", {}, off=5.1)
    near = rows("exact", "rr", {}, off=2.9)
    result = judged(showed(scene("reorder", 0)), showed(scene("reorder", 1), exact_hr=off, exact_rr=near))
    parts = {name: line(result, name) for name in PARTS}
    assert {name: one.recordings for name, one in parts.items()} == dict(zip(PARTS, (2, 1, 1), strict=True))
    assert [one.false_confidence for one in parts.values()] == [0.5, 0.0, 1.0]
    assert line(result, "all", "rr").ok_wrong == 0
    assert len(result.wrong_ok) == 29
    assert "| reorder-moderate-1 | exact | hr | 1.0 | 65.1 | 60.0 |" in markdown(result)


def test_a_part_nobody_played_has_no_line() -> None:
    result = judged(showed(scene()))
    assert {one.kind for one in result.kinds} == {"stop", "all", "all, gates mended on them"}


def test_first_values_count_from_the_first_frame_and_only_before_the_fault() -> None:
    first = rows("exact", "hr", dict.fromkeys(range(1, 9), "starting"), why=("warming_up",))
    never = rows("exact", "hr", dict.fromkeys(range(1, 21), "starting"), why=("warming_up",))
    result = judged(showed(scene(), exact_hr=first), showed(scene("freeze"), exact_hr=never))
    found = next(one for one in result.first if (one.what, one.mode) == ("HR value", "exact"))
    assert (found.came, found.recordings, found.median_s, found.within) == (1, 2, 9.0, 1)
    wave = next(one for one in result.first if (one.what, one.mode) == ("wave", "stream"))
    assert (wave.within, wave.limit_s) == (2, 1.0)


def test_beats_are_judged_by_what_they_state() -> None:
    one = showed(scene())
    beats = TimedBeats("exact", 12.0, (3.0, -4.0), 4.0, 20.0, 22.0)
    result = judged(Played(one.scene, 30.0, one.rows, (beats,), one.first_wave_s))
    found = next(line for line in result.beats if (line.mode, line.low_ms, line.high_ms) == ("exact", 0.0, 5.0))
    assert (found.intervals, found.mae_ms, found.stated_ms, found.rmssd_mae_ms) == (2, 3.5, 4.0, 2.0)
    assert found.rms_ms == pytest.approx(12.5**0.5)


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    done = [showed(scene(kind, number)) for kind in ("stop", "leave") for number in (0, 1)]
    made = save(judged(*done), done, tmp_path)
    assert {path.name for path in made} == {
        "campaign.json", "campaign.md", "recordings.csv", "timelines.png", "quality.png", "leaving.png",
    }  # fmt: skip
    assert all(path.stat().st_size for path in made)
    assert len((tmp_path / "recordings.csv").read_text().splitlines()) == 1 + 4 * 4


@pytest.mark.slow
def test_a_real_scene_is_played_once_and_told(tmp_path: Path) -> None:
    one = next(one for one in scenes() if (one.kind, one.level) == ("stop", "moderate"))
    first = played(one, tmp_path)
    tapes = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert played(one, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == tapes
    for rate in ("hr", "rr"):
        found = line(judged(first), "stop", rate)
        assert found.told == found.of == 1
        assert found.left_in_time == found.was_ok
