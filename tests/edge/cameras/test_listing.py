"""What `mmrphys cameras` finds on a machine of the tests, and on this one."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from fakes.uvc_kernel import FakeCamera, FakeMode, Machine

from edge.cameras import camera_from_uri, cli
from edge.cameras.known import THERMAL
from edge.cameras.listing import NO_CAMERAS, FoundCamera, found_cameras
from edge.cameras.uvc_find import Nodes
from edge.cli import main

WEBCAM = [FakeMode("YUYV", 640, 480, (30, 15)), FakeMode("MJPG", 640, 480, (60, 30)), FakeMode("MJPG", 1280, 720)]
BY_ID = "usb-046d_HD_Pro_Webcam_C920_2E2A1B3F-video-index0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def found_on(machine: Machine, proc: Path | None = None) -> list[FoundCamera]:
    found = found_cameras(Nodes(machine.dev, machine.sys, machine.open), proc or machine.dev / "no-proc")
    assert all(device.closed for device in machine.devices)
    return found


def test_a_webcam_and_its_metadata_node_are_one_camera(machine: Machine) -> None:
    machine.plug(0, FakeCamera(WEBCAM), by_id=BY_ID, usb_id="046d:082d")
    machine.plug(1, FakeCamera(WEBCAM, capabilities=0x04A0_0000), usb_id="046d:082d")
    (camera,) = found_on(machine)
    assert camera.uri == f"v4l2:{machine.dev}/v4l/by-id/{BY_ID}"
    assert (camera.kind, camera.name, camera.usb_id, camera.usable) == ("rgb", "C920 HD", "046d:082d", True)
    assert len(camera.modes) == 5
    camera_from_uri(camera.uri, camera.kind)  # can be pasted


@pytest.mark.parametrize("row", THERMAL, ids=lambda row: row.name)
def test_thermal_cameras_are_told_by_id_and_format(machine: Machine, row: object) -> None:
    known = next(one for one in THERMAL if one is row)
    modes = [FakeMode(known.fourcc, *size, (9,)) for size in known.sizes]
    path = machine.plug(3, FakeCamera(modes), usb_id=known.usb_id)
    machine.plug(4, FakeCamera(WEBCAM), usb_id=known.usb_id)  # the same maker's id on an RGB module
    thermal, rgb = found_on(machine)
    assert (thermal.kind, thermal.uri) == ("thermal", known.uri.format(path=path))
    assert rgb.kind == "rgb"


def test_why_a_camera_cannot_be_used_and_what_to_do(machine: Machine) -> None:
    busy = machine.plug(0, FakeCamera(WEBCAM, busy=True), usb_id="046d:082d")
    machine.denied[machine.plug(1, FakeCamera(WEBCAM, card="Locked cam"), usb_id="046d:0001")] = errno.EACCES
    machine.plug(2, FakeCamera([FakeMode("GREY", 640, 480)]))
    machine.plug(3, FakeCamera([FakeMode("Y16", 80, 60)]))
    proc = machine.dev.parent / "proc"
    for number, name in ((4321, "cheese"), (os.getpid(), "us")):
        (proc / str(number) / "fd").mkdir(parents=True)
        (proc / str(number) / "fd" / "3").symlink_to(busy)
        (proc / str(number) / "comm").write_text(f"{name}\n")
    told = {camera.path[-1]: camera for camera in found_on(machine, proc)}
    assert (told["0"].problem, told["0"].fix) == ("used by cheese (process 4321)", "close that one first")
    assert len(told["0"].modes) == 5
    assert (told["1"].name, told["1"].problem) == ("Locked cam", "permission denied")
    assert told["1"].fix.startswith("add yourself to the group video: sudo usermod -aG video $USER")
    assert told["2"].problem == "it sends GREY and is in no table of ours"
    assert (told["3"].kind, told["3"].problem) == ("thermal", "it sends Y16 and is in no table of ours")
    assert not any(camera.usable for camera in told.values())


def test_csi_sensors_are_used_through_argus(machine: Machine) -> None:
    raw = [FakeMode("RG10", 3280, 2464)]
    for number in range(2):
        card, bus = f"vi-output, imx219 {9 + number}-0010", "platform:tegra-capture-vi:1"
        machine.plug(number, FakeCamera(raw, card=card, driver="tegra-video", bus=bus))
    proc = machine.dev.parent / "proc"
    (proc / "77").mkdir(parents=True)
    stopped = found_on(machine, proc)
    assert [camera.uri for camera in stopped] == ["gstreamer:argus?sensor=0", "gstreamer:argus?sensor=1"]
    assert stopped[0].fix == "start it: sudo systemctl start nvargus-daemon"
    (proc / "77" / "comm").write_text("nvargus-daemon\n")
    assert all(camera.usable for camera in found_on(machine, proc))


def test_nodes_are_sorted_by_number_and_others_ignored(machine: Machine) -> None:
    for number in (10, 2, 0):
        machine.plug(number, FakeCamera(WEBCAM))
    (machine.dev / "video-encoder").touch()
    assert [Path(camera.path).name for camera in found_on(machine)] == ["video0", "video2", "video10"]


def show(monkeypatch: pytest.MonkeyPatch, found: list[FoundCamera], *options: str) -> int:
    monkeypatch.setattr("edge.cameras.listing.found_cameras", lambda: found)
    return main(["cameras", *options])


def test_the_command_prints_what_can_be_pasted(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = machine.plug(0, FakeCamera(WEBCAM), usb_id="046d:082d")
    tc001 = machine.plug(1, FakeCamera([FakeMode("YUYV", 256, 384, (25,))], card="USB Camera"), usb_id="0bda:5830")
    machine.denied[machine.plug(2, FakeCamera(WEBCAM))] = errno.EACCES
    found = found_on(machine)
    assert show(monkeypatch, found) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        f"--rgb v4l2:{path}",
        f"    C920 HD, {path}, USB 046d:082d",
        "    YUYV: 640x480 30/s",
        "    MJPG: 640x480 60/s, 1280x720 30/s",
    ]
    assert lines[4] == f'--thermal "y16:{tc001}?layout=tc001"'
    assert lines[-1].startswith("    cannot be used now: permission denied; add yourself to the group video")
    assert show(monkeypatch, found, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["usable"]) for one in told] == [("rgb", True), ("thermal", True), ("rgb", False)]
    assert told[1]["modes"] == [{"format": "YUYV", "width": 256, "height": 384, "fps": 25.0}]


def test_no_cameras_is_a_line_and_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(monkeypatch, []) == 0
    assert capsys.readouterr().out == f"{NO_CAMERAS}\n"
    assert show(monkeypatch, [], "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_this_machine_can_be_asked() -> None:
    for camera in found_cameras():
        assert camera.usable or camera.fix
    assert cli.cameras.__doc__
