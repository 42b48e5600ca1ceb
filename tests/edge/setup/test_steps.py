"""The conversation, on real small cameras, a real broker and real terminals."""

from __future__ import annotations

import os
import pty
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.broker import Mosquitto
from fakes.mllp_server import MllpServer
from fakes.uvc_kernel import FakeCamera, FakeMode, Machine, Sent

from edge.cameras import Camera, v4l2
from edge.cameras.listing import FoundCamera, found_cameras
from edge.cameras.uvc_find import Nodes
from edge.cameras.uvc_structs import Control
from edge.config import Kit, kit_from_toml
from edge.errors import InputError, UsageError
from edge.frames import Frame, FrameKind
from edge.holders import holders_of
from edge.setup.ask import Best
from edge.setup.kit_file import COMMENTS, text_from_kit, write_kit
from edge.setup.links import FoundBroker, found_brokers
from edge.setup.rate import reached
from edge.setup.steps import SYNTHETIC, Surroundings, kit_from_answers
from edge.sinks.hl7 import Receiver, receiver_from_uri
from edge.sinks.hl7_message import Routing
from edge.uri import parse_uri

S = 10**9
WEBCAM = FoundCamera("/dev/x", "v4l2:/dev/v4l/by-id/webcam", "rgb", "HD Webcam", "uvcvideo")
LEPTON = FoundCamera("/dev/x", "lepton:/dev/v4l/by-id/lepton", "thermal", "Lepton 3.5", "uvcvideo")
BUSY = FoundCamera(
    "/dev/video4", "v4l2:/dev/video4", "rgb", "Other", "uvcvideo",
    problem="used by zoom (process 7)", fix="close that one first",
)  # fmt: skip


class Clockwork:
    """A camera that gives frames at a rate; every ``lose``-th is missing. Ends after ``seconds``."""

    live = False

    def __init__(self, uri: str, kind: FrameKind, fps: float = 30.0, lose: int = 0, seconds: float = 6.0) -> None:
        self.name, self.kind = uri, kind
        pixels = np.zeros((48, 64, 3), np.uint8) if kind == "rgb" else np.full((12, 16), 30_000, np.uint16)
        numbers = [n for n in range(round(seconds * fps)) if not lose or n % lose]
        self._frames = iter([Frame(pixels, round(n / fps * S), "media", n, kind) for n in numbers])

    def open(self) -> None:
        if "broken" in self.name:
            raise InputError(f"{self.name} cannot be opened: permission denied; add yourself to the group video")

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None: ...


class Answers(Best):
    """Says what was prepared, question by question; the best where nothing was."""

    def __init__(self, **prepared: list[str]) -> None:
        self.prepared, self.asked = prepared, list[str]()

    def _next(self, question: str) -> str | None:
        self.asked.append(question)
        key = next((key for key in self.prepared if key in question.lower()), None)
        return self.prepared[key].pop(0) if key and self.prepared[key] else None

    def one_of(self, question: str, options: Sequence[str], default: int) -> str:
        said = self._next(question)
        return super().one_of(question, options, default) if said is None else said

    def text(self, question: str, default: str) -> str:
        said = self._next(question)
        return default if said is None else said

    def yes(self, question: str, *, default: bool) -> bool:
        said = self._next(question)
        return default if said is None else said == "yes"


def machine(
    *cameras: FoundCamera,
    make: Callable[[str, FrameKind], Camera] = Clockwork,
    brokers: Sequence[FoundBroker] = (),
    ports: Sequence[str] = (),
) -> Surroundings:
    return Surroundings(lambda: list(cameras), make, reached, lambda: list(brokers), lambda: list(ports), holders_of)


def set_up(around: Surroundings, answers: Best | None = None) -> tuple[Kit, str]:
    said: list[str] = []
    kit = kit_from_answers(around, answers or Best(), said.append)
    return kit, "\n".join(said)


# ------------------------------------------------------------------------------------------------ cameras


def test_the_best_is_the_first_camera_of_each_kind_that_can_be_used() -> None:
    kit, said = set_up(machine(BUSY, LEPTON, WEBCAM))
    assert (kit.rgb, kit.thermal) == (WEBCAM.uri, LEPTON.uri)
    assert "Other (rgb): used by zoom (process 7); close that one first" in said
    assert f"--rgb {WEBCAM.uri}" in said
    assert "rgb: 64 x 48, 30.00 frames a second" in said
    assert "exposure, white balance and gain are locked" in said


