"""What stands beside a network: what was asked for, as far as it can; and what is left out is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fakes.short_recordings import SOURCES

from edge import cli
from edge.errors import UsageError
from training.checkpoint import Card, save_checkpoint
from training.model import Mmrphys, ModelSpec
from training.yardstick import evaluation
from training.yardstick.beside import beside_from_words
from training.yardstick.networks import Choice

BUNDLE = Choice("bundle")


@pytest.fixture(scope="module")
def graph(shared_dir: Path) -> Path:
    return shared_dir / "reference/onnx/SCAMPS_MultiTask_9x9.onnx"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Choice:
    """A network at another frame rate."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("other") / "x.safetensors"
    card = Card(name="x", size=9, fusion="EF", channels=3, tasks=("bvp",), fps=25.0, frames=161)
    save_checkpoint(path, Mmrphys(ModelSpec(9, "EF", 3, ("bvp",))).state_dict(), card)
    return Choice("checkpoint", str(path))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(None, {"published", "random"}), ("published,random", {"published", "random"}), ("random", {"random"}),
     ("published", {"published"}), ("none", set())],
)  # fmt: skip
def test_words_name_what_stands_beside(graph: Path, words: str | None, wanted: set[str]) -> None:
    networks, notes = beside_from_words(words, BUNDLE, None, graph)
    assert set(networks) == wanted
    assert notes == ()


def test_without_a_graph_the_rest_stands_and_one_line_says_so() -> None:
    networks, notes = beside_from_words(None, BUNDLE, None, None)
    assert set(networks) == {"random"}
    assert len(notes) == 1
    assert "--published" in notes[0]


def test_a_graph_that_cannot_see_the_same_frames_is_left_out_with_one_line(graph: Path, other: Choice) -> None:
    networks, notes = beside_from_words(None, other, None, graph)
    assert networks == {"random": Choice("random", like=other)}
    assert len(notes) == 1
    assert "181 frames at 30 fps" in notes[0]
    assert "161 frames at 25 fps" in notes[0]


def test_a_graph_that_was_asked_for_and_does_not_fit_is_refused(graph: Path, other: Choice) -> None:
    for words, named in (("published", None), ("random,published", None), (None, graph)):
        with pytest.raises(UsageError, match=r"cannot see the same frames; leave it out with --beside random"):
            beside_from_words(words, other, named, graph)
    with pytest.raises(UsageError, match="no published graph"):
        beside_from_words("published", BUNDLE, None, None)


def test_a_graph_of_another_size_is_refused_before_anything_is_played(
    shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = shared_dir / "reference/onnx/SCAMPS_MultiTask_72x72_FP.onnx"
    words = ["--data", "validation:hard", "--out", str(tmp_path / "r"), "--tapes", str(tmp_path / "t")]
    assert cli.main(["evaluate", *words, "--published", str(large)]) == 2
    assert "72 px" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("words", "says"), [("rnadom", "did you mean 'random'"), ("random,", "no ''"), ("none,random", "no 'none'")]
)
def test_wrong_words_are_one_line(words: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        beside_from_words(words, BUNDLE, None, None)


def test_a_graph_named_and_left_out_at_once_is_a_contradiction(graph: Path) -> None:
    with pytest.raises(UsageError, match="leaves out"):
        beside_from_words("random", BUNDLE, graph, None)


def test_the_command_goes_on_without_a_graph_that_does_not_fit(
    graph: Path, other: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "recordings", lambda *_: (SOURCES[0].recording,))
    assert other.path is not None
    words = ["--data", "validation:moderate", "--out", str(tmp_path / "r"), "--tapes", str(tmp_path / "t")]
    assert cli.main(["evaluate", "--checkpoint", other.path, *words]) == 0
    printed = capsys.readouterr()
    assert "cannot see the same frames; it is left out" in printed.err
    assert "random weights alone" in printed.out
    assert "published 9x9" not in printed.out
