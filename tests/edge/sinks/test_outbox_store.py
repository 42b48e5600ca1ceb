from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.sinks import outbox_store, outbox_text
from edge.sinks.ballast import Ballast
from edge.sinks.broker import Broker
from edge.sinks.outbox_place import outbox_file
from edge.sinks.outbox_store import LIMIT_BYTES, Store, StoredMessage, StoreError
from edge.sinks.outbox_text import packed, unpacked
from edge.sinks.records import encode
from edge.vitals import Beats

PRAGMAS = ("page_count", "freelist_count", "page_size")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "box"


@pytest.fixture
def opened(file: Path) -> Iterator[Callable[..., Store]]:
    """Opens the file. What a disk needs to make thousands of rows safe is not waited for, but where told to be."""
    made: list[Store] = []

    def start(limit_bytes: int = 2**24, *, synced: bool = False) -> Store:
        made.append(Store(file, limit_bytes))
        made[-1].open()
        if not synced:
            made[-1]._connection.execute("PRAGMA synchronous=OFF")
        return made[-1]

    yield start
    for store in made:
        store.close()


def fill(store: Store, count: int, *, droppable: bool = True) -> list[int]:
    rows = list(range(store.next_row, store.next_row + count))
    for row in rows:
        payload = hashlib.sha256(b"%d" % row).hexdigest().encode() * 2
        store.add(StoredMessage(row, f"topic/{row % 2}", payload, droppable))
    return rows


def rows(store: Store) -> list[int]:
    return [one.row for one in store.after(0, 10**6)]


def test_what_was_added_is_there_when_the_file_is_opened_again(opened, file):
    store = opened()
    fill(store, 5)
    store.remove([2, 4])
    before = store.after(0, 9)
    store.close()
    again = opened()
    assert again.after(0, 9) == before
    assert [one.row for one in before] == [1, 3, 5]
    assert [one.topic for one in before] == ["topic/1"] * 3
    assert (again.count, again.next_row) == (3, 6)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_removal_rides_on_the_next_addition(opened):
    store = opened()
    fill(store, 3)
    store.add(StoredMessage(store.next_row, "topic/0", b"x", droppable=True), gone=[1, 2])
    assert (rows(store), store.count) == ([3, 4], 2)


def test_every_commit_is_synced(opened):
    database = opened(synced=True)._connection
    asked = {what: database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("synchronous", "journal_mode")}
    assert asked == {"synchronous": 2, "journal_mode": "wal"}


def test_a_file_belongs_to_one_process(opened, file):
    opened()
    with pytest.raises(UsageError, match="another process; give each run an outbox of its own"):
        Store(file).open()


def _writes_and_dies(file: Path, count: int) -> None:
    store = Store(file)
    store.open()
    fill(store, count)
    os._exit(9)


def test_a_process_that_dies_leaves_all_it_added_and_no_lock(opened, file):
    child = multiprocessing.get_context("spawn").Process(target=_writes_and_dies, args=(file, 30))
    child.start()
    child.join()
    assert child.exitcode == 9
    assert rows(opened()) == list(range(1, 31))


def test_size_is_capped_and_the_oldest_make_room(opened, file):
    limit_bytes = 2**21 + 2**18
    store = opened(limit_bytes)
    events = fill(store, 10, droppable=False)
    last = fill(store, 3000)[-1]
    kept = rows(store)
    assert kept[:10] == events
    assert kept[10:] == list(range(kept[10], last + 1))
    assert store.dropped == 3010 - len(kept) > 0
    assert sum(path.stat().st_size for path in file.parent.iterdir()) <= limit_bytes


def test_rows_that_are_spared_make_no_room(opened):
    store = opened(2**21)
    first = fill(store, 40)
    with contextlib.suppress(StoreError):
        while True:
            store.add(StoredMessage(store.next_row, "t", os.urandom(200), droppable=True), spare=range(10_000))
    assert rows(store)[:40] == first
    assert store.count < 10_000
    assert store.dropped == 0


def wreck_middle(file: Path) -> None:
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size - 3 * 4096)
        raw.write(os.urandom(4096))


