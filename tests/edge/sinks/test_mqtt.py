from __future__ import annotations

import dataclasses
import json
import logging
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.broker import Mosquitto, until
from fakes.certificates import Authority
from fakes.door import Door
from fakes.failing import failing_once
from jsonschema import Draft202012Validator

from edge.errors import UsageError
from edge.sinks import SinkContext, mqtt, outbox_sink, sink_from_uri
from edge.sinks.broker import broker_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt_topics import message_from_record
from edge.sinks.records import json_schema
from edge.uri import parse_uri

TOP = "vitals/1/ward/kit-7"


def at(server: Mosquitto | Door) -> str:
    return f"mqtt://127.0.0.1:{server.port}/ward"


def meta(factory: RecordFactory, zones: tuple[str, ...] = ("main",)):
    return factory.meta(
        software="0.1.0", bundle="sha256:ab", signature="none", graph="g", graph_why="only one", runtime="onnxrt",
        mode="exact", zones=zones, cameras={"rgb": "synthetic:"},
    )  # fmt: skip


def test_a_real_subscriber_sees_every_live_topic(broker, listen, connect, factory, vitals):
    ears = listen(broker.port)
    sink = connect(at(broker))
    sink.write(factory.status("online", "started"), 0)
    sink.write(meta(factory), 0)
    sink.write(factory.numerics(vitals), 0)
    for name, source in (("pleth", "rgb"), ("resp", "thermal")):
        sink.write(factory.wave(name, [0.5, float("nan")], fs=30.0, t0_ns=0, zone="main", person=0, source=source), 0)
    sink.write(factory.event("rr_state", "notice", "RR ok -> lost", zone="main", person=0), 0)
    sink.write(factory.event("input_broken", "warning", "cut short"), 0)
    counts = {name: {"rgb": 0} for name in ("frames", "dropped", "late", "duplicate", "reordered")}
    sink.write(factory.health(0, **counts, detections=1, windows=1, sink_dropped={}), 0)
    assert sink.close() == 0
    until(lambda: [one.payload for one in ears.on("/status")] == ["online", "offline"], "offline")

    seen = {(one.topic.removeprefix(f"{TOP}/"), one.qos, one.expiry_s) for one in ears.heard}
    assert seen == {
        ("status", 1, None), ("meta", 1, None), ("health", 1, 19), ("main/numerics", 1, 9), ("main/wave/pleth", 0, 4),
        ("main/wave/resp", 0, 4), ("main/event", 1, None), ("event", 1, None),
    }  # fmt: skip
    validator = Draft202012Validator(json_schema())
    for one in ears.heard:
        if not one.topic.endswith("/status"):
            validator.validate(json.loads(one.payload))
    assert sink.dropped == 0


def test_only_status_and_meta_are_retained(broker, listen, connect, factory, vitals):
    sink = connect(at(broker))
    sink.write(meta(factory), 0)
    sink.write(factory.numerics(vitals), 0)
    sink.write(factory.wave("pleth", [0.5], fs=30.0, t0_ns=0, zone="main", person=0, source="rgb"), 0)
    sink.write(factory.event("hr_state", "notice", "x", zone="main"), 0)
    assert sink.close() == 0
    latecomer = listen(broker.port)
    until(lambda: len(latecomer.all()) == 2, "the retained messages")
    assert {(one.topic, one.retain) for one in latecomer.heard} == {(f"{TOP}/status", True), (f"{TOP}/meta", True)}


