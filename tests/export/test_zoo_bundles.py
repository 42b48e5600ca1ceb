"""Bundles of every kind of model, with seeded weights, through the command ``run`` on the synthetic scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edge.cli import main
from edge.vitals import VALUE_STATES
from export.pack import bundle_from_checkpoint
from training.checkpoint import Card, save_checkpoint
from training.model import Mmrphys, ModelSpec

SECONDS = 8
SCENE = f"synthetic:?seconds={SECONDS}&seed=1&width=320&height=240"
BVP, RSP = ("bvp",), ("rsp",)


def bundle_of(spec: ModelSpec, folder: Path, fps: float = 30.0, frames: int = 181) -> Path:
    torch.manual_seed(7)
    path = folder / "zoo.safetensors"
    save_checkpoint(path, Mmrphys(spec).state_dict(), Card(name="zoo", fps=fps, frames=frames, **spec.as_dict()))
    bundle_from_checkpoint(path, folder / "bundle")
    return folder / "bundle"


def last_numerics(bundle: Path, *words: str) -> dict[str, Any]:
    """The last look of a run that ends well and looks every second."""
    out = bundle.with_name("out.jsonl")
    options = ["--bundle", str(bundle), "--rgb", SCENE, "--sink", f"jsonl:{out}", "--speed", "max"]
    assert main(["run", *options, *words]) == 0
    looks = [record for record in map(json.loads, out.read_text().splitlines()) if record["kind"] == "numerics"]
    assert len(looks) >= SECONDS
    last: dict[str, Any] = looks[-1]
    return last


@pytest.mark.parametrize(
    ("spec", "fps", "frames", "words"),
    [
        (ModelSpec(9, "EF", 3), 25.0, 161, ("--thermal", "none")),
        (ModelSpec(9, "EF", 1), 30.0, 181, ()),
        (ModelSpec(9, "EF", 3, BVP, input_scale=(1 / 255, 1.0)), 30.0, 181, ("--thermal", "none")),
        (ModelSpec(9, "EF", 4, BVP), 30.0, 181, ("--thermal", "none")),
        (ModelSpec(9, "LF", 4), 29.97, 181, ()),
        pytest.param(ModelSpec(36, "NF", 4), 30.0, 161, (), marks=pytest.mark.slow),
        (ModelSpec(72, "EF", 3, BVP, geometry="factorizephys"), 25.0, 161, ("--thermal", "none")),
    ],
    ids=["rgb at 25 fps", "thermal", "bvp", "thermal missing", "late fusion", "36x36", "72x72 factorizephys"],
)
def test_every_kind_runs(tmp_path: Path, spec: ModelSpec, fps: float, frames: int, words: tuple[str, ...]) -> None:
    last = last_numerics(bundle_of(spec, tmp_path, fps, frames), *words)
    assert 6.0 <= last["hr"]["window_s"] <= SECONDS
    assert last["rr"]["state"] == "starting"  # 15 s come first
    assert (last["hr"]["value"] is not None) == (last["hr"]["state"] in VALUE_STATES)


def test_a_breath_model_has_no_pulse(tmp_path: Path) -> None:
    last = last_numerics(bundle_of(ModelSpec(9, "NF", 4, RSP), tmp_path))
    assert (last["hr"]["value"], last["hr"]["state"], last["hr"]["why"]) == (None, "lost", ["not_in_model"])


@pytest.mark.parametrize(
    ("spec", "has"),
    [
        (ModelSpec(9, "EF", 1), "bvp, rsp from thermal"),
        (ModelSpec(9, "EF", 3, RSP), "rsp from rgb"),
        (ModelSpec(9, "NF", 4, RSP), "rsp from rgb, thermal"),
    ],
    ids=["thermal", "breath from rgb", "breath"],
)
def test_what_measures_nothing_without_a_thermal_camera_says_so_and_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: ModelSpec, has: str
) -> None:
    bundle = bundle_of(spec, tmp_path)
    out = tmp_path / "out.jsonl"
    words = ["--bundle", str(bundle), "--rgb", SCENE, "--thermal", "none", "--sink", f"jsonl:{out}"]
    assert main(["run", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert f"bundle 'zoo' ({has}) measures nothing without a thermal camera; add one with --thermal" in said
    assert len(said.splitlines()) == 1
    assert not out.exists()
