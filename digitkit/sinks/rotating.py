"""Files that are rotated by size."""

from __future__ import annotations

from contextlib import suppress
from io import TextIOWrapper
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from digitkit.errors import DigitkitError, cannot_write, printable_path
from digitkit.system.atomic import check_links


class _Rotating(RotatingFileHandler):
    terminator = ""

    def _open(self) -> TextIOWrapper:
        check_links(Path(self.baseFilename))
        return super()._open()

    def handleError(self, record: LogRecord) -> None:  # noqa: N802
        raise  # within the except block; logging's own would print and continue


class RotatingFile:
    """A text file that is rotated by size: it becomes ``NAME.1``, that one ``NAME.2``, …."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Append to the file `path`.

        Args:
            path: the newest file; its folder is created.
            max_bytes: the file is rotated before it grows beyond this size.
            keep: rotated files to keep, at least 1.

        Raises:
            OutputError: it cannot be written.
        """
        self.name = printable_path(path)
        try:
            check_links(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _Rotating(path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
        except OSError as error:
            if isinstance(error, DigitkitError):
                raise
            raise cannot_write(self.name, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A failed write was reported then, and closing would try it again.
        with suppress(OSError):
            self._handler.close()

    def write(self, text: str, /) -> int:
        """Write a text, not split over two files; raises `OSError`."""
        self._handler.emit(makeLogRecord({"msg": text}))
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is flushed as it is written."""
