from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli import main
from export.clip_set import Clips, Geometry, Recording, clips_from_scene, npz_from_clips

DEFAULT = Path(__file__).resolve().parents[2] / "training/results/default/default.safetensors"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic recordings of 22 s for the default model."""
    path, geometry = tmp_path_factory.mktemp("clips") / "clips.npz", Geometry(("rgb", "thermal"), 30.0, 181, 9)
    drawn = clips_from_scene(geometry, 2, first=7)
    cut = tuple(Recording(recording.frames[:, :660]) for recording in drawn.recordings)
    npz_from_clips(path, Clips(cut, drawn.origin), geometry)
    return path


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """The default checkpoint's bundle with every graph, ranged and judged on ``clips``."""
    out = tmp_path_factory.mktemp("export") / "bundle"
    words = ["--mode", "stream", "--precision", "fp16", "--precision", "int8", "--clips", str(clips)]
    assert main(["export", str(DEFAULT), "--out", str(out), *words]) == 0
    return out
