"""The outbox's file: messages in SQLite, each on disk when the call that adds it returns.

WAL with ``synchronous=FULL`` (sqlite.org/wal.html, sqlite.org/pragma.html): a commit is one append and one sync, and
survives the loss of power. The file belongs to one process (exclusive locking). Its size is capped: at the cap, or on a
full disk, the oldest droppable messages make room. On a disk that is really full not even a deletion works, for it is
written to the WAL first; a ballast file is given up then, and made again when there is room.
A file that is damaged is set aside, what can be read of it goes into a new one.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UsageError
from edge.sinks.ballast import Ballast
from edge.sinks.outbox_salvage import SELECT, beside, check_whole, readable_rows, set_aside
from edge.sinks.outbox_text import packed, unpacked

__all__ = ["LIMIT_BYTES", "Store", "StoreError", "StoredMessage"]

log = logging.getLogger(__name__)

LIMIT_BYTES = 64 * 2**20
_PAGE_BYTES = 4096
_WAL_PAGES = 256
_BALLAST_BYTES = 4 * 2**20
_ROOM = 64
_FRUITLESS = 2
"""The first attempt to make room may only have given up the ballast."""
_APPLICATION = 0x4D4D504F  # "MMPO"
_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE topics(id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE);
CREATE TABLE waiting(row INTEGER PRIMARY KEY, topic INTEGER NOT NULL, droppable INTEGER NOT NULL, body BLOB NOT NULL);
PRAGMA application_id={_APPLICATION};
PRAGMA user_version={_VERSION};
COMMIT;
"""


class StoreError(Exception):
    """A message cannot be stored or removed now."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message; ``row`` numbers rise in the order of adding. Droppable ones make room for newer messages."""

    row: int
    topic: str
    payload: bytes
    droppable: bool


