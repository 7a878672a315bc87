"""The processes that read posted images, and who waits for them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from digitkit.errors import WorkerError
from digitkit.web.read_worker import ReadAnswer, ReadFailure, ReadRequest, serve_reads

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from digitkit.reading.reader import Reader

READ_SECONDS = 60.0
"""How long an image may take; then its process is ended."""

START_SECONDS = 120.0
"""How long a process may take to load the model."""


class QueueFullError(Exception):
    """So many images wait that another one would wait too long."""


class ReadPool:
    """A few processes that read images, started when the first image comes.

    Attributes:
        waiting: images that wait for a process.
    """

    def __init__(self, make_reader: Callable[[], Reader], workers: int, queue: int) -> None:
        """Prepare the processes.

        Args:
            make_reader: builds the reader of a process; must be picklable.
            workers: number of processes.
            queue: images that may wait for one of them.
        """
        self.waiting = 0
        self._queue = queue
        self._idle = [_Worker(make_reader) for _ in range(workers)]
        self._all = tuple(self._idle)
        self._free = asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, "read")

    async def read(self, request: ReadRequest) -> ReadAnswer | ReadFailure:
        """Read an image as soon as a process is free; cancelled before that, it is not read.

        Raises:
            QueueFullError: too many wait.
            WorkerError: the process died, or took too long.
        """
        if self._free.locked() and self.waiting >= self._queue:
            raise QueueFullError
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        worker = self._idle.pop()
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._threads, worker.read, request)
        answer.add_done_callback(lambda _: self._give_back(worker))
        return await asyncio.shield(answer)

    def _give_back(self, worker: _Worker) -> None:
        self._idle.append(worker)
        self._free.release()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._all:
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Worker:
    """One process, started when it is needed and again when it has died."""

    def __init__(self, make_reader: Callable[[], Reader]) -> None:
        self._make_reader = make_reader
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._is_closed = False

    def read(self, request: ReadRequest) -> ReadAnswer | ReadFailure:
        """Read an image; blocks."""
        try:
            if self._process is None or not self._process.is_alive():
                self._start()
            connection = self._connection
            assert connection is not None
            connection.send(request)
            if not connection.poll(READ_SECONDS):
                self.end()
                raise WorkerError(f"took longer than {READ_SECONDS:g} s", subject=request.name)
            answer: ReadAnswer | ReadFailure = connection.recv()
        except (EOFError, OSError) as error:
            if isinstance(error, WorkerError):
                raise
            self.end()
            raise WorkerError(
                "the process that read it died, maybe because memory ran out", subject=request.name
            ) from error
        return answer

    def _start(self) -> None:
        # A forked process would inherit the locks of other threads, and the connections.
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(
            target=serve_reads, args=(theirs, self._make_reader), name="digitkit-read", daemon=True
        )
        with theirs:
            process.start()
        self._connection, self._process = connection, process
        if self._is_closed or not connection.poll(START_SECONDS):
            self.end()
            raise WorkerError("the process that reads images does not start")
        connection.recv()

    def close(self) -> None:
        """Kill the process, and start no other."""
        self._is_closed = True
        self.end()

    def end(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                process.kill()
            process.join(1.0)
        if self._connection is not None:
            self._connection.close()