def test_a_v4l2_camera_is_listed_by_its_id_and_locked_while_it_is_watched(tmp_path: Path) -> None:
    """The listing, the driver and its lock, on a kernel of the tests."""
    computer = Machine(tmp_path)
    sends = (Sent(bytes(64 * 48 * 2), round((7.0 + n / 30.0) * S), n) for n in range(400))
    webcam = FakeCamera(
        [FakeMode("YUYV", 64, 48)], controls={Control.EXPOSURE_AUTO: 3, Control.EXPOSURE_ABSOLUTE: 156},
        sends=deque(sends),
    )  # fmt: skip
    computer.plug(0, webcam, by_id="usb-webcam-index0", usb_id="046d:082d")
    nodes = Nodes(computer.dev, computer.sys, computer.open)

    def make(text: str, kind: FrameKind) -> Camera:
        camera: Any = v4l2.from_uri(parse_uri(text, "camera", ["v4l2"]), kind, nodes)
        camera.live = False  # this kernel does not pace its pictures: none may be dropped for being late
        return camera

    around = replace(
        machine(make=make),
        cameras=lambda: found_cameras(nodes, tmp_path / "no-proc"),
        reached=lambda some: reached(some, 3.0),
    )
    kit, said = set_up(around)
    assert kit.rgb == f"v4l2:{computer.dev}/v4l/by-id/usb-webcam-index0"
    assert "rgb: 64 x 48, 30.00 frames a second" in said
    assert webcam.controls == {Control.EXPOSURE_AUTO: 1, Control.EXPOSURE_ABSOLUTE: 156}


def test_without_a_camera_the_scene_stands_in_and_is_named_as_one() -> None:
    kit, said = set_up(machine())
    assert (kit.rgb, kit.thermal) == (SYNTHETIC, None)
    assert "SYNTHETIC scene, not a camera" in said
    assert "no patient" in said


def test_without_thermal_the_kit_says_none() -> None:
    kit, said = set_up(machine(WEBCAM))
    assert kit.thermal == "none"
    assert "RR is read from RGB alone" in said


def test_a_camera_that_does_not_open_is_told_and_the_next_one_taken() -> None:
    kit, said = set_up(machine(FoundCamera("/dev/x", "video:broken", "rgb", "Broken", "uvcvideo"), WEBCAM))
    assert kit.rgb == WEBCAM.uri
    assert "permission denied; add yourself to the group video" in said
    with pytest.raises(InputError, match="no RGB camera was chosen"):
        set_up(machine(FoundCamera("/dev/x", "video:broken", "rgb", "Broken", "uvcvideo")))


def test_an_address_may_be_given_instead() -> None:
    kit, said = set_up(machine(WEBCAM), Answers(rgb=["video:rtsp://me:geheim@cam/1"]))
    assert kit.rgb == "video:rtsp://me:geheim@cam/1"
    assert "geheim" not in said


def test_a_slow_camera_is_told_with_its_number_and_fix() -> None:
    _, said = set_up(machine(WEBCAM, make=lambda uri, kind: Clockwork(uri, kind, fps=10.0)))
    assert "not enough: the camera gives 10.0 frames a second, want >= 15: raise the frame rate" in said


def test_the_rate_is_that_of_the_stamps_and_losses_are_counted() -> None:
    (steady,) = reached([Clockwork("a", "rgb", fps=29.97)], watch_s=3.0)
    assert steady.fps == pytest.approx(29.97, abs=0.001)
    assert (steady.dropped, steady.problems(), steady.width) == (0, (), 64)
    (lossy,) = reached([Clockwork("a", "rgb", lose=10)], watch_s=3.0)
    assert lossy.fps == pytest.approx(30.0)  # the median spacing
    assert 8 <= lossy.dropped <= 10
    assert reached([Clockwork("t", "thermal", fps=8.7)], watch_s=3.0)[0].problems() == ()
    with pytest.raises(InputError, match="gave 2 frames, too few"):
        reached([Clockwork("a", "rgb", fps=1.0, seconds=2.0)], watch_s=1.0)


# ------------------------------------------------------------------------------------------------ links


