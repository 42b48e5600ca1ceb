"""The wiring on small live cameras: what a recording cannot show."""

from __future__ import annotations

import functools
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.broker import free_port
from fakes.painted_face import KnownFace, rgb_frames

from edge import app, loop, pacing
from edge.app import run_kit
from edge.cameras import Camera
from edge.config import Kit
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.rig import CameraGeometry, Plane, Rig, TimeOffset, json_from_rig, load_rig
from edge.sinks.records import comparable

S = 10**9
PIXELS = {"rgb": np.zeros((48, 64, 3), np.uint8), "thermal": np.full((12, 16), 30_000, np.uint16)}


def test_a_run_that_is_stopped_while_its_engine_starts_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorrt.py").write_text("import time\ntime.sleep(60)")  # what is on sys.path here comes first there
    monkeypatch.syspath_prepend(tmp_path)
    stop = threading.Event()
    stop.set()
    records = tmp_path / "records.jsonl"
    kit = Kit(rgb="synthetic:?seconds=1", sinks=(f"jsonl:{records}",), runtime="tensorrt")
    assert run_kit(kit, check=False, as_json=True, stop=stop) == 0
    assert json.loads(capsys.readouterr().out)["looks"] == 0
    assert not records.exists()
    with pytest.raises(KeyboardInterrupt):
        run_kit(kit, check=True, as_json=True, stop=stop)


class LiveCamera:
    """Gives the frames of a list of stamps; then it hangs until it is let go, or goes on for ever with ``then_now``."""

    live = True

    def __init__(self, kind: FrameKind, stamps_ns: list[int], *, then_now: bool = False) -> None:
        self.kind, self.name = kind, f"live-{kind}"
        self._stamps_ns = iter(stamps_ns)
        self._then_now = then_now
        self._seq = 0
        self.gone = threading.Event()

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        pts_ns = next(self._stamps_ns, None)
        if pts_ns is None:
            if self.gone.wait(0.02 if self._then_now else None):
                return None
            pts_ns = time.monotonic_ns()
        self._seq += 1
        return Frame(PIXELS[self.kind], pts_ns, "monotonic", self._seq, self.kind)

    def close(self) -> None: ...


class PaintedCamera:
    """A recording of painted RGB frames."""

    live, name = False, "painted"
    kind: FrameKind = "rgb"

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None: ...


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Plug in live cameras, which answer to any URI."""
    monkeypatch.setattr(loop, "_CLOSE_CAMERA_S", 0.05)
    cameras: dict[FrameKind, LiveCamera] = {}

    def by_kind(text: str, kind: FrameKind) -> Camera:
        return cameras[kind]

    def plug_in(*given: LiveCamera) -> None:
        cameras.update({camera.kind: camera for camera in given})
        monkeypatch.setattr(app, "camera_from_uri", by_kind)

    yield plug_in
    for camera in cameras.values():
        camera.gone.set()


def run(out: Path, **options: Any) -> tuple[int, list[dict[str, Any]]]:
    kit = Kit(rgb="live:", thermal="live:", sinks=(f"jsonl:{out}",), device_id="kit-7", **options)
    code = run_kit(kit, check=False, as_json=False, stop=threading.Event())
    return code, [json.loads(line) for line in out.read_text().splitlines()]


def test_a_lost_rgb_camera_is_told_while_the_thermal_one_keeps_sending(
    plugged_in: Callable[..., None], tmp_path: Path
) -> None:
    now_ns = time.monotonic_ns()
    long_ago = [now_ns - 9 * S + k * S // 30 for k in range(30)]
    thermal = LiveCamera("thermal", long_ago, then_now=True)
    thermal.drift_ppm = 12.34  # type: ignore[attr-defined] - one that maps a clock of its own
    plugged_in(LiveCamera("rgb", long_ago), thermal)
    code, records = run(tmp_path / "out.jsonl", seconds=2.0)
    looks = [record for record in records if record["kind"] == "numerics"]
    assert code == 0
    assert any((look["hr"]["state"], look["rr"]["state"]) == ("camera_lost", "camera_lost") for look in looks)
    assert all(look["hr"]["value"] is None for look in looks)
    health = [record for record in records if record["kind"] == "health"]
    assert health[-1]["uptime_s"] is not None
    assert health[-1]["drift_ppm"] == {"thermal": 12.3}


def test_seconds_end_a_live_run_that_sees_nothing(plugged_in: Callable[..., None], tmp_path: Path) -> None:
    plugged_in(LiveCamera("rgb", []), LiveCamera("thermal", []))
    code, records = run(tmp_path / "out.jsonl", seconds=2.0)
    assert code == 0
    assert {record["hr"]["state"] for record in records if record["kind"] == "numerics"} == {"camera_lost"}
    assert (records[-1]["kind"], records[-1]["reason"]) == ("status", "ended")


def test_a_hot_live_run_looks_less_often_and_says_so(
    plugged_in: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "hottest_degc", lambda: 97.0)
    monkeypatch.setattr(pacing, "_EVERY_S", 0.1)
    plugged_in(LiveCamera("rgb", [], then_now=True), LiveCamera("thermal", [], then_now=True))
    code, records = run(tmp_path / "out.jsonl", seconds=1.5)
    assert code == 0
    (event,) = [record for record in records if record["kind"] == "event" and record["code"] == "pace"]
    assert event["text"].startswith("the model now runs every 2 s, the face is looked for every 1.5 s: 97.0 degC")
    assert next(record for record in records if record["kind"] == "health")["hop_s"] in (1.0, 2.0)


def test_a_live_camera_and_a_recording_have_no_common_clock(plugged_in: Callable[..., None], tmp_path: Path) -> None:
    recorded = LiveCamera("thermal", [])
    recorded.live = False
    plugged_in(LiveCamera("rgb", []), recorded)
    with pytest.raises(UsageError, match="live-rgb is live and live-thermal is recorded"):
        run(tmp_path / "out.jsonl")


def check(capsys: pytest.CaptureFixture[str], *sinks: str, as_json: bool) -> tuple[int, str, str]:
    kit = Kit(rgb="synthetic:?seconds=3", sinks=sinks, device_id="kit-7")
    code = run_kit(kit, check=True, as_json=as_json, stop=threading.Event())
    return (code, *capsys.readouterr())


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Sinks whose other end is away."""
    monkeypatch.setattr(app, "_LINK_S", 0.2)
    return f"mqtt://127.0.0.1:{free_port()}/ward", f"serial:{tmp_path / 'ttyUSB0'}"


