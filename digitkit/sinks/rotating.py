"""Files that are rotated by size."""

from __future__ import annotations

from contextlib import suppress
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from digitkit.errors import OutputError, printable_path


class _Rotating(RotatingFileHandler):
    terminator = ""

    def handleError(self, record: LogRecord) -> None:  # noqa: N802
        raise  # called where the error is at hand; logging's own would print and go on


class RotatingFile:
    """A file that is put aside once it is full: ``NAME.1`` is then the last one, and so on."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Go on with the file `path`.

        Args:
            path: the newest file; its folder is made.
            max_bytes: a text that would make a file larger goes into the next one.
            keep: files that stay beside the newest, from 1.

        Raises:
            OutputError: it cannot be written.
        """
        self.name = printable_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _Rotating(path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What could not be written was told then, and closing would try it again.
        with suppress(OSError):
            self._handler.close()

    def write(self, text: str, /) -> int:
        """Write a text whole into one file; raises `OSError`."""
        self._handler.emit(makeLogRecord({"msg": text}))
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is handed on as it comes."""
