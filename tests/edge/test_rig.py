from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.errors import InputError
from edge.rig import FACE_MM, CameraGeometry, Plane, Rig, TimeOffset, json_from_rig, load_rig, sealed

S = 1_000_000_000


def plane(marker_px: float, off_px: float | None = 1.0, **changes: Any) -> Plane:
    rows = ((0.5, 0.0, 3.0), (0.0, 0.5, 2.0), (0.0, 0.0, 1.0))
    values: dict[str, Any] = {
        "thermal_from_rgb": rows, "marker_px": marker_px, "views": ("1",), "markers": 12,
        "rmse_px": 0.7, "held_out_px": 0.8, "off_px": off_px,
    }  # fmt: skip
    return Plane(**values | changes)


def rig(*planes: Plane, **changes: Any) -> Rig:
    values: dict[str, Any] = {
        "rgb": CameraGeometry(width=768, height=512, id="usb-1"), "thermal": CameraGeometry(width=464, height=348),
        "planes": planes or (plane(60.0),), "time": TimeOffset(offset_ms=40.0, drift_ppm=12.5),
    }  # fmt: skip
    return Rig(**values | changes)


def test_a_rig_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    path.write_bytes(json_from_rig(rig(plane(60.0, distance_mm=800.0), marker_mm=45.0)))
    loaded = load_rig(path)
    assert loaded == sealed(rig(plane(60.0, distance_mm=800.0), marker_mm=45.0))
    assert loaded.hash.startswith("sha256:")
    # the hash is over content: order and white space may change
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert load_rig(path) == loaded


def changed(**changes: Any) -> bytes:
    content = json.loads(json_from_rig(rig()))
    content["planes"][0] |= {key: value for key, value in changes.items() if key in content["planes"][0]}
    content |= {key: value for key, value in changes.items() if key in content}
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x00\x01", "is no rig"),
        (b"[]", "is no rig"),
        (b'{"format": "other", "version": 1}', "is other version 1, this program reads mmrphys-rig version 1"),
        (changed(version=2), "version 2, this program reads"),
        (changed(marker_px=61.0), "does not match its hash"),
        (changed(hash="sha256:00"), "does not match its hash"),
        (changed(marker_px=-1.0), "damaged"),
        (changed(rgb={"width": 0, "height": 5}), "damaged"),
        (changed(rgb=None), "pictures of a known size"),
        (changed(planes=[]), "holds no plane"),
        (changed(thermal_from_rgb=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "cannot be inverted"),
        (changed(thermal_from_rgb=[[1, 0, 0], [0, 1, 0], [0, 0, 2]]), "last number"),
        (changed(thermal_from_rgb=[[float("nan"), 0, 0], [0, 1, 0], [0, 0, 1]]), "is no rig|damaged"),
        (changed(thermal_from_rgb=[[1e400, 0, 0], [0, 1, 0], [0, 0, 1]]), "is no rig|damaged"),
        (json_from_rig(rig())[:-40], "is no rig"),
        (json_from_rig(rig()).replace(b'"target"', b'"extra"'), "damaged"),
    ],
)
def test_what_is_no_sound_rig_is_refused_in_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "rig.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says) as error:
        load_rig(path)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        load_rig(tmp_path / "none.json")


def test_every_changed_digit_is_noticed(tmp_path: Path) -> None:
    path, data = tmp_path / "rig.json", json_from_rig(rig())
    start = data.index(b'"created"')
    for place in [i for i in range(start, len(data)) if data[i : i + 1].isdigit()]:
        other = b"%d" % ((int(data[place : place + 1]) + 1) % 10)
        path.write_bytes(data[:place] + other + data[place + 1 :])
        with pytest.raises(InputError):
            load_rig(path)


def test_another_camera_and_another_size_are_refused() -> None:
    known = rig()
    known.check_cameras({"rgb": "usb-1", "thermal": "anything"})  # the thermal camera's id is not in the file
    known.check_cameras({})
    with pytest.raises(InputError, match="made with rgb camera 'usb-1', this is 'usb-2'"):
        known.check_cameras({"rgb": "usb-2"})
    known.check_picture("rgb", (512, 768, 3))
    with pytest.raises(InputError, match=r"thermal pictures of 464x348, the camera gives 160x120"):
        known.check_picture("thermal", (120, 160))
    Rig().check_picture("rgb", (1, 2, 3))
    Rig().check_cameras({"rgb": "any"})


def test_the_identity_rig_has_no_plane() -> None:
    assert Rig().plane_for(100.0) is None


def test_without_a_marker_size_the_plane_that_is_least_off_is_taken() -> None:
    planes = plane(70.0, 9.0), plane(60.0, 4.0), plane(40.0, 7.0)
    assert rig(*planes).plane_for(200.0) is planes[1]


def test_a_face_takes_the_plane_at_its_distance_and_keeps_it_while_it_sways() -> None:
    near, far, far_too = plane(80.0, 5.0), plane(40.0, 5.0), plane(41.0, 2.0)
    both = rig(near, far, far_too, marker_mm=40.0)
    at = FACE_MM / 40.0  # face pixels for each marker pixel
    assert both.plane_for(80.0 * at) is near
    assert both.plane_for(40.0 * at) is far_too  # as near as the other, and less off
    border = np.sqrt(80.0 * 41.0)
    assert both.plane_for(0.99 * border * at, near) is near
    assert both.plane_for(1.01 * border * at, far_too) is far_too
    assert both.plane_for(0.8 * border * at, near) is far_too
    assert both.plane_for(80.0 * at, plane(55.0)) is near  # a plane of another rig counts for nothing


def test_a_thermal_stamp_is_moved_by_offset_and_drift() -> None:
    time = TimeOffset(offset_ms=40.0, drift_ppm=100.0)
    assert time.to_rgb_ns(10 * S, 10 * S) == 10 * S - 40_000_000
    assert time.to_rgb_ns(110 * S, 10 * S) == 110 * S - 50_000_000
    assert TimeOffset().to_rgb_ns(123, 0) == 123
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"drift_ppm": 5000}', type=TimeOffset)
