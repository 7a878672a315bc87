"""The processes that read posted images."""

import asyncio
import multiprocessing
from multiprocessing.process import BaseProcess

import pytest
from support.paths import ROOT

from digitkit.errors import WorkerError
from digitkit.reading.reader import Reader

pytest.importorskip("uvicorn")
from digitkit.web.read_pool import ReadPool
from digitkit.web.read_worker import ImageReader, ReadRequest


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        ({"mode": "number"}, None, 3),
        ({"mode": "number"}, "page", 6),
        ({"gap": 1.5}, "page", 4),
        ({"gap": 1.5}, "number", 3),
    ],
)
def test_a_request_for_another_mode(own, asked, expected):
    data = (ROOT / "data/samples/notes.jpg").read_bytes()
    answer = ImageReader(Reader(**own)).read(ReadRequest(data, mode=asked))
    assert len(answer.line["numbers"]) == expected


def never():
    raise AssertionError("is not called in this process")


def read(pool: ReadPool) -> None:
    asyncio.run(pool.read(ReadRequest(b"image")))


def test_a_process_that_cannot_be_started_is_tried_again(monkeypatch):
    tried = []

    def start(self) -> None:
        tried.append(self)
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(BaseProcess, "start", start)
    pool = ReadPool(never, 1, 1)
    for _ in range(2):
        with pytest.raises(WorkerError):
            read(pool)
    pool.close()
    assert len(tried) == 2


def test_none_is_left_where_the_pool_is_closed_while_one_starts(monkeypatch):
    start = BaseProcess.start
    pool = ReadPool(never, 1, 1)

    def start_late(self) -> None:
        pool.close()
        start(self)

    monkeypatch.setattr(BaseProcess, "start", start_late)
    with pytest.raises(WorkerError):
        read(pool)
    assert multiprocessing.active_children() == []
