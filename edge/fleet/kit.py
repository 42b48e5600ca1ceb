"""A made-up kit: a scripted patient behind the real states, records, outbox and MQTT sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge.fleet.driver import Driver
from edge.fleet.script import Patient
from edge.pipeline import Counts, WaveBlock
from edge.publish import Publisher
from edge.signals.state import GateRules, RateTracker
from edge.sinks.broker import Broker
from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt import MqttSink
from edge.sinks.outbox import Outbox
from edge.sinks.outbox_store import Store
from edge.sinks.records import Record
from edge.vitals import Vitals

__all__ = ["BUNDLE", "OUTBOX_BYTES", "ZONE", "Place", "SimulatedKit", "device_name"]

ZONE = "bed"
BUNDLE = "sha256:simulated"
OUTBOX_BYTES = 4 * 2**20
_RR_OK_S = 20.0


def device_name(number: int) -> str:
    """The device id of kit ``number``."""
    return f"sim-{number:04d}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where kits send to: a broker, the thread that serves their links, and the folder of outboxes (None: memory)."""

    broker: Broker
    driver: Driver
    outboxes: Path | None


class SimulatedKit:
    """Starts with :meth:`boot`. ``accepted`` is told of every record that the sink has taken."""

    def __init__(
        self, number: int, seed: int, place: Place, accepted: Callable[[Record], None], *, waves: bool = False
    ) -> None:
        self.number = number
        self.device = device_name(number)
        self._place, self._accepted, self._waves = place, accepted, waves
        self._patient = Patient(seed, number)
        self._second = 0
        self._sink: MqttSink | None = None

    @property
    def sink(self) -> MqttSink:
        """That of this boot."""
        assert self._sink is not None, "boot first"
        return self._sink

    def boot(self) -> None:
        """A new process as far as records tell; the outbox is that of the boot before."""
        folder, factory = self._place.outboxes, RecordFactory(self.device)
        file = None if folder is None else folder / f"{self.device}.outbox"
        self._outbox = Outbox(Store(file, OUTBOX_BYTES))
        self._sink = MqttSink(self._place.broker, self.device, outbox=self._outbox, drive=self._drive)
        self._hr, self._rr = RateTracker(GateRules(8.0)), RateTracker(GateRules(3.0, ok_window_s=_RR_OK_S))
        self._booted_s = time.monotonic()
        self._publisher = Publisher(
            factory,
            lambda: Counts(frames={"rgb": 30 * self._second, "thermal": 9 * self._second}),
            lambda: {self.sink.name: self.sink.dropped},
            lambda: {"uptime_s": time.monotonic() - self._booted_s, "temperature_degc": 48.0 + self.number % 20},
            sink_waiting=lambda: {self.sink.name: self.sink.waiting},
        )
        self._sink.open()
        self._send(_meta(factory))

    def tick(self) -> None:
        """One second: numerics, the events of changed states, every tenth time health, with waves those too."""
        second, self._second = self._second, self._second + 1
        at_ns = second * 10**9
        above_hr, hr, above_rr, rr = self._patient.seen(second)
        vitals = Vitals(
            hr=self._hr.step(at_ns, at_ns, above_hr, hr),
            rr=self._rr.step(at_ns, at_ns, above_rr, rr),
            pts_ns=at_ns, zone=ZONE, person=0, mode="exact", bundle_id=BUNDLE,
            fps={"rgb": 30.0, "thermal": 8.7}, dropped={"rgb": 0, "thermal": 0}, skew_ms=21.0,
        )  # fmt: skip
        for record, _ in self._publisher.records(vitals):
            self._send(record)
        if self._waves:
            for record, _ in self._publisher.records(WaveBlock(self._patient.waves(second), ZONE, 0)):
                self._send(record)

    def crash(self) -> None:
        """The link ends without a word; what the outbox holds stays."""
        self._place.driver.drop(self._life)
        self._outbox.close()

    def close(self) -> int:
        """Send what waits, say good-bye; gives how many records are kept for a next run."""
        self.sink.close()
        return 0 if self._place.outboxes is None else len(self._outbox)

    def _drive(self, life: Iterator[float]) -> None:
        self._life = life
        self._place.driver.add(life)

    def _send(self, record: Record) -> None:
        self.sink.write(record, 0)
        self._accepted(record)


def _meta(factory: RecordFactory) -> Record:
    return factory.meta(
        software=metadata.version("mmrphys-edge"), bundle=BUNDLE, signature="none", graph="none: a simulated kit",
        graph_why="records are scripted", runtime="none", mode="exact", zones=(ZONE,),
        cameras={"rgb": "simulated", "thermal": "simulated"},
    )  # fmt: skip
