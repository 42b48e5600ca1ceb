"""The command ``mmrphys calibrate rig`` from pictures to a file that ``edge`` reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.board import MARKER_MM, RGB, pictures

from edge.cli import main
from edge.rig import load_rig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("views")
    for name, z_mm in (("1", 700.0), ("2", 900.0)):
        for kind, image in zip(("rgb", "thermal"), pictures(z_mm), strict=True):
            cv2.imwrite(str(place / f"{name}_{kind}.png"), image)
    soft = cv2.GaussianBlur(pictures(700.0)[0], (0, 0), 4.0)
    cv2.imwrite(str(place / "3_rgb.png"), soft)
    cv2.imwrite(str(place / "3_thermal.png"), pictures(700.0)[1])
    cv2.imwrite(str(place / "4_rgb.png"), soft)
    return place


def test_pictures_become_a_rig_a_table_and_overlays(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    out = tmp_path / "[bed 3]" / "rig.json"
    lens = ["--marker-mm", str(MARKER_MM), "--rgb-focal-px", str(RGB.focal_px), "--baseline-mm", "40"]
    assert main(["calibrate", "rig", str(folder), "--target", "aruco", "--out", str(out), *lens]) == 0
    rig = load_rig(out)
    assert [plane.views for plane in rig.planes] == [("1",), ("2",)]
    said = capsys.readouterr().out
    assert "rejected: blur: rgb edges" in said
    assert "without a partner: 4" in said
    assert re.search(r"plane at (69\d|70\d) mm: parallax ", said)
    assert rig.hash in said
    assert "[bed 3]/rig.json" in said
    overlays = sorted((out.parent / "rig-report").iterdir())
    assert [path.name for path in overlays] == ["1.png", "2.png", "3.png"]
    seen = cv2.imread(str(overlays[0]))
    heights = {cv2.imread(str(path)).shape[0] for path in overlays}
    assert heights == {640}
    green = np.all(np.abs(seen.astype(int) - (80, 220, 80)) < 40, axis=2)
    assert green.sum() > 1000  # the markers are outlined


def test_the_json_result_is_the_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rig.json"
    assert main(["calibrate", "rig", str(folder), "--out", str(out), "--rgb-id", "usb-1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rig"] == json.loads(out.read_text())
    assert found["rig"]["rgb"]["id"] == "usb-1"
    assert [view["rejected"].partition(":")[0] for view in found["views"]] == ["", "", "blur"]
    assert found["unpaired"] == ["4"]


def test_views_that_do_not_serve_end_with_6_and_show_why(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rig.json"
    assert main(["calibrate", "rig", str(folder), "--out", str(out), "--max-rmse-px", "0.05"]) == 6
    assert "no view serves (1: error" in capsys.readouterr().err
    assert not out.exists()
    assert len(list((tmp_path / "rig-report").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--dictionary", "6x7"], 2, "--dictionary 6x7 is not known"),
        (["--baseline-mm", "40"], 2, "give all three"),
        (["--target", "circles"], 2, "aruco"),
        (["--out", "/proc/none/rig.json", "--report", "{tmp}"], 2, "--out /proc/none/rig.json cannot be written"),
        (["--report", "/proc/none"], 2, "--report /proc/none cannot be made"),
    ],
)
def test_wrong_words_are_one_line(
    folder: Path, tmp_path: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert main(["calibrate", "rig", str(folder), "--out", str(tmp_path / "rig.json"), *words]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_an_empty_folder_is_unusable_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "rig", str(tmp_path), "--out", str(tmp_path / "rig.json")]) == 3
    assert "holds no pair" in capsys.readouterr().err
