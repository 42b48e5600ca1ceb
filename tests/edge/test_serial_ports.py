from __future__ import annotations

from pathlib import Path

from edge.serial_ports import serial_ports


def test_ports_are_named_by_id_and_once(tmp_path: Path) -> None:
    (tmp_path / "serial/by-id").mkdir(parents=True)
    for name in ("ttyUSB0", "ttyACM0", "ttyS0", "video0"):
        (tmp_path / name).touch()
    (tmp_path / "serial/by-id/usb-FTDI-if00").symlink_to("../../ttyUSB0")
    assert serial_ports(tmp_path) == [str(tmp_path / "serial/by-id/usb-FTDI-if00"), str(tmp_path / "ttyACM0")]
    assert serial_ports(tmp_path / "nothing") == []
