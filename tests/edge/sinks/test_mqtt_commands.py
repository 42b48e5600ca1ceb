"""Commands through a broker: off unless asked for, two words, each told as an event, nothing else obeyed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from fakes.broker import PATIENCE_S, Listener, Mosquitto, until
from fakes.door import Door
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.broker import broker_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt import MqttSink
from edge.sinks.mqtt_commands import COMMANDS, MOST_BYTES, CommandDesk, Heard
from edge.sinks.records import EVENTS
from edge.uri import parse_uri

TOP = "vitals/1/ward/kit-7"
PLACE = f"{TOP}/command"
S = 10**9

Told = list[tuple[str, str, str]]


# ------------------------------------------------------------------------------------------------ the desk, without I/O


@pytest.fixture
def desk(told: Told) -> CommandDesk:
    return CommandDesk(TOP, lambda *event: told.append(event))


def test_identify_is_one_event_and_any_other_command_another(desk: CommandDesk, told: Told) -> None:
    for word in COMMANDS:
        verdict = desk.judge(Heard(PLACE, word.encode()), 0)
        assert verdict is not None
        assert (verdict.command, verdict.answer_to, verdict.correlation) == (word, f"{PLACE}/result", b"")
        assert json.loads(verdict.answer) == {"v": 1, "command": word, "done": True, "why": ""}
    assert told == [
        ("identify", "notice", "this is the kit that was asked for by MQTT (identify)"),
        ("command", "notice", "MQTT command republish: done"),
    ]
    assert {code for code, _, _ in told} <= set(EVENTS)


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (Heard(PLACE, b"identify", retained=True), "it is retained"),
        (Heard(PLACE, b"reboot"), "unknown command 'reboot'; known: identify, republish"),
        (Heard(PLACE, b"identify "), "unknown command; known"),
        (Heard(PLACE, b"\xff\xfe"), "unknown command; known"),
        (Heard(PLACE, b""), "unknown command; known"),
        (Heard(PLACE, b"x" * (MOST_BYTES + 1)), "at most 64 bytes"),
        (Heard(PLACE, b"identify", correlation=b"x" * 65), "at most 64 bytes"),
        (Heard(PLACE, b"identify", answer_to=f"{TOP}/main/numerics"), f"answers go to {PLACE}/result or below"),
        (Heard(PLACE, b"identify", answer_to=f"{PLACE}"), "answers go to"),
        (Heard(PLACE, b"identify", answer_to=f"{PLACE}/results"), "answers go to"),
        (Heard(PLACE, b"identify", answer_to=f"{PLACE}/result/#"), "answers go to"),
        (Heard(PLACE, b"identify", answer_to=f"{PLACE}/result/" + "x" * 200), "answers go to"),
    ],
)
def test_anything_else_is_refused_with_one_line(desk: CommandDesk, told: Told, heard: Heard, why: str) -> None:
    verdict = desk.judge(heard, 0)
    assert verdict is not None
    assert verdict.command == ""
    assert verdict.answer_to == f"{PLACE}/result"
    assert len(verdict.correlation) <= MOST_BYTES
    assert why in json.loads(verdict.answer)["why"]
    ((code, severity, text),) = told
    assert (code, severity, why in text, "\n" in text) == ("command", "warning", True, False)


@given(
    st.builds(
        Heard, st.just(PLACE), st.binary(max_size=200), st.booleans(), st.text(max_size=40), st.binary(max_size=99)
    )
)
def test_nothing_but_the_words_themselves_is_ever_done(heard: Heard) -> None:
    told: Told = []
    verdict = CommandDesk(TOP, lambda *event: told.append(event)).judge(heard, 0)
    assert verdict is not None
    assert verdict.answer_to.startswith(f"{PLACE}/result")
    assert len(verdict.answer) < 400
    assert len(told) == 1
    assert told[0][2].isprintable()
    assert not verdict.command or (verdict.command.encode() == heard.payload and not heard.retained)


def test_six_a_minute_are_read_and_the_rest_is_told_once(desk: CommandDesk, told: Told) -> None:
    assert [desk.judge(Heard(PLACE, b"identify"), at * S) is not None for at in range(20)] == [True] * 6 + [False] * 14
    assert [code for code, _, _ in told] == ["identify"] * 6 + ["command"]
    assert "faster than six a minute" in told[-1][2]
    assert desk.judge(Heard(PLACE, b"identify"), 60 * S) is not None
    assert told[-1][2].endswith("(14 before it came too fast and were not read)")
    assert desk.judge(Heard(PLACE, b"identify"), 60 * S) is None


# ------------------------------------------------------------------------------------------------ through a real broker


def at(server: Mosquitto | Door) -> str:
    return f"mqtt://127.0.0.1:{server.port}/ward?commands=1"


def client(program: str, broker: Mosquitto, *words: str) -> subprocess.CompletedProcess[str]:
    place = ("-h", "127.0.0.1", "-p", str(broker.port), "-q", "1")
    return subprocess.run([program, *place, *words], check=True, capture_output=True, text=True, timeout=PATIENCE_S)


def command(broker: Mosquitto, payload: str, *words: str) -> None:
    client("mosquitto_pub", broker, "-V", "5", "-t", PLACE, "-m", payload, *words)


def heard_by(broker: Mosquitto, sink: MqttSink, ears: Listener) -> None:
    """Wait until the sink hears commands: what is answered was subscribed to."""
    until(lambda: sink.connected, "the connection")
    until(lambda: ears.on("/status"), "the birth message, behind which the broker had the subscription")


def test_a_requester_gets_its_answer_where_it_wants_it_with_its_correlation_data(broker, listen, connect, told) -> None:
    ears = listen(broker.port)
    heard_by(broker, connect(at(broker)), ears)
    place = f"{PLACE}/result/desk-1"
    words = ("-V", "5", "-t", PLACE, "-e", place, "-m", "identify", "-D", "publish", "correlation-data", "n 17")
    done = client("mosquitto_rr", broker, *words, "-F", "%t\t%D\t%E\t%p", "-W", "10")
    topic, correlation, expiry, answer = done.stdout.rstrip("\n").split("\t")
    assert (topic, correlation, 50 <= int(expiry) <= 60) == (place, "n 17", True)
    assert json.loads(answer) == {"v": 1, "command": "identify", "done": True, "why": ""}
    assert [code for code, _, _ in told] == ["identify"]
    assert not [one for one in ears.all() if one.retain]


def test_republish_sends_again_what_the_broker_forgot(broker, listen, connect, factory) -> None:
    ears = listen(broker.port, "#")
    sink = connect(f"{at(broker)}&ha=1")
    sink.write(meta(factory), 0)
    until(lambda: ears.on("/config"), "discovery")
    once = sorted(one.topic for one in ears.all())
    command(broker, "republish")
    until(lambda: ears.on("/result"), "the answer")
    until(
        lambda: sorted(one.topic for one in ears.all()) == sorted([*once, *once, PLACE, f"{PLACE}/result"]), "all again"
    )
    assert once == ["homeassistant/device/kit-7/main/config", f"{TOP}/meta", f"{TOP}/status"]


def test_what_is_not_a_command_is_refused_and_the_link_goes_on(broker, listen, connect, told, factory) -> None:
    ears = listen(broker.port)
    sink = connect(at(broker))
    heard_by(broker, sink, ears)
    command(broker, "reboot")
    command(broker, "x" * 2000)
    command(broker, "identify", "-r")
    until(lambda: len(ears.on("/result")) == 3, "three answers")
    assert [json.loads(one.payload)["done"] for one in ears.on("/result")] == [False] * 3
    assert [code for code, _, _ in told] == ["command"] * 3
    command(broker, "x" * 60_000)  # the broker keeps it from us: it is told how much we take
    sink.write(factory.event("hr_state", "notice", "x", zone="main"), 0)
    until(lambda: ears.on("main/event"), "an event")
    assert len(ears.on("/status")) == 1, "the connection never ended"
    assert len(told) == 3


def test_a_retained_command_from_before_is_refused_under_either_version(broker, listen, connect, told) -> None:
    command(broker, "identify", "-r")
    old = Door(knows_5=False)
    old.open(broker.port)
    for server in (broker, old):
        ears = listen(broker.port)
        sink = connect(at(server))
        until(lambda ears=ears: ears.on("/result"), "the answer")
        assert "it is retained" in json.loads(ears.on("/result")[0].payload)["why"]
        sink.close()
    old.shut()
    assert [code for code, _, _ in told] == ["command", "command"]


def test_under_3_1_1_answers_go_to_the_fixed_topic(broker, listen, connect, told) -> None:
    old = Door(knows_5=False)
    ears = listen(broker.port)
    old.open(broker.port)
    heard_by(broker, connect(at(old)), ears)
    command(broker, "identify")
    until(lambda: ears.on("/command/result"), "the answer")
    assert json.loads(ears.on("/command/result")[0].payload)["done"]
    assert [code for code, _, _ in told] == ["identify"]
    old.shut()


class Spy(Door):
    """Writes down what clients send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.spoil_in = self._note

    def _note(self, data: bytes) -> bytes:
        self.sent += data
        return data


