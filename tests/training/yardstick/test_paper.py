"""Protocol ``paper`` from tapes to report, on recordings short enough for a test."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes.short_recordings import SMALL, SOURCES

from edge import cli
from edge.bundle import Bundle
from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import UsageError
from edge.runtimes.onnxrt import open_runtime
from training.paper_protocol import Reading, z_scored
from training.yardstick import evaluation, paper
from training.yardstick.distribution import Recording
from training.yardstick.networks import Choice, Network
from training.yardstick.paper import PaperEvaluation, PaperFigure, PaperRow, clips_of_tape, evaluate, figures_from_rows
from training.yardstick.paper_report import save_report
from training.yardstick.paper_tables import HEAD, lines_of, markdown_from_evaluation, text_from_evaluation
from training.yardstick.sources import MAIN, Source
from training.yardstick.tape import Tape, load_tape

BESIDE = {"random": Choice("random", like=Choice("bundle"))}


@pytest.fixture(scope="module")
def measured(tapes: Path) -> tuple[PaperEvaluation, list[PaperRow]]:
    done = evaluate(Choice("bundle"), "test:moderate", SOURCES, BESIDE, tapes, lambda *_: None)
    assert done is not None
    return done


def of(result: PaperEvaluation, method: str, estimator: str = "fft", rate: str = "hr") -> PaperFigure:
    [found] = [f for f in result.figures if (f.method, f.estimator, f.rate) == (method, estimator, rate)]
    return found


def reading(rows: list[PaperRow], number: int, method: str = MAIN, rate: str = "hr") -> Reading:
    [row] = [
        row for row in rows
        if (row.recording, row.method, row.rate, row.estimator) == (SOURCES[number].name, method, rate, "fft")
    ]  # fmt: skip
    assert row.clips == 2
    assert row.reading is not None
    return row.reading


def test_the_network_reads_the_scene_and_random_weights_do_not(
    measured: tuple[PaperEvaluation, list[PaperRow]],
) -> None:
    result, rows = measured
    bin_per_min = 60.0 * 30.0 / 512
    for number, rate in enumerate((75.0, 100.0)):
        found = reading(rows, number)
        assert found.label_per_min == pytest.approx(rate, abs=1.5 * bin_per_min)
        assert found.rate_per_min == pytest.approx(found.label_per_min, abs=bin_per_min)
    good, random = of(result, MAIN).summary, of(result, "random").summary
    assert (good.read, good.unread, random.read) == (2, 0, 2)
    for better, worse in ((good.macc, random.macc), (good.snr_mmrphys_db, random.snr_mmrphys_db)):
        assert better.value is not None
        assert worse.value is not None
        assert better.value > worse.value
    assert good.macc.value is not None
    assert good.macc.value > 0.8


def test_both_rates_and_both_estimators_are_read(measured: tuple[PaperEvaluation, list[PaperRow]]) -> None:
    result, rows = measured
    assert {(f.rate, f.estimator, f.method) for f in result.figures} == {
        (rate, estimator, method)
        for rate in ("hr", "rr") for estimator in ("fft", "peak") for method in (MAIN, "random")
    }  # fmt: skip
    assert all(figure.recordings == 2 and figure.skipped == 0 for figure in result.figures)
    assert len(rows) == 2 * len(result.figures)


def test_agreement_is_that_of_the_readings(measured: tuple[PaperEvaluation, list[PaperRow]]) -> None:
    result, rows = measured
    errors = [one.rate_per_min - one.label_per_min for one in (reading(rows, 0), reading(rows, 1))]  # type: ignore[operator]
    shown = of(result, MAIN).agreement
    assert (shown.looks, shown.read, shown.within_narrow) == (2, 2, None)
    assert shown.bias == pytest.approx(np.mean(errors))
    assert shown.mae == pytest.approx(of(result, MAIN).summary.mae.value)
    assert of(result, MAIN, rate="rr").agreement.within_narrow is not None


# --------------------------------------------------------------------------------------------------------- clips, input


def tape(restarts: list[int], frames: int) -> Tape:
    restart = np.zeros(frames, np.bool_)
    restart[restarts] = True
    nothing = np.zeros(frames, np.int64)
    data = np.arange(frames, dtype=np.float32)[:, None, None, None] + np.array([0, 1000, 2000, 3000])[:, None, None]
    cells = np.broadcast_to(data, (frames, 4, 9, 9)).astype(np.float32)
    return Tape(
        thermal=True, camera=True, hop_s=1.0, fps=30.0, k=nothing, t_ns=nothing, marks=nothing, restart=restart,
        data=cells, moves=np.zeros((frames, 2), np.float32), came_ns=nothing, events=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("restarts", "frames", "starts"),
    [
        ([0], 9, []),
        ([0], 10, [0]),
        ([0], 39, [0, 10, 20]),
        ([0, 15], 40, [0, 15, 25]),
        ([0, 5, 9], 19, [9]),
        ([], 0, []),
    ],
)
def test_clips_follow_each_other_and_never_cross_a_break(restarts: list[int], frames: int, starts: list[int]) -> None:
    assert clips_of_tape(tape(restarts, frames), 10) == [slice(start, start + 10) for start in starts]


def test_a_network_is_given_its_channels_and_the_last_frame_twice() -> None:
    frames = tape([0], 40).data[10:20]
    for channels, firsts in (
        (("rgb",), [10, 1010, 2010]),
        (("thermal",), [3010]),
        (("rgb", "thermal"), [10, 1010, 2010, 3010]),
    ):
        clip = paper._input(frames, channels)
        assert clip.shape == (1, len(firsts), 11, 9, 9)
        assert clip[0, :, 0, 0, 0].tolist() == firsts
        assert clip[0, 0, :, 0, 0].tolist() == [firsts[0] + i for i in (*range(10), 9)]


def test_waves_are_the_network_s_and_labels_the_scene_s_at_the_same_frames(
    measured: tuple[PaperEvaluation, list[PaperRow]], tapes: Path, bundle: Bundle
) -> None:
    path = next(path for path in tapes.glob("*.npz") if "moderate-0" in path.name)
    held = load_tape(path)
    assert held is not None
    clips = clips_of_tape(held, 180)
    assert len(clips) == 2
    runtime = open_runtime(bundle, "exact", "auto")
    waves = paper._waves(held, clips, Network(bundle, runtime))
    second = held.data[clips[1]].swapaxes(0, 1)
    wanted = runtime.infer(np.concatenate([second, second[:, -1:]], axis=1)[None])
    np.testing.assert_allclose(waves["rsp"][180:], z_scored(wanted["rsp"][0]), atol=1e-6)
    assert SOURCES[0].recording is not None
    camera = camera_from_uri(SOURCES[0].recording.uri, "rgb")
    assert isinstance(camera, SyntheticCamera)
    truth = camera.scene.truth(held.t_ns[180:360] * 1e-9)
    labels = paper._labels(held, clips, SOURCES[0])
    np.testing.assert_allclose(labels["bvp"][180:], z_scored(truth.bvp))
    np.testing.assert_allclose(labels["rsp"][180:], z_scored(truth.rsp))


# ------------------------------------------------------------------------------------------------- what cannot be read


def test_a_recording_without_a_whole_clip_is_skipped_and_counted(tmp_path: Path) -> None:
    uri = SMALL.replace("seconds=13", "seconds=5")
    short = Source("moderate", Recording("test/moderate-9", "moderate", 1.5, f"{uri}&hr=75&seed=0&tone=1.5"))
    done = evaluate(Choice("bundle"), "test:moderate", [short], {}, tmp_path, lambda *_: None)
    assert done is not None
    result, rows = done
    assert all(row.clips == 0 and row.reading is None for row in rows)
    assert of(result, MAIN).skipped == of(result, MAIN).recordings == 1
    assert of(result, MAIN).summary.mae.value is None
    assert "skipped: 1 of moderate" in text_from_evaluation(result)
    assert "0 of 1" in text_from_evaluation(result)
    save_report(result, rows, tmp_path / "r")


def row(number: int, held: Reading | None) -> PaperRow:
    return PaperRow("moderate", f"r{number}", "rr", "fft", MAIN, 2, held)


def test_unread_unlabelled_and_skipped_recordings_are_told_apart() -> None:
    held = [Reading(15.0, 17.5, 3.0, 1.0, 0.9), Reading(15.0), Reading(None), None]
    [figure] = figures_from_rows([row(i, one) for i, one in enumerate(held)])
    assert (figure.recordings, figure.skipped, figure.unlabelled) == (4, 1, 1)
    assert (figure.summary.read, figure.summary.unread) == (1, 1)
    shown = figure.agreement
    assert (shown.looks, shown.read) == (2, 1)
    assert (shown.within, shown.within_narrow, shown.within_tenth) == (0.5, 0.0, 0.0)


def test_the_real_clip_has_no_waveform_and_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "face.mp4"
    clip.write_bytes(b"not looked at")
    words = ["--data", "test:moderate,real", "--clip", str(clip), "--out", str(tmp_path / "r"), "--beside", "none"]
    assert cli.main(["evaluate", "--protocol", "paper", *words, "--tapes", str(tmp_path / "t")]) == 2
    err = capsys.readouterr().err
    assert "no waveform" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "t").exists()


def test_a_frame_rate_below_the_bands_is_refused(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, tmp_path: Path
) -> None:
    slow = Bundle(bundle.id, msgspec.structs.replace(bundle.manifest, fps=6.0), bundle.files, bundle.place)
    monkeypatch.setattr(paper, "opened", lambda _: Network(slow, open_runtime(bundle, "exact", "auto")))
    with pytest.raises(UsageError, match="6 fps"):
        evaluate(Choice("bundle"), "test:moderate", SOURCES, {}, tmp_path, lambda *_: None)


# --------------------------------------------------------------------------------------------------------------- report


def test_the_report_is_json_csv_markdown_pictures_and_a_page(
    measured: tuple[PaperEvaluation, list[PaperRow]], tmp_path: Path
) -> None:
    result, rows = measured
    paths = {path.name: path for path in save_report(result, rows, tmp_path)}
    assert set(paths) == {
        "evaluate.json", "figures.csv", "recordings.csv", "tables.md", "evaluate.html", "scatter.png",
        "bland-altman-moderate-hr.png", "bland-altman-moderate-rr.png",
    }  # fmt: skip
    assert msgspec.json.decode(paths["evaluate.json"].read_bytes(), type=PaperEvaluation) == result
    assert b'"protocol": "paper"' in paths["evaluate.json"].read_bytes()
    lines = list(csv.DictReader(paths["figures.csv"].open()))
    assert len(lines) == len(result.figures)
    assert float(lines[0]["macc"]) == pytest.approx(result.figures[0].summary.macc.value, abs=1e-4)
    assert len(list(csv.DictReader(paths["recordings.csv"].open()))) == len(rows)
    text = paths["evaluate.html"].read_text()
    assert text.count("<img") == 3
    assert "not a medical device" in text
    assert "http" not in text.replace("http-equiv", "")


def test_tables_have_both_snr_side_by_side_and_errors_behind_the_figures(
    measured: tuple[PaperEvaluation, list[PaperRow]],
) -> None:
    result, _ = measured
    place = HEAD.index("SNR MMRPhys dB")
    assert HEAD[place + 1] == "SNR rPPG-Toolbox dB"
    [line] = [cells for cells in lines_of(result) if cells[1:4] == ["HR", "FFT", "network alone"]]
    figures = of(result, MAIN).summary
    assert line[place] == f"{figures.snr_mmrphys_db.value:.2f} \u00b1 {figures.snr_mmrphys_db.error:.2f}"
    assert line[place + 1] == f"{figures.snr_toolbox_db.value:.2f} \u00b1 {figures.snr_toolbox_db.error:.2f}"
    assert line[4] == "2 of 2"
    assert line[HEAD.index("rho")].endswith("\u00b1 -")  # two recordings
    for text in (markdown_from_evaluation(result), text_from_evaluation(result)):
        for words in ("0.6-3.3 Hz", "0.13-0.5 Hz", "can not be read", "Peak", "random weights alone"):
            assert words in text


def test_the_command_prints_the_protocol_asked_for(
    tapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "recordings", lambda *_: (SOURCES[0].recording,))
    words = ["--data", "validation:moderate", "--out", str(tmp_path / "r"), "--tapes", str(tapes), "--beside", "none"]
    assert cli.main(["evaluate", "--protocol", "paper", *words]) == 0
    assert "SNR MMRPhys dB  SNR rPPG-Toolbox dB" in capsys.readouterr().out
    assert cli.main(["evaluate", "--protocol", "paper", "--json", *words]) == 0
    found = msgspec.json.decode(capsys.readouterr().out, type=PaperEvaluation)
    assert found.protocol == "paper"
    assert (tmp_path / "r" / "recordings.csv").is_file()


def test_a_recording_may_be_cut_into_windows(tapes: Path) -> None:
    done = evaluate(Choice("bundle"), "test:moderate", SOURCES, {}, tapes, lambda *_: None, window_s=4.0)
    assert done is not None
    result, rows = done
    clips = next(row.clips for row in rows)
    windows = [row for row in rows if (row.recording, row.rate, row.estimator) == (rows[0].recording, "hr", "fft")]
    assert len(windows) == -(-clips * 180 // 120) > 1
    assert len({row.reading.macc for row in windows if row.reading}) == len(windows)
    assert of(result, MAIN).recordings == len(rows) // 4
    assert "windows of 4 s" in text_from_evaluation(result)
