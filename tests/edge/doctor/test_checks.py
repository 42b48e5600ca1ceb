"""Each kind of finding: on real files, a real broker and real terminals, and on what a board's files say."""

from __future__ import annotations

import os
import pty
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.broker import Listener, Mosquitto, free_port, until
from fakes.certificates import Authority
from fakes.door import Door
from fakes.mllp_server import MllpServer

from edge.bundle import default_bundle_dir
from edge.config import Kit
from edge.doctor import (
    CHECKS,
    Finding,
    Subject,
    board,
    broker,
    bundle,
    cameras,
    clock,
    exit_code_of,
    explained,
    findings,
    memory,
    ok,
    permissions,
    poor,
    receiver,
    runtime,
    serial_port,
    software,
    storage,
    telemetry,
)
from edge.errors import SilentError, UsageError
from edge.holders import Holder
from edge.profile_board import Board, Clock

S = 10**9


def subject(root: Path | None = None, **kit: object) -> Subject:
    return Subject(Kit(**kit), named=True, root=root or Path("/"))  # type: ignore[arg-type]  # keys of the kit


def told(found: Iterator[Finding] | list[Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.seen) for one in found]


# ------------------------------------------------------------------------------------------------ the frame


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_check.py").write_text("def look(subject):\n    raise KeyError('mode')\n    yield\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = list(findings(Subject(), {"broken": "broken_check", "telemetry": CHECKS["telemetry"]}))
    assert [(one.check, one.status) for one in found] == [("broken", "warn"), ("telemetry", "ok")]
    assert "KeyError" in found[0].seen


def test_what_is_wrong_in_the_kit_fails_with_2() -> None:
    kit = subject(sinks=("serial:/dev/ttyUSB0?baud=1&baud=2",))
    (twice,) = findings(kit, {"serial": CHECKS["serial"]})
    assert (twice.check, twice.status, twice.exit_code, twice.fix) == ("serial", "fail", 2, "give each once")
    assert [one.exit_code for one in cameras.look(subject(Path("/nowhere")))] == [0, 2]
    assert explained(UsageError("no semicolon")).seen == "no semicolon"


def test_the_first_failure_decides_the_exit_code_and_warnings_none() -> None:
    warn = poor("a", "b", needed=False, exit_code=3)
    assert exit_code_of([ok("x"), warn]) == 0
    assert exit_code_of([warn, poor("a", "b", needed=True), poor("a", "b", needed=True, exit_code=3)]) == 5


@pytest.mark.parametrize(("status", "fix"), [("ok", "something"), ("warn", ""), ("fail", "")])
def test_every_finding_but_ok_has_a_fix(status: str, fix: str) -> None:
    with pytest.raises(ValueError, match="has a fix"):
        Finding(status=status, seen="x", fix=fix)  # type: ignore[arg-type]  # the three of them


# ------------------------------------------------------------------------------------------------ this machine


def test_this_environment_is_whole_and_reports_nothing_home() -> None:
    assert [one.status for one in software.look(Subject())] == ["ok", "ok"]
    assert "numpy" in software.versions()
    assert [one.status for one in telemetry.look(Subject())] == ["ok"]
    assert [one.status for one in telemetry.look(Subject(environment={}))] == ["fail"]


def test_the_default_bundle_is_whole_and_another_that_was_changed_fails_with_4(tmp_path: Path) -> None:
    (fine,) = bundle.look(Subject())
    assert fine.status == "ok"
    for path in default_bundle_dir().iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "window.cpu-fp32.onnx").open("ab").write(b"x")
    (damaged,) = bundle.look(subject(bundle=str(tmp_path)))
    assert (damaged.status, damaged.exit_code) == ("fail", 4)
    assert list(runtime._chosen(subject(bundle=str(tmp_path)))) == []  # told once


def test_the_runtime_passes_its_self_test_and_says_why_it_was_chosen() -> None:
    chosen = next(runtime.look(Subject()))
    assert chosen.status == "ok"
    assert "passed its self-test; chosen: exact fp32" in chosen.seen


def test_tensorrt_is_needed_only_by_a_kit_that_chooses_it() -> None:
    if runtime.open_driver() is not None:
        pytest.skip("this machine has a GPU")
    assert [one.status for one in runtime._gpu(needed=False)] == ["ok"]
    assert [(one.status, one.exit_code) for one in runtime._gpu(needed=True)] == [("fail", 5)]


# ------------------------------------------------------------------------------------------------ devices


