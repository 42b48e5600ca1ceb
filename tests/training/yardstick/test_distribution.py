"""The yardstick stays where it is: its parameters are what they were, and the scene still looks as it did."""

from __future__ import annotations

from urllib.parse import parse_qsl

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.errors import UsageError
from training.yardstick.distribution import LEVELS, SECONDS, SPLITS, STORE, Recording, recordings, stored_text

ALL = [recording for split, levels in SPLITS.items() for level in levels for recording in recordings(split, level)]


def query(recording: Recording) -> dict[str, str]:
    return dict(parse_qsl(recording.uri.partition("?")[2]))


def test_the_stored_parameters_are_those_that_the_program_makes() -> None:
    assert STORE.read_bytes() == stored_text()


def test_there_are_enough_recordings_of_40_s_at_640x480_or_more() -> None:
    assert SECONDS == 40
    for level in LEVELS:
        found = recordings("test", level)
        assert len(found) >= 60
        assert all(int(query(r)["seconds"]) == 40 for r in found)
        assert all(int(query(r)["width"]) >= 640 and int(query(r)["height"]) >= 480 for r in found)


def test_no_two_recordings_share_a_seed_and_every_uri_is_a_camera() -> None:
    assert len({query(r)["seed"] for r in ALL}) == len({r.name for r in ALL}) == len(ALL)
    for recording in ALL[::20]:
        assert camera_from_uri(recording.uri, "thermal").kind == "thermal"


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_spans_rates_tones_and_codecs(level: str) -> None:
    found = [query(r) for r in recordings("test", level)]
    for name, low, high in (("hr", 42, 170), ("rr", 8, 30), ("tone", 1, 6)):
        values = np.array([float(q[name]) for q in found])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high
    assert {q["codec"] for q in found} == {"raw", "mjpeg", "h264"}
    assert len({(q["thermal_width"], q["psf_px"]) for q in found}) > 20
    assert sum(float(q["hr"]) < 60 for q in found) >= 12


def test_hard_is_harder_and_faults_have_faults() -> None:
    assert {query(r)["nuisance"] for r in recordings("test", "hard")} == {"1.0"}
    assert {query(r)["nuisance"] for r in recordings("test", "moderate")} == {"0.35"}
    names = ("ffc_every_s", "freeze_s", "black_s", "leave_s", "occlude_s", "thermal_freeze_s", "thermal_stop_at_s")
    faults = [query(r) for r in recordings("test", "faults")]
    assert all(any(name in q for q in faults) for name in names)
    assert sum(float(q["drop"]) >= 0.03 for q in faults) >= 6
    assert not any(name in query(r) for r in recordings("test", "hard") for name in names)


@pytest.mark.parametrize(
    ("name", "means", "degc"),
    [
        ("test/moderate-00", [106.937, 111.968, 127.19], 24.098),
        ("test/hard-07", [109.841, 118.223, 120.284], 22.8953),
        ("test/faults-03", [136.866, 127.734, 122.544], 22.7532),
        ("validation/hard-01", [134.156, 138.445, 111.876], 26.7529),
    ],
)
def test_the_scene_still_looks_as_it_did(name: str, means: list[float], degc: float) -> None:
    """Where this fails, figures from before and after the change cannot be compared: evaluate again."""
    recording = next(r for r in ALL if r.name == name)
    rgb, thermal = (camera_from_uri(recording.uri, kind) for kind in ("rgb", "thermal"))
    rgb.open()
    thermal.open()
    image, warm = rgb.read().image, thermal.read()  # type: ignore[union-attr]
    assert image.reshape(-1, 3).mean(axis=0) == pytest.approx(means, abs=0.01)
    assert float(warm.image.mean()) * warm.scale_degc + warm.offset_degc == pytest.approx(degc, abs=0.005)


@pytest.mark.parametrize(("split", "level"), [("train", "hard"), ("test", "harder")])
def test_an_unknown_part_is_one_line_with_the_nearest_known(split: str, level: str) -> None:
    with pytest.raises(UsageError, match="there is no test data"):
        recordings(split, level)
