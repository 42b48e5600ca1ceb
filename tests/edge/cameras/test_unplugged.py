"""A whole run before two live cameras, in real time: the RGB camera is pulled out and comes back at another node."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes.uvc_kernel import FakeCamera, FakeDevice, FakeMode, Machine, Sent

from edge.app import run_kit
from edge.cameras import camera_from_uri
from edge.cameras.uvc_find import Nodes
from edge.config import Kit
from edge.frames import Frame, FrameKind

SCENE_S = 20
SECOND = 10**9
PULLED_S, PLUGGED_S, END_S = 18.0, 23.0, 40.0


class WaitingDevice(FakeDevice):
    """Waits for its camera as poll does."""

    def wait(self, timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        while not (self.camera.sends or self.camera.gone) and time.monotonic() < end_s:
            time.sleep(0.002)
        return bool(self.camera.sends) or self.camera.gone


def scene(kind: FrameKind) -> list[Frame]:
    camera = camera_from_uri(f"synthetic:?seconds={SCENE_S}&seed=1&hr=72&rr=15", kind)
    camera.open()
    return list(iter(camera.read, None))


def jpeg(frame: Frame, _number: int) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(np.asarray(frame.image, np.uint8), cv2.COLOR_RGB2BGR))[1])


def with_telemetry(frame: Frame, number: int) -> bytes:
    words = np.zeros(320, np.uint16)
    time_ms = number * 115
    words[1], words[2], words[3], words[20] = time_ms & 0xFFFF, time_ms >> 16, (2 if frame.shutter else 3) << 4, number
    words[208] = words[209] = 1
    return np.vstack([frame.image, words.reshape(2, 160)]).tobytes()


class Player(threading.Thread):
    """Sends a scene again and again as a camera would, each picture at its time, to whoever listens."""

    def __init__(self, camera: FakeCamera, frames: list[Frame], encode: Any, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._camera, self._stop_event = camera, stop
        self._frames, self._encode = frames, encode

    def run(self) -> None:
        begin_ns, number = time.monotonic_ns(), 0
        while not self._stop_event.is_set():
            turn, place = divmod(number, len(self._frames))
            stamp_ns = begin_ns + turn * SCENE_S * SECOND + self._frames[place].pts_ns
            self._stop_event.wait(max(stamp_ns - time.monotonic_ns(), 0) / SECOND)
            number += 1
            if not self._camera.gone:
                self._camera.sends.append(Sent(self._encode(self._frames[place], number), stamp_ns, number))
            while len(self._camera.sends) > 3:
                self._camera.sends.popleft()


@pytest.mark.slow
def test_the_run_goes_on_when_a_camera_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, stop = Machine(tmp_path / "machine", WaitingDevice), threading.Event()
    rgb = FakeCamera([FakeMode("MJPG", 640, 480)])
    thermal = FakeCamera([FakeMode("Y16", 160, 122, (9,))], card="PureThermal", bus="usb-2")
    machine.plug(0, rgb, by_id="usb-webcam")
    machine.plug(2, thermal, by_id="usb-lepton")
    for driver in ("v4l2", "lepton"):
        monkeypatch.setattr(f"edge.cameras.{driver}.Nodes", lambda: Nodes(machine.dev, machine.sys, machine.open))
    players = [Player(rgb, scene("rgb"), jpeg, stop), Player(thermal, scene("thermal"), with_telemetry, stop)]
    for player in players:
        player.start()

    def hands() -> None:
        stop.wait(PULLED_S)
        machine.pull(0)
        stop.wait(PLUGGED_S - PULLED_S)
        rgb.sends.clear()
        machine.plug(5, rgb, by_id="usb-webcam")

    threading.Thread(target=hands, daemon=True).start()
    by_id = machine.dev / "v4l" / "by-id"
    uris = {"rgb": f"v4l2:{by_id}/usb-webcam", "thermal": f"lepton:{by_id}/usb-lepton"}
    records = tmp_path / "records.jsonl"
    kit = Kit(**uris, sinks=(f"jsonl:{records}",), seconds=END_S)
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event()) == 0
    stop.set()
    told = [record for line in records.read_text().splitlines() if (record := json.loads(line))["kind"] == "numerics"]
    states = [record["hr"]["state"] for record in told]
    lost = [index for index, state in enumerate(states) if state == "camera_lost"]
    assert 4 <= len(lost) <= 12
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert "ok" in states[: lost[0]]
    assert "ok" in states[lost[-1] :]
    assert all(record["hr"]["value"] == pytest.approx(72, abs=3) for record in told if record["hr"]["state"] == "ok")
    assert all(record["fps"]["thermal"] == pytest.approx(8.7, abs=0.3) for record in told[3:])