def test_permission_for_device_files() -> None:
    shut = permissions.Node(Path("/dev/ttyUSB0"), "dialout", usable=False)
    open_ = permissions.Node(Path("/dev/ttyUSB1"), "dialout", usable=True)
    refused = permissions.judged("dialout", "serial ports", [shut, open_], member=False)
    assert refused.status == "warn"
    assert "/dev/ttyUSB0 (group dialout)" in refused.seen
    assert "/dev/ttyUSB1" not in refused.seen
    assert refused.fix.startswith("sudo usermod -aG dialout ")
    assert permissions.judged("dialout", "serial ports", [open_], member=False).status == "ok"
    assert permissions.judged("video", "cameras", [], member=True).status == "ok"
    assert permissions.judged("video", "cameras", [], member=False).status == "warn"


def test_the_kits_camera_gives_a_frame_or_fails_with_3(tmp_path: Path) -> None:
    scene = "synthetic:?seconds=1&width=320&height=240"
    found = list(cameras.look(subject(tmp_path, rgb=scene, thermal=scene)))
    assert [one.status for one in found] == ["ok", "ok", "ok"]
    assert "320 x 240 frames" in found[1].seen
    (_, gone) = cameras.look(subject(tmp_path, rgb="video:/nowhere.mp4", thermal="none"))
    assert (gone.status, gone.exit_code) == ("fail", 3)
    assert gone.fix == "check the path"


def test_a_node_that_cannot_be_used_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video3").touch()  # a plain file answers no ioctl
    (found,) = cameras.look(Subject(root=tmp_path))
    assert (found.status, found.exit_code) == ("warn", 0)
    assert "it is no camera" in found.seen
    assert found.fix


def test_a_camera_that_is_silent_for_a_moment_is_asked_again() -> None:
    class Waking:
        turns = 0

        def read(self) -> str:
            self.turns += 1
            if self.turns < 3:
                raise SilentError("nothing came")
            return "frame"

    assert cameras._first_frame(Waking()) == "frame"  # type: ignore[arg-type, comparison-overlap]  # what it uses of both


def test_a_camera_that_never_gives_a_frame_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    class Mute:
        name = "mute"

        def open(self) -> None:
            let_go.wait()

        def read(self) -> None: ...
        def close(self) -> None: ...

    monkeypatch.setattr(cameras, "camera_from_uri", lambda uri, kind: Mute())
    monkeypatch.setattr(cameras, "PATIENCE_S", 0.01)
    found = cameras._tried("rgb", "video:rtsp://user:hunter22@camera/1", Path("/"))
    let_go.set()
    assert (found.status, found.exit_code) == ("fail", 3)
    assert "gave no frame within" in found.seen
    assert "hunter22" not in found.seen


def test_a_camera_that_breaks_in_its_thread_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name = "broken"

        def open(self) -> None:
            raise RuntimeError("driver bug")

        def close(self) -> None: ...

    monkeypatch.setattr(cameras, "camera_from_uri", lambda uri, kind: Broken())
    found = cameras._tried("rgb", "v4l2:/dev/video0", Path("/"))
    assert (found.status, found.exit_code) == ("fail", 5)
    assert "broke (RuntimeError: driver bug)" in found.seen


def test_who_holds_the_camera_is_named(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    held = cameras._held(poor("it is used by another program", "close it", needed=True, exit_code=3),
                         f"v4l2:{name}?fps=30", Path("/"))  # fmt: skip
    os.close(slave)
    os.close(master)
    assert f"(process {os.getpid()})" in held.seen
    assert held.exit_code == 3


def test_a_camera_that_a_run_of_ours_holds_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "holders_of", lambda path, root: ([Holder(7, "mmrphys")], 0))
    busy = poor("it is used by another program", "close it", needed=True, exit_code=3)
    assert cameras._held(busy, "v4l2:/dev/video0", Path("/")).status == "ok"


def test_a_serial_port_is_free_held_or_gone(tmp_path: Path) -> None:
    (gone,) = serial_port.look(subject(tmp_path, sinks=("serial:/dev/ttyUSB77",)))
    assert (gone.status, gone.exit_code) == ("fail", 5)
    assert "there is no port at all" in gone.seen
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    (held,) = serial_port.look(subject(sinks=(f"serial:{name}?baud=9600",)))
    os.close(slave)
    assert held.status == "fail"
    assert f"(process {os.getpid()})" in held.seen
    (free,) = serial_port.look(subject(sinks=(f"serial:{name}",)))
    os.close(master)
    assert (free.status, "is free" in free.seen) == ("ok", True)


