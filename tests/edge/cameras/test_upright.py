from __future__ import annotations

import numpy as np
import pytest

from edge.app import _truth
from edge.cameras import Camera, camera_from_uri
from edge.errors import UsageError
from edge.frames import Frame, FrameKind

SCENE = "synthetic:?seconds=1&seed=1&width=64&height=48&thermal_width=32&thermal_height=24"


def first(camera: Camera) -> Frame:
    camera.open()
    frame = camera.read()
    camera.close()
    assert frame is not None
    return frame


@pytest.mark.parametrize(("degrees", "quarters"), [(90, -1), (180, 2), (270, 1)])
@pytest.mark.parametrize("kind", ["rgb", "thermal"])
def test_every_camera_can_be_turned_clockwise(degrees: int, quarters: int, kind: FrameKind) -> None:
    plain, turned = (first(camera_from_uri(SCENE + more, kind)) for more in ("", f"&rotate={degrees}"))
    np.testing.assert_array_equal(turned.image, np.rot90(plain.image, quarters))
    assert (turned.pts_ns, turned.seq, turned.scale_degc) == (plain.pts_ns, plain.seq, plain.scale_degc)


def test_the_upper_left_corner_goes_to_the_upper_right() -> None:
    plain, turned = (first(camera_from_uri(SCENE + more, "rgb")) for more in ("", "&rotate=90"))
    np.testing.assert_array_equal(turned.image[0, -1], plain.image[0, 0])


def test_no_turn_is_the_camera_itself() -> None:
    assert type(camera_from_uri(f"{SCENE}&rotate=0", "rgb")) is type(camera_from_uri(SCENE, "rgb"))


def test_a_turned_camera_answers_as_the_other_does() -> None:
    camera = camera_from_uri(f"{SCENE}&rotate=90", "rgb")
    assert (camera.name, camera.kind, camera.live) == (f"{SCENE}&rotate=90", "rgb", False)
    truth = _truth([camera])
    assert truth is not None
    assert truth(0) is not None
    assert _truth([camera_from_uri("video:/dev/null?rotate=90", "rgb")]) is None


@pytest.mark.parametrize("angle", ["45", "-90", "", "left"])
def test_other_angles_are_refused(angle: str) -> None:
    with pytest.raises(UsageError, match="want 0, 90, 180, 270"):
        camera_from_uri(f"{SCENE}&rotate={angle}", "rgb")