def test_the_last_will_speaks_for_a_killed_process(broker, listen):
    ears = listen(broker.port)
    program = (
        "import sys, time; from edge.sinks import SinkContext, sink_from_uri;"
        "sink_from_uri(sys.argv[1], SinkContext('kit-7')).open(); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, at(broker)])
    try:
        until(lambda: [one.payload for one in ears.on("/status")] == ["online"], "the birth message")
    finally:
        child.kill()
        child.wait()
    until(lambda: [one.payload for one in ears.on("/status")] == ["online", "offline"], "the last will")
    latecomer = listen(broker.port)
    until(
        lambda: [(one.payload, one.retain) for one in latecomer.on("/status")] == [("offline", True)], "its retention"
    )


def test_it_starts_without_a_broker_and_delivers_when_one_comes(broker, door, listen, connect, factory, vitals, caplog):
    caplog.set_level(logging.INFO, "edge.sinks")
    ears = listen(broker.port)
    sink = connect(at(door))
    old = RecordFactory("kit-7", factory.boot, mono_clock=lambda: time.monotonic_ns() - 11 * 10**9)
    sink.write(old.numerics(vitals), 0)
    sink.write(old.wave("pleth", [0.5], fs=30.0, t0_ns=0, zone="main", person=0, source="rgb"), 0)
    until(lambda: "refused" in caplog.text, "the warning")
    door.open(broker.port)
    until(lambda: ears.on("/status"), "the connection")
    sink.write(factory.numerics(vitals), 0)
    assert sink.close() == 0
    until(lambda: len(ears.on("/status")) == 2, "offline")
    # What is too old to be live goes to the backlog topic; an old wave is of no use to anybody.
    assert ears.seqs("main/history") == [0]
    assert len(ears.seqs("main/numerics")) == 1
    assert not ears.on("wave/pleth")
    assert sink.dropped == 1
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_nothing_accepted_is_lost_when_the_broker_hangs_and_restarts(broker, door, listen, connect, factory, vitals):
    ears = listen(broker.port)
    door.open(broker.port)
    sink = connect(at(door))
    sent = [factory.numerics(vitals) for _ in range(30)]
    for record in sent[:10]:
        sink.write(record, 0)
    until(lambda: len(ears.on("numerics")) == 10, "the first ten")
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    for record in sent[10:]:
        sink.write(record, 0)
    time.sleep(0.1)  # so that some are on their way, unconfirmed, when it dies
    door.shut()
    broker.kill()
    broker.start()
    again = listen(broker.port)
    door.open(broker.port)
    until(lambda: set(again.seqs("numerics")) >= {record.seq for record in sent[10:]}, "the rest")
    assert sink.close() == 0
    assert sink.dropped == 0


def test_a_stalled_connection_is_broken_off_and_delivers_nothing_later(
    broker, door, listen, connect, factory, vitals, caplog, monkeypatch
):
    monkeypatch.setattr(mqtt, "_STALL_S", 0.3)
    ears = listen(broker.port)
    door.open(broker.port)
    sink = connect(at(door))
    until(lambda: ears.on("/status"), "the connection")
    door.hang()
    sink.write(factory.numerics(vitals), 0)
    until(lambda: "no confirmation" in caplog.text, "the end of patience")
    door.go_on()
    until(lambda: ears.on("numerics"), "the record, on the next connection")
    assert sink.close() == 0
    until(lambda: ears.on("/status")[-1].payload == "offline", "the end")
    assert ears.seqs("numerics") + ears.seqs("history") == [0]


def test_offline_comes_after_the_backlog(broker, door, listen, connect, factory, vitals):
    ears = listen(broker.port)
    sink = connect(at(door))
    assert not sink.connected
    sink.write(factory.status("online", "started"), 0)
    for _ in range(60):
        sink.write(factory.numerics(vitals), 0)
    sink.write(factory.status("offline", "ended"), 0)
    door.open(broker.port)
    until(lambda: sink.connected, "the connection")
    assert sink.close() == 0
    until(lambda: any(one.payload == "offline" for one in ears.all()), "offline")
    said = [one.payload if one.topic.endswith("/status") else "numerics" for one in ears.all()]
    assert said == ["online", *["numerics"] * 60, "offline"]


def test_a_fault_on_the_thread_is_logged_and_does_not_end_the_sink(
    broker, listen, connect, factory, vitals, monkeypatch, caplog
):
    monkeypatch.setattr(mqtt, "Link", failing_once(mqtt.Link))
    ears = listen(broker.port)
    sink = connect(at(broker))
    sink.write(factory.numerics(vitals), 0)
    until(lambda: ears.on("main/numerics"), "the record")
    assert "connection failed unexpectedly" in caplog.text


def test_a_broker_that_goes_away_is_not_connected(broker, connect):
    sink = connect(at(broker))
    until(lambda: sink.connected, "the connection")
    broker.kill()
    until(lambda: not sink.connected, "the loss")


def test_a_broker_that_never_comes_is_not_waited_for_and_the_next_run_delivers(
    broker, door, listen, connect, factory, vitals, caplog
):
    first = connect(at(door))
    sent = [factory.numerics(vitals), factory.event("rr_state", "notice", "RR ok -> lost", zone="main")]
    for record in sent:
        first.write(record, 0)
    assert first.waiting == 2
    assert first.close() == first.dropped == 0
    assert "2 records wait for the next run" in caplog.text
    ears = listen(broker.port)
    door.open(broker.port)
    again = connect(at(door))
    until(lambda: len(ears.on("history") + ears.on("event")) == 2, "both records")
    assert again.close() == 0
    # However young they are: the clock that says so is not that of the process that made them.
    assert (ears.seqs("main/history"), ears.seqs("main/event"), ears.on("numerics")) == ([0], [1], [])


def test_an_outbox_in_memory_counts_what_goes_with_the_process(door, connect, factory, vitals, state_home):
    sink = connect(f"{at(door)}?outbox=memory")
    for _ in range(3):
        sink.write(factory.numerics(vitals), 0)
    assert sink.close() == sink.dropped == 3
    assert not list(state_home.iterdir())


def test_two_sinks_cannot_share_an_outbox(door, connect):
    connect(at(door))
    with pytest.raises(UsageError, match="used by another process"):
        connect(at(door))


def test_a_broker_of_version_3_1_1_is_served_and_that_is_said_once(broker, listen, connect, factory, vitals, caplog):
    old = Door(knows_5=False)
    ears = listen(broker.port)
    old.open(broker.port)
    sink = connect(at(old))
    sink.write(meta(factory), 0)
    sink.write(factory.numerics(vitals), 0)
    until(lambda: ears.seqs("numerics") == [1], "the record")
    old.throw_out()
    sink.write(factory.numerics(vitals), 0)
    until(lambda: sorted({*ears.seqs("numerics"), *ears.seqs("history")}) == [1, 2], "the next one, after a cut")
    assert sink.close() == 0
    old.shut()
    assert old.refused == 1
    (said,) = [message for message in caplog.messages if "3.1.1" in message]
    assert said.startswith(f"{at(old)}: the broker does not know MQTT 5; going on with 3.1.1")
    until(lambda: [one.payload for one in ears.on("/status")][-1:] == ["offline"], "offline")


def test_user_and_password_come_from_a_file(make_broker, listen, connect, tmp_path, caplog, factory, vitals):
    users = tmp_path / "users"
    users.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(users), "kit", "s3cret"], check=True, capture_output=True)
    broker = make_broker(f"allow_anonymous false\npassword_file {users}").start()
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    sink = connect(f"{at(broker)}?user=kit&password_file={secret}")
    sink.write(factory.numerics(vitals), 0)
    until(lambda: "ot authorized" in caplog.text, "the refusal")
    assert "wrong" not in caplog.text
    secret.write_text("s3cret\nonly the first line counts\n")
    ears = listen(broker.port, "vitals/#", ("-u", "kit", "-P", "s3cret"))
    until(lambda: ears.on("numerics") or ears.on("history"), "the record, once the password is right")
    assert "s3cret" not in sink.name + repr(sink._broker) + caplog.text


