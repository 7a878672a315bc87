"""What a service read, what of it was doubtful, and what a person said about that: SQLite.

One thread writes. What waits for it goes into one transaction, so that many clients share the wait
for the disk; who waits for an answer gets it when the transaction is on the disk (WAL, synchronous
FULL), so that what was acknowledged survives a killed process and a loss of power.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitkit.errors import OutputError, OutputPathError, cannot_write, one_line
from digitkit.images.encode import encode_jpeg
from digitkit.sinks.review import review_item_json

if TYPE_CHECKING:
    from digitkit.arrays import U8
    from digitkit.sinks.review import ReviewItem

SCHEMA_VERSION = 1
"""SQLite's ``user_version`` of the tables."""

_SCHEMA = """
CREATE TABLE readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    line TEXT NOT NULL
);
CREATE INDEX readings_time ON readings (time);
CREATE TABLE review (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    reading INTEGER NOT NULL,
    time REAL NOT NULL,
    confidence REAL NOT NULL,
    item TEXT NOT NULL,
    crop BLOB NOT NULL,
    seen BLOB NOT NULL,
    text TEXT,
    decided REAL
);
CREATE INDEX review_open ON review (confidence) WHERE text IS NULL;
CREATE INDEX review_time ON review (time);
"""

PRUNE_SECONDS = 600.0
"""How often what is too old is removed; what is too much, as soon as it is there."""

MAX_WAITING = 1000
"""Readings that wait to be written; then the thread that reads waits, too."""


@dataclass(frozen=True)
class Stored:
    """A reading of the history.

    Attributes:
        id: its number, which grows.
        time: when it was written, seconds since 1970.
        line: the JSON line of ``digitkit infer``.
    """

    id: int
    time: float
    line: dict[str, Any]


@dataclass(frozen=True)
class StoredItem:
    """Something doubtful, and what a person said about it.

    Attributes:
        id: its number.
        values: as JSON; see `digitkit.sinks.review.review_item_json`.
        seen: the normal forms of its digits, uint8 ``[28, 28]`` each.
        text: what a person read; ``""`` for no digit; None where nobody has decided.
    """

    id: int
    values: dict[str, Any]
    seen: tuple[U8, ...]
    text: str | None


Operation = Callable[[sqlite3.Connection], Any]