def test_check_says_which_links_are_away(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, absent: tuple[str, str]
) -> None:
    code, out, err = check(capsys, f"jsonl:{tmp_path}/a", *absent, as_json=False)
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert f"ok  sink: jsonl:{tmp_path}/a" in lines
    for uri in absent:
        assert f"--  sink: {uri} is not connected yet (a run keeps trying)" in lines


def test_check_as_json_is_one_object_on_stdout(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, absent: tuple[str, str]
) -> None:
    code, out, _ = check(capsys, f"jsonl:{tmp_path}/a", *absent, as_json=True)
    found = json.loads(out)
    assert code == 0
    assert found["cameras"].keys() == {"rgb", "thermal"}
    assert found["bundle"]["id"].startswith("sha256:")
    assert "onnxrt" in found["runtime"]
    assert [sink["connected"] for sink in found["sinks"]] == [True, False, False]


def test_a_sink_that_cannot_open_leaves_no_other_open(tmp_path: Path) -> None:
    sinks = (f"jsonl:{tmp_path}/a", f"jsonl:{tmp_path}/no/such/folder/b")
    before = set(threading.enumerate())
    for check_only in (True, False):
        with pytest.raises(UsageError, match="no/such/folder"):
            run_kit(Kit(rgb="synthetic:", sinks=sinks), check=check_only, as_json=False, stop=threading.Event())
        assert set(threading.enumerate()) <= before


def test_a_stop_before_the_first_frame_ends_in_order(tmp_path: Path) -> None:
    stop, out = threading.Event(), tmp_path / "out.jsonl"
    stop.set()
    kit = Kit(rgb="synthetic:?seconds=600", sinks=(f"jsonl:{out}",))
    assert run_kit(kit, check=False, as_json=False, stop=stop) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(record["kind"], record.get("reason")) for record in records] == [
        ("meta", None),
        ("status", "started"),
        ("status", "stopped"),
    ]


# ------------------------------------------------------------------------------------------------ rig and clocks


def write_rig(path: Path, **changes: Any) -> Rig:
    """A rig of cameras of 480x360 and 160x120 that see the same field, but for what is changed."""
    rows = ((1 / 3, 0.0, 0.0), (0.0, 1 / 3, 0.0), (0.0, 0.0, 1.0))
    plane = Plane(thermal_from_rgb=rows, marker_px=50.0, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)
    sizes = {"rgb": CameraGeometry(width=480, height=360), "thermal": CameraGeometry(width=160, height=120)}
    path.write_bytes(json_from_rig(Rig(**{**sizes, "planes": (plane,), **changes})))
    return load_rig(path)