def test_a_record_the_broker_has_no_room_for_now_is_sent_again(broker, door, listen, connect, factory, vitals, caplog):
    ears = listen(broker.port)
    door.open(broker.port)
    sink = connect(at(door))
    until(lambda: sink.connected, "the connection")

    def quota_exceeded(data: bytes) -> bytes:
        return b"\x40\x03" + data[2:4] + b"\x97" if data[:2] == b"\x40\x02" else data

    door.spoil = quota_exceeded
    sink.write(factory.event("hr_state", "notice", "x", zone="main"), 0)
    until(lambda: "Quota exceeded" in caplog.text, "the refusal")
    assert len(sink._outbox) == 1
    door.spoil = None
    until(lambda: len(ears.on("main/event")) == 2, "the same again")  # the real broker had taken it at once
    assert sink.close() == sink.dropped == 0
    assert len(sink._outbox) == 0


def test_a_record_the_broker_refuses_is_counted(make_broker, connect, tmp_path, factory, vitals, caplog):
    rights = tmp_path / "acl"
    rights.write_text(f"topic write {TOP}/status\n")
    rights.chmod(0o600)
    broker = make_broker(f"allow_anonymous true\nacl_file {rights}").start()
    sink = connect(at(broker))
    sink.write(factory.numerics(vitals), 0)
    until(lambda: sink.dropped == 1, "the refusal")
    assert "access list" in caplog.text


def packets(data: bytes) -> Iterator[int]:
    """The first byte of each MQTT packet (MQTT 5, 2.1); ``data`` begins and ends between packets."""
    while data:
        length, at, shift = 0, 1, 0
        while True:
            length |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not data[at - 1] & 0x80:
                break
        yield data[0]
        data = data[at + length :]


