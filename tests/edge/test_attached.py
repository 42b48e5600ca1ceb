from __future__ import annotations

from pathlib import Path

from edge.attached import attached_cameras, serial_ports


def test_ports_are_named_by_id_once_and_cameras_stand_in_order(tmp_path: Path) -> None:
    dev = tmp_path / "dev"
    (dev / "serial/by-id").mkdir(parents=True)
    for name in ("ttyUSB0", "ttyACM0", "video10", "video2", "videograbber"):
        (dev / name).touch()
    (dev / "serial/by-id/usb-FTDI-if00").symlink_to("../../ttyUSB0")
    named = tmp_path / "sys/class/video4linux/video2"
    named.mkdir(parents=True)
    (named / "name").write_text("HD Webcam\n")
    assert serial_ports(tmp_path) == [str(dev / "serial/by-id/usb-FTDI-if00"), str(dev / "ttyACM0")]
    cameras = attached_cameras(tmp_path)
    assert [(one.uri, one.name) for one in cameras] == [
        (f"video:{dev / 'video2'}", "HD Webcam"),
        (f"video:{dev / 'video10'}", "video10"),
    ]