class Store:
    """``file`` None keeps all in memory. ``limit_bytes`` holds for database, WAL and ballast together.

    ``count`` is how many messages are in it, ``dropped`` how many made room or were in a part that cannot be read,
    ``next_row`` the number for the next. Not thread-safe, but may be used
    from several threads in turn.
    """

    def __init__(self, file: Path | None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._file = file
        self._ballast = Ballast(beside(file, ".ballast") if file else None, min(_BALLAST_BYTES, limit_bytes // 16))
        others = self._ballast.size_bytes + 2 * _WAL_PAGES * _PAGE_BYTES
        self._pages = max(16, (limit_bytes - others) // _PAGE_BYTES)
        self._topics: dict[str, int] = {}
        self._database: sqlite3.Connection | None = None
        self._broken = False  # damaged, and no new file could be begun yet
        self.count = self.dropped = 0
        self.next_row = 1

    @property
    def name(self) -> str:
        """The file, or ``outbox in memory``."""
        return str(self._file or "outbox in memory")

    @property
    def durable(self) -> bool:
        """Whether what is in it outlives this process."""
        return self._file is not None

    def open(self) -> None:
        """Open or make the file; a damaged one is set aside and salvaged.

        Raises
        ------
        UsageError
            The folder cannot be written, or another process has the file.
        """
        try:
            self._open()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                self.close()
                raise UsageError(
                    f"{self.name} is used by another process; give each run an outbox of its own: &outbox=FOLDER"
                ) from error
            self._cannot_be_used(error)
        except OSError as error:
            self._cannot_be_used(error)
        except sqlite3.DatabaseError as error:
            try:
                self._begin_anew(str(error))
            except StoreError as second:
                self._cannot_be_used(second)

    def add(self, one: StoredMessage, gone: Sequence[int] = (), spare: Collection[int] = ()) -> None:
        """Store one message and remove the rows ``gone``, in one commit.

        Older droppable ones make room where there is none, but for rows in ``spare``.

        Raises
        ------
        StoreError
            It cannot be stored now.
        """
        if self._broken:
            self._begin_again()
        body = packed(one.payload)
        fruitless = 0
        while fruitless < _FRUITLESS:
            try:
                self._write(one, body, gone)
            except sqlite3.OperationalError as error:
                if "full" not in str(error):
                    raise StoreError(f"it cannot be written ({error})") from error
                fruitless += not self._make_room(spare, gone)
            except sqlite3.DatabaseError as error:
                fruitless += 1
                self._begin_anew(str(error))
            else:
                return
        raise StoreError("there is no room for it: the disk is full, or all that waits must be kept")

    def remove(self, rows: Sequence[int]) -> None:
        """Remove messages, in one commit; StoreError when that fails."""
        try:
            with self._transaction() as database:
                removed = _delete(database, rows)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"it cannot be written ({error})") from error
        self.count -= removed
        if not self.count:
            self._ballast.restore()

    def after(self, row: int, limit: int) -> list[StoredMessage]:
        """The next messages behind ``row``, at most ``limit``, in order.

        Damage that is met begins the file anew. StoreError when nothing can be read now.
        """
        query = f"{SELECT} WHERE row > ? ORDER BY row LIMIT ?"
        try:
            found = self._connection.execute(query, (row, limit)).fetchall()
            return [StoredMessage(row, topic, unpacked(body), bool(drop)) for row, topic, drop, body in found]
        except sqlite3.OperationalError as error:
            raise StoreError(f"it cannot be read ({error})") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            self._begin_anew(str(error))
            return []

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._broken = False
        self._let_go()

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(
                sqlite3.DatabaseError
            ):  # it checkpoints: a full disk leaves the WAL, which is as good
                database.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise StoreError("it is not open")
        return self._database

    def _open(self) -> None:
        if self._file is not None:
            check_whole(self._file)
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
        target = str(self._file or ":memory:")
        database = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)
        self._database = database
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        database.execute(f"PRAGMA journal_size_limit={_WAL_PAGES * _PAGE_BYTES}")
        database.execute(f"PRAGMA max_page_count={self._pages}")
        self._check_content(database)
        self._count()
        self._ballast.restore()

    def _count(self) -> None:
        database = self._connection
        self.count, last = database.execute("SELECT COUNT(*), COALESCE(MAX(row), 0) FROM waiting").fetchone()
        self.next_row = max(self.next_row, last + 1)  # no number twice, though the row of a message under way is lost
        self._topics = dict(database.execute("SELECT topic, id FROM topics").fetchall())

    def _check_content(self, database: sqlite3.Connection) -> None:
        tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            database.executescript(_SCHEMA)
        found = tuple(database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("application_id", "user_version"))
        if found != (_APPLICATION, _VERSION):
            raise sqlite3.DatabaseError(f"it is no outbox of version {_VERSION} (found {found[0]:#x}, {found[1]})")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict).replace("\n", " "))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._connection
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except sqlite3.DatabaseError:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _write(self, one: StoredMessage, body: bytes, gone: Sequence[int]) -> None:
        topic = self._topics.get(one.topic)
        with self._transaction() as database:
            removed = _delete(database, gone)
            if topic is None:
                topic = database.execute("INSERT INTO topics(topic) VALUES(?)", (one.topic,)).lastrowid
            database.execute("INSERT INTO waiting VALUES(?, ?, ?, ?)", (one.row, topic, one.droppable, body))
        assert topic is not None
        self._topics[one.topic] = topic
        self.count += 1 - removed
        self.next_row = one.row + 1

    def _make_room(self, spare: Collection[int], gone: Sequence[int]) -> int:
        """Drop the oldest that may go; gives how many. On a full disk the ballast goes first: a deletion needs room."""
        kept = {*spare, *gone}
        oldest = "SELECT row FROM waiting WHERE droppable ORDER BY row LIMIT ?"
        try:
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            rows = self._connection.execute(oldest, (_ROOM + len(kept),)).fetchall()
        except sqlite3.DatabaseError as error:
            self._begin_anew(str(error))
            return 0
        if pages < self._pages:
            self._ballast.give_up()
        going = [row for (row,) in rows if row not in kept][:_ROOM]
        try:
            self.remove(going)
        except StoreError:
            return 0
        with contextlib.suppress(sqlite3.DatabaseError):  # what matters, the deletion, is done
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.dropped += len(going)
        self._ballast.restore()
        return len(going)

    def _begin_again(self) -> None:
        """Another attempt at what :meth:`_begin_anew` could not do; StoreError when it still cannot be done."""
        try:
            self._open()
        except (OSError, sqlite3.DatabaseError) as error:
            self._let_go()
            raise StoreError(f"it was damaged, and no new one can be begun ({error})") from error
        self._broken = False

    def _begin_anew(self, why: str) -> None:
        """Set the damaged file aside, begin a new one with what could be read of it, and say so."""
        self._let_go()
        assert self._file is not None, "a database in memory is not damaged"
        before, self.count, self._topics = self.count, 0, {}
        try:
            aside = set_aside(self._file)
            self._open()
            saved = self._salvage(aside)
            self.dropped += max(0, before - saved)
        except (OSError, sqlite3.DatabaseError) as error:
            self._let_go()
            self._broken = True
            raise StoreError(f"it was damaged ({why}), and no new one can be begun ({error})") from error
        log.error("%s was damaged (%s): set aside as %s, %d records saved from it", self.name, why, aside.name, saved)

    def _salvage(self, aside: Path) -> int:
        """Take over what can be read of a damaged file; gives how many messages."""
        with self._transaction() as database:
            for row, topic, droppable, body in readable_rows(aside):
                database.execute("INSERT OR IGNORE INTO topics(topic) VALUES(?)", (topic,))
                database.execute(
                    "INSERT OR IGNORE INTO waiting SELECT ?, id, ?, ? FROM topics WHERE topic=?",
                    (row, droppable, body, topic),
                )
        self._count()
        return self.count

    def _cannot_be_used(self, error: Exception) -> None:
        self.close()
        raise UsageError(
            f"{self.name} cannot be used ({error}); records wait there while their receiver is away: "
            "give a folder on a disk with &outbox=FOLDER, or &outbox=memory to lose them with the process"
        ) from error


def _delete(database: sqlite3.Connection, rows: Sequence[int]) -> int:
    """Gives how many of them were there."""
    return max(0, database.executemany("DELETE FROM waiting WHERE row=?", ((row,) for row in rows)).rowcount)
