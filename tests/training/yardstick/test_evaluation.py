"""``mmrphys evaluate`` from words to report, on recordings short enough for a test."""

from __future__ import annotations

import base64
import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from fakes.short_recordings import SMALL, SOURCES

from edge import cli
from edge.bundle import Bundle
from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import InputError, UsageError
from training.checkpoint import Card, save_checkpoint
from training.model import Mmrphys, ModelSpec
from training.yardstick import evaluation
from training.yardstick.distribution import Recording
from training.yardstick.evaluation import Evaluation, evaluate, sources_from_words
from training.yardstick.figures import Figure, figures_from_rows
from training.yardstick.measure import CUES, Row
from training.yardstick.networks import Choice, opened
from training.yardstick.report import save_report
from training.yardstick.sources import MAIN, Source
from training.yardstick.tables import agreement_lines, cells_of_split, markdown_from_evaluation, text_from_evaluation

BESIDE = {"random": Choice("random", like=Choice("bundle"))}


@pytest.fixture(scope="module")
def measured(tapes: Path) -> tuple[Evaluation, list[Row]]:
    done = evaluate(Choice("bundle"), "test:moderate", SOURCES, BESIDE, tapes, lambda *_: None)
    assert done is not None
    assert len(list(tapes.glob("*.npz"))) == 2
    return done


def of(result: Evaluation, method: str, split: str = "all", rate: str = "hr") -> list[Figure]:
    return [f for f in result.figures if (f.method, f.split, f.rate) == (method, split, rate)]


def test_the_network_reads_what_the_scene_knows_and_random_weights_do_not(
    measured: tuple[Evaluation, list[Row]],
) -> None:
    result, _ = measured
    good, random = of(result, MAIN)[0].every, of(result, "random")[0].every
    assert good.looks == random.looks == 2 * 3  # due from 11 s on, of 13 s
    assert good.within == 1.0
    assert random.mae is not None
    assert good.mae is not None
    assert random.mae > 5 * good.mae


def test_a_constant_guess_errs_by_what_it_is_off(measured: tuple[Evaluation, list[Row]]) -> None:
    result, rows = measured
    truths = [row.truth for row in rows if row.method == MAIN and row.rate == "hr" and row.is_due]
    guess = result.constants_per_min["constant"]["hr"]
    assert of(result, "constant")[0].every.mae == pytest.approx(np.abs(np.array(truths) - guess).mean())


