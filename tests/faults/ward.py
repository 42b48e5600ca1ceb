"""What the campaigns about MQTT share: a broker, a witness that hears all of it, and records to send."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from fakes.broker import Mosquitto, has_mosquitto, until

from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt import MqttSink
from edge.sinks.records import Numerics
from edge.vitals import Beats, Estimate, Vitals

__all__ = ["NO_BROKER", "Heard", "Witness", "broker", "numerics", "sink"]

NO_BROKER = "" if has_mosquitto() else "no mosquitto here: apt-get install mosquitto mosquitto-clients"
"""Why nothing with a broker can be tried, empty where it can."""

Key = tuple[str, int]
"""(boot, seq): who a record is, for one device."""


@dataclass(frozen=True)
class Heard:
    """One message as it came; ``age_s`` is against the record's own time, None where it has none."""

    topic: str
    at_s: float
    text: str
    key: Key | None
    age_s: float | None


class _Envelope(msgspec.Struct):
    boot: str
    seq: int
    time: str


class Witness:
    """``mosquitto_sub`` in a process of its own, which was there first and writes down all that it hears."""

    def __init__(self, port: int, folder: Path) -> None:
        self._file = folder / "heard.txt"
        words = ["stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "5", "-q", "1", "-p", str(port), "-h", "127.0.0.1"]
        with self._file.open("wb") as out:
            self._process = subprocess.Popen([*words, "-t", "vitals/#", "-F", "%U\t%t\t%p"], stdout=out)
        until(lambda: b"Subscribed" in self._file.read_bytes(), "the witness")

    def lines(self) -> int:
        """How many messages there are; cheap."""
        return self._file.read_bytes().count(b"\tvitals/")

    def heard(self) -> list[Heard]:
        parts = (line.split("\t") for line in self._file.read_text(encoding="utf-8").splitlines())
        return [_heard(*three) for three in parts if len(three) == 3]

    def keys(self, *leaves: str) -> list[Key]:
        """Who came on topics that end so, in order."""
        return [one.key for one in self.heard() if one.key is not None and one.topic.endswith(leaves)]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def _heard(at: str, topic: str, text: str) -> Heard:
    if not text.startswith("{"):
        return Heard(topic, float(at), text, None, None)
    envelope = msgspec.json.decode(text, type=_Envelope)
    made_s = datetime.fromisoformat(envelope.time.replace("Z", "+00:00")).timestamp()
    return Heard(topic, float(at), text, (envelope.boot, envelope.seq), float(at) - made_s)


@contextmanager
def broker(folder: Path) -> Iterator[tuple[Mosquitto, Witness]]:
    """A broker with a witness before anybody else."""
    place = folder / "broker"
    place.mkdir()
    server = Mosquitto(place, "allow_anonymous true\nmax_queued_messages 0").start()
    witness = Witness(server.port, place)
    try:
        yield server, witness
    finally:
        witness.stop()
        server.kill()


def sink(port: int, folder: Path) -> MqttSink:
    """A sink that keeps its outbox in ``folder``, opened."""
    made = sink_from_uri(f"mqtt://127.0.0.1:{port}/ward?outbox={folder}", SinkContext("kit-7"))
    assert isinstance(made, MqttSink)
    made.open()
    return made


def numerics(factory: RecordFactory, chance: random.Random, *, ibi: bool = False) -> Numerics:
    """A record as a kit makes it, with digits that do not repeat; with ``ibi`` of a heart whose beats are timed."""
    pts_ns = time.monotonic_ns()
    hr = Estimate(chance.uniform(50, 120), chance.random(), "ok", (), 10.0, chance.randrange(180, 320), chance.random())
    rr = Estimate(
        chance.uniform(8, 25), chance.random(), "ok", (), 30.0, hr.age_ms, chance.random(),
        sources=("rgb", "thermal"), source_sqi={"rgb": chance.random(), "thermal": chance.random()},
    )  # fmt: skip
    fps = {"rgb": chance.uniform(29, 30), "thermal": chance.uniform(8.5, 8.9)}
    dropped = {"rgb": chance.randrange(9999), "thermal": chance.randrange(9999)}
    vitals = Vitals(
        hr=hr, rr=rr, pts_ns=pts_ns, zone="bed-3", person=0, mode="exact", bundle_id=BUNDLE,
        fps=fps, dropped=dropped, skew_ms=chance.uniform(0, 40),
        beats=_beats(pts_ns, hr.value or 60.0, chance) if ibi else None,
    )  # fmt: skip
    return factory.numerics(vitals)


def _beats(pts_ns: int, rate_per_min: float, chance: random.Random) -> Beats:
    """Those of one second: one or two, as often as the rate says."""
    count = int(rate_per_min / 60.0 + chance.random())
    intervals_ms = tuple(chance.gauss(60_000.0 / rate_per_min, 40.0) for _ in range(count))
    ends_ns = tuple(sorted(pts_ns - chance.randrange(10**9) for _ in range(count)))
    return Beats(ends_ns, intervals_ms, chance.uniform(4.0, 20.0), chance.uniform(15.0, 60.0), 30.0)


BUNDLE = "sha256:" + random.Random(0).randbytes(32).hex()


def environment() -> dict[str, str]:
    """That of a child process which imports what this one can."""
    root = Path(__file__).resolve().parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests")))}
