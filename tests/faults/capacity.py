"""48 h of measurements at 1 Hz without a broker: how large, how fast it drains, and how late new data is meanwhile."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

from fakes.broker import until
from fakes.door import Door
from faults.finding import Finding
from faults.ward import NO_BROKER, broker, numerics

from edge.sinks import SinkContext, sink_from_uri
from edge.sinks.broker import broker_from_uri
from edge.sinks.factory import RecordFactory
from edge.sinks.outbox_place import outbox_file
from edge.sinks.outbox_store import LIMIT_BYTES, Store, StoredMessage
from edge.sinks.records import encode
from edge.uri import parse_uri

__all__ = ["run"]

_HISTORY = "vitals/1/ward/kit-7/bed-3/history"
_LIVE_EVERY_S = 0.2
_HOURS = 48


def run(folder: Path, *, full: bool) -> Finding:
    """172,800 records; short: 1,000. They are put in with a synced commit only for those whose cost is measured."""
    if NO_BROKER:
        return Finding(0, skipped=NO_BROKER)
    count, timed = (172_800, 2_000) if full else (1_000, 20)
    chance, factory, door = random.Random(7), RecordFactory("kit-7"), Door()
    uri = f"mqtt://127.0.0.1:{door.port}/ward?outbox={folder / 'outbox'}"
    file = outbox_file(broker_from_uri(parse_uri(uri, "sink", ["mqtt"]), allow_plaintext=False), "kit-7")
    assert file is not None
    put_ms = _preload(file, count, timed, factory, chance)
    size = _size(file)
    with_ibi = _bytes_with_ibi(folder / "ibi" / "box", 40_000 if full else 500, factory, chance)
    with broker(folder) as (server, witness):
        begin_s = time.monotonic()
        kit = sink_from_uri(uri, SinkContext("kit-7"))
        kit.open()
        opened_s = time.monotonic() - begin_s
        door.open(server.port)
        until(lambda: kit.connected, "the connection")
        begin_s, live = time.monotonic(), 0
        while witness.lines() < count and time.monotonic() - begin_s < 600:
            kit.write(numerics(factory, chance), 0)
            live += 1
            time.sleep(_LIVE_EVERY_S)
        drained_s = time.monotonic() - begin_s
        until(lambda: len(set(witness.keys("numerics", "history"))) >= count + live, "the rest", 60)
        kit.close()
        door.shut()
        heard = witness.heard()
    history = [one for one in heard if one.topic.endswith("history")]
    ages_s = [one.age_s for one in heard if one.topic.endswith("numerics") and one.age_s is not None]
    rate = (len(history) - 1) / (history[-1].at_s - history[0].at_s)
    figures = {
        "records": count, "file with WAL and ballast, MB": round(size / 2**20, 1),
        "bytes a record": round((size - 4 * 2**20) / count),
        "hours at 1 Hz that fit into 64 MB": round(count / 3600 * (LIMIT_BYTES - 6 * 2**20) / (size - 4 * 2**20)),
        "bytes a record with beats (ibi)": round(with_ibi),
        "hours of these that fit into 64 MB": round((LIMIT_BYTES - 6 * 2**20) / with_ibi / 3600),
        "put with its sync, median, ms": round(statistics.median(put_ms), 2),
        "put with its sync, p99, ms": round(statistics.quantiles(put_ms, n=100)[98], 2),
        "open, s": round(opened_s, 2), "drained in, s": round(drained_s, 1), "drain, messages/s": round(rate),
        "live records meanwhile": live, "oldest of these on arrival, s": round(max(ages_s), 3),
        "median of these, s": round(statistics.median(ages_s), 3),
    }  # fmt: skip
    failures = [f"{count} records take {size} bytes, more than {LIMIT_BYTES}"] * (size > LIMIT_BYTES)
    too_large = _HOURS * 3600 * with_ibi + 6 * 2**20 > LIMIT_BYTES
    failures += [f"{_HOURS} h with beats take {with_ibi:.0f} bytes a record, more than 64 MB"] * too_large
    failures += [f"{live - len(ages_s)} new records did not come as live"] * (len(ages_s) < live)
    missing = count - len({one.key for one in history})
    failures += [f"{missing} records of the backlog are missing"] * bool(missing)
    return Finding(1, figures, tuple(failures))


def _size(file: Path) -> int:
    """Database, WAL and ballast."""
    return sum(path.stat().st_size for path in file.parent.iterdir())


def _bytes_with_ibi(file: Path, count: int, factory: RecordFactory, chance: random.Random) -> float:
    """What one more record of a person with timed beats takes, by the growth from ``count`` to twice as many."""
    store = Store(file)
    store.open()
    database = store._connection
    database.execute("PRAGMA synchronous=OFF")
    sizes = []
    for _ in range(2):
        for _ in range(count):
            payload = encode(numerics(factory, chance, ibi=True))
            store.add(StoredMessage(store.next_row, _HISTORY, payload, droppable=True))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(file.stat().st_size)
    store.close()
    return (sizes[1] - sizes[0]) / count


def _preload(file: Path, count: int, timed: int, factory: RecordFactory, chance: random.Random) -> list[float]:
    """Fill a new outbox; gives what the last ``timed`` took, in ms, each on disk when it returned."""
    store, took_ms = Store(file), []
    store.open()
    database = store._connection
    database.execute("PRAGMA synchronous=OFF")
    for number in range(count):
        if number == count - timed:
            database.execute("PRAGMA synchronous=FULL")
        payload = encode(numerics(factory, chance))
        begin_s = time.perf_counter()
        store.add(StoredMessage(store.next_row, _HISTORY, payload, droppable=True))
        if number >= count - timed:
            took_ms.append(1e3 * (time.perf_counter() - begin_s))
    store.close()
    return took_ms
