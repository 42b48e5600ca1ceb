"""The Telegraf file against real records: its topics, and every path and type that it takes from them.

Telegraf itself is not run here: no registry that tests may use has it.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import topic_matches_sub

from edge.sinks.broker import Broker
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt_topics import device_topic, message_from_record
from edge.sinks.records import Numerics, encode
from edge.vitals import STATES, VALUE_STATES, Estimate, State, Vitals

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATH = Path(__file__).resolve().parents[2] / "docker/telegraf/telegraf.conf"
TYPES: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "string": str}


@pytest.fixture(scope="module")
def consumer() -> dict[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8"))["inputs"]["mqtt_consumer"][0]


def numerics(state: State) -> Numerics:
    value = 71.8 if state in VALUE_STATES else None
    why = () if state == "ok" else ("motion",)
    rate = Estimate(value, 0.8, state, why, 10.0, 240, None if value is None else 0.9)
    return RecordFactory("kit-7").numerics(
        Vitals(rate, rate, 0, "bed", 0, "exact", "sha256:ab", {"rgb": 30.0}, {"rgb": 0})
    )


def at(path: str, record: Any) -> Any:
    """A GJSON path of plain keys; KeyError where there is none."""
    for key in path.split("."):
        record = record[key]
    return record


def point(parser: dict[str, Any], line: bytes) -> tuple[dict[str, str], dict[str, Any], datetime]:
    """Tags, fields and time as the parser's documents say: null values give no field, other types are an error."""
    record = msgspec.json.decode(line)
    tags = {one["path"]: str(at(one["path"], record)) for one in parser["tag"]}
    fields = {}
    for one in parser["field"]:
        value = at(one["path"], record)
        if value is None:
            assert one.get("optional"), one
            continue
        assert isinstance(value, TYPES[one["type"]]), one
        fields[one.get("rename", one["path"])] = value
    assert parser["timestamp_format"] == "2006-01-02T15:04:05.000Z07:00"  # RFC 3339 with milliseconds, in Go's words
    return tags, fields, datetime.strptime(at(parser["timestamp_path"], record), "%Y-%m-%dT%H:%M:%S.%f%z")


@pytest.mark.parametrize("state", STATES)
def test_every_numerics_record_makes_a_point(consumer: dict[str, Any], state: State) -> None:
    record = numerics(state)
    tags, fields, time = point(consumer["json_v2"][0], encode(record))
    assert tags == {"boot": record.boot, "person": "0", "clock": record.clock}
    assert ("hr" in fields, "rr" in fields) == (state in VALUE_STATES,) * 2
    assert (fields["hr_state"], fields["hr_sqi"], fields["seq"]) == (state, 0.8, 0)
    assert abs((datetime.now(timezone.utc) - time).total_seconds()) < 60.0


def test_live_and_late_ones_are_subscribed_to_and_nothing_else(consumer: dict[str, Any]) -> None:
    broker = Broker("mqtts", "broker", 8884, "ward-2")
    message = message_from_record(numerics("ok"), device_topic(broker.site, "kit-7"))
    matching = [
        [topic_matches_sub(one, topic) for one in consumer["topics"]] for topic in (message.topic, message.history)
    ]
    assert matching == [[True, False], [False, True]]
    for leaf in ("status", "bed/wave/pleth", "bed/event", "health"):
        assert not any(topic_matches_sub(one, f"vitals/1/ward-2/kit-7/{leaf}") for one in consumer["topics"])


def test_site_device_and_zone_become_tags(consumer: dict[str, Any]) -> None:
    rule = consumer["topic_parsing"][0]
    message = message_from_record(numerics("ok"), device_topic("ward-2", "kit-7"))
    for topic in (message.topic, message.history):  # the same tags, so that both write the same point
        assert topic_matches_sub(rule["topic"], topic)
        named = dict(zip(rule["tags"].split("/"), topic.split("/"), strict=True))
        del named["_"]
        assert named == {"site": "ward-2", "device": "kit-7", "zone": "bed"}


def test_nothing_is_acknowledged_before_it_is_written_and_no_secret_is_in_the_file(consumer: dict[str, Any]) -> None:
    assert (consumer["qos"], consumer["persistent_session"], bool(consumer["client_id"])) == (1, True, True)
    assert consumer["servers"] == ["ssl://broker.local:8884"]
    assert consumer["password"].startswith("${")
    assert tomllib.loads(PATH.read_text(encoding="utf-8"))["outputs"]["influxdb_v2"][0]["token"].startswith("${")
