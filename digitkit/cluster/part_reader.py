"""What a process of the cluster does: read the files of a part, and write it."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from digitkit.cluster.manifest import PartFiles
from digitkit.cluster.stores import open_remote
from digitkit.cluster.table_folder import TableFolder, part_name
from digitkit.errors import ClusterError, ModelError, one_line
from digitkit.images.cv import cv2
from digitkit.images.decode import MAX_FILE_BYTES
from digitkit.inference.pipeline import BATCH, Summary, read_each
from digitkit.inference.worker import ResultFormat, write_down
from digitkit.reading.reader import Reader
from digitkit.sinks.parquet import SUFFIX, TableForm, import_pyarrow, parse_rows, table_schema
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, Item, to_item
from digitkit.sources.urls import is_address
from digitkit.system.streams import silence_native_errors

MAX_TRIES = 10
"""How often a part is begun. Ray has a part read again, without an end, whose process or node was
lost; an image that kills each process that decodes it must not keep the cluster busy for ever."""

LOADED_AHEAD = 8
"""Files of an object store that a reader asks for at once: an answer takes longer than reading."""


class PartReader:
    """Reads the files of parts, with one session and one thread, and writes each part whole.

    A part that is there is left as it is: whoever wrote it read the same files.
    """

    def __init__(
        self,
        make_reader: Callable[[], Reader],
        form: ResultFormat,
        manifest: str,
        folder: TableFolder,
        current: Path,
    ) -> None:
        """Load the model.

        Args:
            make_reader: builds the reader.
            form: of the table.
            manifest: the list of files: a path, or an address.
            folder: of the table; all nodes reach both.
            current: the folder that relative names start from.

        Raises:
            ModelError: the model on this node is another one.
        """
        cv2.setNumThreads(1)
        silence_native_errors()
        os.chdir(current)
        self._reader = make_reader()
        assert isinstance(form.how, TableForm)
        own = self._reader.classifier
        if own.sha256 != form.how.model:
            raise ModelError("is another file on this node", subject=str(own.path))
        self._form = form
        self._schema = table_schema(form.how.rows)
        self._folder = folder
        self._files = PartFiles(manifest)

    def __call__(self, batch: Any) -> Any:
        """Read parts.

        Args:
            batch: a ``pyarrow.Table`` with their numbers.

        Returns:
            A ``pyarrow.Table`` with an answer for each, see `unpack`.
        """
        pa = import_pyarrow()
        answers = [self._read(part) for part in batch["part"].to_pylist()]
        return pa.table({"part": batch["part"], "answer": list(map(pickle.dumps, answers))})

    def _read(self, number: int) -> tuple[Summary, tuple[Failure, ...]]:
        pa = import_pyarrow()
        folder, name = self._folder, part_name(number)
        names = self._files.of(number)
        if folder.has(name):
            return Summary(0, 0, 0, done_before=len(names)), ()
        tries = f".{name.removesuffix(SUFFIX)}.tries"
        begun = folder.size(tries) or 0
        if begun >= MAX_TRIES:
            folder.delete(tries)
            raise ClusterError(
                f"its {len(names)} files, or one of them, ended {MAX_TRIES} processes",
                subject=f"{name}, {os.fsdecode(names[0])} and others",
                hint="read them with --workers 1 to find which",
            )
        folder.note(tries, b"." * (begun + 1))
        frames = read_frames(_items(names), exif=self._reader.obeys_exif)
        written = write_down(read_each(self._reader, frames, batch=BATCH), self._reader, self._form)
        assert isinstance(written.data, bytes)
        rows = parse_rows(written.data, self._schema)
        folder.write(name, pa.Table.from_batches([rows]))
        folder.delete(tries)
        return written.summary, written.failures


def unpack(table: Any) -> Iterator[tuple[Summary, tuple[Failure, ...]]]:
    """What became of the files of parts: the answers of a `PartReader`."""
    for answer in table["answer"].to_pylist():
        yield pickle.loads(answer)


def _items(names: Iterable[bytes]) -> Iterator[Item | Failure]:
    """Files by their names; remote ones are loaded ahead, so that the model need not wait."""
    texts = [os.fsdecode(raw) for raw in names]
    if not any(map(is_address, texts)):
        yield from map(_item, texts)
        return
    with ThreadPoolExecutor(LOADED_AHEAD) as pool:
        loading: deque[Future[Item | Failure]] = deque()
        for text in texts:
            loading.append(pool.submit(_item, text))
            if len(loading) > LOADED_AHEAD:
                yield loading.popleft().result()
        while loading:
            yield loading.popleft().result()


def _item(name: str) -> Item | Failure:
    return _load(name) if is_address(name) else to_item(name)


def _load(name: str) -> ImageBytes | Failure:
    """A remote file's bytes."""
    pa = import_pyarrow()
    try:
        system, path = open_remote(name)
        with system.open_input_stream(path) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Failure(name, "does not exist", kind="missing")
    except ClusterError as error:
        return Failure(name, str(error), kind="unreadable")
    except (pa.ArrowException, OSError, ValueError) as error:
        return Failure(name, f"cannot be read: {one_line(error)}", kind="unreadable")
    if len(data) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES / 1e6:,.0f} MB"
        return Failure(name, f"is larger than {limit}", kind="bad image")
    return ImageBytes(data, name)
