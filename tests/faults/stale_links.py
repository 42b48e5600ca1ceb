"""Rows of the table of sinks whose reader is at the other end of a link: what comes is taken for the present."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from fakes.broker import Listener, Mosquitto, until
from fakes.door import Door
from fakes.mllp_server import MllpServer
from fakes.serial_ports import Cable
from faults.stale_files import claims
from faults.stale_world import S, Seen, World

from edge.sinks.broker import broker_from_uri
from edge.sinks.clocks import ns_from_rfc3339
from edge.sinks.hl7 import Hl7Sink, Receiver
from edge.sinks.hl7_message import Routing
from edge.sinks.home_assistant import EXPIRE_S
from edge.sinks.mqtt import MqttSink
from edge.sinks.outbox import Outbox
from edge.sinks.outbox_store import Store
from edge.sinks.records import Event, Numerics, Record
from edge.sinks.serial_decode import SerialDecoder
from edge.sinks.serial_link import SerialLink
from edge.sinks.serial_profiles import profile_by_name
from edge.uri import parse_uri

__all__ = ["Hl7", "Mqtt", "SerialCsv", "SerialFrame", "SerialLine"]


class SerialLine:
    """The link with its port in memory, whose reader stalls and whose cable comes out."""

    profile: ClassVar[str] = "line"

    def __init__(self, world: World, _folder: Path) -> None:
        self.world = world
        self._cable = Cable(world.clock)  # type: ignore[arg-type]
        self._link = SerialLink("/dev/ttyKIT", self._cable.open_port, profile_by_name(self.profile, "kit-7"))
        self._decoder = SerialDecoder()
        self._read = 0

    def write(self, record: Record, pts_ns: int) -> None:
        self._link.put(record)
        self._link.step(self.world.now_ns)

    def tick(self) -> None:
        self._link.step(self.world.now_ns)

    def peer(self, fault: str) -> None:
        self._cable.stalled = fault == "stalls"
        self._cable.plugged = fault != "away"

    def seen(self) -> Iterator[Seen]:
        new, self._read = self._cable.received[self._read :], len(self._cable.received)
        for at_ns, data in new:
            for heard in self._decoder.feed(data):
                for name in ("hr", "rr"):
                    rate: Any = getattr(heard.what, name, None)
                    if rate is not None and rate.value is not None:
                        yield Seen(name, rate.value, at_ns)

    def close(self) -> Iterator[Seen]:
        self._link.close()
        yield from self.seen()


class SerialCsv(SerialLine):
    """Without checks."""

    profile = "csv"


class SerialFrame(SerialLine):
    """With hellos and acks."""

    profile = "frame"


class Mqtt:
    """The sink with a real broker behind a door, and a real subscriber: live values, history, Home Assistant's state.

    The sink runs in virtual time; the network is waited for where somebody is there.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._broker = Mosquitto(folder).start()
        self._door, self._ears = Door(), Listener(self._broker.port, "vitals/#")
        self._door.open(self._broker.port)
        uri = parse_uri(f"mqtt://127.0.0.1:{self._door.port}/ward?ha=1&outbox=memory", "sink", ["mqtt"])
        lives: list[Iterator[float]] = []
        self._sink = MqttSink(
            broker_from_uri(uri, allow_plaintext=False), "kit-7", world.clock, Outbox(Store(None)), lives.append
        )
        self._sink.open()
        (self._life,) = lives
        self._sent: set[int] = set()
        self._away = False
        self._read = 0
        self._home: tuple[int, dict[str, Any]] = (0, {})
        self._pump(lambda: self._sink.connected)

    def write(self, record: Record, pts_ns: int) -> None:
        self._sink.write(record, pts_ns)
        if isinstance(record, (Numerics, Event)):
            self._sent.add(record.seq)

    def tick(self) -> None:
        if self._away:
            next(self._life)
        else:
            self._pump(lambda: self._sent <= self._arrived())

    def peer(self, fault: str) -> None:
        away = fault != "well"
        if away and not self._away:
            self._door.shut()
        elif self._away and not away:
            self._door.open(self._broker.port)
        self._away = away

    def seen(self) -> Iterator[Seen]:
        heard = self._ears.all()
        new, self._read = heard[self._read :], len(heard)
        for one in new:
            record = msgspec.json.decode(one.payload) if one.payload.startswith("{") else {}
            if one.topic.endswith("/ha"):
                self._home = self.world.now_ns, record
            elif one.topic.endswith("/history"):
                yield from claims([record])
            elif one.topic.endswith("/numerics"):
                yield from (Seen(claim.rate, claim.value, self.world.now_ns) for claim in claims([record]))
        came_ns, state = self._home
        if self.world.now_ns - came_ns <= EXPIRE_S * S:
            shown = [(name, state[name]) for name in ("hr", "rr") if state.get(name) is not None]
            yield from (Seen(name, value, self.world.now_ns) for name, value in shown)

    def close(self) -> Iterator[Seen]:
        self.peer("well")
        self.tick()
        yield from self.seen()
        self._life.close()  # type: ignore[attr-defined]  # it is a generator
        self._sink._over.set()
        self._sink._outbox.close()
        self._ears.stop()
        self._door.shut()
        self._broker.kill()

    def _arrived(self) -> set[int]:
        whole = (one.payload for one in self._ears.all() if one.topic.endswith(("/numerics", "/history", "/event")))
        return {msgspec.json.decode(payload)["seq"] for payload in whole}

    def _pump(self, done: Any) -> None:
        until(lambda: next(self._life) is None or done(), "the broker", 30.0)


class Hl7:
    """The sink with a receiver that goes away: a message that is not marked as late is taken for the present."""

    def __init__(self, world: World, _folder: Path) -> None:
        self.world = world
        self._server = MllpServer()
        self._server.start()
        self._away = False
        receiver = Receiver("hl7", "127.0.0.1", self._server.port, Routing(), outbox="memory")
        self._sink = Hl7Sink(receiver, "kit-7", world.clock, 2.0, (0.005, 0.01))
        self._sink.open()
        self._sent = self._read = 0

    def write(self, record: Record, pts_ns: int) -> None:
        self._sink.write(record, pts_ns)
        self._sent += isinstance(record, Numerics)

    def tick(self) -> None:
        if not self._away:
            until(lambda: len(self._server.taken) >= self._sent, "the receiver")

    def peer(self, fault: str) -> None:
        away = fault != "well"
        if away != self._away:
            (self._server.stop if away else self._server.start)()
            self._away = away

    def seen(self) -> Iterator[Seen]:
        new, self._read = self._server.taken[self._read :], len(self._server.taken)
        for text in new:
            segments = [line.split("|") for line in text.split("\r") if line]
            late = segments[0][10].endswith("^A")
            for fields in segments:
                rate = {"149530": "hr", "151562": "rr"}.get(fields[3].split("^")[0] if len(fields) > 5 else "")
                if fields[0] == "OBX" and rate and fields[5]:
                    told_ns = self._moment(fields[14]) if len(fields) > 14 and fields[14] else None
                    assert told_ns is not None or not late, "a late value without its time"
                    yield Seen(rate, float(fields[5]), told_ns if late and told_ns else self.world.now_ns, told_ns)

    def close(self) -> Iterator[Seen]:
        self.peer("well")
        self.tick()
        yield from self.seen()
        assert self._sink.close() == 0
        self._server.stop()

    def _moment(self, text: str) -> int:
        year, month, day, hour, minute, second, millis = re.match(
            r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{3})\+0000", text
        ).groups()  # type: ignore[union-attr]
        return self.world.mono_ns(ns_from_rfc3339(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{millis}Z"))
