from __future__ import annotations

import dataclasses
import json
import math
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.video_files import write_video

from edge.cli import main
from edge.measure import Measurement
from edge.measure_report import dict_from_report, lines, newest_text, report_from_measurement
from edge.pipeline import WaveBlock
from edge.vitals import FACTS, REASONS, Estimate, Reason, Signals, State, Vitals

S = 10**9
SMALL = "width=480&height=360"


def estimate(value: float | None, state: State = "ok", why: tuple[str, ...] = (), u: float = 0.3) -> Estimate:
    return Estimate(value, 0.8, state, why, 10.0, 0, None if value is None else u)


NO_RR = estimate(None, "lost", ("no_thermal",))


def look(t: int, hr: Estimate, facts: Mapping[str, float] | None = None, person: int = 0) -> Vitals:
    return Vitals(
        hr=hr, rr=NO_RR, pts_ns=t * S, zone="main", person=person, mode="exact", bundle_id="sha256:ab",
        fps={"rgb": 30.0}, dropped={"rgb": 0}, facts={"hr": facts or {}, "rr": {}},
    )  # fmt: skip


def measured(*looks: Vitals) -> Measurement:
    measurement = Measurement()
    for one in looks:
        measurement.take(one)
    return measurement


# ------------------------------------------------------------------------------------------------ the one number


def test_the_number_is_the_median_of_the_ok_looks_alone() -> None:
    values = [70.0, 71.0, 75.0]
    shown = [look(t, estimate(value)) for t, value in enumerate(values, 1)]
    hr = measured(*shown, look(4, estimate(150.0, "low_quality", ("motion",))), look(5, NO_RR)).result("hr")
    assert (hr.value, hr.low, hr.high, hr.ok_looks, hr.looks, hr.state) == (71.0, 70.0, 75.0, 3, 5, "lost")
    assert hr.uncertainty == pytest.approx(math.hypot(0.3, np.std(values, ddof=1)))


def test_one_look_has_its_own_uncertainty_and_none_has_no_number() -> None:
    assert measured(look(1, estimate(60.0))).result("hr").uncertainty == 0.3
    nothing = measured(look(1, NO_RR)).result("hr")
    assert (nothing.value, nothing.uncertainty, nothing.low, nothing.sqi) == (None, None, None, 0.0)
    assert not report_from_measurement(measured(look(1, NO_RR)), "x").trustworthy


def test_rr_is_told_with_what_it_was_read_from() -> None:
    shown = [
        dataclasses.replace(
            look(t, NO_RR),
            rr=dataclasses.replace(estimate(14.0), sources=("thermal",), source_sqi={"thermal": quality, "rgb": 0.4}),
        )
        for t, quality in ((1, 0.7), (2, 0.8), (3, 0.9))
    ]
    report = report_from_measurement(measured(*shown), "x")
    assert (report.rates["rr"].sources, report.rates["rr"].source_sqi) == (("thermal",), {"thermal": 0.8, "rgb": 0.4})
    assert "     read from thermal 0.80 (rgb 0.40)" in list(lines(report, 80))
    told = dict_from_report(report)
    assert (told["rr"]["sources"], told["rr"]["source_sqi"]) == (["thermal"], {"thermal": 0.8, "rgb": 0.4})
    assert (told["hr"]["sources"], told["hr"]["source_sqi"]) == ([], {})


def test_reasons_carry_the_newest_number_and_stand_by_how_often_they_held() -> None:
    small, dark = estimate(None, "lost", ("face_small",)), estimate(None, "lost", ("dark", "face_small"))
    hr = measured(
        look(1, estimate(None, "starting", ("warming_up",)), {"seen_s": 2.0}),
        look(2, small, {"face_px": 30.2}),
        look(3, dark, {"face_px": 38.4, "level": 12.0}),
    ).result("hr")
    assert [(why.code, why.looks) for why in hr.why] == [("face_small", 2), ("dark", 1), ("warming_up", 1)]
    assert hr.why[0].sentence == "the face is 38 px wide in the picture, want >= 80"
    assert hr.why[0].fix == REASONS["face_small"].fix


def test_warming_up_is_no_reason_once_the_rate_was_ok() -> None:
    hr = measured(look(1, estimate(None, "starting", ("warming_up",))), look(2, estimate(60.0))).result("hr")
    assert hr.why == ()


def test_two_people_are_not_made_into_one() -> None:
    measurement = measured(
        *(look(t, estimate(60.0)) for t in range(1, 4)),
        *(look(t, estimate(90.0), person=1) for t in range(4, 6)),
    )
    hr = measurement.result("hr")
    assert (hr.value, hr.high, measurement.others) == (60.0, 60.0, 1)
    assert "2 people were seen" in "\n".join(lines(report_from_measurement(measurement, "x"), 80))


def test_a_rate_that_changed_is_told() -> None:
    report = report_from_measurement(measured(look(1, estimate(60.0)), look(2, estimate(85.0))), "x")
    assert report.rates["hr"].changed("hr")
    assert "the rate changed meanwhile" in "\n".join(lines(report, 80))


def test_waveforms_lie_on_one_time_axis_with_gaps_and_spectra_are_those_of_the_ok_looks() -> None:
    measurement = Measurement()
    grid = np.linspace(36.0, 198.0, 5)
    for t, state_value, power in ((1, NO_RR, 9.0), (2, estimate(60.0), 1.0), (3, estimate(60.0), 3.0)):
        one = look(t, state_value)
        one.spectra["hr"] = grid, np.full(5, power)  # type: ignore[index]  # a dict
        measurement.take(one)
    for t0_s in (1.0, 3.0):
        wave = np.ones(10, np.float32)
        measurement.take(WaveBlock(Signals(wave, None, 10.0, round(t0_s * S)), "main", 0))
    course = measurement.result("hr").course
    assert np.isnan(course.wave).sum() == 1
    assert course.wave_t_s[0] == pytest.approx(1.0)  # the first look came a second after the first frame
    assert course.power == pytest.approx(2.0)