def test_a_run_names_its_rig_and_check_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "rig.json", tmp_path / "out.jsonl"
    rig = write_rig(path, time=TimeOffset(offset_ms=30.0))
    scene = "synthetic:?seconds=3&width=480&height=360&offset_ms=30&jitter_ms=0"
    kit = Kit(rgb=scene, rig=str(path), sinks=(f"jsonl:{out}",), device_id="kit-7", speed="max")
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event()) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert records[0]["rig"] == rig.hash
    looks = [record for record in records if record["kind"] == "numerics"]
    assert len(looks) == 3
    assert all(look["skew_ms"] < 40 for look in looks)
    assert run_kit(kit, check=True, as_json=False, stop=threading.Event()) == 0
    assert f"ok  rig: {rig.hash}" in capsys.readouterr().err.splitlines()


def test_a_rig_of_other_pictures_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    path, out = tmp_path / "rig.json", tmp_path / "out.jsonl"
    write_rig(path)
    kit = Kit(rgb="synthetic:?seconds=3", rig=str(path), sinks=(f"jsonl:{out}",), device_id="kit-7", speed="max")
    with pytest.raises(InputError, match="made from rgb pictures of 480x360, the camera gives 640x480"):
        run_kit(kit, check=False, as_json=False, stop=threading.Event())
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["code"] for record in records if record["kind"] == "event"] == ["input_broken"]
    assert records[-1]["state"] == "offline"


def test_a_rig_of_another_camera_is_refused_and_one_of_this_is_not(
    plugged_in: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "rig.json"
    for name, fits in (("live-rgb", True), ("usb-other", False)):
        write_rig(path, rgb=CameraGeometry(width=64, height=48, id=name))
        plugged_in(LiveCamera("rgb", []), LiveCamera("thermal", []))
        if fits:
            assert run(tmp_path / "out.jsonl", seconds=0.5, rig=str(path))[0] == 0
        else:
            with pytest.raises(InputError, match="made with rgb camera 'usb-other', this is 'live-rgb'"):
                run(tmp_path / "out.jsonl", seconds=0.5, rig=str(path))


def test_wall_clock_jumps_change_nothing_but_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour forward, and to 1970, in the middle of a run: records differ in ``time`` alone."""
    factory, jumps = app.RecordFactory, itertools.count()
    monkeypatch.setattr(app, "camera_from_uri", lambda *_: PaintedCamera(rgb_frames(12)))
    monkeypatch.setattr(app, "detector_by_name", lambda _: KnownFace())

    def jumping_ns() -> int:
        number = next(jumps)
        return (1_790_000_000 if number < 8 else 1_790_003_600 if number < 16 else number) * S

    shown = []
    for name, options in (("steady", {}), ("jumping", {"wall_clock": jumping_ns})):
        monkeypatch.setattr(app, "RecordFactory", functools.partial(factory, **options))
        out = tmp_path / f"{name}.jsonl"
        kit = Kit(rgb="painted:", thermal="none", sinks=(f"jsonl:{out}",), device_id="kit-7", speed="max")
        assert run_kit(kit, check=False, as_json=False, stop=threading.Event()) == 0
        shown.append([json.loads(line) for line in out.read_text().splitlines()])
    steady, jumping = shown
    assert comparable(steady) == comparable(jumping)
    assert {record["time"][:4] for record in jumping} == {"2026", "1970"}
    assert any(record["kind"] == "numerics" and record["hr"]["value"] for record in jumping)


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_device_reset_in_a_recording_is_a_gap_and_the_pulse_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    """Stamps that go on an hour later or earlier: no hours of looks, nothing of before in what comes after."""
    steady = rgb_frames(22, start_s=7200.0)
    frames = [replace(frame, pts_ns=frame.pts_ns + jump_s * S * (frame.seq >= 330)) for frame in steady]
    monkeypatch.setattr(app, "camera_from_uri", lambda *_: PaintedCamera(frames))
    monkeypatch.setattr(app, "detector_by_name", lambda _: KnownFace())
    out = tmp_path / "out.jsonl"
    kit = Kit(rgb="painted:", thermal="none", sinks=(f"jsonl:{out}",), device_id="kit-7", speed="max")
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event()) == 0
    looks = [record for record in map(json.loads, out.read_text().splitlines()) if record["kind"] == "numerics"]
    assert 22 <= len(looks) <= 35
    assert [look["pts_ns"] for look in looks] == sorted(look["pts_ns"] for look in looks)
    states = [look["hr"]["state"] for look in looks]
    lost = states.index("camera_lost")
    assert states[lost - 1] == "ok"
    back = states.index("starting", lost)
    assert not any(look["hr"]["value"] for look in looks[lost : back + 5])
    assert states[-1] == "ok"