def test_who_holds_a_port_decides_the_fix() -> None:
    modem = serial_port.judged("/dev/ttyUSB0", [Holder(7, "ModemManager")], 0)
    assert "systemctl disable" in modem.fix
    assert serial_port.judged("/dev/ttyUSB0", [Holder(7, "mmrphys")], 0).status == "ok"
    assert "3 processes of other users" in serial_port.judged("/dev/ttyUSB0", [], 3).seen


# ------------------------------------------------------------------------------------------------ the broker


def test_a_broker_that_lets_us_in(broker_: Mosquitto) -> None:
    (found,) = broker.look(subject(sinks=(f"mqtt://127.0.0.1:{broker_.port}/ward",)))
    assert (found.status, "lets this device in" in found.seen) == ("ok", True)


def test_a_broker_of_version_3_1_1_lets_us_in_too(broker_: Mosquitto) -> None:
    old = Door(knows_5=False)
    old.open(broker_.port)
    (found,) = broker.look(subject(sinks=(f"mqtt://127.0.0.1:{old.port}/ward",)))
    old.shut()
    assert (found.status, old.refused) == ("ok", 1)


@pytest.fixture
def broker_(broker: Mosquitto) -> Mosquitto:
    """The broker, under a name that is not the module's."""
    return broker


def test_asking_the_broker_publishes_nothing(broker_: Mosquitto) -> None:
    listener = Listener(broker_.port)
    list(broker.look(subject(sinks=(f"mqtt://127.0.0.1:{broker_.port}/ward",))))
    marker = Listener(broker_.port, "$SYS/broker/clients/connected")  # whatever was published is out by now
    until(marker.all, "the broker's own count")
    marker.stop()
    heard = listener.all()
    listener.stop()
    assert heard == []


def test_a_broker_that_wants_a_password_and_one_that_is_not_there(
    make_broker: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    shut = make_broker("allow_anonymous false").start()
    secret = tmp_path / "password"
    secret.write_text("hunter22\n")
    secret.chmod(0o600)
    address = f"mqtt://127.0.0.1:{shut.port}/ward?user=kit&password_file={secret}"
    away = f"mqtt://127.0.0.1:{free_port()}/ward"
    refused, gone = broker.look(subject(sinks=(address, away)))
    assert [(one.status, one.exit_code) for one in (refused, gone)] == [("fail", 5)] * 2
    assert "check user and password_file" in refused.fix
    assert "refused" in gone.seen
    assert "firewall" in gone.fix
    assert "hunter22" not in refused.seen + refused.fix


def test_a_password_file_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter22\n")
    secret.chmod(0o644)
    (found,) = broker.look(subject(sinks=(f"mqtt://127.0.0.1:1/ward?user=kit&password_file={secret}",)))
    assert (found.status, found.exit_code) == ("fail", 2)
    assert found.fix.startswith("run: chmod 600")


# ------------------------------------------------------------------------------------------------ HL7 receivers


@pytest.fixture
def serve() -> Iterator[Callable[..., MllpServer]]:
    made: list[MllpServer] = []

    def start(**options: Any) -> MllpServer:
        made.append(MllpServer(**options))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
        assert one.seen == [], "no message is sent, for it would be nobody's"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls"))
    for name in ("gateway", "kit-7"):
        made.issue(name)
    return made


def gateway(authority: Authority, *, wants_certificate: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "gateway.crt", authority.folder / "gateway.key")
    context.load_verify_locations(authority.folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE
    return context


def test_a_receiver_that_takes_the_connection_and_one_that_is_not_there(serve: Callable[..., MllpServer]) -> None:
    there = serve()
    sinks = (f"hl7://127.0.0.1:{there.port}", f"hl7://127.0.0.1:{free_port()}", "hl7://ward.example")
    fine, gone, refused = receiver.look(subject(sinks=sinks))
    assert told([fine]) == [("ok", f"{sinks[0]} takes the connection, plain; no message was sent")]
    assert (gone.status, gone.exit_code, "refused" in gone.seen) == ("fail", 5, True)
    assert "firewall" in gone.fix
    assert (refused.status, refused.exit_code) == ("fail", 2), "plain text beyond this machine was not accepted"
    assert told(receiver.look(subject())) == [("ok", "no HL7 receiver in the kit")]


def test_what_is_wrong_with_tls_is_told_with_its_fix(serve: Callable[..., MllpServer], authority: Authority) -> None:
    folder = authority.folder
    strict = serve(tls=gateway(authority, wants_certificate=True)).port
    own = f"ca={folder}/ca.crt&cert={folder}/kit-7.crt&key={folder}/kit-7.key"
    uris = (f"hl7s://127.0.0.1:{strict}?{own}", f"hl7s://127.0.0.1:{strict}?ca={folder}/ca.crt",
            f"hl7s://127.0.0.1:{strict}", f"hl7s://127.0.0.1:{strict}?ca={folder}/none.crt")  # fmt: skip
    fine, unknown, strange, unreadable = receiver.look(subject(sinks=uris))
    assert (fine.status, "TLS" in fine.seen) == ("ok", True)
    assert (unknown.status, unknown.fix.startswith("check cert= and key=")) == ("fail", True), unknown
    assert (strange.status, strange.fix.startswith("check ca=")) == ("fail", True), strange
    assert (unreadable.status, unreadable.exit_code, unreadable.fix) == ("fail", 2, "want unencrypted PEM")


def test_a_receiver_that_closes_at_once_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ears:

        def close() -> None:
            ears.accept()[0].close()

        thread = threading.Thread(target=close)
        thread.start()
        (found,) = receiver.look(subject(sinks=(f"hl7://127.0.0.1:{ears.getsockname()[1]}",)))
        thread.join()
    assert (found.status, "closed the connection" in found.seen) == ("fail", True)
    assert found.fix == "ask its owner to let this device in, and whether it wants TLS (hl7s://)"


def test_a_port_that_speaks_no_tls_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ears:

        def answer() -> None:
            with ears.accept()[0] as client:
                client.recv(4096)
                client.sendall(b"\x0bMSH|no TLS here\x1c\r")

        thread = threading.Thread(target=answer)
        thread.start()
        (found,) = receiver.look(subject(sinks=(f"hl7s://127.0.0.1:{ears.getsockname()[1]}",)))
        thread.join()
    assert found.fix.startswith("check that this port speaks TLS"), found


# ------------------------------------------------------------------------------------------------ disks, clock, board


def test_a_folder_that_is_not_there_or_full_fails_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = storage.judged("jsonl:x", tmp_path / "no", needed=True)
    assert (absent.status, absent.fix) == ("fail", f"mkdir -p {tmp_path / 'no'}")
    assert storage.judged("state", tmp_path / "no", needed=False).status == "ok"
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 50_000_000}))
    assert storage.judged("jsonl:x", tmp_path, needed=True).status == "fail"
    assert storage.judged("state", tmp_path, needed=False).status == "warn"


