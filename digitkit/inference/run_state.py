"""A run that can be continued: what it is, and what it has read."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digitkit.errors import ConfigError
from digitkit.inference.infer_config import InferConfig
from digitkit.models.classifier import Classifier
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.grey_classifier import GreyClassifier
from digitkit.reading.networks.line_reader import LineReader
from digitkit.sources.files import INPUT_ERRORS, OpenedImage
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile, item_name
from digitkit.system.hashes import file_sha256
from digitkit.system.run_file import RunFile, create_run_file, open_run_file, run_file_path

_FREE = ("sources", "watch", "null", "camera", "size", "fps", "retry", "max_frames", "duration",
         "show", "hold", "every_frame", "model", "precision", "threads", "format", "output",
         "resume", "quiet", "rotating", "annotate", "explain", "report", "workers", "unordered",
         "ray_address", "config")  # fmt: skip
"""Fields of an `InferConfig` on which the reading of an image does not depend, or of which
`describe_run` says more than their value."""

_OPTIONS = tuple(option.name for option in fields(InferConfig) if option.name not in _FREE)
"""The others, also those that are added some day: readings of different options are not mixed."""


class Done:
    """The pictures that were read before: 16 bytes each, three times as much while they are sorted.

    One that is there twice counts twice.
    """

    def __init__(self, keys: Iterable[tuple[str, int | None]], *, repeats: bool = True) -> None:
        """Take the pictures' sources and pages.

        Args:
            keys: these.
            repeats: whether one that was read twice is there twice; if not, as in CSV, where the
                records of both are one picture's, one counts for all times that it is named.
        """
        self._repeats = repeats
        hashes = array("q")
        self._with_pages = set[int]()
        for source, page in keys:
            hashes.append(hash((source, page)))
            if page is not None:
                self._with_pages.add(hash(source))
        self._hashes, self._counts = np.unique(np.array(hashes, np.int64), return_counts=True)
        self.total = len(hashes)

    def take(self, source: str, page: int | None) -> bool:
        """Whether a picture was read before; ask once each time that it is to be read."""
        key = hash((source, page))
        place = int(np.searchsorted(self._hashes, key))
        if place == len(self._hashes) or self._hashes[place] != key or not self._counts[place]:
            return False
        self._counts[place] -= self._repeats
        return True

    def has_pages(self, source: str) -> bool:
        """Whether pages of a file were read before."""
        return hash(source) in self._with_pages

    def remaining(self, items: Iterable[Item | Failure]) -> Iterator[Item | Failure]:
        """The items that are to be read; of a file of which pages were read, the other pages."""
        for item in items:
            if isinstance(item, Failure):
                if not self.take(item.source, item.page):
                    yield item
                continue
            name = item_name(item)
            if isinstance(item, PageOfFile):
                if not self._take_page(name, item.page):
                    yield item
            elif not self.take(name, None):
                if isinstance(item, ImageBytes) or not self.has_pages(name):
                    yield item
                else:
                    yield from self._other_pages(item, name)

    def _take_page(self, name: str, page: int) -> bool:
        # The only page of a file has no number.
        return self.take(name, page) or (page == 1 and self.take(name, None))

    def _other_pages(self, path: Path, name: str) -> Iterator[Item]:
        try:
            count = OpenedImage(path).count
        except INPUT_ERRORS:
            yield path  # reading it says what is wrong
            return
        for page in range(1, count + 1):
            if not self._take_page(name, page):
                yield PageOfFile(path, page)


@dataclass(frozen=True)
class OutputRun:
    """The run of an output that can be continued.

    Attributes:
        file: its state.
        continues: whether it was begun before.
    """

    file: RunFile
    continues: bool


def describe_run(config: InferConfig, classifier: Classifier) -> dict[str, Any]:
    """What a run's readings depend on; a run with other values cannot continue it."""
    options = {name: getattr(config, name) for name in _OPTIONS}
    options["format"] = config.resolved_format
    sources = config.sources if config.watch is None else (str(config.watch),)
    options["sources"] = list(sources) if "-" not in sources else None
    # Relative names are those of other files elsewhere.
    absolute = "-" not in sources and all(Path(each).is_absolute() for each in sources)
    options["current folder"] = None if absolute else str(Path.cwd())
    options["model"] = classifier.sha256
    options["detector"] = file_sha256(Detector.shipped_path())
    options["line reader"] = file_sha256(LineReader.shipped_path())
    options["grey classifier"] = file_sha256(GreyClassifier.shipped_path())
    return options


@contextmanager
def open_run(
    config: InferConfig,
    header: dict[str, Any],
    *,
    is_there: Callable[[], bool] | None = None,
) -> Iterator[OutputRun]:
    """Begin the run of an output, or continue the one that was begun.

    Args:
        config: names the output.
        header: what the run is, as `describe_run` gives it.
        is_there: whether there is anything at the output's place; None looks at the file or folder.

    Raises:
        ConfigError: `InferConfig.resume` is set and there is a run with another model or option,
            or an output without one; or it is not set, and an unfinished run is there.
        OutputError: the state cannot be written, or another run is writing it.
    """
    assert config.output is not None
    output, path = config.output_address or config.output, run_file_path(config.state_output)
    look = is_there or partial(_is_there, config.output)
    there = look()
    with ExitStack() as stack:
        # The state is empty where a run ended while it began.
        if there and path.exists() and path.stat().st_size:
            file = stack.enter_context(open_run_file(path))
            if not config.continues:
                raise ConfigError(
                    f"{output} belongs to a run that can be continued",
                    field="output",
                    hint=f"add --resume, name another file, or delete it and {path}",
                )
            _check_same(file.header, header, output)
            yield OutputRun(file, continues=True)
            return
        if there and (config.continues or config.resolved_format == "parquet"):
            if not config.resume and isinstance(output, Path) and output.is_dir():
                raise ConfigError(
                    f"the folder {output} exists, and is not a table that can be continued",
                    field="output",
                    hint="name another folder",
                )
            raise ConfigError(
                f"{output} is not of a run that can be continued: there is no {path.name}",
                field="resume" if config.resume else "output",
                hint="such a run has --resume from the first time on, if it ends by itself; "
                "name another file, or delete it",
            )
        file = stack.enter_context(create_run_file(path, header))
        try:
            yield OutputRun(file, continues=False)
        finally:
            if not look():  # nothing could start
                file.remove()


def _is_there(output: Path) -> bool:
    """Whether there is anything at an output's place: a file, or a folder with something in it."""
    return output.is_file() or (output.is_dir() and any(output.iterdir()))


def _check_same(old: Any, new: dict[str, Any], output: Path | str) -> None:
    changed = [
        f"{_option(name)} was {_show(old.get(name))}, is {_show(value)}"
        for name, value in {**dict.fromkeys(old), **new}.items()
        if old.get(name) != value
    ]
    if changed:
        raise ConfigError(
            f"cannot continue {output}: {'; '.join(changed)}",
            field="resume",
            hint="use what the run was begun with, or name another file",
        )


def _option(name: str) -> str:
    """How an option is typed; what is none keeps its name."""
    return f"--{name.replace('_', '-')}" if name in (*_OPTIONS, "format") else name


def _show(value: object) -> str:
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)[:80]