def wreck_header(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)


def wreck_end(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(("wreck", "saved"), [(wreck_middle, True), (wreck_end, True), (wreck_header, False)])
def test_a_damaged_file_is_set_aside_and_salvaged(opened, file, caplog, wreck, saved):
    store = opened()
    fill(store, 400)
    store.close()
    wreck(file)
    damaged = file.read_bytes()
    again = opened()
    aside = file.with_name("box.damaged-1")
    assert aside.read_bytes() == damaged
    assert (0 < again.count < 400) if saved else again.count == 0
    (said,) = caplog.messages
    assert f"set aside as {aside.name}, {again.count} records saved" in said
    assert fill(again, 1) == [again.next_row - 1]


def test_an_empty_database_beside_a_full_wal_is_damage_and_not_a_new_one(opened, file, tmp_path):
    store = opened()
    fill(store, 5)
    wal = file.with_name("box-wal")
    copy = tmp_path / "other"
    copy.mkdir()
    shutil.copy(wal, copy / "box-wal")
    (copy / "box").touch()
    other = Store(copy / "box")
    other.open()
    assert other.after(0, 9) == store.after(0, 9)
    other.close()
    assert (copy / "box.damaged-1-wal").read_bytes() == wal.read_bytes()


def test_a_file_of_another_version_is_set_aside_whole(opened, file, caplog):
    opened().close()
    with sqlite3.connect(file) as raw:
        raw.execute("PRAGMA user_version=2")
    raw.close()
    opened()
    assert file.with_name("box.damaged-1").exists()
    assert "no outbox of version 1" in caplog.text


def test_damage_found_while_running_costs_what_cannot_be_read(opened, file):
    store = opened()
    fill(store, 600)
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._connection.execute("PRAGMA cache_size=0")
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(os.urandom(file.stat().st_size - 2 * 4096))
    fill(store, 3)
    assert file.with_name("box.damaged-1").exists()
    assert store.dropped + store.count == 603


def test_no_number_is_used_twice_though_damage_took_the_last_rows(opened, file):
    """Else the confirmation of a message that is under way would remove another one."""
    store = opened()
    fill(store, 20)
    before = store.next_row
    store.close()
    wreck_header(file)
    store.open()
    assert (store.count, rows(store), store.next_row) == (0, [], before)


def test_a_file_that_could_not_be_begun_anew_is_tried_again(opened, monkeypatch):
    store = opened()
    fill(store, 3)

    def no_room(_: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(outbox_store, "set_aside", no_room)
        with pytest.raises(StoreError, match="no new one can be begun"):
            store._begin_anew("damage")
    assert len(fill(store, 2)) == 2, "once there is room, records are on disk again"
    assert store.count == len(rows(store)) == 5
    store.close()
    with pytest.raises(StoreError, match="not open"):
        fill(store, 1)


def test_damage_that_is_met_while_room_is_made_is_mended_then(opened, file, monkeypatch):
    """The error of that must not reach the sink, which would get no more records."""
    store = opened()
    fill(store, 600)
    whole = store._write

    def full(*_: object) -> None:
        monkeypatch.setattr(store, "_write", whole)
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store._connection.execute("PRAGMA cache_size=0")
        with file.open("r+b") as raw:
            raw.seek(4096)
            raw.write(os.urandom(file.stat().st_size - 2 * 4096))
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "_write", full)
    fill(store, 1)
    assert file.with_name("box.damaged-1").exists()
    assert store.count == len(rows(store)) >= 1
    assert store.dropped + store.count == 601


def test_a_ballast_on_a_disk_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    ballast = Ballast(tmp_path / "held", 100)
    ballast.restore()

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("unlink", "exists", "stat"):
        monkeypatch.setattr(Path, name, read_only)
    ballast.give_up()
    ballast.restore()
    monkeypatch.undo()
    assert (tmp_path / "held").stat().st_size == 100


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="&outbox=FOLDER"):
        Store(tmp_path / "file" / "box").open()


