"""The outbox's files after a power cut that left only their beginnings: opened at once, and never lost in silence."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path

from faults.finding import Finding
from faults.ward import numerics

from edge.sinks.factory import RecordFactory
from edge.sinks.outbox_salvage import beside
from edge.sinks.outbox_store import Store, StoredMessage
from edge.sinks.records import encode

__all__ = ["run"]

_ROWS = 350
"""So many that a third of them is in the WAL alone."""
_TOPIC = "vitals/1/ward/kit-7/bed-3/history"


def run(folder: Path, *, full: bool) -> Finding:
    """256 seeded prefixes, half of the WAL and half of the database; short: 16."""
    chance = random.Random(3)
    rounds = 256 if full else 16
    whole = folder / "whole" / "box"
    child = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(whole, _ROWS))
    child.start()
    child.join()
    truth = _payloads(_ROWS)
    wal_bytes, database_bytes = beside(whole, "-wal").stat().st_size, whole.stat().st_size
    failures: list[str] = []
    opened_s: list[float] = []
    kept: dict[str, list[int]] = {"WAL": [], "database": []}
    aside = 0
    for number in range(rounds):
        what = "WAL" if number % 2 else "database"
        cut = chance.randrange(wal_bytes if what == "WAL" else database_bytes)
        copy = folder / f"{number}" / "box"
        copy.parent.mkdir()
        for ending in ("", "-wal"):
            shutil.copyfile(beside(whole, ending), beside(copy, ending))
        os.truncate(beside(copy, "-wal" if what == "WAL" else ""), cut)
        store = Store(copy)
        begin_s = time.monotonic()
        store.open()
        opened_s.append(time.monotonic() - begin_s)
        rows = store.after(0, _ROWS + 1)
        store.close()
        was_set_aside = beside(copy, ".damaged-1").exists()
        aside += was_set_aside
        kept[what].append(len(rows))
        failures += _broken(what, cut, [(one.row, one.payload) for one in rows], truth, was_set_aside)
        shutil.rmtree(copy.parent)
    failures += ["no cut of the WAL cost a row: nothing was tried"] * (min(kept["WAL"]) == _ROWS)
    figures = {
        "rows written": _ROWS, "WAL, bytes": wal_bytes, "database, bytes": database_bytes,
        "rows kept, WAL cut, least and most": f"{min(kept['WAL'])} {max(kept['WAL'])}",
        "rows kept, database cut, least and most": f"{min(kept['database'])} {max(kept['database'])}",
        "set aside and said": aside, "longest to open, s": round(max(opened_s), 3),
    }  # fmt: skip
    return Finding(rounds, figures, tuple(failures))


def _broken(what: str, cut: int, rows: list[tuple[int, bytes]], truth: list[bytes], was_set_aside: bool) -> list[str]:
    """What does not hold: rows are those that were written, and what is missing was the last or was told of."""
    failures = []
    if any(payload != truth[row - 1] for row, payload in rows):
        failures.append(f"{what} cut at {cut}: a record was changed")
    in_order = [row for row, _ in rows] == list(range(1, len(rows) + 1))
    if not was_set_aside and not in_order:
        failures.append(f"{what} cut at {cut}: a record is missing from the middle and nobody was told")
    if what == "database" and len(rows) < len(truth) and not was_set_aside:
        failures.append(f"database cut at {cut}: {len(truth) - len(rows)} records went and nobody was told")
    if what == "WAL" and was_set_aside:
        failures.append(f"WAL cut at {cut}: the file was given up")
    return failures


def _payloads(count: int) -> list[bytes]:
    chance, clock = random.Random(4), lambda: 10**18
    factory = RecordFactory("kit-7", "9f2c61d0a4b87e13", wall_clock=clock, mono_clock=lambda: 1, synced=lambda: False)
    return [encode(_timeless(numerics(factory, chance))) for _ in range(count)]


def _timeless(record):
    import msgspec

    return msgspec.structs.replace(record, pts_ns=record.seq)


def _write_and_die(file: Path, count: int) -> None:
    store = Store(file)
    store.open()
    for row, payload in enumerate(_payloads(count), 1):
        store.add(StoredMessage(row, _TOPIC, payload, droppable=True))
    os._exit(9)