class History:
    """The history of a service, in a file.

    Attributes:
        path: the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float,
        keep_mb: float,
        notice: Callable[[str], None],
    ) -> None:
        """Open or create the file, and start the thread that writes.

        A history that is damaged is set aside, and a new one begun. Any other file is left alone.

        Args:
            path: the file.
            keep_days: days that readings and undecided items are kept.
            keep_mb: largest size, megabytes of 10⁶ bytes.
            notice: called with a line where something is wrong that does not end the service.

        Raises:
            OutputPathError: it cannot be written, is not a history, or has a schema of a newer
                version.
        """
        self.path = path
        self._keep_days = keep_days
        self._keep_bytes = keep_mb * 1e6
        self._notice = notice
        self._failed = False
        self._work: queue.Queue[tuple[Operation, Future[Any]] | None] = queue.Queue(MAX_WAITING)
        self._reading = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if _is_foreign(path):
                raise OSError("it is not a history of digitkit; name another file")
            if not _is_sound(path):
                damaged = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
                path.rename(damaged)
                notice(f"{path}: is damaged; kept as {damaged.name}, and begun anew")
            self._writer = _open(path)
            self._reader = sqlite3.connect(path, check_same_thread=False)
            self._reader.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error) as error:
            problem = f"cannot be used as history: {one_line(error)}"
            raise OutputPathError(problem, subject=str(path)) from error
        self._thread = threading.Thread(target=self._write_all, name="history", daemon=True)
        self._thread.start()

    # --- writing ---

    def add(self, line: dict[str, Any], items: Sequence[ReviewItem] = ()) -> Future[int]:
        """Write a reading, and what of it is doubtful.

        Args:
            line: the JSON line of ``digitkit infer``.
            items: what is doubtful; what is known by its key is left as it is.

        Returns:
            The reading's number, when it is on the disk. It fails with an `OutputError`.
        """
        now = time.time()
        rows = [_review_row(item, now) for item in items]

        def write(database: sqlite3.Connection) -> int:
            insert = "INSERT INTO readings (time, line) VALUES (?, ?)"
            values = now, json.dumps(line, ensure_ascii=False)
            number = database.execute(insert, values).lastrowid
            assert number is not None
            database.executemany(
                "INSERT OR IGNORE INTO review (reading, key, time, confidence, item, crop, seen)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(number, *row) for row in rows],
            )
            return number

        return self._submit(write)

    def decide(self, number: int, text: str | None) -> Future[bool]:
        """Write what a person says about an item.

        Args:
            number: of the item.
            text: what it shows; ``""`` for no digit; None to take back what was said.

        Returns:
            Whether there is such an item, when it is on the disk.
        """
        decided = None if text is None else time.time()

        def write(database: sqlite3.Connection) -> bool:
            update = "UPDATE review SET text = ?, decided = ? WHERE id = ?"
            return database.execute(update, (text, decided, number)).rowcount > 0

        return self._submit(write)

    def _submit(self, operation: Operation) -> Future[Any]:
        future: Future[Any] = Future()
        self._work.put((operation, future))
        return future

    def _write_all(self) -> None:
        """Write what waits, in one transaction at a time, until `close`."""
        due = time.monotonic()
        while True:
            with suppress(queue.Empty):
                work = [self._work.get(timeout=max(0.0, due - time.monotonic()))]
                with suppress(queue.Empty):
                    while work[-1] is not None:
                        work.append(self._work.get_nowait())
                self._write([each for each in work if each is not None])
                if work[-1] is None:
                    return
            if time.monotonic() >= due or self._is_full():
                self._write([(self._prune, Future())])
                due = time.monotonic() + PRUNE_SECONDS

    def _write(self, work: Sequence[tuple[Operation, Future[Any]]]) -> None:
        # Who waited may have been cancelled at the end; what others wait for is still written.
        work = [each for each in work if each[1].set_running_or_notify_cancel()]
        results = []
        try:
            with self._writer:  # a transaction
                for operation, _ in work:
                    results.append(operation(self._writer))
        except Exception as error:  # whatever it is, this thread must go on
            if not self._failed:
                self._notice(str(cannot_write(self.path, one_line(error))))
            self._failed = True
            for _, future in work:
                future.set_exception(cannot_write(self.path, one_line(error)))
            return
        self._failed = False
        for (_, future), result in zip(work, results, strict=True):
            future.set_result(result)

    def _is_full(self) -> bool:
        try:
            return _used_bytes(self._writer) > self._keep_bytes
        except sqlite3.Error:
            return False  # the next write says so

    def _prune(self, database: sqlite3.Connection) -> None:
        """Remove what is too old, then the oldest until the file is small enough.

        What a person decided is kept as long as anything else can go.
        """
        oldest = time.time() - self._keep_days * 86_400
        database.execute("DELETE FROM readings WHERE time < ?", (oldest,))
        database.execute("DELETE FROM review WHERE time < ? AND text IS NULL", (oldest,))
        for where in ("WHERE text IS NULL", ""):
            while _used_bytes(database) > self._keep_bytes:
                (last,) = database.execute(
                    f"SELECT max(id) FROM (SELECT id FROM review {where} ORDER BY id"
                    f" LIMIT 1 + (SELECT count(*) FROM review {where}) / 20)"
                ).fetchone()
                (reading,) = database.execute(
                    "SELECT max(id) FROM (SELECT id FROM readings ORDER BY id"
                    " LIMIT 1 + (SELECT count(*) FROM readings) / 20)"
                ).fetchone()
                if last is None and reading is None:
                    break
                condition = where.replace("WHERE", "AND")
                database.execute(f"DELETE FROM review WHERE id <= ? {condition}", (last,))
                database.execute("DELETE FROM readings WHERE id <= ?", (reading,))

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._work.put(None)
        self._thread.join()
        with self._reading:
            self._reader.close()
        self._writer.close()

    # --- reading ---

    def _query(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            problem = f"cannot be read: {one_line(error)}"
            raise OutputError(problem, subject=str(self.path)) from error

    def readings(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Stored]:
        """Readings, the newest first; with `after` alone, the oldest first.

        Args:
            since: written at this time or later, seconds since 1970.
            until: written before this time.
            after: with numbers above this.
            before: with numbers below this.
            limit: at most so many.

        Raises:
            OutputError: the file cannot be read.
        """
        conditions = {"time >= ?": since, "time < ?": until, "id > ?": after, "id < ?": before}
        given = {condition: value for condition, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        order = "ASC" if after is not None else "DESC"
        sql = f"SELECT id, time, line FROM readings {where} ORDER BY id {order} LIMIT ?"
        rows = self._query(sql, (*given.values(), limit))
        return [Stored(number, when, json.loads(line)) for number, when, line in rows]

    def open_items(self, limit: int) -> list[StoredItem]:
        """What nobody has decided, the most doubtful first."""
        return self._items("text IS NULL ORDER BY confidence, id LIMIT ?", (limit,))

    def count_open(self) -> int:
        """How many items nobody has decided."""
        return int(self._query("SELECT count(*) FROM review WHERE text IS NULL", ())[0][0])

    def item(self, number: int) -> StoredItem | None:
        """An item; None where there is none of this number."""
        return next(iter(self._items("id = ?", (number,))), None)

    def corrections(self) -> Iterator[StoredItem]:
        """What was decided, in order."""
        last = 0
        while rows := self._items("text IS NOT NULL AND id > ? ORDER BY id LIMIT 100", (last,)):
            yield from rows
            last = rows[-1].id

    def crop(self, number: int) -> bytes | None:
        """An item's picture, JPEG; None where there is no such item."""
        rows = self._query("SELECT crop FROM review WHERE id = ?", (number,))
        return rows[0][0] if rows else None

    def _items(self, condition: str, values: Sequence[object]) -> list[StoredItem]:
        rows = self._query(f"SELECT id, item, seen, text FROM review WHERE {condition}", values)
        return [
            StoredItem(number, json.loads(item), _unpack(seen), text)
            for number, item, seen, text in rows
        ]


