from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from export.clip_set import Geometry
from export.clip_video import clips_from_video, clips_from_words

BOTH = Geometry(("rgb", "thermal"), 30.0, 181, 9)
RGB = Geometry(("rgb",), 25.0, 161, 36)


@pytest.mark.parametrize("geometry", [BOTH, RGB], ids=["rgb and thermal", "rgb"])
def test_a_real_face_is_one_recording_as_the_device_sees_it(shared_dir: Path, geometry: Geometry) -> None:
    clips = clips_from_video(shared_dir / "data/face.mp4", geometry)
    (recording,) = clips.recordings
    channels, length, *sides = recording.frames.shape
    assert (channels, sides) == (4 if "thermal" in geometry.channels else 3, [geometry.size] * 2)
    assert 0.9 * 10.03 * geometry.fps < length <= 10.03 * geometry.fps
    assert (recording.frames[:3].min() >= 0.0, recording.frames[:3].max() <= 255.0) == (True, True)
    assert recording.absent == frozenset(geometry.channels) - {"rgb"}
    assert all(np.ptp(recording.frames[3:]) == 0.0 for _ in recording.absent)
    assert clips.origin == ("face.mp4 (no thermal)" if recording.absent else "face.mp4")


def test_words_name_the_scene_beside_files(shared_dir: Path) -> None:
    scene, video = clips_from_words(["scene", str(shared_dir / "data/face.mp4")], RGB, 1)
    assert (len(scene.recordings), len(video.recordings)) == (1, 1)


def test_what_is_no_video_with_a_face_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        clips_from_words([str(tmp_path / "gone.mp4")], BOTH, 1)
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(InputError) as caught:
        clips_from_video(tmp_path / "no.mp4", BOTH)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="all this model sees"):
        clips_from_video(tmp_path / "no.mp4", Geometry(("thermal",), 30.0, 181, 9))
