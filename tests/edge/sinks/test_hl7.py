from __future__ import annotations

import contextlib
import os
import resource
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.broker import free_port, until
from fakes.failing import failing_once
from fakes.kit_records import Kit
from fakes.mllp_server import MllpServer
from hl7apy.parser import parse_message

from edge.errors import UsageError
from edge.sinks import SinkContext, hl7, sink_from_uri
from edge.sinks.hl7 import Hl7Sink, Receiver
from edge.sinks.hl7_message import Routing
from edge.sinks.outbox_store import Store, StoredMessage
from edge.sinks.records import encode

QUICK = {"answer_s": 0.3, "wait_s": (0.01, 0.02)}


@pytest.fixture
def server() -> Iterator[Callable[..., MllpServer]]:
    made: list[MllpServer] = []

    def start(*arguments, **options) -> MllpServer:
        made.append(MllpServer(*arguments, **options))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
        for text in set(one.seen):  # what is sent again is the same
            assert parse_message(text, find_groups=True).validate()


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Hl7Sink]]:
    made: list[Hl7Sink] = []

    def start(port: int, **options) -> Hl7Sink:
        receiver = Receiver("hl7", "127.0.0.1", port, Routing(), outbox=str(tmp_path / "outbox"))
        sink = Hl7Sink(receiver, "kit-7", clock=lambda: 5_000_000_000, **{**QUICK, **options})
        sink.open()
        made.append(sink)
        return sink

    yield start
    for one in made:
        one.close()


def ids(texts: list[str]) -> list[int]:
    """The seq of each message."""
    return [int(text.split("|")[9].rpartition("-")[2]) for text in texts]


def once(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def test_looks_arrive_in_order_and_are_forgotten_when_acknowledged(server, connect):
    receiver, kit = server(), Kit("a" * 16)
    sink = connect(receiver.port)
    sink.write(kit.health(), 0)
    for _ in range(20):
        sink.write(kit.look(), 0)
    sink.write(kit.wave(), 0)
    until(lambda: len(receiver.taken) == 20, "all looks")
    assert ids(receiver.taken) == list(range(1, 21))
    assert sink.connected
    assert sink.close() == 0
    assert receiver.clients == 1
    assert "no time of day" not in receiver.taken[0], "its health record said that it is live"
    connect(receiver.port).close()
    assert len(receiver.seen) == 20, "nothing is left to be sent again"


def test_through_every_fault_nothing_is_lost_and_order_is_kept(server, connect):
    """Each manner of refusing in turn, twice, every second one: 32 looks."""
    faults = ["AR", "hang", "cut", "AE", "cut in the middle", "wrong id", "garbage"]
    turns = iter(faults * 2)
    receiver = server(lambda number, _: "AA" if number % 2 else next(turns, "AA"))
    sink, kit = connect(receiver.port), Kit("a" * 16)
    for _ in range(32):
        sink.write(kit.look(), 0)
    until(lambda: len(once(ids(receiver.taken))) == 32, "all looks")
    assert once(ids(receiver.taken)) == list(range(32))
    assert next(turns, None) is None, "every fault came"
    until(lambda: sink.connected, "the sink to say so")
    assert (sink.close(), sink.dropped) == (0, 0)


def test_a_fault_on_the_thread_is_logged_and_loses_nothing(server, connect, monkeypatch, caplog):
    monkeypatch.setattr(hl7, "MllpLink", failing_once(hl7.MllpLink))
    receiver, kit = server(), Kit("a" * 16)
    sink = connect(receiver.port)
    sink.write(kit.look(), 0)
    until(lambda: receiver.taken, "the look")
    assert "connection failed unexpectedly" in caplog.text


def test_a_receiver_that_restarts_gets_the_rest(server, connect):
    receiver = server()
    sink, kit = connect(receiver.port), Kit("a" * 16)
    for start in range(0, 16, 4):
        for _ in range(4):
            sink.write(kit.look(), 0)
        until(lambda start=start: len(once(ids(receiver.taken))) == start + 4, "four more")
        receiver.stop()
        for _ in range(2):
            kit.look()
        until(lambda: not sink.connected, "the loss to be noticed")
        receiver.start()
    assert sink.close() == 0


def test_what_a_run_could_not_send_the_next_one_does(server, connect):
    port = free_port()
    kit = Kit("a" * 16)
    sink = connect(port)
    for _ in range(5):
        sink.write(kit.look(), 0)
    assert sink.close() == 0, "it waits on disk, so it is not lost"
    receiver = server(port=port)
    sink = connect(port)
    sink.write(kit.look(), 0)
    until(lambda: len(receiver.taken) == 6, "all looks")
    assert ids(receiver.taken) == list(range(6)), "what waited goes first"
    late = [text.split("|")[10] for text in receiver.taken]
    assert late == ["T^A"] * 5 + ["T"]


def test_one_message_that_is_never_taken_does_not_stop_the_others(server, connect, caplog):
    receiver = server(lambda _, text: "AE" if "-3|" in text.split("\r")[0] else "AA")
    sink, kit = connect(receiver.port), Kit("a" * 16)
    for _ in range(8):
        sink.write(kit.look(), 0)
    until(lambda: len(receiver.taken) == 7, "the seven others")
    assert ids(receiver.taken) == [0, 1, 2, 4, 5, 6, 7]
    until(lambda: sink.dropped == 1, "the refused one to be counted")
    assert "refused for its content and given up (because)" in caplog.text
    assert sink.close() == 1


def test_a_receiver_that_refuses_all_for_a_while_loses_none(server, connect):
    receiver = server(lambda number, _: "AE" if number < 40 else "AA")
    sink, kit = connect(receiver.port), Kit("a" * 16)
    for _ in range(6):
        sink.write(kit.look(), 0)
    until(lambda: len(receiver.taken) == 6, "all looks")
    assert sorted(ids(receiver.taken)) == list(range(6))
    assert sink.dropped == 0


def test_a_close_does_not_wait_for_a_receiver_that_hangs(server, connect, monkeypatch):
    monkeypatch.setattr("edge.sinks.outbox_sink._FLUSH_S", 0.1)
    receiver = server(lambda *_: "hang")
    sink = connect(receiver.port, answer_s=60.0)
    sink.write(Kit("a" * 16).look(), 0)
    until(lambda: receiver.seen, "the message")
    assert sink.close() == 0
    assert not sink.connected


def test_a_record_of_another_version_is_counted_and_does_not_stop_the_others(server, connect, tmp_path, caplog):
    port, kit = free_port(), Kit("a" * 16)
    sink = connect(port)
    sink.write(kit.look(), 0)
    assert sink.close() == 0
    (file,) = (tmp_path / "outbox").glob("*.outbox")
    store = Store(file)
    store.open()
    strange = encode(kit.look()).replace(b'"v":1', b'"v":9')
    store.add(StoredMessage(store.next_row, "live", strange, droppable=True))
    store.add(StoredMessage(store.next_row, "live", encode(kit.wave()), droppable=True))
    store.close()
    receiver = server(port=port)
    sink = connect(port)
    sink.write(kit.look(), 0)
    until(lambda: len(receiver.taken) == 2, "the others")
    until(lambda: sink.dropped == 2, "the strange ones to be counted")
    assert caplog.text.count("cannot be read and is given up") == 1
    assert sink.close() == 2
    assert connect(port).waiting == 0, "they are not met again"


def test_a_fault_of_ours_loses_no_record(server, connect, monkeypatch, caplog):
    whole, faults = hl7.text_from_numerics, iter([KeyError("fault"), KeyError("fault")])

    def faulty(*arguments, **options):
        if (fault := next(faults, None)) is not None:
            raise fault
        return whole(*arguments, **options)

    monkeypatch.setattr(hl7, "text_from_numerics", faulty)
    receiver = server()
    sink, kit = connect(receiver.port), Kit("a" * 16)
    for _ in range(4):
        sink.write(kit.look(), 0)
    until(lambda: len(receiver.taken) == 4, "all looks")
    assert ids(receiver.taken) == [0, 1, 2, 3]
    assert caplog.text.count("connection failed unexpectedly") == 2


def test_a_receiver_that_is_there_is_connected_before_the_first_record(server, connect):
    sink = connect(server().port)
    until(lambda: sink.connected, "the connection")
    assert sink.waiting == 0


def test_a_link_works_beyond_the_1024th_open_file(server, connect):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"this user may have {hard} open files, the test wants 2048")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    receiver = server()
    with contextlib.ExitStack() as opened:
        while opened.enter_context(open(os.devnull)).fileno() <= 1024:  # noqa: PTH123 - the stack closes it
            pass
        sink = connect(receiver.port)
        sink.write(Kit("a" * 16).look(), 0)
        until(lambda: receiver.taken, "the look")
        assert sink.close() == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(path), "-out", f"{path}.crt"], check=True, capture_output=True,
    )  # fmt: skip
    return path


