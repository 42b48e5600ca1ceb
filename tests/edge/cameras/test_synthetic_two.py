from __future__ import annotations

import numpy as np
import pytest

from edge.cameras import camera_from_uri
from edge.cameras.synthetic import SyntheticCamera
from edge.errors import UsageError

SIZE = "width=128&height=72&thermal_width=32&thermal_height=18&seconds=4&seed=1&seed2=2"


def frames(query: str, kind: str = "rgb") -> list[np.ndarray]:
    camera = camera_from_uri(f"synthetic:?{SIZE}&{query}", "rgb" if kind == "rgb" else "thermal")
    camera.open()
    out = []
    while (frame := camera.read()) is not None:
        out.append(frame.image.astype(np.float32))
    return out


@pytest.mark.parametrize("kind", ["rgb", "thermal"])
def test_the_left_half_does_not_know_of_the_right_one(kind: str) -> None:
    one, other = frames("people=2&hr2=80", kind), frames("people=2&hr2=140", kind)
    half = one[0].shape[1] // 2
    assert all(np.array_equal(a[:, :half], b[:, :half]) for a, b in zip(one, other, strict=True))
    assert kind == "thermal" or not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_they_change_places_at_once_or_on_the_way() -> None:
    stay, swap, walk = (frames(f"people=2&fps=10{more}") for more in ("", "&swap_at_s=2", "&swap_at_s=1&swap_s=2"))
    np.testing.assert_array_equal(swap[19], stay[19])
    np.testing.assert_array_equal(swap[20], np.roll(stay[20], 64, axis=1))
    np.testing.assert_array_equal(walk[20][:, 32:96], stay[20][:, :64])  # half way, the left one in front
    np.testing.assert_array_equal(walk[30], np.roll(stay[30], 64, axis=1))


def test_the_second_leaves_alone() -> None:
    stay, leave = frames("people=2&fps=10"), frames("people=2&fps=10&leave2_at_s=1&leave2_s=9")
    assert np.array_equal(stay[20][:, :64], leave[20][:, :64])
    assert not np.array_equal(stay[20][:, 64:], leave[20][:, 64:])


def test_nobody_says_whose_truth_it_is() -> None:
    camera = camera_from_uri(f"synthetic:?{SIZE}&people=2", "rgb")
    assert isinstance(camera, SyntheticCamera)
    assert camera.truth_at(0) is None


def test_odd_widths_are_refused() -> None:
    with pytest.raises(UsageError, match="even widths; seen 127 and 160"):
        camera_from_uri("synthetic:?people=2&width=127", "rgb")
