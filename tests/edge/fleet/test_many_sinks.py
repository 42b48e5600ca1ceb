"""What many kits ask of the MQTT sink: an outbox of their own, one thread for all, and more than 1,024 open files."""

from __future__ import annotations

import contextlib
import os
import resource
import threading

import pytest
from fakes.broker import Listener, free_port, until

from edge.sinks.broker import Broker
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt import MqttSink
from edge.sinks.mqtt_link import Link
from edge.sinks.outbox import Outbox
from edge.sinks.outbox_store import Store
from edge.vitals import Estimate, Vitals


@pytest.fixture
def factory() -> RecordFactory:
    return RecordFactory("kit-7")


@pytest.fixture
def vitals() -> Vitals:
    ok = Estimate(71.8, 0.8, "ok", (), 10.0, 0, 0.9)
    return Vitals(ok, ok, 0, "bed", 0, "exact", "sha256:ab", {"rgb": 30.0}, {"rgb": 0})


def test_the_outbox_that_is_given_is_the_one_used_though_it_is_empty(factory, vitals, tmp_path):
    outbox = Outbox(Store(tmp_path / "mine.outbox"))
    sink = MqttSink(Broker("mqtt", "127.0.0.1", free_port(), "ward", outbox="memory"), "kit-7", outbox=outbox)
    sink.open()
    sink.write(factory.numerics(vitals), 0)
    assert (len(outbox), sink.waiting) == (1, 1)
    sink.close()
    assert (tmp_path / "mine.outbox").stat().st_size > 0


def test_a_sink_that_is_driven_has_no_thread_and_ending_its_life_is_a_crash(mosquitto, factory, vitals):
    lives = []
    ear = Listener(mosquitto.port)
    sink = MqttSink(Broker("mqtt", "127.0.0.1", mosquitto.port, "ward", outbox="memory"), "kit-7", drive=lives.append)
    before = threading.active_count()
    sink.open()
    assert threading.active_count() == before
    record = factory.numerics(vitals)
    sink.write(record, 0)
    until(lambda: next(lives[0]) is not None and ear.on("/numerics"), "its numerics")
    assert ear.seqs("/numerics") == [record.seq]
    assert sink.waiting == 0
    lives[0].close()
    until(lambda: [one.payload for one in ear.on("/status")] == ["online", "offline"], "its last will")
    sink.close()
    ear.stop()


def test_a_link_works_beyond_the_1024th_open_file(mosquitto):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"this user may have {hard} open files, the test wants 2048")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    with contextlib.ExitStack() as opened:
        while opened.enter_context(open(os.devnull)).fileno() <= 1024:  # noqa: PTH123 - the stack closes it
            pass
        link = Link(Broker("mqtt", "127.0.0.1", mosquitto.port, "ward"), "many-files", None)
        until(lambda: link.step() and link.accepted, "the broker's welcome")
        link.disconnect()