def test_the_ballast_goes_when_the_disk_is_full_and_comes_back(opened, file):
    store = opened()
    ballast = file.with_name("box.ballast")
    assert ballast.stat().st_size == 2**20
    fill(store, 200)
    assert store._make_room((), ()) == 64
    assert ballast.stat().st_size == 2**20
    ballast.unlink()
    store.remove(rows(store))
    assert ballast.stat().st_size == 2**20


@pytest.mark.parametrize(
    ("outbox", "environment", "place"),
    [
        ("/data/box", {"STATE_DIRECTORY": "/var/lib/m"}, "/data/box"),
        (None, {"STATE_DIRECTORY": "/var/lib/m:/x", "XDG_STATE_HOME": "/s"}, "/var/lib/m/outbox"),
        (None, {"XDG_STATE_HOME": "/s"}, "/s/mmrphys/outbox"),
        (None, {}, f"{Path.home()}/.local/state/mmrphys/outbox"),
    ],
)
def test_where_the_file_is(outbox, environment, place):
    broker = Broker("mqtt", "::1", 1883, "ward 2", outbox=outbox)
    assert outbox_file(broker, "kit-7", environment) == Path(place) / "%3A%3A1-1883-ward%202-kit-7.outbox"
    assert outbox_file(Broker("mqtt", "h", 1, "s", outbox="memory"), "kit-7", environment) is None


@given(st.binary(max_size=2000))
def test_text_is_packed_without_loss(text):
    assert unpacked(packed(text)) == text


def test_a_numerics_record_becomes_small_and_damage_is_seen(factory, vitals):
    text = encode(factory.numerics(vitals))
    body = packed(text)
    assert len(body) < len(text) / 3
    for at in range(len(body)):
        with contextlib.suppress(ValueError):  # a bit may be one of no meaning
            assert unpacked(body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :]) == text
        with pytest.raises(ValueError, match="stored record"):
            unpacked(body[:at])


def test_two_days_of_records_with_beat_intervals_fit(opened, factory, vitals):
    """The promise of 48 h at 1 Hz in 64 MB, with digits that do not repeat and a pulse of 120 in every record."""
    chance, store, count = random.Random(3), opened(), 3_000
    for second in range(count):
        end_ns = second * 10**9 + chance.randrange(10**8)
        beats = Beats(
            (end_ns, end_ns + 500_000_000), (chance.gauss(500, 20), chance.gauss(500, 20)), chance.uniform(5, 20),
            chance.uniform(10, 60), 29.0,
        )  # fmt: skip
        hr, rr = (replace(vitals.hr, value=chance.uniform(*span), sqi=chance.random()) for span in ((50, 120), (8, 25)))
        whole = replace(vitals, hr=hr, rr=rr, beats=beats, pts_ns=end_ns, skew_ms=chance.uniform(0, 40))
        payload = encode(factory.numerics(whole))
        store.add(StoredMessage(store.next_row, "vitals/1/ward/kit-7/bed-3/history", payload, droppable=True))
    bare = len(packed(encode(factory.numerics(replace(whole, beats=None)))))
    assert len(packed(payload)) > bare + 40  # they are in it
    pages, free, page = (store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS)
    record_bytes = (pages - free) * page / count
    assert 48 * 3600 * record_bytes < LIMIT_BYTES - 6 * 2**20  # ballast and WAL


def test_the_dictionary_is_that_of_version_1():
    # Stored records of devices in the field need these very bytes: another dictionary is another file version.
    digest = hashlib.sha256(outbox_text._COMMON).hexdigest()
    assert digest == "fca6c743ea79c9772d8354c38cbaa36c001e140847bbbae3f20508e72ec3998d"


def test_a_record_that_was_changed_on_the_disk_is_left_out_and_counted(opened, caplog):
    store = opened()
    fill(store, 9)
    store._connection.execute("UPDATE waiting SET body=x'00' WHERE row=4")
    assert store.after(0, 99) == []  # the file is begun anew with the others
    assert rows(store) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert store.dropped == 1
    assert "8 records saved" in caplog.text