def test_clocks() -> None:
    now_ns = clock.BORN_NS + 10 * S
    assert clock.judged(now_ns, synced=True).status == "ok"
    assert "clock free" in clock.judged(now_ns, synced=False).seen
    assert "cannot be" in clock.judged(5 * S, synced=True).seen


ORIN = Board("NVIDIA Jetson Orin Nano", "36.4.3", "MAXN_SUPER", [Clock("gpu", 1020.0, 1020.0, 1020.0, "x")],
             {"cpu-thermal": 48.9}, {})  # fmt: skip


def test_a_jetson_in_a_small_mode_with_moving_clocks_is_told(tmp_path: Path) -> None:
    assert told(board.of_power(ORIN)) == [("ok", "NVIDIA Jetson Orin Nano, L4T 36.4.3, power mode MAXN_SUPER")]
    slow = Board(ORIN.model, "36.4.3", "15W", [Clock("cpu", 700.0, 700.0, 1700.0, "x")], {"tj": 91.0}, {})
    assert [one.status for one in board.of_power(slow)] == ["warn", "warn"]
    assert (board.of_heat(slow).status, board.of_heat(ORIN).status) == ("warn", "ok")
    files = {"hwmon/hwmon3/oc3_event_cnt": "37", "hwmon/hwmon3/oc1_event_cnt": "0",
             "thermal/cooling_device0/type": "cpufreq-cpu0", "thermal/cooling_device0/cur_state": "2",
             "thermal/cooling_device1/type": "pwm-fan", "thermal/cooling_device1/cur_state": "3"}  # fmt: skip
    for name, text in files.items():
        path = tmp_path / "sys/class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    seen = [one.seen for one in board.of_throttling(tmp_path)]
    assert len(seen) == 2
    assert seen[0].startswith("37 events of instantaneous over-current")
    assert "cpufreq-cpu0" in seen[1]
    assert list(board.of_throttling(tmp_path / "nothing")) == []


@pytest.mark.parametrize(("free_kb", "status"), [(3_000_000, "ok"), (200_000, "warn")])
def test_memory(tmp_path: Path, free_kb: int, status: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal:        8000000 kB\nMemAvailable:    {free_kb} kB\n")
    (found,) = memory.look(Subject(root=tmp_path))
    assert found.status == status