def test_no_more_is_under_way_than_the_broker_takes_at_once_announcements_too(broker, door, listen, connect, factory):
    """A broker ends the connection else (MQTT 5, 3.3.4), and again after every reconnect."""
    ears = listen(broker.port, "#")
    under_way = most = 0
    told: list[int] = []

    def out(data: bytes) -> bytes:
        nonlocal under_way, most
        for first in packets(data):
            under_way += first & 0xF6 == 0x32  # PUBLISH with QoS 1
            most = max(most, under_way)
        return data

    def back(data: bytes) -> bytes:
        nonlocal under_way
        under_way -= sum(first == 0x40 for first in packets(data))
        if data[0] == 0x20 and b"\x21\x00\x14" in data:  # CONNACK: receive maximum 20
            told.append(3)
            return data.replace(b"\x21\x00\x14", b"\x21\x00\x03")
        return data

    door.spoil_in, door.spoil = out, back
    sink = connect(f"{at(door)}?ha=1")
    sink.write(meta(factory, tuple(f"bed-{number}" for number in range(12))), 0)
    door.open(broker.port)
    until(lambda: len(ears.on("/config")) == 12, "all of discovery")
    assert sink.close() == 0
    assert 1 <= most <= 3
    assert told == [3]


def test_a_subscription_that_is_refused_stops_no_record(broker, door, listen, connect, factory, vitals, caplog):
    ears = listen(broker.port)
    door.spoil = lambda data: data[:-1] + b"\x87" if data[0] == 0x90 else data  # SUBACK: not authorized
    door.open(broker.port)
    sink = connect(f"{at(door)}?ha=1")
    until(lambda: "homeassistant/status cannot be subscribed to" in caplog.text, "the refusal")
    sink.write(factory.numerics(vitals), 0)
    until(lambda: ears.on("main/numerics"), "the record")
    assert sink.close() == 0
    until(lambda: len(ears.on("/status")) == 2, "the end")
    assert [one.payload for one in ears.on("/status")] == ["online", "offline"], "the connection never ended"


def test_offline_is_said_though_there_was_no_room_for_it(broker, door, listen, connect, factory, monkeypatch):
    """A broker that confirms nothing any more while the sink closes: its last will has to speak."""
    monkeypatch.setattr(outbox_sink, "_FLUSH_S", 0.2)
    monkeypatch.setattr(mqtt, "_FAREWELL_S", 0.2)
    ears = listen(broker.port)
    door.open(broker.port)
    sink = connect(at(door))
    until(lambda: sink.connected and ears.on("/status"), "the connection")
    door.spoil = lambda data: b"" if data[0] == 0x40 else data
    for _ in range(40):
        sink.write(factory.event("hr_state", "notice", "x", zone="main"), 0)
    until(lambda: ears.on("main/event"), "the first of them")
    sink.close()
    until(lambda: [one.payload for one in ears.on("/status")] == ["online", "offline"], "the last will")


def test_a_fault_of_ours_loses_no_record_and_leaves_no_connection(
    broker, listen, connect, factory, vitals, monkeypatch
):
    ears = listen(broker.port)
    sink = connect(at(broker))
    until(lambda: ears.on("/status"), "the connection")
    whole, faults, left = sink._listen, iter([KeyError("fault")]), list[Any]()

    def faulty(link: Any) -> None:
        if len(sink._outbox):
            for fault in faults:
                left.append(link)
                raise fault
        whole(link)

    monkeypatch.setattr(sink, "_listen", faulty)
    sink.write(factory.numerics(vitals), 0)
    until(lambda: ears.seqs("main/numerics") == [0], "the record, over the next connection")
    assert [one.payload for one in ears.on("/status")] == ["online", "offline", "online"]
    assert left[0]._client.socket().fileno() == -1


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ca.crt``, a broker's and a client's certificate signed by it, and ``other/ca.crt`` that signed neither."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    for name in ("broker", "client"):
        authority.issue(name)
    Authority(authority.folder / "other")
    return authority.folder


