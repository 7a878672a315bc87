"""Image files read by several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.errors import WorkerError, os_reason
from digitkit.inference.pipeline import Outcome, Reporting, Summary, Tally, deliver
from digitkit.inference.worker import (
    Answer,
    FrameReader,
    Result,
    ResultFormat,
    Written,
    start,
    work,
)
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile, item_name
from digitkit.sources.suffixes import is_video
from digitkit.sources.video import ALL_FRAMES, VideoLimits
from digitkit.system.interrupts import blocked_interrupts

if TYPE_CHECKING:
    from concurrent.futures import Future

    from digitkit.reading.results import Reading
    from digitkit.sinks.base import Sink
    from digitkit.system.interrupts import Interrupts

_AHEAD = 4
"""Tasks handed out per process: enough to keep all busy, not so much that memory fills."""

TASK_SECONDS = 0.1
"""How long a task is to take: far longer than handing it out and taking its result, about 0.5
milliseconds, and so short that what is interrupted is little."""

MAX_TASK_FILES = 512
"""Most files of a task."""

FILES_PER_WORKER = 100
"""With ``auto`` there is a process for each so many files, at most one per core: starting takes a
second."""


def read_with_workers(
    make_reader: Callable[[], FrameReader],
    items: Iterable[Item | Failure],
    workers: int,
    wanted: ResultFormat,
    *,
    ordered: bool = True,
    limits: VideoLimits = ALL_FRAMES,
) -> Generator[Result | Iterator[Outcome], None, None]:
    """Read image files, and pages of files, in several processes.

    Small files are handed out several at a time, as many as take `TASK_SECONDS`. The frames of a
    video follow one another, so this process reads them; also what was piped in. Where files become
    known slowly, the first results come once four times as many tasks as processes are known. The
    processes end with the generator, whatever they are doing.

    Args:
        make_reader: builds the reader of a process; must be picklable.
        items: files, as `digitkit.sources.files.expand_sources` gives them.
        workers: number of processes.
        wanted: in which format the results are wanted.
        ordered: whether results come in the order of the items, instead of as soon as they are
            there.
        limits: how much of each video is read.

    Yields:
        What was read of some files; for what this process reads, an iterator of outcomes.

    Raises:
        WorkerError: a process died, for example because memory ran out, or cannot be started.
    """
    from concurrent.futures.process import BrokenProcessPool

    pool = _Pool(make_reader, workers, wanted, limits)
    try:
        yield from _in_order(pool, items) if ordered else _as_ready(pool, items)
    except BrokenProcessPool as error:
        first, last = pool.first_and_last
        files = "this file" if first == last else f"a file from this one to {last}"
        raise WorkerError(
            f"a worker process died while {files} was read, maybe because memory ran out",
            subject=first,
            hint="use fewer --workers",
        ) from error
    finally:
        pool.end()


def deliver_results(
    results: Iterable[Result | Iterator[Outcome]],
    sinks: Sequence[Sink[Reading]],
    reporting: Reporting,
    *,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    interrupts: Interrupts | None,
) -> Summary:
    """Write what several processes read.

    Args:
        results: as `read_with_workers` yields them.
        sinks: where they go; if they are written down, one `LineSink` or `ParquetSink`.
        reporting: which numbers are reported of what is not written down, and when.
        on_failure: called with each failure.
        notice: called with a line for each video that had numbers, none of which was reported.
        interrupts: what Ctrl-C waits for, which ends this with a summary; None where it ends the
            program.
    """
    tally = Tally()
    try:
        for result in results:
            if isinstance(result, Written):
                (sink,) = sinks
                sink.add(result.data)  # type: ignore[attr-defined]
                tally.add(result.summary)
                for failure in result.failures:
                    on_failure(failure)
            else:
                if interrupts is not None and not isinstance(result, list):
                    result = interrupts.between(result)
                tally.add(deliver(result, sinks, reporting, on_failure=on_failure, notice=notice))
    except KeyboardInterrupt:
        if interrupts is None:
            raise
        return tally.summary(interrupted=True)
    return tally.summary()


def count_images(result: Result | Iterator[Outcome]) -> int:
    """How many images a result stands for; 0 where they come one by one."""
    if isinstance(result, Written):
        return result.summary.images + result.summary.failures
    return len(result) if isinstance(result, list) else 0


_Own = Failure | Path | ImageBytes
"""What this process reads."""

_Files = Sequence[Path | PageOfFile]
"""Files of a task."""


@dataclass(frozen=True, eq=False)
class _Task:
    """Files that a process reads."""

    files: _Files
    answer: Future[Answer]


class _Pool:
    """The processes, and how much each task of them is.

    Attributes:
        ahead: how many tasks are handed out before their results are wanted.
    """

    def __init__(
        self,
        make_reader: Callable[[], FrameReader],
        workers: int,
        wanted: ResultFormat,
        limits: VideoLimits,
    ) -> None:
        """Start the processes."""
        # Not at the top: one image is read sooner than these are loaded.
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self.ahead = _AHEAD * workers
        self._out = deque[_Task]()
        self._latest: _Files = ()
        self._make_reader = make_reader
        self._wanted = wanted
        self._limits = limits
        self._own_reader: FrameReader | None = None
        self._size = 1
        # Forked processes would inherit the locks of other threads; spawned ones are clean.
        context = multiprocessing.get_context("spawn")
        ended, self._running = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(workers, context, start, (make_reader, wanted, ended))

    def split(self, items: Iterable[Item | Failure]) -> Iterator[_Own | _Files]:
        """Items as tasks for the processes, and those between that are none."""
        files: list[Path | PageOfFile] = []
        for item in items:
            if isinstance(item, PageOfFile) or (isinstance(item, Path) and not is_video(item)):
                files.append(item)
                if len(files) >= self._size:
                    yield files
                    files = []
                continue
            if files:
                yield files
                files = []
            yield item
        if files:
            yield files

    def submit(self, files: _Files) -> _Task:
        """Hand out a task; starts a process if none is free.

        Raises:
            WorkerError: it cannot be started.
        """
        self._latest = files
        try:
            with blocked_interrupts():  # else one would show where a new process is
                task = _Task(files, self._pool.submit(work, files))
        except OSError as error:
            raise WorkerError(
                f"a worker process cannot be started: {os_reason(error)}",
                subject=item_name(files[0]),
                hint="use fewer --workers",
            ) from error
        self._out.append(task)
        return task

    def take(self, task: _Task) -> Answer:
        """The answer to a task, when it is there; later tasks are sized by it."""
        answer = task.answer.result()
        self._out.remove(task)
        fitting = int(TASK_SECONDS * answer.taken / max(answer.seconds, 1e-6))
        self._size = max(1, min(fitting, 2 * self._size, MAX_TASK_FILES))
        return answer

    @property
    def first_and_last(self) -> tuple[str, str]:
        """Names of the files that were out when a process died, as they were handed out."""
        answers = ((task.files, task.answer) for task in self._out)
        unread = [files for files, answer in answers if not answer.done() or answer.exception()]
        unread = unread or [self._latest]
        return item_name(unread[0][0]), item_name(unread[-1][-1])

    def read_here(self, item: _Own) -> Iterator[Outcome]:
        """Read what is for this process."""
        if isinstance(item, Failure):
            return iter([item])
        reader = self._own_reader = self._own_reader or self._make_reader()
        frames = read_frames([item], exif=reader.obeys_exif, limits=self._limits)
        return self._wanted.read(reader, frames)

    def end(self) -> None:
        """End the processes, whatever they are doing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._running.close()


