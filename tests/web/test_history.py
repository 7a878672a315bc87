"""The history of a service: what is acknowledged stays, what is too old goes."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from digitkit.errors import OutputError
from digitkit.images.encode import encode_jpeg
from digitkit.sinks.review import ReviewItem
from digitkit.web.history import SCHEMA_VERSION, History


def open_history(path, **options) -> History:
    values = {"keep_days": 30, "keep_mb": 100, "notice": lambda line: None} | options
    return History(path, **values)


@pytest.fixture
def history(tmp_path):
    with closing(open_history(tmp_path / "sub" / "h.db")) as history:
        yield history


def item(confidence: float = 0.5, kind: str = "digit", size: int = 40, at: int = 0) -> ReviewItem:
    noise = np.random.default_rng(int(confidence * 1e6)).integers(0, 255, (size, size), np.uint8)
    seen = (np.full((28, 28), 7, np.uint8), np.full((28, 28), 9, np.uint8))
    return ReviewItem(
        kind, "7", confidence, ("why",), noise, (1, 2, 3, 4), seen, "page.jpg",
        place=(at, int(confidence * 1000), 1, 1),
    )  # fmt: skip


def line(text: str) -> dict:
    return {"source": "page.jpg", "text": text, "numbers": []}


def test_readings_come_back_newest_first(history):
    numbers = [history.add(line(str(i))).result() for i in range(5)]
    assert numbers == sorted(numbers)
    found = history.readings()
    assert [one.line["text"] for one in found] == ["4", "3", "2", "1", "0"]
    assert [one.id for one in history.readings(after=numbers[2])] == numbers[3:]
    assert [one.id for one in history.readings(before=numbers[2], limit=1)] == [numbers[1]]
    assert history.readings(since=time.time() + 10) == []
    assert len(history.readings(until=time.time() + 10)) == 5


def test_items_wait_for_a_decision_most_doubtful_first(history):
    history.add(line("7"), [item(0.7), item(0.2)]).result()
    history.add(line("7"), [item(0.5)]).result()
    assert [one.values["confidence"] for one in history.open_items(10)] == [0.2, 0.5, 0.7]
    first = history.open_items(1)[0]
    assert [image[0, 0] for image in first.seen] == [7, 9]
    assert first.seen[0].shape == (28, 28)
    assert history.crop(first.id).startswith(b"\xff\xd8")
    assert history.decide(first.id, "3").result()
    assert history.count_open() == 2
    assert [one.text for one in history.corrections()] == ["3"]
    assert history.decide(first.id, "").result()
    assert [one.text for one in history.corrections()] == [""]
    assert history.decide(first.id, None).result()
    assert history.count_open() == 3
    assert not history.decide(999, "3").result()
    assert history.item(999) is None
    assert history.crop(999) is None


def test_an_item_that_is_known_is_not_asked_about_again(history):
    history.add(line("7"), [item(0.7)]).result()
    history.decide(history.open_items(1)[0].id, "3").result()
    history.add(line("7"), [item(0.7), item(0.2)]).result()
    assert [one.values["confidence"] for one in history.open_items(10)] == [0.2]


def test_it_is_there_when_it_is_opened_again(tmp_path):
    path = tmp_path / "h.db"
    with closing(open_history(path)) as history:
        history.add(line("1984"), [item()])
    with closing(open_history(path)) as history:
        assert history.readings()[0].line["text"] == "1984"
        assert history.count_open() == 1
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_too_old_goes_but_for_decisions(tmp_path):
    path = tmp_path / "h.db"
    with closing(open_history(path)) as history:
        history.add(line("old"), [item(0.1), item(0.2)]).result()
        history.decide(history.open_items(1)[0].id, "5").result()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE readings SET time = time - 10 * 86400")
        database.execute("UPDATE review SET time = time - 10 * 86400")
    with closing(open_history(path, keep_days=9)) as history:
        history.add(line("new")).result()
        history.add(line("newer")).result()  # after what is done at the start
        assert [one.line["text"] for one in history.readings()] == ["newer", "new"]
        assert history.count_open() == 0
        assert [one.text for one in history.corrections()] == ["5"]


def test_it_stays_small(tmp_path):
    path = tmp_path / "h.db"
    with closing(open_history(path)) as history:
        for number in range(40):
            items = [item(0.01 * number, size=300, at=at) for at in range(4)]
            history.add(line(str(number)), items).result()
        history.decide(history.open_items(1)[0].id, "5").result()
    before = path.stat().st_size
    with closing(open_history(path, keep_mb=before / 2e6)) as history:
        history.add(line("last")).result()
        history.add(line("very last")).result()
        assert history.readings()[0].line["text"] == "very last"
        assert [one.text for one in history.corrections()] == ["5"]
    assert path.stat().st_size < 0.6 * before


def test_it_stays_small_while_it_grows(tmp_path):
    path = tmp_path / "h.db"
    with closing(open_history(path, keep_mb=1)) as history:
        for number in range(60):
            items = [item(0.01 * number, size=100, at=at) for at in range(4)]
            history.add(line(str(number)), items).result()
        kept = [int(stored.line["text"]) for stored in history.readings()]
        assert kept == list(range(59, 59 - len(kept), -1))
        assert len(kept) > 5  # the oldest go, not all
    assert path.stat().st_size < 1.5e6


def test_a_damaged_file_is_set_aside(tmp_path):
    path, said = tmp_path / "h.db", []
    with closing(open_history(path)) as history:
        for number in range(200):
            history.add(line("x" * 200 + str(number)))
    data = bytearray(path.read_bytes())
    data[4096:20_000] = os.urandom(20_000 - 4096)
    path.write_bytes(data)
    with closing(open_history(path, notice=said.append)) as history:
        history.add(line("new")).result()
        assert [one.line["text"] for one in history.readings()] == ["new"]
    (damaged,) = tmp_path.glob("h.db.damaged-*")
    assert damaged.read_bytes() == bytes(data)
    assert "is damaged" in said[0]
    path.write_bytes(bytes(4096) + data[4096:])  # as where the power failed
    said.clear()
    with closing(open_history(path, notice=said.append)) as history:
        history.add(line("new")).result()
    assert said


def test_what_cannot_be_a_history_is_refused(tmp_path):
    with pytest.raises(OutputError):
        open_history(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        open_history(tmp_path / "file" / "h.db")
    path = tmp_path / "newer.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(OutputError, match="newer"):
        open_history(path)


@pytest.mark.parametrize("other", ["picture", "settings", "database"])
def test_a_file_of_something_else_is_left_alone(other, tmp_path):
    path = tmp_path / "other"
    if other == "picture":
        path.write_bytes(encode_jpeg(np.zeros((9, 9), np.uint8)))
    elif other == "settings":
        path.write_text("[serve]\nport = 8000\n")
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="not a history of digitkit"):
        open_history(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_is_said_once_and_ends_nothing(tmp_path):
    path, said = tmp_path / "h.db", []
    with closing(open_history(path, notice=said.append)) as history:
        history.add(line("first")).result()
        with closing(sqlite3.connect(path)) as other:
            other.execute("ALTER TABLE readings RENAME TO away")
            other.commit()
            for _ in range(3):
                with pytest.raises(OutputError, match="cannot be written"):
                    history.add(line("lost")).result()
            assert len(said) == 1
            other.execute("ALTER TABLE away RENAME TO readings")
            other.commit()
        history.add(line("second")).result()
        assert [one.line["text"] for one in history.readings()] == ["second", "first"]


def test_what_cannot_be_written_ends_nothing(history):
    with pytest.raises(OutputError):
        history.add(line("\udcff")).result(10)  # which is no UTF-8
    assert history.add(line("1")).result(10) == 1


def test_what_nobody_waits_for_any_more_ends_nothing(history):
    release = threading.Event()
    history._submit(lambda database: release.wait(10))
    cancelled = history.add(line("1"))
    assert cancelled.cancel()
    release.set()
    history.add(line("2")).result(10)
    assert [stored.line["text"] for stored in history.readings()] == ["2"]


def test_items_of_fields_and_numbers_are_kept(history):
    history.add(line("1"), [replace(item(), kind="number", read="19?4", images=())]).result()
    (stored,) = history.open_items(5)
    assert stored.values["kind"] == "number"
    assert stored.seen == ()


WRITER = """
import sys
from pathlib import Path
from digitkit.web.history import History
history = History(Path(sys.argv[1]), keep_days=30, keep_mb=100, notice=print)
number = 0
while True:
    number += 1
    history.add({"source": "x", "text": str(number)}).result()
    print(number, flush=True)
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path, last = tmp_path / "h.db", 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        acknowledged = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        acknowledged += map(int, process.stdout.read().split())
        process.wait()
        process.stdout.close()
        with closing(open_history(path)) as history:
            found = [int(one.line["text"]) for one in history.readings(after=last, limit=10_000)]
            last = history.readings(limit=1)[0].id
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