def test_a_broker_that_lets_us_in_is_taken_and_one_that_does_not_is_asked_about(
    make_broker: Callable[..., Mosquitto],
) -> None:
    free, shut = make_broker().start(), make_broker("allow_anonymous false").start()
    found = found_brokers({"mqtt": free.port}) + found_brokers({"mqtt": shut.port})
    assert [one.refusal is None for one in found] == [True, False]
    kit, said = set_up(machine(WEBCAM, brokers=found))
    assert kit.sinks == ("console:", f"mqtt://127.0.0.1:{free.port}/home")
    assert "does not yet: " in said
    answers = Answers(send=["no", "yes"], site=["ward-2"], user=["kit-7"], password=["/etc/pw"])
    kit, _ = set_up(machine(WEBCAM, brokers=found), answers)
    assert kit.sinks[1] == f"mqtt://127.0.0.1:{shut.port}/ward-2?user=kit-7&password_file=/etc/pw"


def test_where_no_broker_answers_none_is_found() -> None:
    assert found_brokers({"mqtt": 1}) == []
    assert "for one elsewhere add to sinks" in set_up(machine(WEBCAM))[1]


def test_an_hl7_receiver_is_written_as_it_was_named_after_it_was_tried() -> None:
    receiver = MllpServer()
    receiver.start()
    here = f"127.0.0.1:{receiver.port}"
    kit, said = set_up(machine(WEBCAM), Answers(host=[here], application=["GATE WAY"], facility=["WARD"]))
    receiver.stop()
    assert kit.sinks == ("console:", f"hl7://{here}?application=GATE+WAY&facility=WARD")
    made = receiver_from_uri(parse_uri(kit.sinks[1], "sink", ["hl7"]), allow_plaintext=False)
    assert made.routing == Routing("GATE WAY", "WARD")
    assert f"hl7://{here} takes the connection" in said
    assert receiver.seen == []
    kit, said = set_up(machine(WEBCAM), Answers(host=[here]))
    assert kit.sinks == ("console:",), "one that is not there is not taken unasked"
    assert "firewall" in said


def test_to_a_receiver_elsewhere_only_tls_is_offered() -> None:
    tried: list[Receiver] = []

    def taken(receiver: Receiver) -> None:
        tried.append(receiver)

    around = replace(machine(WEBCAM), receiver_refusal=taken)
    answers = Answers(host=["gateway.ward"], signed=["/etc/ca.pem"], certificate=["/etc/kit.pem"])
    kit, _ = set_up(around, answers)
    assert kit.sinks[1].startswith("hl7s://gateway.ward?ca=/etc/ca.pem&cert=/etc/kit.pem")
    assert [(one.scheme, one.port) for one in tried] == [("hl7s", 2575)]
    for wrong in ("gateway:99999", "me:secret@gateway"):
        kit, said = set_up(around, Answers(host=[wrong]))
        assert (kit.sinks, "going on without a receiver" in said) == (("console:",), True)
        assert "secret" not in said


def test_no_serial_port_is_taken_unasked_and_who_holds_it_is_told() -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    kit, said = set_up(machine(WEBCAM, ports=[name]))
    assert kit.sinks == ("console:",)
    assert f"held by {holders_of(name)[0][0].name} (process {os.getpid()})" in said
    kit, _ = set_up(machine(WEBCAM, ports=[name]), Answers(line=["yes"]))
    os.close(slave)
    os.close(master)
    assert kit.sinks[1] == f"serial:{name}?baud=115200&profile=line"


def test_a_name_that_cannot_stand_in_a_topic_is_refused() -> None:
    with pytest.raises(UsageError, match="zone"):
        set_up(machine(WEBCAM), Answers(bed=["bed/3"]))


# ------------------------------------------------------------------------------------------------ the file


def test_the_file_gives_the_same_kit_again_and_explains_every_key(tmp_path: Path) -> None:
    kit = Kit(rgb="video:rtsp://me:geheim@cam/1", thermal="none", sinks=("console:", "jsonl:a.jsonl"), zone="bed-3")
    path = tmp_path / "kit.toml"
    write_kit(path, kit)
    assert kit_from_toml(path) == kit
    assert path.stat().st_mode & 0o777 == 0o600  # it holds a password
    assert list(COMMENTS) == list(Kit.__struct_fields__)
    text = text_from_kit(kit)
    assert all(f"# {comment}\n" in text for comment in COMMENTS.values())
    write_kit(path, Kit(rgb="video:/dev/video0"))
    assert [one.name for one in tmp_path.iterdir()] == ["kit.toml"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file in a folder you may write to"):
        write_kit(tmp_path / "no/kit.toml", Kit(rgb="synthetic:"))