def _rest(task: _Task, answer: Answer) -> Iterator[PageOfFile]:
    """The pages of a task's last file that were not read."""
    last = task.files[answer.taken - 1]
    if isinstance(last, Path):
        for page in range(2, answer.pages + 1):
            yield PageOfFile(last, page)


def _in_order(pool: _Pool, items: Iterable[Item | Failure]) -> Iterator[Result | Iterator[Outcome]]:
    pending: deque[_Task | _Own] = deque()
    for part in pool.split(items):
        pending.append(pool.submit(part) if isinstance(part, Sequence) else part)
        if len(pending) >= pool.ahead:
            yield from _take_first(pool, pending)
    while pending:
        yield from _take_first(pool, pending)


def _take_first(pool: _Pool, pending: deque[_Task | _Own]) -> Iterator[Result | Iterator[Outcome]]:
    first = pending.popleft()
    if not isinstance(first, _Task):
        yield pool.read_here(first)
        return
    answer = pool.take(first)
    yield answer.result
    others = (pool.submit([page]) for page in _rest(first, answer))
    handed_out = deque(islice(others, pool.ahead))
    while handed_out:
        yield pool.take(handed_out.popleft()).result
        handed_out.extend(islice(others, 1))
    if answer.taken < len(first.files):
        pending.appendleft(pool.submit(first.files[answer.taken :]))


def _as_ready(pool: _Pool, items: Iterable[Item | Failure]) -> Iterator[Result | Iterator[Outcome]]:
    from concurrent.futures import FIRST_COMPLETED, wait

    waiting = deque[Iterator[PageOfFile | Path]]()
    pending: dict[Future[Answer], _Task] = {}

    def parts() -> Iterator[_Own | _Files]:
        new = pool.split(items)
        while True:
            while waiting:  # the rest of files that were begun comes first
                found = next(waiting[0], None)
                if found is None:
                    waiting.popleft()
                else:
                    yield [found]
            part = next(new, None)
            if part is None and not pending:
                return
            yield [] if part is None else part

    for part in parts():
        if isinstance(part, Sequence):
            if part:
                task = pool.submit(part)
                pending[task.answer] = task
        else:
            yield pool.read_here(part)
        if pending and (not part or len(pending) >= pool.ahead):
            for answered in wait(pending, return_when=FIRST_COMPLETED).done:
                task = pending.pop(answered)
                answer = pool.take(task)
                yield answer.result
                waiting.append(_rest(task, answer))
                waiting.append(iter(task.files[answer.taken :]))
