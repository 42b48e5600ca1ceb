"""The command ``mmrphys run`` from end to end: real files and scenes in, records out, exit codes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
from fakes.broker import Listener, Mosquitto, until
from fakes.door import Door
from fakes.video_files import write_video

from edge.bundle import default_bundle_dir
from edge.cameras.scene import Scene, SceneParams, View
from edge.cli import main
from edge.rig import CameraGeometry, Plane, Rig, json_from_rig
from edge.sinks.records import comparable, json_schema
from edge.vitals import VALUE_STATES

FPS = 30.0
SMALL = "width=480&height=360"
"""Scenes that are quick to draw; the face is 130 px wide."""
Images = list[npt.NDArray[np.uint8]]


def run(out: Path, *words: str, speed: str = "max") -> tuple[int, list[dict[str, Any]]]:
    """Exit code and records of one run into a JSON-lines file."""
    code = main(["run", *words, "--sink", f"jsonl:{out}", "--speed", speed])
    return code, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def of_kind(records: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def numerics(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return of_kind(records, "numerics")


def assert_sound(records: list[dict[str, Any]]) -> None:
    """Every record keeps the contract: the schema, one counter, no value older than 10 s, null when missing."""
    validator = jsonschema.Draft202012Validator(json_schema())
    for record in records:
        validator.validate(record)
    assert [record["seq"] for record in records] == list(range(len(records)))
    for rate in (record[name] for record in numerics(records) for name in ("hr", "rr")):
        assert (rate["value"] is not None) == (rate["state"] in VALUE_STATES)
        assert rate["value"] is None or rate["age_ms"] <= 10_000


def picture(seed: int = 7, width: int = 480, height: int = 360) -> npt.NDArray[np.uint8]:
    scene = Scene(SceneParams(seed=seed, seconds=2.0, nuisance=0.0))
    frame: npt.NDArray[np.uint8] = scene.render_rgb([0.5], View.whole(width, height))[0]
    return frame


def photograph(seconds: float, *, sway: float = 0.0, rate_per_min: float = 72.0, fps: float = FPS) -> Images:
    """A still picture before a noisy sensor, moved rhythmically by ``sway`` of its height, mostly downwards."""
    return moved_still(picture(), seconds, sway=sway, rate_per_min=rate_per_min, fps=fps)


def moved_still(
    still: npt.NDArray[np.uint8], seconds: float, *, sway: float, rate_per_min: float, fps: float = FPS
) -> Images:
    """A noisy video of a moved picture. Each frame has its own cut of one field of noise."""
    height, width = still.shape[:2]
    rng = np.random.default_rng(1)
    field = rng.normal(0.0, 2.0, (2 * height, 2 * width, 3)).astype(np.float32)
    out = []
    for k in range(round(seconds * fps)):
        move = sway * height * np.sin(2 * np.pi * rate_per_min / 60 * k / fps)
        shift = np.array([[1, 0, 0.4 * move], [0, 1, move]], np.float32)
        moved = cv2.warpAffine(still.astype(np.float32), shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        y, x = rng.integers(0, (height, width))
        out.append(np.clip(np.rint(moved + field[y : y + height, x : x + width]), 0, 255).astype(np.uint8))
    return out


# ------------------------------------------------------------------------------------------------ what it is for


def test_the_real_clip_shows_its_pulse_and_no_breathing(shared_dir: Path, tmp_path: Path) -> None:
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{shared_dir / 'data/face.mp4'}")
    assert code == 0
    assert_sound(records)
    ok = [record["hr"]["value"] for record in numerics(records) if record["hr"]["state"] == "ok"]
    assert len(ok) >= 2
    assert all(50 <= value <= 57 for value in ok)
    assert numerics(records)[-1]["hr"]["state"] == "ok"
    assert all(record["rr"]["state"] != "ok" for record in numerics(records))


@pytest.mark.scenes
def test_the_scene_is_measured_with_both_cameras(tmp_path: Path) -> None:
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"synthetic:?hr=72&rr=15&seconds=28&seed=1&{SMALL}")
    assert code == 0
    assert_sound(records)
    last = numerics(records)[-1]
    assert (last["hr"]["state"], last["rr"]["state"]) == ("ok", "ok")
    assert last["hr"]["value"] == pytest.approx(72, abs=4)
    assert last["rr"]["value"] == pytest.approx(15, abs=2)
    assert last["fps"]["rgb"] == pytest.approx(30, abs=0.5)
    assert last["fps"]["thermal"] == pytest.approx(8.7, abs=0.3)
    assert 0 < last["skew_ms"] < 60
    names = {record["wave"] for record in of_kind(records, "wave")}
    assert names == {"pleth", "resp"}
    assert of_kind(records, "meta")[0]["cameras"].keys() == {"rgb", "thermal"}


@pytest.mark.slow
@pytest.mark.scenes
def test_waves_are_gapless_blocks_on_the_grid_while_a_pulse_is_shown(tmp_path: Path) -> None:
    _, records = run(
        tmp_path / "out.jsonl", "--rgb", f"synthetic:?hr=80&seconds=19&seed=3&{SMALL}", "--thermal", "none"
    )
    blocks = [record for record in of_kind(records, "wave") if record["wave"] == "pleth"]
    assert len(blocks) >= 8
    ends = [block["t0_ns"] + len(block["samples"]) / block["fs"] * 1e9 for block in blocks]
    for end, block in zip(ends, blocks[1:], strict=False):
        assert block["t0_ns"] == pytest.approx(end, abs=2)


# ------------------------------------------------------------------------------------------------ what has no pulse


@pytest.mark.scenes
@pytest.mark.parametrize(
    ("sway", "name", "codec", "pixels"),
    [
        (0.0, "a.mp4", "libx264", "yuv420p"),
        (0.01, "a.mp4", "libx264", "yuv420p"),
        (0.03, "a.avi", "mjpeg", "yuvj420p"),
    ],
)
def test_a_photograph_has_no_pulse(tmp_path: Path, sway: float, name: str, codec: str, pixels: str) -> None:
    path = write_video(tmp_path / name, photograph(14.0, sway=sway), codec=codec, pixels=pixels)
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{path}")
    assert code == 0
    assert_sound(records)
    looks = numerics(records)
    assert {record["hr"]["state"] for record in looks} >= {"lost"}  # the face was found, and looked at
    assert all(record["hr"]["value"] is None for record in looks)


@pytest.mark.scenes
@pytest.mark.slow
def test_a_nodding_photograph_before_both_cameras_breathes_no_more_than_it_beats(tmp_path: Path) -> None:
    uri = f"synthetic:?face=photo&nod=0.012&nod_hz=0.25&seconds=27&seed=3&{SMALL}"
    _, records = run(tmp_path / "out.jsonl", "--rgb", uri)
    assert all(record["hr"]["value"] is None for record in numerics(records))
    assert all(record["rr"]["state"] != "ok" for record in numerics(records))


@pytest.mark.scenes
@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            "nuisance=0.35&flicker=0.01&flicker_hz=1.3&codec=h264&kbit_s=1000&seed=506", marks=pytest.mark.slow
        ),
        pytest.param("nuisance=0.5&nod=0.002&nod_hz=1&seed=507", marks=pytest.mark.slow),
    ],
)
def test_a_photograph_in_a_flickering_or_swaying_scene_neither_beats_nor_breathes(tmp_path: Path, query: str) -> None:
    _, records = run(tmp_path / "out.jsonl", "--rgb", f"synthetic:?face=photo&tone=2&seconds=24&{query}&{SMALL}")
    assert all(record["hr"]["value"] is None for record in numerics(records))
    assert all(record["rr"]["value"] is None for record in numerics(records))
    assert any("not_alive" in record["rr"]["why"] for record in numerics(records))


@pytest.mark.scenes
def test_the_real_face_as_a_photograph_has_no_pulse(shared_dir: Path, tmp_path: Path) -> None:
    still = cv2.VideoCapture(str(shared_dir / "data/face.mp4")).read()[1][::2, ::2, ::-1]
    images = moved_still(np.ascontiguousarray(still), 14.0, sway=0.01, rate_per_min=72.0)
    path = write_video(tmp_path / "photo.mp4", images)
    _, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{path}")
    assert len(numerics(records)) >= 13
    assert all(record["hr"]["value"] is None for record in numerics(records))


@pytest.mark.scenes
@pytest.mark.parametrize(
    "query",
    ["face=photo&nod=0.015&nod_hz=1.3", pytest.param("face=photo&nuisance=0.6", marks=pytest.mark.slow), "face=none"],
)
def test_a_scene_without_life_has_no_pulse(tmp_path: Path, query: str) -> None:
    code, records = run(
        tmp_path / "out.jsonl", "--rgb", f"synthetic:?seconds=14&seed=5&{query}&{SMALL}", "--thermal", "none"
    )
    assert code == 0
    assert all(record["hr"]["value"] is None for record in numerics(records))
    if query == "face=none":
        assert {record["hr"]["state"] for record in numerics(records)} == {"no_face"}


def test_a_wall_is_no_face(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    wall = [rng.normal(150, 3, (240, 320, 3)).clip(0, 255).astype(np.uint8) for _ in range(240)]
    _, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{write_video(tmp_path / 'wall.mp4', wall)}")
    assert {record["hr"]["state"] for record in numerics(records)} == {"no_face"}


@pytest.mark.scenes
def test_a_frozen_picture_is_stale_and_loses_its_value_within_two_seconds(tmp_path: Path) -> None:
    uri = f"synthetic:?hr=72&seconds=18&seed=1&freeze_at_s=12&freeze_s=6&{SMALL}"
    _, records = run(tmp_path / "out.jsonl", "--rgb", uri, "--thermal", "none")
    by_time = {record["pts_ns"] / 1e9: record["hr"] for record in numerics(records)}
    assert by_time[12.0]["state"] == "ok"
    late = [rate for t, rate in by_time.items() if t >= 14.0]
    assert len(late) >= 4
    assert all((rate["state"], rate["value"], rate["why"]) == ("stale", None, ["frozen"]) for rate in late)


@pytest.mark.scenes
def test_a_face_that_leaves_is_a_state_and_comes_back(tmp_path: Path) -> None:
    uri = f"synthetic:?hr=72&seconds=28&seed=1&leave_at_s=11&leave_s=4&{SMALL}"
    _, records = run(tmp_path / "out.jsonl", "--rgb", uri)
    by_time = {record["pts_ns"] / 1e9: record["hr"] for record in numerics(records)}
    assert by_time[10.0]["state"] == "ok"
    assert {by_time[float(t)]["state"] for t in (13, 14)} == {"no_face"}
    assert all(by_time[float(t)]["value"] is None for t in range(14, 22))
    assert by_time[27.0]["state"] == "ok"


@pytest.mark.slow
def test_cameras_that_do_not_share_a_view_need_their_rig_for_breathing(tmp_path: Path) -> None:
    """The thermal camera sees everything 60 RGB pixels to the side, a quarter of the region around the face."""
    rows = ((1 / 3, 0.0, -60 / 3), (0.0, 1 / 3, 0.0), (0.0, 0.0, 1.0))
    plane = Plane(thermal_from_rgb=rows, marker_px=50.0, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)
    sizes = CameraGeometry(width=480, height=360), CameraGeometry(width=160, height=120)
    path = tmp_path / "rig.json"
    path.write_bytes(json_from_rig(Rig(rgb=sizes[0], thermal=sizes[1], planes=(plane,))))
    words = ("--rgb", f"synthetic:?hr=72&rr=15&seconds=28&seed=1&parallax_px=60&{SMALL}")
    _, without = run(tmp_path / "without.jsonl", *words)
    _, with_rig = run(tmp_path / "with.jsonl", *words, "--rig", str(path))
    assert "ok" not in {record["rr"]["state"] for record in numerics(without)}
    last = numerics(with_rig)[-1]["rr"]
    assert (last["state"], last["value"]) == ("ok", pytest.approx(15, abs=2))


# ------------------------------------------------------------------------------------------------ any speed


BEDS = ("--zone", "left=0,0,0.5,1", "--zone", "right=0.5,0,1,1")
PLAYED = {
    "one person, windows": (f"synthetic:?hr=66&seconds=8&seed=2&drop=0.02&jitter_ms=3&{SMALL}",),
    "two people, streams": (
        "synthetic:?people=2&hr=66&hr2=96&seconds=5&seed2=2&drop=0.02&jitter_ms=3&width=480&height=270&fps=20",
        "--mode", "stream", *BEDS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "what", ["one person, windows", pytest.param("two people, streams", marks=[pytest.mark.scenes, pytest.mark.slow])]
)
@pytest.mark.scenes
def test_speed_and_slow_consumers_change_nothing(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--rgb", *PLAYED[what], "--device-id", "kit-1")
    _, fast = run(tmp_path / "fast.jsonl", *words)
    with monkeypatch.context() as patched:
        step = _slow_runtime_and_thermal_camera(patched)
        _, real = run(tmp_path / "real.jsonl", *words, speed="realtime")
    write = _slow_writes(monkeypatch)
    _, slow = run(tmp_path / "slow.jsonl", *words)
    assert step.calls > 20
    assert write.calls > 5
    assert len(fast) > 12
    assert comparable(fast) == comparable(real) == comparable(slow)
    assert fast[0]["boot"] != real[0]["boot"]
    assert {record["zone"] for record in numerics(fast)} == ({"left", "right"} if "two" in what else {"main"})
    assert ("stream" in {record.get("mode") for record in of_kind(fast, "wave")}) == ("streams" in what)


class _Slow:
    calls = 0


def _slow_writes(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    from edge.sinks.jsonl import JsonlSink

    plain, slow = JsonlSink.write, _Slow()

    def write(self: Any, record: Any, pts_ns: int) -> None:
        slow.calls += 1
        time.sleep(0.15)  # the consumer under test is slow; nothing is timed
        plain(self, record, pts_ns)

    monkeypatch.setattr(JsonlSink, "write", write)
    return slow


def _slow_runtime_and_thermal_camera(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    from edge.cameras.synthetic import SyntheticCamera
    from edge.runtimes.onnxrt import OnnxRuntime
    from edge.runtimes.onnxrt_stream import StreamSession

    infer, step, read, slow = OnnxRuntime.infer, StreamSession.step, SyntheticCamera.read, _Slow()

    def slow_infer(self: Any, frames: Any) -> Any:
        slow.calls += 1
        time.sleep(0.3)  # as on a loaded board; nothing is timed
        return infer(self, frames)

    def slow_step(self: Any, frames: Any, state: Any) -> Any:
        slow.calls += 1
        time.sleep(0.05)  # likewise
        return step(self, frames, state)

    def slow_read(self: Any) -> Any:
        slow.calls += self.kind == "thermal"
        time.sleep(0.02 * (self.kind == "thermal"))
        return read(self)

    monkeypatch.setattr(OnnxRuntime, "infer", slow_infer)
    monkeypatch.setattr(StreamSession, "step", slow_step)
    monkeypatch.setattr(SyntheticCamera, "read", slow_read)
    return slow


# ------------------------------------------------------------------------------------------------ bad input


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmrphys:")]
    assert len(lines) == 1
    return lines[0]


def test_no_camera_and_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "--rgb" in last_line(capsys)
    assert main(["run", "--thermal", "synthetic:"]) == 2
    assert "--rgb" in last_line(capsys)
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{tmp_path / 'none.mp4'}")
    assert (code, records) == (3, [])
    assert "none.mp4" in last_line(capsys)


def test_a_truncated_video_keeps_its_records_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "a.mp4", photograph(8.0), front=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{path}")
    assert code == 3
    assert_sound(records)
    assert len(numerics(records)) >= 2
    assert [event["code"] for event in of_kind(records, "event")][-1] == "input_broken"
    assert of_kind(records, "status")[-1]["state"] == "offline"
    assert "a.mp4" in last_line(capsys)


def test_five_frames_a_second_are_too_few(tmp_path: Path) -> None:
    path = write_video(tmp_path / "slow.mp4", photograph(14.0, fps=5.0), rate=5)
    code, records = run(tmp_path / "out.jsonl", "--rgb", f"video:{path}")
    assert code == 0
    looks = [record["hr"] for record in numerics(records)]
    assert all(rate["value"] is None for rate in looks)
    assert looks[-1]["state"] == "lost"
    assert "low_fps" in looks[-1]["why"]


def test_a_camera_pulled_out_ends_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, records = run(tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=12&stop_at_s=6&seed=1")
    assert code == 3
    assert len(numerics(records)) >= 5
    assert of_kind(records, "event")[-1]["code"] == "input_broken"
    assert last_line(capsys)


@pytest.mark.slow
@pytest.mark.scenes
def test_a_lost_thermal_camera_takes_only_rr(tmp_path: Path) -> None:
    uri = f"synthetic:?hr=72&rr=15&seconds=27&seed=1&{SMALL}"
    _, records = run(tmp_path / "out.jsonl", "--rgb", f"{uri}&thermal_stop_at_s=23")
    by_time = {record["pts_ns"] / 1e9: record for record in numerics(records)}
    assert by_time[22.0]["rr"]["state"] == "ok"
    assert by_time[26.0]["rr"]["state"] == "thermal_lost"
    assert {by_time[float(second)]["hr"]["state"] for second in range(22, 27)} == {"ok"}


def test_a_changed_byte_in_the_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(default_bundle_dir(), bundle)
    graph = bundle / "window.cpu-fp32.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    code, records = run(tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=2", "--bundle", str(bundle))
    assert (code, records) == (4, [])
    assert "window.cpu-fp32.onnx" in last_line(capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rgb", "synthetic:?secnods=70"], "did you mean 'seconds'"),
        (["--rgb", "vidio:x.mp4"], "did you mean 'video'"),
        (["--rgb", "lepton:/dev/video2"], "give it as --thermal"),
        (["--rgb", "synthetic:?seed=1", "--thermal", "synthetic:?seed=2"], "different scenes"),
        (["--rgb", "synthetic:", "--sink", "mqtt://broker.example/ward"], "plaintext"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *words]) == 2
    assert says in last_line(capsys)


def test_a_serial_port_that_never_comes_is_told_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = tmp_path / "ttyUSB0"
    code, records = run(
        tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=3", "--thermal", "none", "--sink", f"serial:{port}"
    )
    assert code == 5
    assert len(numerics(records)) == 3  # the other sink got everything
    assert "not delivered" in last_line(capsys)


# ------------------------------------------------------------------------------------------------ ends


def test_seconds_end_the_run(tmp_path: Path) -> None:
    code, records = run(tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=30", "--thermal", "none", "--seconds", "3")
    assert code == 0
    assert len(numerics(records)) == 3


def test_check_opens_everything_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["run", "--rgb", "synthetic:?seconds=3", "--sink", f"jsonl:{out}", "--check"]) == 0
    said = capsys.readouterr().err
    assert all(word in said for word in ("rgb:", "thermal:", "bundle:", "runtime:", "sink:"))
    assert out.read_text() == ""


def test_a_json_summary_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--rgb", "synthetic:?seconds=3", "--thermal", "none", "--speed", "max", "--json"]
    assert main(words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["looks"] == 3
    assert summary["hr"]["states"] == {"starting": 3}


def start(*words: str) -> subprocess.Popen[str]:
    """The program as its own process, at the pace of the scene."""
    return subprocess.Popen([sys.executable, "-m", "edge", "run", *words], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out.jsonl"
    process = start("--rgb", "synthetic:?seconds=600", "--sink", f"jsonl:{out}")
    until(lambda: out.exists() and '"numerics"' in out.read_text(), "a record")
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in said
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert_sound(records)
    assert (records[-1]["kind"], records[-1]["state"], records[-1]["reason"]) == ("status", "offline", "stopped")


@pytest.mark.scenes
def test_a_run_without_a_broker_starts_and_delivers_when_one_comes(
    broker: Mosquitto, door: Door, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    ears, out = listen(broker.port), tmp_path / "out.jsonl"
    process = start(
        "--rgb", f"synthetic:?seconds=9&{SMALL}", "--thermal", "none", "--device-id", "kit-7",
        "--sink", f"mqtt://127.0.0.1:{door.port}/ward", "--sink", f"jsonl:{out}",
    )  # fmt: skip
    until(lambda: out.exists() and out.read_text().count('"numerics"') >= 2, "two records without a broker")
    door.open(broker.port)
    assert process.wait(60) == 0
    until(lambda: [one.payload for one in ears.on("/status")][-1:] == ["offline"], "the end")
    sent = [record["seq"] for record in numerics(json.loads(line) for line in out.read_text().splitlines())]
    heard = ears.seqs("/main/numerics") + ears.seqs("/main/history")
    assert len(sent) == 9
    assert sorted(set(heard)) == sent
    assert not any(one.retain for one in ears.all() if one.topic.endswith(("numerics", "wave/pleth", "event")))


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), f"{thread.name} was left behind"


@pytest.mark.usefixtures("no_threads_left")
def test_no_thread_outlives_a_run(tmp_path: Path) -> None:
    run(tmp_path / "out.jsonl", "--rgb", "synthetic:?seconds=2")
