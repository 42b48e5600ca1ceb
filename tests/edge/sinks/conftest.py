"""Records for the tests of sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes.bedside import Bedside

from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt import MqttSink
from edge.vitals import Estimate, Vitals


@pytest.fixture
def factory() -> RecordFactory:
    """Records with the true monotonic clock, as the program makes them."""
    return RecordFactory("kit-7")


@pytest.fixture
def vitals() -> Vitals:
    """HR ok, RR lost."""
    return Vitals(
        hr=Estimate(71.83, 0.823, "ok", (), 10.0, 240, 0.9),
        rr=Estimate(None, 0.21, "lost", ("motion",), 30.0, 240, None),
        pts_ns=7_000_000_000,
        zone="main",
        person=0,
        mode="exact",
        bundle_id="sha256:ab",
        fps={"rgb": 29.968, "thermal": 8.7},
        dropped={"rgb": 0, "thermal": 2},
        skew_ms=21.04,
    )


@pytest.fixture
def told() -> list[tuple[str, str, str]]:
    """What the sinks of :func:`connect` had to tell as events."""
    return []


@pytest.fixture
def connect(told: list[tuple[str, str, str]]) -> Iterator[Callable[[str], MqttSink]]:
    """Opens MQTT sinks; all are closed at the end."""
    made: list[MqttSink] = []

    def start(uri: str) -> MqttSink:
        sink = sink_from_uri(uri, SinkContext("kit-7", tell=lambda *event: told.append(event)))
        assert isinstance(sink, MqttSink)
        sink.open()
        made.append(sink)
        return sink

    yield start
    for sink in made:
        sink.close()


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Bedside]]:
    """Opens bedside pages; all are closed at the end, with nothing lost."""
    made: list[Bedside] = []

    def start(*address: Any, **context: Any) -> Bedside:
        made.append(Bedside(*address, **context))
        made[-1].open(capsys)
        return made[-1]

    yield start
    for one in made:
        assert one.sink.close() == 0
