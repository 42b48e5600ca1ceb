"""The commands as a user calls them, from nothing to a bundle that runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import load_bundle
from edge.cli import main
from edge.runtimes.onnxrt import open_runtime

TINY = (
    "data.recordings=4", "data.seconds=6.1", "data.validation_recordings=1", "data.validation_seconds=31.0",
    "data.frames=61", "parts.bvp.steps=3", "parts.bvp.batch=1", "parts.rsp.steps=3", "parts.rsp.batch=1",
)  # fmt: skip


def test_train_export_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "bundle"
    settings = [word for setting in TINY for word in ("--set", setting)]
    assert main(["train", "--preset", "quick", "--out", str(run), "--seed", "3", "--json", *settings]) == 0
    card = json.loads(capfd.readouterr().out)
    assert (card["seed"], card["frames"], card["recipe"]["data"]["recordings"]) == (3, 61, 4)
    assert card["metrics"]["hr"]["windows"] == 3
    assert card["metrics"]["rr"]["windows"] == 1
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")

    assert main(["export", str(run / "quick.safetensors"), "--out", str(out), "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert {entry["what"] for entry in report["differences"]} == {"plain vs torch", "fast vs torch", "fast vs plain"}
    assert all(entry["value"] <= entry["limit"] for entry in report["differences"])

    bundle = load_bundle(out)
    assert bundle.id == report["id"]
    waves = open_runtime(bundle, "exact", "auto").infer(np.zeros((1, 4, 61, 9, 9), np.float32))
    assert {task: wave.shape for task, wave in waves.items()} == {"bvp": (1, 60), "rsp": (1, 60)}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mode", "burst"], "--mode 'burst' does not exist"),
        (["--precision", "fp8"], "--precision 'fp8' does not exist"),
    ],
)
def test_what_is_not_built_says_so_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["export", "x.safetensors", "--out", str(tmp_path / "b"), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_checkpoint_is_one_line_and_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "x.safetensors"), "--out", str(tmp_path / "b")]) == 3
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "b").exists()