def test_over_tls_both_sides_show_a_certificate(server, certificate, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificate}.crt", certificate)
    context.load_verify_locations(f"{certificate}.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    receiver = server(tls=context)
    files = f"ca={certificate}.crt&cert={certificate}.crt&key={certificate}&outbox={tmp_path}"
    sink = sink_from_uri(f"hl7s://localhost:{receiver.port}?{files}", SinkContext("kit-7"))
    sink.open()
    sink.write(Kit("a" * 16).look(), 0)
    until(lambda: receiver.taken, "a message over TLS")
    assert sink.close() == 0
    assert receiver.clients == 1, "the tickets of TLS 1.3 are no end of the connection"
    stranger = sink_from_uri(f"hl7s://localhost:{receiver.port}?outbox={tmp_path}/2", SinkContext("kit-7"))
    stranger.open()
    until(lambda: "CERTIFICATE_VERIFY_FAILED" in (stranger._complaint or ""), "the certificate to be refused")
    stranger.close()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("hl7://ward.example:2575", "allow_plaintext"),
        ("hl7:///x", "is no receiver's address"),
        ("hl7://me:secret@127.0.0.1:2575", "shows in process lists"),
        ("hl7://127.0.0.1:2575?ca=x", "write hl7s://"),
        ("hl7s://h:2575?key=x", "key needs cert"),
        ("hl7s://h:2575?processing=X", "processing"),
    ],
)
def test_wrong_addresses_are_refused_with_one_line(uri, said):
    with pytest.raises(UsageError, match=said) as error:
        sink_from_uri(uri, SinkContext("kit-7"))
    assert "secret" not in str(error.value)


def test_plaintext_is_allowed_where_it_was_accepted():
    for uri, context in (
        ("hl7://ward.example", SinkContext("kit-7", allow_plaintext=True)),
        ("hl7://ward.example?plaintext=1", SinkContext("kit-7")),
        ("hl7://[::1]:2575", SinkContext("kit-7")),
    ):
        assert sink_from_uri(uri, context).name.startswith("hl7://")
