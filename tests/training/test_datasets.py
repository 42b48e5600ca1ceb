from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.datasets import Recordings, Windows

SHAPE = (6, 4, 40, 9, 9)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Recording n, channel c, frame t, column x hold 1000 n + 100 c + t + x / 10; labels hold t."""
    made = Recordings.at(tmp_path / "data", SHAPE)
    n, c, t, _, x = np.indices(SHAPE)
    made.frames[:] = 1000 * n + 100 * c + t + x / 10
    for values in made.series.values():
        values[:] = np.arange(SHAPE[2])
    return made


def test_recordings_are_kept_between_openings(tmp_path: Path, recordings: Recordings) -> None:
    recordings.done[2] = True
    again = Recordings.at(tmp_path / "data", SHAPE)
    assert again.done.tolist() == [False, False, True, False, False, False]
    np.testing.assert_array_equal(again.frames, recordings.frames)


def test_recordings_of_another_shape_are_refused(tmp_path: Path, recordings: Recordings) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Recordings.at(tmp_path / "data", (6, 4, 41, 9, 9))


def test_labels_belong_to_the_frames_of_their_window(recordings: Recordings) -> None:
    frames, labels = Windows(recordings, 13, slice(0, 3), seed=1).batch(0, 4)
    assert frames.shape == (4, 3, 13, 9, 9)
    for clip, bvp in zip(frames, labels["bvp"], strict=True):
        assert bvp.shape == (12,)
        np.testing.assert_allclose(clip[0, :-1, 0, 4] % 100, bvp + 0.4, atol=1e-3)


def test_about_half_of_the_windows_are_mirrored_left_and_right(recordings: Recordings) -> None:
    frames, _ = Windows(recordings, 13, slice(3, 4), seed=1).batch(0, 40)
    rising = [bool(clip[0, 0, 0, 8] > clip[0, 0, 0, 0]) for clip in frames]
    assert 10 < sum(rising) < 30


def test_an_epoch_shows_every_recording_once(recordings: Recordings) -> None:
    windows = Windows(recordings, 13, slice(0, 1), seed=5)
    seen = [int(windows.batch(number, 2)[0][i, 0, 0, 0, 0] // 1000) for number in range(6) for i in range(2)]
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))
    assert seen[:6] != seen[6:]


def test_a_batch_depends_on_seed_and_number_alone(recordings: Recordings) -> None:
    one = Windows(recordings, 13, slice(0, 3), seed=5)
    for _ in range(3):
        one.batch(0, 4)
    again = Windows(recordings, 13, slice(0, 3), seed=5)
    np.testing.assert_array_equal(one.batch(7, 4)[0], again.batch(7, 4)[0])
    assert not np.array_equal(one.batch(7, 4)[0], Windows(recordings, 13, slice(0, 3), seed=6).batch(7, 4)[0])