def test_only_whole_chains_publish(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    publishing = {f.method for f in result.figures if f.published is not None}
    assert publishing == {f"{MAIN}{CUES}", f"random{CUES}"}
    chain = of(result, f"{MAIN}{CUES}")[0].published
    assert chain is not None
    assert chain.coverage == 1.0
    assert chain.false_confidence == 0.0


def test_what_the_ok_values_state_is_judged(measured: tuple[Evaluation, list[Row]]) -> None:
    result, rows = measured
    ok = [row for row in rows if row.method == f"{MAIN}{CUES}" and row.rate == "hr" and row.state == "ok"]
    [line] = [one for one in result.stated if (one.method, one.data, one.rate) == (f"{MAIN}{CUES}", "moderate", "hr")]
    assert (line.figures.values, line.recordings) == (len(ok), 2)
    rms = np.sqrt(np.mean([(row.value - row.truth) ** 2 for row in ok if row.value]))
    assert line.figures.error_rms == pytest.approx(rms)
    for text in (markdown_from_evaluation(result), text_from_evaluation(result)):
        assert "95 % within" in text


def test_parts_add_up_to_the_whole(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    whole = of(result, MAIN)[0].every.looks
    for split in ("rate", "tone", "codec"):
        assert sum(figure.every.looks for figure in of(result, MAIN, split)) == whole
    assert {figure.part for figure in of(result, MAIN, "tone")} == {"light", "dark"}


def test_rates_not_due_yet_are_no_figure_of_rr(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    assert of(result, MAIN, rate="rr")[0].every.looks == 0


def test_a_second_evaluation_plays_nothing_again(tmp_path: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        told.clear()
        evaluate(
            Choice("bundle"), "test:moderate", SOURCES[:1], {}, tmp_path,
            lambda what, done, *_: told.append(f"{what} {done}"),
        )  # fmt: skip
    assert "recordings played 0" not in told
    assert "recordings measured 1" in told


def test_a_face_that_left_is_a_miss_however_well_its_pulse_was_known(tmp_path: Path) -> None:
    away = Recording("test/faults-0", "faults", 1.5, f"{SMALL}&hr=75&seed=0&tone=1.5&leave_at_s=9&leave_s=3")
    done = evaluate(Choice("bundle"), "test:faults", [Source("faults", away)], {}, tmp_path, lambda *_: None)
    assert done is not None
    rows = [row for row in done[1] if row.rate == "hr" and row.method in (MAIN, f"{MAIN}{CUES}", "pos")]
    assert all(row.estimate is not None for row in rows if row.t_s == 9.0)
    gone = [row for row in rows if 11.9 < row.t_s < 13.1]
    assert len(gone) == 2 * 3
    assert all(row.is_due and row.estimate is None for row in gone)


@pytest.mark.slow
def test_a_damaged_tape_is_played_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = evaluate(Choice("bundle"), "test:moderate", SOURCES[:1], {}, tmp_path, lambda *_: None)
        assert done is not None
        assert of(done[0], MAIN)[0].every.looks == 3
        [path] = tmp_path.glob("*.npz")
        path.write_bytes(path.read_bytes()[:1000])


def test_a_look_is_due_from_the_second_on_at_which_its_window_could_be_full(
    measured: tuple[Evaluation, list[Row]],
) -> None:
    _, rows = measured
    due = {row.t_s: row.is_due for row in rows if row.rate == "hr"}
    assert (due[10.0], due[11.0], due[12.0]) == (False, True, True)
    truth = {row.t_s: row.truth for row in rows if row.rate == "hr" and row.recording == SOURCES[0].name}
    camera = camera_from_uri(SOURCES[0].recording.uri, "rgb")  # type: ignore[union-attr]
    assert isinstance(camera, SyntheticCamera)
    assert truth[12.0] == pytest.approx(camera.scene.mean_hr_per_min(12.0, 10.0), abs=0.3)


@pytest.mark.slow
def test_cases_of_the_real_clip_are_judged_at_their_end_beside_the_published_graph(
    shared_dir: Path, tmp_path: Path
) -> None:
    sources = [s for s in sources_from_words("test:real", shared_dir / "data/face.mp4") if "flicker-s0.62-o0" in s.name]
    graph = shared_dir / "reference/onnx/SCAMPS_MultiTask_9x9.onnx"
    beside = {"published": Choice("published", str(graph))}
    done = evaluate(Choice("bundle"), "test:real", sources, beside, tmp_path, lambda *_: None)
    assert done is not None
    result, rows = done
    assert {row.rate for row in rows} == {"hr"}
    assert of(result, "pos")[0].every.looks == of(result, "published")[0].every.looks == 1
    assert of(result, "pos", "change")[0].part == "flicker"
    assert of(result, "pos")[0].limit_per_min == 3.0
    assert of(result, "pos")[0].every.within == 1.0
    names = {path.name for path in save_report(result, rows, tmp_path / "r")}
    assert "scatter.png" not in names
    assert "given instead of found" in (tmp_path / "r" / "evaluate.html").read_text()


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("data:")]


def test_the_report_is_five_kinds_of_file_and_its_page_needs_nothing_else(
    measured: tuple[Evaluation, list[Row]], tmp_path: Path
) -> None:
    result, rows = measured
    paths = {path.name: path for path in save_report(result, rows, tmp_path)}
    assert msgspec.json.decode(paths["evaluate.json"].read_bytes(), type=Evaluation) == result
    lines = list(csv.DictReader(paths["figures.csv"].open()))
    assert len(lines) == len(result.figures)
    assert lines[0]["method"] == result.figures[0].method
    assert len(list(csv.DictReader(paths["looks.csv"].open()))) == len(rows)
    pictures = [name for name in paths if name.endswith(".png")]
    assert set(pictures) == {
        "scatter.png",
        "within.png",
        "bland-altman-moderate-hr.png",
        "bland-altman-moderate-rr.png",
    }
    text = paths["evaluate.html"].read_text()
    for name in pictures:
        png = paths[name].read_bytes()
        assert png.startswith(b"\x89PNG")
        assert base64.b64encode(png).decode() in text
    page = Page()
    page.feed(text)
    assert {"table", "img", "h1"} <= set(page.tags)
    assert not page.outside
    assert "script" not in page.tags
    assert "not a medical device" in text


def test_tables_show_every_method(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    for text in (markdown_from_evaluation(result), text_from_evaluation(result)):
        for name in ("network alone", "POS alone", "random weights alone", "constant guess, least MAE"):
            assert name in text
    tables = [block for block in markdown_from_evaluation(result).split("\n\n") if block.startswith("|")]
    assert len(tables) == 6
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_agreement_has_a_table_with_limits_and_the_narrower_shares(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    [line] = [cells for cells in agreement_lines(result) if cells[1:3] == ["HR", "network + cues"]]
    [figure] = of(result, f"{MAIN}{CUES}")
    assert figure.published is not None
    shown = figure.published.agreement
    assert line[3] == f"{figure.every.bias:+.2f}"
    assert line[8] == f"{shown.loa_low:+.2f} to {shown.loa_high:+.2f}"
    assert line[6] == line[10] == "100.0 %"
    assert line[5] == line[9] == ""  # HR has no narrower limit
    assert " | ".join(line) in markdown_from_evaluation(result)


def test_a_checkpoint_is_measured_by_its_own_forward_pass(bundle: Bundle, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = Mmrphys(ModelSpec(9, "NF", 4)).eval()
    card = Card(name="x", size=9, fusion="NF", channels=4, tasks=("bvp", "rsp"), fps=30.0, frames=181)
    save_checkpoint(tmp_path / "x.safetensors", model.state_dict(), card)
    network = opened(Choice("checkpoint", str(tmp_path / "x.safetensors")))
    clip = np.random.default_rng(0).uniform(0, 255, (1, 4, 181, 9, 9)).astype(np.float32)
    with torch.inference_mode():
        wanted = model(torch.from_numpy(clip))
    for task, wave in network.runtime.infer(clip).items():
        np.testing.assert_allclose(wave, wanted[task].numpy(), rtol=1e-5)
    assert network.bundle.manifest.sources == bundle.manifest.sources


def test_random_weights_are_those_of_the_same_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    started = Mmrphys(ModelSpec(9, "NF", 4, reach="long")).eval()
    card = Card(name="x", size=9, fusion="NF", channels=4, tasks=("bvp", "rsp"), reach="long", fps=30.0, frames=181)
    save_checkpoint(tmp_path / "x.safetensors", started.state_dict(), card)
    like = Choice("checkpoint", str(tmp_path / "x.safetensors"))
    clip = np.random.default_rng(0).uniform(0, 255, (1, 4, 181, 9, 9)).astype(np.float32)
    waves = [opened(choice).runtime.infer(clip)["bvp"] for choice in (like, Choice("random", seed=0, like=like))]
    np.testing.assert_array_equal(*waves)


def test_random_weights_follow_their_seed() -> None:
    like = Choice("bundle")
    clip = np.random.default_rng(0).uniform(0, 255, (1, 4, 181, 9, 9)).astype(np.float32)
    waves = [opened(Choice("random", seed=seed, like=like)).runtime.infer(clip)["bvp"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(waves[0], waves[1])
    assert not np.allclose(waves[0], waves[2])


def test_the_published_graph_measures_too(shared_dir: Path) -> None:
    path = shared_dir / "reference/onnx/SCAMPS_MultiTask_9x9.onnx"
    network = opened(Choice("published", str(path)))
    clip = np.random.default_rng(0).uniform(0, 255, (1, 3, 181, 9, 9)).astype(np.float32)
    assert {task: wave.shape for task, wave in network.runtime.infer(clip).items()} == {
        "bvp": (1, 180),
        "rsp": (1, 180),
    }


# ---------------------------------------------------------------------------------------------------------------- words


def test_words_name_recordings_and_cases() -> None:
    found = sources_from_words("validation:moderate,faults", None)
    assert [source.data for source in found].count("moderate") == 24
    assert len({source.name for source in found}) == len(found) == 36


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("moderate", "want SPLIT:PART"),
        ("train:hard", "test, validation"),
        ("test:hrad", "did you mean 'hard'"),
        ("test:real", "--clip"),
        ("validation:real", "not for choices"),
        ("test:hard,hard", "names a part twice"),
    ],
)
def test_wrong_words_are_one_line(data: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        sources_from_words(data, None)


def test_files_that_are_not_what_they_should_be_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        sources_from_words("test:real", tmp_path / "no.mp4")
    wrong = tmp_path / "x.onnx"
    wrong.write_bytes(b"no graph")
    with pytest.raises(InputError, match="not a published graph"):
        opened(Choice("published", str(wrong)))


def test_the_command_writes_its_report(
    tmp_path: Path, tapes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "recordings", lambda *_: (SOURCES[0].recording,))
    words = ["evaluate", "--data", "validation:moderate", "--out", str(tmp_path / "r"), "--tapes", str(tapes)]
    assert cli.main([*words, "--beside", "none"]) == 0
    printed = capsys.readouterr()
    assert "network alone" in printed.out
    assert "random" not in printed.out
    assert "9x9" not in printed.out + printed.err
    assert (tmp_path / "r" / "evaluate.html").is_file()


def test_a_folder_that_cannot_be_written_is_named_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["evaluate", "--data", "validation:hard", "--out", str(tmp_path / "file")]) == 2
    assert "--out" in capsys.readouterr().err


def test_two_models_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--bundle", "a", "--checkpoint", "b"]) == 2
    assert "give one" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- other geometries


def checkpoint(path: Path, spec: ModelSpec, fps: float, frames: int) -> Choice:
    torch.manual_seed(3)
    card = Card(
        name="x", size=spec.size, fusion=spec.fusion, channels=spec.channels, tasks=spec.tasks, fps=fps, frames=frames
    )  # fmt: skip
    save_checkpoint(path, Mmrphys(spec).eval().state_dict(), card)
    return Choice("checkpoint", str(path))


@pytest.mark.parametrize(
    ("spec", "fps", "frames", "read"),
    [
        (ModelSpec(9, "EF", 3, ("bvp",)), 25.0, 161, {"hr"}),
        pytest.param(ModelSpec(9, "EF", 1, ("rsp",)), 30.0, 161, set(), marks=pytest.mark.slow),  # RR is read from 15 s
        pytest.param(ModelSpec(9, "EF", 4), 25.0, 181, {"hr"}, marks=pytest.mark.slow),
    ],
)
def test_a_model_of_any_channels_tasks_frames_and_rate_is_measured(
    spec: ModelSpec, fps: float, frames: int, read: set[str], tmp_path: Path
) -> None:
    chosen = checkpoint(tmp_path / "x.safetensors", spec, fps, frames)
    beside = {"random": Choice("random", like=chosen)}
    done = evaluate(chosen, "test:moderate", SOURCES[:1], beside, tmp_path, lambda *_: None)
    assert done is not None
    for method in (MAIN, "random"):
        assert {row.rate for row in done[1] if row.method == method and row.estimate is not None} == read
    save_report(*done, tmp_path / "r")
    assert opened(beside["random"]).bundle.manifest.channels == spec.modalities


def test_alone_there_is_nothing_beside(tapes: Path) -> None:
    done = evaluate(Choice("bundle"), "test:moderate", SOURCES[:1], {}, tapes, lambda *_: None)
    assert done is not None
    assert set(done[0].networks) == {MAIN}
    assert {figure.method for figure in done[0].figures} == {
        MAIN, f"{MAIN}{CUES}", "pos", "nostril", "constant", "luckiest",
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- figures


def test_parts_stand_in_their_order(measured: tuple[Evaluation, list[Row]]) -> None:
    result, _ = measured
    bands = [line[2] for line in cells_of_split(result, "rate") if line[1] == "HR" and line[3] == "POS alone"]
    assert bands == ["60-90", "90-120"]
    tones = [line[2] for line in cells_of_split(result, "tone") if line[1] == "HR" and line[3] == "POS alone"]
    assert tones == ["light", "dark"]


def row(method: str, truth: float, estimate: float | None, **more: object) -> Row:
    return Row("moderate", "r", "hr", 12.0, truth, is_due=True, method=method, estimate=estimate, **more)  # type: ignore[arg-type]


def test_figures_of_rows_by_hand() -> None:
    rows = [
        row("a", 50.0, 51.0, state="ok", value=51.0),
        row("a", 70.0, None, state="lost"),
        row("a", 130.0, 150.0, state="ok", value=150.0),
        row("b", 50.0, 60.0),
    ]
    whole = {(f.method, f.split, f.part): f for f in figures_from_rows(rows)}
    a = whole["a", "all", ""]
    assert (a.every.looks, a.every.read, a.every.within) == (3, 2, pytest.approx(1 / 3))
    assert a.published is not None
    assert (a.published.coverage, a.published.false_confidence) == (pytest.approx(2 / 3), 0.5)
    assert whole["a", "rate", "<60"].every.within == 1.0
    assert (a.every.within_tenth, a.every.within_narrow, a.narrow_per_min) == (pytest.approx(1 / 3), None, None)
    assert whole["b", "all", ""].published is None


def test_breathing_has_a_narrower_limit_beside_its_own() -> None:
    rows = [
        Row("moderate", "r", "rr", 40.0, 20.0, is_due=True, method="a", estimate=read)
        for read in (20.5, 22.5, 21.9, None)
    ]
    [figure] = [f for f in figures_from_rows(rows) if f.split == "all"]
    assert (figure.limit_per_min, figure.narrow_per_min) == (3.0, 2.0)
    assert (figure.every.within, figure.every.within_narrow, figure.every.within_tenth) == (0.75, 0.5, 0.5)
