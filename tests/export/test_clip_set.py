from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from export.clip_set import (
    Clips,
    Geometry,
    Recording,
    clips_from_npz,
    clips_from_scene,
    held_apart,
    joined,
    npz_from_clips,
)

BOTH = Geometry(("rgb", "thermal"), 30.0, 61, 9)


def arrays(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    held = {
        "rgb": rng.integers(0, 255, (2, 3, 70, 9, 9)).astype(np.uint8),
        "thermal": rng.uniform(20, 40, (2, 1, 70, 9, 9)).astype(np.float16),
        "fps": 30.0,
    }
    return {name: value for name, value in (held | changes).items() if value is not None}


def frames_of(clips: Clips) -> np.ndarray:
    return np.stack([recording.frames for recording in clips.recordings])


def test_a_set_gives_the_channels_of_the_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **arrays())
    both = frames_of(clips_from_npz(tmp_path / "c.npz", BOTH))
    assert (both.shape, both.dtype) == ((2, 4, 70, 9, 9), np.float32)
    np.testing.assert_array_equal(both[:, :3], arrays()["rgb"])
    alone = frames_of(clips_from_npz(tmp_path / "c.npz", Geometry(("thermal",), 30.0, 61, 9)))
    np.testing.assert_array_equal(alone, both[:, 3:])
    npz_from_clips(tmp_path / "again.npz", Clips(tuple(map(Recording, both)), "x"), BOTH)
    np.testing.assert_array_equal(frames_of(clips_from_npz(tmp_path / "again.npz", BOTH)), both)
    with np.load(tmp_path / "again.npz") as held:
        assert sorted(held.files) == ["fps", "rgb", "thermal"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rgb": None}, "wanted an .npz with rgb, thermal, fps"),
        ({"fps": 25.0}, "25 frames a second, the model wants 30"),
        ({"fps": "x"}, "not a clip set"),
        ({"rgb": np.zeros((2, 3, 70, 9, 9))}, "rgb is float64"),
        ({"rgb": np.zeros((2, 3, 70, 18, 18), np.uint8)}, r"wanted uint8 or float32 \[N, 3, 61 or more, 9, 9\]"),
        ({"thermal": np.zeros((1, 1, 70, 9, 9), np.float16)}, "thermal is float16"),
        ({"rgb": np.zeros((2, 3, 60, 9, 9), np.uint8)}, "61 or more"),
        ({"rgb": np.full((2, 3, 70, 9, 9), np.nan, np.float32)}, "not finite"),
        ({"rgb": np.array([None])}, "not a clip set"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "c.npz", **arrays(**changes))
    with pytest.raises(InputError, match=says) as caught:
        clips_from_npz(tmp_path / "c.npz", BOTH)
    assert "\n" not in str(caught.value)


def test_no_archive_and_no_file_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 no")
    for name in ("c.npz", "gone.npz"):
        with pytest.raises(InputError, match="not a clip set"):
            clips_from_npz(tmp_path / name, BOTH)


def test_the_scene_gives_the_same_recordings_again_and_others_further_on() -> None:
    geometry = Geometry(("thermal",), 25.0, 61, 9)
    one, again, other = (frames_of(clips_from_scene(geometry, 1, first)) for first in (0, 0, 1))
    assert one.shape == (1, 1, 800, 9, 9)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_ranges_and_what_judges_have_no_recording_in_common() -> None:
    def source(count: int, name: str) -> Clips:
        return Clips(tuple(Recording(np.zeros((1, n + 1, 1, 1), np.float32)) for n in range(count)), name)

    scene, video = source(5, "5 recordings of a scene"), source(1, "face.mp4")
    to_range, to_judge = held_apart([scene, video])
    assert {id(one) for one in to_range.recordings}.isdisjoint(id(one) for one in to_judge.recordings)
    assert to_range.recordings == (scene.recordings[1], scene.recordings[3])
    assert to_judge.recordings == (*scene.recordings[::2], *video.recordings)
    assert to_range.origin == "2 of 5 recordings of a scene"
    assert to_judge.origin == "3 of 5 recordings of a scene and face.mp4"
    assert joined([scene, video]).origin == "5 recordings of a scene and face.mp4"
    nothing, alone = held_apart([video])
    assert (nothing.recordings, alone.recordings) == ((), video.recordings)
