"""What Home Assistant makes of our discovery messages and states, by its rules: templates, unknown values, expiry."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import jinja2
import pytest
from fakes.broker import Listener, until

from edge.errors import UsageError
from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.home_assistant import LIFETIME_S, ZoneState, config_from_meta, config_topic
from edge.sinks.records import Meta
from edge.vitals import STATES, Estimate, State, Vitals

ROOT = "vitals/1/ward/kit-7"
OK = Estimate(71.8, 0.824, "ok", (), 10.0, 240, 0.9)
DISCOVERY_TOPIC = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")


def none(state: State) -> Estimate:
    return Estimate(None, 0.0, state, (state if state == "no_face" else "motion",), 10.0, 240, None)


def person(zone: str, number: int, second: int, hr: Estimate = OK, rr: Estimate = OK) -> Vitals:
    return Vitals(
        hr=hr, rr=rr, pts_ns=second * 10**9, zone=zone, person=number, mode="exact", bundle_id="sha256:ab",
        fps={"rgb": 29.968, "thermal": 8.7}, dropped={"rgb": 0, "thermal": 2}, skew_ms=21.0,
    )  # fmt: skip


def meta(factory: RecordFactory, *zones: str) -> Meta:
    return factory.meta(
        software="mmrphys-edge 0.1.0", bundle="sha256:ab", signature="none", graph="g", graph_why="only one",
        runtime="onnxrt", mode="exact", zones=zones, cameras={"rgb": "synthetic:"},
    )  # fmt: skip


class Zone:
    """Shows one zone as Home Assistant does: the entities of its discovery message, rendered from its last state."""

    def __init__(self, config: bytes) -> None:
        self.config: dict[str, Any] = json.loads(config)
        self.topic = self.config["state_topic"]
        self.entities: dict[str, Any] = self.config["cmps"]
        self.shown: dict[str, str] = {}

    def hear(self, payload: bytes) -> None:
        for key, entity in self.entities.items():
            if "state_topic" not in entity:
                template = jinja2.Template(entity["value_template"])
                said = template.render(value_json=json.loads(payload))
                self.shown[key] = "unknown" if said == "None" else said


@pytest.fixture
def states() -> ZoneState:
    return ZoneState()


def told(states: ZoneState, factory: RecordFactory, zones: dict[str, Zone], *people: Vitals) -> None:
    """One look at all people."""
    for vitals in people:
        record = factory.numerics(vitals)
        state = states.state(record)
        if state is not None:
            zones[record.zone].hear(state)


def test_two_people_in_two_zones_and_one_leaves(states, factory):
    known = meta(factory, "bed-1", "bed-2")
    zones = {zone: Zone(config_from_meta(known, zone, ROOT)) for zone in known.zones}
    other = dataclasses.replace(OK, value=88.2)
    told(states, factory, zones, person("bed-1", 0, 1), person("bed-2", 5, 1, hr=other))
    assert zones["bed-1"].shown == {
        "hr": "71.8", "rr": "71.8", "hr_quality": "82", "rr_quality": "82", "hr_state": "ok", "rr_state": "ok",
        "present": "ON", "problem": "OFF", "fps": "29.97", "temperature": "unknown",
    }  # fmt: skip
    assert zones["bed-2"].shown["hr"] == "88.2"
    gone = none("no_face")
    told(states, factory, zones, person("bed-1", 0, 2), person("bed-2", 6, 2, hr=gone, rr=gone))
    assert (zones["bed-1"].shown["hr"], zones["bed-1"].shown["present"]) == ("71.8", "ON")
    left = zones["bed-2"].shown
    assert (left["hr"], left["rr"], left["hr_state"], left["present"]) == ("unknown", "unknown", "no_face", "OFF")


def test_a_second_person_in_a_zone_never_speaks_for_it(states, factory):
    zones = {"main": Zone(config_from_meta(meta(factory, "main"), "main", ROOT))}
    visitor = dataclasses.replace(OK, value=120.0)
    for second in (1, 2):
        told(states, factory, zones, person("main", 0, second), person("main", 3, second, hr=visitor))
        assert zones["main"].shown["hr"] == "71.8"
    told(states, factory, zones, person("main", 3, 3, hr=visitor))  # the first one has left
    assert zones["main"].shown["hr"] == "120.0"


@pytest.mark.parametrize(
    ("hr", "rr", "present", "problem"),
    [
        ("camera_lost", "camera_lost", "unknown", "ON"), ("fault", "fault", "unknown", "ON"),
        ("ok", "thermal_lost", "ON", "ON"), ("stale", "stale", "unknown", "ON"), ("lost", "lost", "ON", "OFF"),
        ("no_face", "no_face", "OFF", "OFF"), ("starting", "starting", "ON", "OFF"),
    ],
)  # fmt: skip
def test_presence_and_problems_follow_the_states(states, factory, hr, rr, present, problem):
    zone = Zone(config_from_meta(meta(factory, "main"), "main", ROOT))
    vitals = person("main", 0, 1, hr=OK if hr == "ok" else none(hr), rr=none(rr))
    told(states, factory, {"main": zone}, vitals)
    assert (zone.shown["present"], zone.shown["problem"]) == (present, problem)


def test_no_rate_is_shown_when_it_is_older_than_ten_seconds(states, factory):
    zone = Zone(config_from_meta(meta(factory, "main"), "main", ROOT))
    expires_ms = 1000 * (LIFETIME_S + max(entity.get("expire_after", 0) for entity in zone.entities.values()))
    for second, age_ms in enumerate((240, 2000, 2001, 9000)):
        hold = Estimate(70.0, 0.5, "hold", ("motion",), 10.0, age_ms, 1.0)
        told(states, factory, {"main": zone}, person("main", 0, second, hr=hold))
        assert (zone.shown["hr"] == "unknown") == (age_ms + expires_ms > 10_000)


def test_what_is_not_renewed_expires_within_nine_seconds(factory):
    zone = Zone(config_from_meta(meta(factory, "main"), "main", ROOT))
    assert {entity.get("expire_after", 0) <= 9 for entity in zone.entities.values()} == {True}
    retained = [key for key, entity in zone.entities.items() if "expire_after" not in entity]
    assert retained == ["version"]


def test_the_message_is_what_device_discovery_asks_for(factory):
    config = json.loads(config_from_meta(meta(factory, "bed-3"), "bed-3", ROOT))
    assert DISCOVERY_TOPIC.fullmatch(config_topic("homeassistant", "kit-7", "bed-3"))
    assert config["dev"]["identifiers"] == ["mmrphys-kit-7-bed-3"]
    assert config["o"]["name"] == "mmrphys-edge"
    assert config["availability"][0]["topic"] == f"{ROOT}/status"
    ids = [entity["unique_id"] for entity in config["cmps"].values()]
    assert len(set(ids)) == len(ids) == 11
    assert {entity["platform"] for entity in config["cmps"].values()} == {"sensor", "binary_sensor"}
    assert config["cmps"]["hr_state"]["options"] == list(STATES)
    assert "state_class" not in config["cmps"]["hr_state"]  # an enum has none
    assert config["cmps"]["version"]["state_topic"] == f"{ROOT}/meta"


def test_the_board_temperature_comes_with_the_next_look(states, factory):
    counts = {name: {"rgb": 0} for name in ("frames", "dropped", "late", "duplicate", "reordered")}
    health = factory.health(0, **counts, detections=1, windows=1, sink_dropped={}, temperature_degc=51.2)
    states.hear(health)
    zone = Zone(config_from_meta(meta(factory, "main"), "main", ROOT))
    told(states, factory, {"main": zone}, person("main", 0, 1))
    assert zone.shown["temperature"] == "51.2"


def test_home_assistant_is_told_again_when_it_starts(broker, listen, factory, vitals):
    ears: Listener = listen(broker.port, "#")
    uri = f"mqtt://127.0.0.1:{broker.port}/ward?ha=1"
    sink = sink_from_uri(uri, SinkContext("kit-7"))
    sink.open()
    sink.write(meta(factory, "main", "bed-2"), 0)
    sink.write(factory.numerics(vitals), 0)
    until(lambda: len(ears.on("/config")) == 2 and ears.on("main/ha"), "the discovery of both zones, and a state")
    assert (ears.on("main/ha")[0].qos, ears.on("main/ha")[0].expiry_s) == (0, LIFETIME_S - 1)
    assert json.loads(ears.on("main/ha")[0].payload)["hr"] == 71.8
    ears.say("homeassistant/status", "online")
    until(lambda: len(ears.on("/config")) == 4, "both again")
    ears.say("homeassistant/status", "offline")
    assert sink.close() == 0
    assert len(ears.on("/config")) == 4
    latecomer: Listener = listen(broker.port, "#")
    until(lambda: len(latecomer.all()) == 4, "what is retained")
    assert sorted(one.topic for one in latecomer.heard) == [
        "homeassistant/device/kit-7/bed-2/config", "homeassistant/device/kit-7/main/config",
        f"{ROOT}/meta", f"{ROOT}/status",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "prefix"), [("ha=1", "homeassistant"), ("ha=house", "house"), ("ha=0", None), ("", None)]
)
def test_it_is_off_unless_asked_for_and_the_prefix_can_differ(query, prefix):
    sink: Any = sink_from_uri(f"mqtt://127.0.0.1/ward?{query}", SinkContext("kit-7"))
    assert sink._broker.home_assistant == prefix


def test_a_prefix_that_is_no_topic_is_refused():
    with pytest.raises(UsageError, match="ha prefix"):
        sink_from_uri("mqtt://127.0.0.1/ward?ha=a/b", SinkContext("kit-7"))