def test_every_reason_says_its_number_with_the_facts_there_are() -> None:
    facts = dict.fromkeys(FACTS, 0.5)
    for code, reason in REASONS.items():
        told = reason.said(facts)
        assert "{" not in told, code
        assert (told != reason.sentence) == bool(reason.measured), code
        assert reason.said({}) == reason.sentence, code
    assert Reason("a", "b").said(facts) == "a"


def test_the_report_fits_80_columns_and_its_json_is_whole() -> None:
    why = ("not_alive", "motion", "cues_disagree", "dark", "light_change")
    facts = {"coherence": 0.1, "motion": 0.031, "spread_per_min": 23.0, "level": 12.0, "light_range": 0.4}
    report = report_from_measurement(measured(look(1, estimate(None, "lost", why), facts)), "video:" + "a" * 50)
    told = list(lines(report, 80))
    assert max(map(len, told)) <= 80
    assert "     and 1 more reasons; --json lists them" in told
    found = json.loads(json.dumps(dict_from_report(report)))
    assert found["hr"]["value"] is None
    assert [one["code"] for one in found["hr"]["why"]] == list(why)


# ------------------------------------------------------------------------------------------------ the command


def picture_of(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image)


@pytest.mark.scenes
def test_a_rate_that_was_last_ok_long_ago_says_so():
    looks = [look(1, estimate(60.0)), *(look(second, NO_RR) for second in range(2, 14))]
    report = report_from_measurement(measured(*looks), "x")
    assert dict_from_report(report)["hr"]["ok_age_s"] == 12.0
    assert dict_from_report(report)["rr"]["ok_age_s"] is None
    told = "it is not the present: the last look that was ok was 12 s before the end"
    assert told in "\n".join(lines(report, 100))
    report = report_from_measurement(measured(*looks[:11]), "x")
    assert "not the present" not in "\n".join(lines(report, 100))


def test_the_line_under_the_bar_gets_old_by_itself():
    shown = [newest_text(look(1, estimate(60.0)), silent_ms) for silent_ms in (0, 4_000, 10_001)]
    assert [text.split("  ")[0] for text in shown] == ["HR 60 ok", "HR 60 stale", "HR --- stale"]
    assert newest_text(None, 0.0) == "waiting for frames"


def test_the_real_clip_is_measured(shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "face.png"
    code = main(["measure", "--rgb", f"video:{shared_dir / 'data/face.mp4'}", "--out", str(out), "--json"])
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert 50 <= found["hr"]["value"] <= 57
    assert found["rr"]["value"] is None
    assert found["rr"]["why"]
    assert found["picture"] == str(out)
    image = picture_of(out)
    assert image.shape == (800, 1200, 3)
    red = (image[160:350, 76:760].astype(int) @ [-1, -1, 2] > 150).sum()  # the pulse is drawn
    assert red > 200


@pytest.mark.scenes
def test_a_photograph_ends_with_6_and_shows_nothing_to_believe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photo.png"
    scene = f"synthetic:?face=photo&seconds=9&seed=3&{SMALL}"
    assert main(["measure", "--rgb", scene, "--thermal", "none", "--out", str(out)]) == 6
    said = capsys.readouterr()
    assert "HR   --- /min  withheld; ok in 0 of" in said.out
    assert "no rate could be trusted" in said.err
    image = picture_of(out)
    assert (image[160:350, 76:760].astype(int) @ [-1, -1, 2] > 150).sum() == 0  # no waveform


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x.svg"], "the picture is a PNG"),
        (["--out", "no/such/folder/x.png"], "cannot be written"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_wrong_words_end_with_2_before_anything_is_measured(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", "--rgb", "synthetic:", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_camera_that_is_not_there_is_its_own_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--rgb", "video:/nowhere.mp4", "--out", str(tmp_path / "a.png")]) == 3
    assert "there is no such file" in capsys.readouterr().err


def test_what_was_seen_before_the_input_broke_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_video(tmp_path / "a.mp4", [np.full((120, 160, 3), n, np.uint8) for n in range(90)], front=True)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 9 // 10])
    assert main(["measure", "--rgb", f"video:{whole}", "--out", str(tmp_path / "a.png")]) == 3
    said = capsys.readouterr()
    assert "no face is found: face the camera" in said.out
    assert "ended after" in said.err


@pytest.mark.scenes
def test_ctrl_c_ends_early_with_what_there_is(tmp_path: Path) -> None:
    """On a terminal: the countdown is drawn, an interrupt ends it, and the result of those seconds is told."""
    scene = f"synthetic:?seconds=600&seed=1&{SMALL}"
    words = ["measure", "--rgb", scene, "--thermal", "none", "--seconds", "600", "--out", str(tmp_path / "a.png")]
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", *words], stdout=subprocess.PIPE, stderr=child, text=True,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(child)
    drawn = b""
    while b"HR ---" not in drawn:
        drawn += os.read(parent, 4096)
    assert b"of 600 s" in drawn
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    os.close(parent)
    assert process.returncode == 6
    assert said.startswith("HR   --- /min  withheld; ok in 0 of")
    assert "picture: " in said
