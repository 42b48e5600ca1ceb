"""A disk that fills up under the outbox, on a small tmpfs: vitals go on, old measurements make room, events do not."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.finding import Finding
from faults.ward import numerics

from edge.sinks.factory import RecordFactory
from edge.sinks.mqtt_topics import message_from_record
from edge.sinks.outbox import Outbox
from edge.sinks.outbox_store import Store

__all__ = ["run"]

_DISK = "12m"
_LEFT_BYTES = 600_000


def run(folder: Path, *, full: bool) -> Finding:
    """Write, fill the disk to the last byte, write on, free it, write on."""
    if os.geteuid() != 0:
        return Finding(0, skipped="only root can mount a small tmpfs to fill")
    rounds, seed = (8, 5) if full else (1, 5)
    taken = kept = dropped = events = events_lost = memory_only = recovered = 0
    failures: list[str] = []
    if not _can_mount(folder / "try"):
        return Finding(0, skipped="this machine lets nobody mount a tmpfs")
    for number in range(rounds):
        place = folder / f"disk-{number}"
        place.mkdir()
        with _small_disk(place):
            seen = _fill_and_free(place, random.Random(seed + number), 3_000 if full else 800)
        taken += seen["taken"]
        kept += seen["kept"]
        dropped += seen["dropped"]
        events += seen["events"]
        events_lost += seen["events"] - seen["events kept"]
        memory_only += seen["memory only"]
        recovered += seen["after, durable"]
        failures += _broken(seen)
    figures = {
        "records taken": taken, "kept": kept, "made room, counted": dropped, "events": events,
        "events lost": events_lost, "in memory only while full": memory_only,
        "durable again after room was made": recovered,
    }  # fmt: skip
    return Finding(rounds, figures, tuple(failures))


def _can_mount(place: Path) -> bool:
    place.mkdir()
    try:
        with _small_disk(place):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(place)], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fill_and_free(disk: Path, chance: random.Random, count: int) -> dict[str, int]:
    box = Outbox(Store(disk / "outbox" / "box"))
    box.open()
    factory = RecordFactory("kit-7")
    durable: set[int] = set()
    events: set[int] = set()
    memory_only: set[int] = set()

    def write(records: int) -> int:
        safe = 0
        for number in range(records):
            is_event = number % 20 == 0
            record = factory.event("rr_state", "notice", "x", zone="bed-3") if is_event else numerics(factory, chance)
            stored = box.put(message_from_record(record, "vitals/1/ward/kit-7"))
            (durable if stored else memory_only).add(record.seq)
            events.update([record.seq] * (is_event and stored))
            safe += stored
        return safe

    write(count)
    _fill(disk / "other", leave_bytes=_LEFT_BYTES)
    write(count)
    _fill(disk / "rest", leave_bytes=0)
    write(count)
    (disk / "other").unlink()
    (disk / "rest").unlink()
    after = write(200)
    lost, size = box.lost, sum(path.stat().st_size for path in (disk / "outbox").iterdir())
    box.close()
    kept = _seqs(disk / "outbox" / "box")
    return {
        "taken": len(durable) + len(memory_only), "kept": len(kept), "dropped": lost, "events": len(events),
        "events kept": len(events & kept), "memory only": len(memory_only), "after, durable": after,
        "unknown": len(kept - durable), "missing": len(durable - kept), "size": size,
    }  # fmt: skip


def _seqs(file: Path) -> set[int]:
    import msgspec

    store = Store(file)
    store.open()
    found = {msgspec.json.decode(one.payload)["seq"] for one in store.after(0, 10**6)}
    store.close()
    return found


def _fill(file: Path, *, leave_bytes: int) -> None:
    """Take all that is free on the disk but ``leave_bytes``."""
    free = os.statvfs(file.parent).f_bavail * os.statvfs(file.parent).f_frsize
    with file.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, max(1, free - leave_bytes))


def _broken(seen: dict[str, int]) -> list[str]:
    failures = []
    if seen["events kept"] != seen["events"]:
        failures.append(f"{seen['events'] - seen['events kept']} events that were taken are lost")
    if seen["missing"] > seen["dropped"]:
        failures.append(f"{seen['missing']} measurements are missing, {seen['dropped']} were counted")
    if seen["after, durable"] != 200:
        failures.append(f"only {seen['after, durable']} of 200 records are durable after room was made")
    if not seen["dropped"]:
        failures.append("nothing had to make room: the disk was not full")
    return failures