def test_tls_with_a_client_certificate(make_broker, listen, connect, certificates, factory, vitals):
    options = "\n".join(
        (f"cafile {certificates}/ca.crt", f"certfile {certificates}/broker.crt", f"keyfile {certificates}/broker.key",
         "require_certificate true", "allow_anonymous true")
    )  # fmt: skip
    broker = make_broker(options).start()
    uri = f"mqtts://127.0.0.1:{broker.port}/ward?cert={certificates}/client.crt&key={certificates}/client.key"
    tls = (
        "--cafile",
        f"{certificates}/ca.crt",
        "--cert",
        f"{certificates}/client.crt",
        "--key",
        f"{certificates}/client.key",
    )
    ears = listen(broker.port, "vitals/#", tls)

    stranger = connect(f"{uri}&ca={certificates}/other/ca.crt")
    stranger.write(factory.numerics(vitals), 0)
    assert stranger.close() == 0
    assert not ears.all()

    friend = connect(f"{uri}&ca={certificates}/ca.crt")
    friend.write(factory.numerics(vitals), 0)
    assert friend.close() == 0
    until(lambda: ears.on("/status")[-1:] and ears.on("/status")[-1].payload == "offline", "offline")
    assert (ears.seqs("history"), ears.seqs("numerics")) == ([0], [1])


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mqtt://10.0.0.5:1883/ward", "`allow_plaintext = true`"),
        ("mqtt://broker.example/ward", "?plaintext=1"),
        ("mqtt://10.0.0.5/ward?plaintext=0", "unencrypted"),
        ("mqtt://kit:secret@127.0.0.1/ward", "user or password in the URI"),
        ("mqtt://127.0.0.1", "site ''"),
        ("mqtt://127.0.0.1/a/b", "site 'a/b'"),
        ("mqtt://127.0.0.1/+", "site '+'"),
        ("mqtt:ward", "no broker's address"),
        ("mqtt://127.0.0.1:99999/ward", "no broker's address"),
        ("mqtt://kit:secret@127.0.0.1:99999/ward", "no broker's address"),
        ("mqtt://127.0.0.1/ward?pasword_file=x", "did you mean 'password_file'"),
        ("mqtt://127.0.0.1/ward?password_file=x", "needs user"),
        ("mqtts://127.0.0.1/ward?key=x", "key needs cert"),
        ("mqtt://127.0.0.1/ward?ca=x", "mqtts://"),
    ],
)
def test_an_address_that_cannot_work_is_refused(uri, words):
    with pytest.raises(UsageError) as refused:
        sink_from_uri(uri, SinkContext("kit-7"))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "allow"),
    [
        ("mqtt://10.0.0.5/ward?plaintext=1", False), ("mqtt://10.0.0.5/ward", True), ("mqtt://localhost/ward", False),
        ("mqtt://[::1]:1884/ward", False), ("mqtts://10.0.0.5/ward", False),
    ],
)  # fmt: skip
def test_an_address_that_can_work_is_taken(uri, allow):
    assert sink_from_uri(uri, SinkContext("kit-7", allow_plaintext=allow)).name.startswith(uri.split("/ward")[0])


def test_tls_is_never_older_than_1_2_and_checks_the_broker(certificates):
    uri = parse_uri(f"mqtts://127.0.0.1/ward?ca={certificates}/ca.crt", "sink", ["mqtts"])
    context = broker_from_uri(uri, allow_plaintext=False).tls()
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_secrets_and_certificates_are_checked_before_anything_is_sent(tmp_path):
    secret = tmp_path / "password"

    def opening(query: str) -> str:
        with pytest.raises(UsageError) as refused:
            sink_from_uri(f"mqtts://10.0.0.5/ward?{query}", SinkContext("kit-7")).open()
        return str(refused.value)

    assert "cannot be read" in opening(f"user=kit&password_file={secret}")
    secret.write_text("\n")
    secret.chmod(0o600)
    assert "is empty" in opening(f"user=kit&password_file={secret}")
    secret.write_text("open\n")
    secret.chmod(0o644)
    assert "chmod 600" in opening(f"user=kit&password_file={secret}")
    assert "cannot be used" in opening(f"ca={tmp_path / 'none.pem'}")


def test_a_device_or_zone_that_would_break_the_topic_is_refused(factory, vitals):
    with pytest.raises(UsageError, match="device id 'a/b'"):
        sink_from_uri("mqtt://127.0.0.1/ward", SinkContext("a/b"))
    with pytest.raises(UsageError, match="zone 'bed#2'"):
        message_from_record(factory.numerics(dataclasses.replace(vitals, zone="bed#2")), TOP)