@pytest.mark.parametrize(("query", "subscribes"), [("", False), ("?commands=0", False), ("?commands=1", True)])
def test_without_commands_nothing_is_subscribed_to(broker, listen, query, subscribes) -> None:
    ears = listen(broker.port)
    spy = Spy()
    spy.open(broker.port)
    sink = sink_from_uri(f"mqtt://127.0.0.1:{spy.port}/ward{query}", SinkContext("kit-7"))
    sink.open()
    until(lambda: ears.on("/status"), "the birth message")
    assert (PLACE.encode() in spy.sent) == subscribes
    command(broker, "identify")
    if subscribes:
        until(lambda: ears.on("/result"), "the answer")
    sink.write(RecordFactory("kit-7").event("hr_state", "notice", "x", zone="main"), 0)
    assert sink.close() == 0
    until(lambda: len(ears.on("/status")) == 2, "the end")
    assert bool(ears.on("/result")) == subscribes
    spy.shut()


@pytest.mark.parametrize(
    ("uri", "on"),
    [
        ("mqtt://127.0.0.1/ward", False), ("mqtts://broker/ward", False), ("mqtts://broker/ward?commands=0", False),
        ("mqtts://broker/ward?commands=1", True), ("mqtt://127.0.0.1/ward?commands=1", True),
    ],
)  # fmt: skip
def test_commands_are_off_unless_asked_for(uri: str, *, on: bool) -> None:
    assert broker_from_uri(parse_uri(uri, "sink", ["mqtt", "mqtts"]), allow_plaintext=True).commands is on


def test_commands_are_not_taken_in_plain_text_from_the_network() -> None:
    uri = parse_uri("mqtt://10.0.0.5/ward?commands=1&plaintext=1", "sink", ["mqtt"])
    with pytest.raises(UsageError, match="use mqtts://"):
        broker_from_uri(uri, allow_plaintext=True)


def meta(factory: RecordFactory) -> Any:
    return factory.meta(
        software="0.1.0", bundle="sha256:ab", signature="none", graph="g", graph_why="only one", runtime="onnxrt",
        mode="exact", zones=["main"], cameras={"rgb": "synthetic:"},
    )  # fmt: skip
