"""A replay makes the records of the run again, from the faces alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fakes.broker import Listener, Mosquitto, until
from fakes.recorded_run import Recorded, records_of
from mcap.reader import make_reader

from edge import app, loop
from edge.app import Run, run_kit
from edge.cli import main
from edge.config import Kit
from edge.errors import UsageError
from edge.frames import Frame, FrameKind
from edge.load_budget import Pace
from edge.pacing import Pacer
from edge.recording import RecordingPlan, replay
from edge.recording.messages import FrameHead, Session, Sighting, message_from_bytes
from edge.recording.reader import McapReader, Message
from edge.recording.replay import Recording, session_of
from edge.recording.run import Wish, replay_file
from edge.rig import CameraGeometry, Plane, Rig, json_from_rig, sealed
from edge.sinks.records import comparable


def replayed(path: Path, out: Path, *words: str) -> list[dict[str, Any]]:
    assert main(["replay", str(path), "--speed", "max", "--sink", f"jsonl:{out}", *words]) == 0
    return records_of(out)


def messages(path: Path, topic: str) -> list[Message]:
    return [item for item in McapReader(path) if isinstance(item, Message) and item.topic == topic]


def test_every_record_comes_again_the_same(recorded: Recorded, tmp_path: Path) -> None:
    again = replayed(recorded.path, tmp_path / "b.jsonl")
    assert [comparable(one) for one in again] == [comparable(one) for one in recorded.lines]
    assert {one["kind"] for one in again} == {"meta", "status", "numerics", "wave", "event", "health"}
    assert any(one["hr"]["value"] for one in again if one["kind"] == "numerics"), "the face was measured"
    assert main(["replay", str(recorded.path), "--verify"]) == 0


def test_nothing_outside_of_the_crops_is_read(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    monkeypatch.setattr(replay, "canvas", lambda head: random.integers(0, 256, head.shape, np.uint8))
    assert main(["replay", str(recorded.path), "--verify"]) == 0


def test_the_crops_are_the_faces_alone_and_move_with_them(recorded: Recorded) -> None:
    sightings = [message_from_bytes(one.data, Sighting) for one in messages(recorded.path, "/faces")]
    heads = [message_from_bytes(one.data, FrameHead) for one in messages(recorded.path, "/rgb")]
    kept = sum(crop.w * crop.h for sighting, _ in sightings for crop in sighting.crops)
    assert kept < 0.75 * 320 * 240 * len(heads)
    assert len({sighting.crops for sighting, _ in sightings}) > 5
    assert all(bool(sighting.tracks) == bool(sighting.crops) == bool(pixels) for sighting, pixels in sightings)
    assert not any(head.pixels or pixels for head, pixels in heads)


def test_one_changed_pixel_of_a_face_is_a_difference(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = replay.paste

    def damaged(image: Any, sighting: Sighting, data: bytes) -> None:
        whole(image, sighting, data)
        image[90:150, 130:190] //= 2 if sighting.pts_ns == 5_000_000_000 else 1

    monkeypatch.setattr(replay, "paste", damaged)
    assert main(["replay", str(recorded.path), "--verify"]) == 6
    told = capsys.readouterr().err
    assert "the replay differs from the recording: record " in told
    assert " was " in told


def test_the_file_is_read_by_the_library_of_others_and_says_what_it_is(recorded: Recorded) -> None:
    with recorded.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        topics = {summary.channels[number].topic: n for number, n in summary.statistics.channel_message_counts.items()}
        assert topics["/rgb"] == topics["/faces"] == 390
        assert topics["/records"] == len(recorded.lines)
        (record,) = [m for _, c, m in reader.iter_messages(topics=["/records"]) if m.sequence == 3]
        assert msgspec.json.decode(record.data) == recorded.lines[3]
        (found,) = reader.iter_metadata()
    session = session_of(found.metadata, "it")
    assert isinstance(session, Session)
    assert (session.device, session.consent, session.live) == ("kit-7", "nobody: it is drawn", False)
    assert session.bundle.startswith("sha256:")
    assert "jsonl" not in session.kit, "where records went is no part of a recording"
    assert recorded.path.stat().st_mode & 0o077 == 0


def test_whole_pictures_run_as_cameras_and_give_the_records_of_the_scene(tmp_path: Path) -> None:
    scene = "synthetic:?width=320&height=240&thermal_width=80&thermal_height=60&seconds=3&fps=20&drop=0.1"
    path, first, second = tmp_path / "full.mcap", tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    same = ["--speed", "max", "--device-id", "kit-7"]
    record = ["record", "--rgb", scene, "--out", str(path), "--full-frames", "--sink", f"jsonl:{first}", *same]
    assert main(record) == 0
    cameras = ["--rgb", f"mcap:{path}", "--thermal", f"mcap:{path}"]
    assert main(["run", *cameras, "--sink", f"jsonl:{second}", *same]) == 0
    before, again = ([comparable(one) for one in records_of(out) if one["kind"] != "meta"] for out in (first, second))
    assert again == before
    assert main(["replay", str(path), "--verify"]) == 0


def test_faces_alone_are_no_camera_but_their_thermal_is(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--rgb", f"mcap:{recorded.path}", "--sink", f"jsonl:{tmp_path / 'x'}"]) == 3
    assert "holds faces and no whole pictures; use mmrphys replay" in capsys.readouterr().err


def test_another_bundle_is_no_verification(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "session_of", lambda pairs, name: session_of({**pairs, "bundle": "sha256:00"}, name))
    with pytest.raises(UsageError, match="recorded with bundle sha256:00"):
        replay_file(recorded.path, Wish((), verify=True), as_json=False, stop=threading.Event())


class LiveCamera:
    """Frames of a second that is four seconds gone: looks at what came since are taken by the clock alone."""

    live = True

    def __init__(self, kind: FrameKind, fps: float) -> None:
        self.kind, self.name = kind, f"live-{kind}"
        self._stamps_ns = iter(
            range(time.monotonic_ns() - 4 * 10**9, time.monotonic_ns() - 3 * 10**9, round(1e9 / fps))
        )
        self._seq = 0
        self._pixels = (
            np.random.default_rng(3).integers(0, 255, (48, 64, 3), np.uint8)
            if kind == "rgb"
            else np.full((12, 16), 30_000, np.uint16)
        )

    def open(self) -> None: ...

    def read(self) -> Frame | None:
        self._seq += 1
        pts_ns = next(self._stamps_ns, None)
        return None if pts_ns is None else Frame(self._pixels, pts_ns, "monotonic", self._seq, self.kind)

    def close(self) -> None: ...


@pytest.mark.parametrize("thermal", ["live:", "none"])
def test_a_live_run_is_made_again_with_its_silences(
    thermal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_CLOSE_CAMERA_S", 0.1)
    monkeypatch.setattr(app, "camera_from_uri", lambda _text, kind: LiveCamera(kind, 30.0 if kind == "rgb" else 9.0))
    path, lines = tmp_path / "live.mcap", tmp_path / "live.jsonl"
    kit = Kit(rgb="live:", thermal=thermal, sinks=(f"jsonl:{lines}",), device_id="kit-7")
    plan = RecordingPlan(path)
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event(), recording=plan) == 0
    states = [one["hr"]["state"] for one in records_of(lines) if one["kind"] == "numerics"]
    assert states
    assert thermal != "none" or "camera_lost" in states, "a look was taken by the clock"
    assert main(["replay", str(path), "--verify"]) == 0


def test_a_live_run_that_looked_less_often_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_CLOSE_CAMERA_S", 0.1)
    monkeypatch.setattr(app, "camera_from_uri", lambda _text, kind: LiveCamera(kind, 30.0))
    paces = iter([None, Pace(2.0, 1.5, "the board is at 93 degC")])
    monkeypatch.setattr(Pacer, "step", lambda _self: next(paces, None))
    path, lines = tmp_path / "hot.mcap", tmp_path / "hot.jsonl"
    kit = Kit(rgb="live:", thermal="none", sinks=(f"jsonl:{lines}",), device_id="kit-7")
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event(), recording=RecordingPlan(path)) == 0
    assert [one["text"] for one in records_of(lines) if one["kind"] == "event" and one["code"] == "pace"]
    assert main(["replay", str(path), "--verify"]) == 0
    monkeypatch.setattr(Run, "_pace", lambda *_: None)
    assert main(["replay", str(path), "--verify"]) == 6, "the pace is a part of what is replayed"


def test_a_command_that_came_meanwhile_is_an_event_of_every_sink_and_of_the_replay(
    broker: Mosquitto, listen: Callable[..., Listener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears = listen(broker.port)
    answered = threading.Event()

    class Patient(LiveCamera):
        """Goes on until the command was answered."""

        def read(self) -> Frame | None:
            frame = super().read()
            if frame is not None or answered.wait(0.02):
                return frame
            return Frame(self._pixels, time.monotonic_ns(), "monotonic", self._seq, self.kind)

    def ask() -> None:
        try:
            until(lambda: ears.on("/status"), "the connection")
            ears.say("vitals/1/ward/kit-7/command", "identify")
            until(lambda: ears.on("/command/result"), "the answer")
        finally:
            answered.set()

    monkeypatch.setattr(app, "camera_from_uri", lambda _text, kind: Patient(kind, 30.0))
    path, lines = tmp_path / "asked.mcap", tmp_path / "asked.jsonl"
    sinks = (f"jsonl:{lines}", f"mqtt://127.0.0.1:{broker.port}/ward?commands=1")
    kit = Kit(rgb="live:", thermal="none", sinks=sinks, device_id="kit-7")
    asker = threading.Thread(target=ask)
    asker.start()
    assert run_kit(kit, check=False, as_json=False, stop=threading.Event(), recording=RecordingPlan(path)) == 0
    asker.join()
    (event,) = [one for one in records_of(lines) if one["kind"] == "event" and one["code"] == "identify"]
    assert event["severity"] == "notice"
    until(lambda: event["seq"] in ears.seqs("main/event"), "the event by MQTT")
    assert main(["replay", str(path), "--verify"]) == 0
    monkeypatch.setattr(Run, "_notice", lambda *_: None)
    assert main(["replay", str(path), "--verify"]) == 6, "the notice is a part of what is replayed"


def test_mode_stream_is_made_again(tmp_path: Path) -> None:
    path, lines = tmp_path / "stream.mcap", tmp_path / "stream.jsonl"
    scene = "synthetic:?width=320&height=240&thermal_width=80&thermal_height=60&seconds=5"
    words = ["--rgb", scene, "--mode", "stream", "--speed", "max", "--sink", f"jsonl:{lines}"]
    assert main(["record", "--out", str(path), *words]) == 0
    assert any(one["kind"] == "wave" and one["mode"] == "stream" for one in records_of(lines))
    assert main(["replay", str(path), "--verify"]) == 0


def test_the_rig_comes_with_the_recording(tmp_path: Path) -> None:
    rows = ((0.24, 0.0, 3.0), (0.0, 0.25, -2.0), (0.0, 0.0, 1.0))
    plane = Plane(thermal_from_rgb=rows, marker_px=60.0, views=("1",), markers=9, rmse_px=0.5, held_out_px=0.6)
    rig = Rig(rgb=CameraGeometry(width=320, height=240), thermal=CameraGeometry(width=80, height=60), planes=(plane,))
    path, geometry, lines = tmp_path / "a.mcap", tmp_path / "rig.json", tmp_path / "a.jsonl"
    geometry.write_bytes(json_from_rig(rig))
    scene = "synthetic:?width=320&height=240&thermal_width=80&thermal_height=60&seconds=3"
    words = ["--rgb", scene, "--rig", str(geometry), "--speed", "max", "--sink", f"jsonl:{lines}"]
    assert main(["record", "--out", str(path), *words]) == 0
    geometry.unlink()
    assert main(["replay", str(path), "--verify"]) == 0
    (meta,) = [one for one in records_of(lines) if one["kind"] == "meta"]
    assert meta["rig"] == sealed(rig).hash == Recording(path).session.rig
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"marker_px": 60.0', b'"marker_px": 61.0'))
    assert main(["replay", str(path), "--verify"]) == 3


def test_two_people_in_two_zones_are_made_again_with_their_coming_and_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lines = tmp_path / "two.mcap", tmp_path / "two.jsonl"
    scene = "synthetic:?people=2&width=640&height=240&thermal_width=160&thermal_height=60&seconds=6"
    words = ["--zone", "left=0,0,0.5,1", "--zone", "right=0.5,0,1,1", "--speed", "max", "--sink", f"jsonl:{lines}"]
    assert main(["record", "--rgb", f"{scene}&leave2_at_s=3&leave2_s=9", "--out", str(path), *words]) == 0
    sent = records_of(lines)
    assert {one["zone"] for one in sent if one["kind"] == "numerics"} == {"left", "right"}
    assert {"person_came", "person_left"} <= {one["code"] for one in sent if one["kind"] == "event"}
    random = np.random.default_rng(6)
    monkeypatch.setattr(replay, "canvas", lambda head: random.integers(0, 256, head.shape, np.uint8))
    assert main(["replay", str(path), "--verify"]) == 0
