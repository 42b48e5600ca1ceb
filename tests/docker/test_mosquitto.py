"""The broker's example configuration, as committed but for paths and ports: who comes in, and who may do what."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.broker import Listener, Mosquitto, accepts, free_port, until
from fakes.certificates import Authority

from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory

FILES = Path(__file__).resolve().parents[2] / "docker" / "mosquitto"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls"))
    for name in ("broker", "kit-7", "kit-8"):
        made.issue(name)
    return made


class Ward:
    """The broker, and how to come in."""

    def __init__(self, folder: Path, authority: Authority, make_broker: Callable[..., Mosquitto]) -> None:
        self.folder, self.authority = folder, authority
        self.readers_port = free_port()
        kits = make_broker()  # for its port
        text = (FILES / "mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("/mosquitto/config/", f"{folder}/").replace("/mosquitto/data/", f"{folder}/")
        for documented, port in ((8883, kits.port), (8884, self.readers_port)):
            text = text.replace(f"listener {documented}", f"listener {port} 127.0.0.1")
        kits.config = text
        for name in ("devices.acl", "readers.acl"):
            self._own(name, (FILES / name).read_bytes())
        for name in ("ca.crt", "broker.crt", "broker.key"):
            self._own(name, (authority.folder / name).read_bytes())
        self._own("passwords", b"")
        for name in ("station", "homeassistant", "operator"):
            words = ["mosquitto_passwd", "-b", str(folder / "passwords"), name, "s3cret"]
            subprocess.run(words, check=True, capture_output=True)
        self.broker = kits.start()
        until(lambda: accepts(self.readers_port), "the readers' door")

    def _own(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        (self.folder / name).chmod(0o600)

    def certificate(self, name: str) -> tuple[str, ...]:
        folder = self.authority.folder
        return ("--cafile", f"{folder}/ca.crt", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key")

    def password(self, name: str, word: str) -> tuple[str, ...]:
        return ("--cafile", f"{self.authority.folder}/ca.crt", "-u", name, "-P", word)

    def publish(self, port: int, topic: str, *way_in: str) -> subprocess.CompletedProcess[str]:
        return self._client("mosquitto_pub", port, "-t", topic, "-m", "x", *way_in)

    def request(
        self, port: int, topic: str, word: str, answer_to: str, *way_in: str
    ) -> subprocess.CompletedProcess[str]:
        return self._client("mosquitto_rr", port, "-t", topic, "-m", word, "-e", answer_to, "-W", "10", *way_in)

    def hear_one(self, port: int, *words: str) -> subprocess.CompletedProcess[str]:
        return self._client("mosquitto_sub", port, "-C", "1", "-F", "%t", *words)

    def _client(self, program: str, port: int, *words: str) -> subprocess.CompletedProcess[str]:
        place = ("-V", "5", "-h", "127.0.0.1", "-p", str(port), "-q", "1")
        return subprocess.run([program, *place, *words], check=False, capture_output=True, text=True, timeout=20)


@pytest.fixture
def ward(tmp_path: Path, authority: Authority, make_broker: Callable[..., Mosquitto]) -> Iterator[Ward]:
    return Ward(tmp_path, authority, make_broker)


@pytest.fixture
def station(ward: Ward, listen: Callable[..., Listener]) -> Listener:
    return listen(ward.readers_port, "vitals/1/#", ward.password("station", "s3cret"))


def test_a_kit_delivers_and_the_station_reads(ward, station, vitals_record):
    folder = ward.authority.folder
    files = f"ca={folder}/ca.crt&cert={folder}/kit-7.crt&key={folder}/kit-7.key"
    sink = sink_from_uri(f"mqtts://127.0.0.1:{ward.broker.port}/ward?{files}&ha=1", SinkContext("kit-7"))
    sink.open()
    sink.write(vitals_record, 0)
    assert sink.close() == sink.dropped == 0
    until(lambda: [one.payload for one in station.on("/status")][-1:] == ["offline"], "the end")
    assert station.seqs("vitals/1/ward/kit-7/event") == [0]


@pytest.mark.parametrize(
    "topic",
    ["vitals/1/ward/kit-8/main/numerics", "vitals/1/ward/kit-8/status", "homeassistant/device/kit-8/main/config",
     "homeassistant/status", "vitals/1/ward"],
)  # fmt: skip
def test_a_device_cannot_write_the_topic_of_another(ward, station, topic):
    answer = ward.publish(ward.broker.port, topic, *ward.certificate("kit-7"))
    assert "Not authorized" in answer.stderr + answer.stdout
    own = ward.publish(ward.broker.port, "vitals/1/ward/kit-7/main/numerics", *ward.certificate("kit-7"))
    assert (own.returncode, own.stderr) == (0, "")
    until(station.all, "its own")
    assert [one.topic for one in station.heard] == ["vitals/1/ward/kit-7/main/numerics"]


def test_a_device_cannot_read_vitals(ward, listen):
    ears = listen(ward.broker.port, "vitals/1/#", (*ward.certificate("kit-8"), "-t", "homeassistant/status"))
    ward.publish(ward.broker.port, "vitals/1/ward/kit-7/main/numerics", *ward.certificate("kit-7"))
    ward.publish(ward.readers_port, "homeassistant/status", *ward.password("homeassistant", "s3cret"))
    until(ears.all, "what it may hear")
    assert [one.topic for one in ears.heard] == ["homeassistant/status"]


def test_a_device_cannot_push_another_out_by_its_client_id(ward, station, vitals_record):
    folder = ward.authority.folder
    files = f"ca={folder}/ca.crt&cert={folder}/kit-7.crt&key={folder}/kit-7.key"
    sink = sink_from_uri(f"mqtts://127.0.0.1:{ward.broker.port}/ward?{files}", SinkContext("kit-7"))
    sink.open()
    until(lambda: station.on("/status"), "the connection")
    own = "vitals/1/ward/kit-8/main/numerics"
    ward.publish(ward.broker.port, own, "-i", "mmrphys-kit-7", *ward.certificate("kit-8"))
    until(lambda: station.on("kit-8/main/numerics"), "the other's message")
    assert [one.payload for one in station.on("/status")] == ["online"]
    sink.close()


@pytest.mark.parametrize(("name", "word"), [(None, None), ("station", "wrong"), ("nobody", "s3cret")])
def test_a_reader_without_its_password_gets_nothing(ward, name, word):
    way_in = ("--cafile", f"{ward.authority.folder}/ca.crt") if name is None else ward.password(name, word)
    for answer in (
        ward.publish(ward.readers_port, "vitals/1/ward/kit-7/status", *way_in),
        ward.hear_one(ward.readers_port, "-t", "#", *way_in),
    ):
        assert answer.returncode != 0
        assert "ot authori" in answer.stderr + answer.stdout


def test_an_anonymous_client_gets_nothing_from_the_kits_door(ward):
    ca = ("--cafile", f"{ward.authority.folder}/ca.crt")
    for way_in in (ca, ()):
        assert ward.publish(ward.broker.port, "vitals/1/ward/kit-7/status", *way_in).returncode != 0
        answer = ward.hear_one(ward.broker.port, "-t", "#", "-W", "1", *way_in)
        assert (answer.stdout, answer.returncode != 0) == ("", True)


def test_a_certificate_of_another_authority_is_refused(ward, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    stranger.issue("kit-7")
    way_in = (
        "--cafile", f"{ward.authority.folder}/ca.crt", "--cert", f"{stranger.folder}/kit-7.crt",
        "--key", f"{stranger.folder}/kit-7.key",
    )  # fmt: skip
    assert ward.publish(ward.broker.port, "vitals/1/ward/kit-7/status", *way_in).returncode != 0


def test_the_station_cannot_write(ward):
    answer = ward.publish(ward.readers_port, "vitals/1/ward/kit-7/status", *ward.password("station", "s3cret"))
    assert "Not authorized" in answer.stderr + answer.stdout


COMMAND = "vitals/1/ward/kit-7/command"


@pytest.fixture
def obeying(ward: Ward) -> Iterator[list[str]]:
    """A kit that takes commands; gives the codes of their events."""
    told: list[str] = []
    folder = ward.authority.folder
    files = f"ca={folder}/ca.crt&cert={folder}/kit-7.crt&key={folder}/kit-7.key"
    context = SinkContext("kit-7", tell=lambda code, *_: told.append(code))
    sink = sink_from_uri(f"mqtts://127.0.0.1:{ward.broker.port}/ward?{files}&commands=1", context)
    sink.open()
    until(lambda: sink.connected, "the connection")
    yield told
    sink.close()


def test_an_operator_commands_a_kit_and_reads_its_answer(ward, station, obeying):
    until(lambda: station.on("/status"), "the subscription, which is before it")
    place = f"{COMMAND}/result/desk-1"
    way_in = ward.password("operator", "s3cret")
    done = ward.request(ward.readers_port, COMMAND, "identify", place, *way_in)
    assert '"done":true' in done.stdout, done.stderr
    assert obeying == ["identify"]
    until(lambda: station.on("/desk-1"), "the same answer at the station")
    assert [one.topic for one in station.on("/desk-1")] == [place]
    other = ward.publish(ward.readers_port, "vitals/1/ward/kit-7/main/numerics", *way_in)
    assert "Not authorized" in other.stderr + other.stdout
    assert ward.hear_one(ward.readers_port, "-t", "vitals/1/ward/+/status", "-W", "1", *way_in).stdout == ""


def test_nobody_but_an_operator_commands_a_kit(ward, station, obeying):
    until(lambda: station.on("/status"), "the subscription, which is before it")
    station_, home = (ward.password(name, "s3cret") for name in ("station", "homeassistant"))
    tries = [(ward.broker.port, ward.certificate("kit-8")), (ward.readers_port, station_), (ward.readers_port, home)]
    for port, way_in in tries:
        answer = ward.publish(port, COMMAND, *way_in)
        assert "Not authorized" in answer.stderr + answer.stdout
    ward.publish(ward.readers_port, COMMAND, *ward.password("operator", "s3cret"))  # "x", which is refused by the kit
    until(lambda: station.on("/command/result"), "its answer, behind which the others would be")
    assert obeying == ["command"]


def test_a_kit_cannot_command_itself_nor_hear_the_commands_of_another(ward, listen):
    ears = listen(ward.broker.port, "vitals/1/#", (*ward.certificate("kit-8"), "-t", "homeassistant/status"))
    operator = ward.password("operator", "s3cret")
    own = ward.publish(ward.broker.port, COMMAND, *ward.certificate("kit-7"))
    assert "Not authorized" in own.stderr + own.stdout
    ward.publish(ward.readers_port, COMMAND, *operator)
    ward.publish(ward.readers_port, COMMAND.replace("kit-7", "kit-8"), *operator)
    until(ears.all, "its own")
    assert [one.topic for one in ears.heard] == [COMMAND.replace("kit-7", "kit-8")]


@pytest.fixture
def vitals_record():
    return RecordFactory("kit-7").event("rr_state", "notice", "RR ok -> lost")
