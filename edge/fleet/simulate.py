"""N made-up kits against a real broker, with mishaps on purpose, and what a subscriber of its own got of it."""

from __future__ import annotations

import resource
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge.errors import FaultError, UsageError
from edge.fleet.door import Door
from edge.fleet.driver import Driver
from edge.fleet.kit import OUTBOX_BYTES, Place, SimulatedKit, device_name
from edge.fleet.reader import read
from edge.fleet.script import Patient
from edge.fleet.verifier import Ledger, Verdict
from edge.fleet.ward import Plan, Ward
from edge.sinks.broker import Broker
from edge.sinks.mqtt_link import Link
from edge.sinks.outbox_place import MEMORY
from edge.sinks.records import Record
from edge.vitals import Truth

__all__ = ["Outcome", "Plan", "simulate"]

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_ARRIVAL_S = 30.0
_TIDY_S = 10.0
_FILES, _FILES_A_KIT = 200, 10
"""A kit has its link (3), database (2) and, with cuts, the door's two ends of it; the rest is room."""
_CLOSERS = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan, what happened, and what it took.

    ``cpu_share``: processor seconds a second of this process, kits, door and verifier together; ``behind_s``: by how
    much the busiest moment was late, 0 when this machine kept up.
    """

    plan: Plan
    verdict: Verdict
    restarts: int
    cuts: int
    took_s: float
    cpu_share: float
    behind_s: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def simulate(plan: Plan, broker: Broker, stop: threading.Event) -> Outcome:
    """Run ``plan`` against ``broker`` until it ends or ``stop`` is set.

    Raises
    ------
    InputError
        The broker cannot be reached.
    UsageError
        Secrets or the outbox folder cannot be used.
    """
    _allow_open_files(_FILES + plan.kits * _FILES_A_KIT)
    patients = {device_name(n): Patient(plan.seed, n) for n in range(plan.kits)}
    ledger = _SharedLedger(patients)
    with ExitStack() as opened:
        opened.enter_context(_verifier(broker, ledger))
        door = opened.enter_context(Door(broker.host, broker.port)) if plan.faults.cut_every_s else None
        inside = replace(broker, host="127.0.0.1", port=door.port) if door else broker
        driver = opened.enter_context(Driver())
        folder = None if broker.outbox == MEMORY else _folder(broker, plan.kits, opened)
        place = Place(inside, driver, folder)
        kits = [SimulatedKit(n, plan.seed, place, ledger.sent, waves=plan.waves) for n in range(plan.kits)]
        ward = Ward(plan, kits, door, stop)
        start_s, start_cpu_s = time.monotonic(), time.process_time()
        ward.run()
        took_s = time.monotonic() - start_s
        cpu_share = (time.process_time() - start_cpu_s) / took_s
        kept = _end(kits, door)
        ledger.wait(kept)
        verdict = ledger.verdict(kept)
    _tidy(broker, [kit.device for kit in kits])
    return Outcome(plan, verdict, ward.restarts, ward.cuts, round(took_s, 1), round(cpu_share, 2), ward.behind_s)


class _SharedLedger:
    """A ledger between the thread that sends and the one that hears."""

    def __init__(self, patients: dict[str, Patient]) -> None:
        self._patients = patients
        self._ledger = Ledger(self._truth)
        self._lock = threading.Lock()

    def sent(self, record: Record) -> None:
        with self._lock:
            self._ledger.sent(record)

    def heard(self, topic: str, payload: bytes, at_ns: int) -> None:
        if topic.split("/")[3] in self._patients:  # a site may have others
            with self._lock:
                self._ledger.heard(topic, payload, at_ns)

    def wait(self, kept: int) -> None:
        """Until all has arrived but what is kept, or for 30 s."""
        end_s = time.monotonic() + _ARRIVAL_S
        while time.monotonic() < end_s:
            with self._lock:
                if self._ledger.missing <= kept:
                    return
            time.sleep(0.05)

    def verdict(self, kept: int) -> Verdict:
        with self._lock:
            return self._ledger.verdict(kept)

    def _truth(self, device: str, second: float) -> Truth | None:
        patient = self._patients.get(device)
        return patient.truth(second) if patient else None


@contextmanager
def _verifier(broker: Broker, ledger: _SharedLedger) -> Iterator[None]:
    """Hears all of the simulated kits, in a thread of its own, from before the first of them to after the last."""
    over = threading.Event()
    steps = read(broker, (f"vitals/1/{broker.site}/+/#",), ledger.heard)
    for reason in steps:
        if not reason:
            break
    broke: list[str] = []

    def listen() -> None:
        for reason in steps:
            if reason:
                broke.append(reason)
            if over.is_set() or broke:
                return

    thread = threading.Thread(target=listen, name="verifier", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if broke:
        raise FaultError(f"the verifier's own connection broke ({broke[0]}), so its counts mean nothing; run it again")


def _allow_open_files(wanted: int) -> None:
    """UsageError when this user may not have so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted <= hard or (soft < wanted and hard == resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    elif soft < wanted:
        raise UsageError(f"so many kits need {wanted} open files and this user may have {hard}; raise `ulimit -n`")


def _tidy(broker: Broker, devices: list[str]) -> None:
    """Take back what the broker retained, so that no table shows kits that never were."""
    link = Link(broker, f"mmrphys-simulate-{secrets.token_hex(4)}", None)
    end_s = time.monotonic() + _TIDY_S
    while link.step() and time.monotonic() < end_s:
        if not link.accepted:
            continue
        for device in devices:
            for leaf in ("status", "meta"):
                link.announce(f"vitals/1/{broker.site}/{device}/{leaf}", b"")
        if not link.unacknowledged:
            link.disconnect()
            return


def _folder(broker: Broker, kits: int, opened: ExitStack) -> Path:
    """``outbox=`` of the URI, else one that goes in the end: in memory where that has room.

    Every kit has a disk of its own; all of them on this machine's one disk would measure that disk.
    """
    if broker.outbox:
        return Path(broker.outbox)
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > kits * OUTBOX_BYTES
    return Path(opened.enter_context(TemporaryDirectory(prefix="mmrphys-simulate-", dir=_MEMORY if roomy else None)))


def _end(kits: list[SimulatedKit], door: Door | None) -> int:
    """All kits say good-bye, many at a time, for each waits for the broker; gives how many records are kept."""
    if door is not None:
        door.open()
    with ThreadPoolExecutor(_CLOSERS) as pool:
        return sum(pool.map(SimulatedKit.close, kits))