def _review_row(item: ReviewItem, now: float) -> tuple[str, float, float, str, bytes, bytes]:
    seen = b"".join(np.ascontiguousarray(image).tobytes() for image in item.images)
    text = json.dumps(review_item_json(item), ensure_ascii=False)
    return item.key, now, item.confidence, text, encode_jpeg(item.crop), seen


def _unpack(seen: bytes) -> tuple[U8, ...]:
    images = np.frombuffer(seen, np.uint8).reshape(-1, 28, 28)
    return tuple(images)


_SQLITE_HEAD = b"SQLite format 3\0"


def _is_foreign(path: Path) -> bool:
    """Whether there is a file of something else: no database, or one with other tables."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(len(_SQLITE_HEAD))
    # Where the power failed there may be zeros.
    if head.strip(b"\0") and head != _SQLITE_HEAD:
        return True
    rows = _ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    names = {name for (name,) in rows or ()}
    return bool(names) and not {"readings", "review"} <= names


def _is_sound(path: Path) -> bool:
    """Whether a file is a database that can be used; true where there is none."""
    return not path.exists() or _ask(path, "PRAGMA quick_check(1)") == [("ok",)]


def _ask(path: Path, query: str) -> list[tuple[Any, ...]] | None:
    """What a database answers; None where it is damaged.

    Raises:
        sqlite3.OperationalError: it is locked, or not readable.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return None


def _open(path: Path) -> sqlite3.Connection:
    """Open the file to write, with its tables.

    Raises:
        OSError: it was written by a newer version.
        sqlite3.Error: it cannot be written.
    """
    database = sqlite3.connect(path, check_same_thread=False)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        database.close()
        raise OSError(f"it is of a newer digitkit (schema {version})")
    if version == 0:
        database.execute("PRAGMA auto_vacuum = FULL")  # so that the file shrinks
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    path.chmod(0o600)
    return database


def _used_bytes(database: sqlite3.Connection) -> int:
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
