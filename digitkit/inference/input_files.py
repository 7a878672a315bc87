"""The files that a configuration names: found one by one, and none of them an output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from digitkit.errors import ConfigError
from digitkit.inference.infer_config import InferConfig
from digitkit.sources.files import expand_sources
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile
from digitkit.sources.suffixes import is_video

if TYPE_CHECKING:
    from digitkit.sources.watch import FolderWatch

_T = TypeVar("_T")


@dataclass(frozen=True)
class InputFiles:
    """The files of a run, which are not kept in memory.

    Attributes:
        items: these, each as soon as it is found.
        total: how many there are; 0 where that is not known before.
        watch: the folder that is watched for them; None elsewhere.
    """

    items: Iterable[Item | Failure]
    total: int = 0
    watch: FolderWatch | None = None


def find_inputs(
    config: InferConfig, notice: Callable[[str], None], *, passed_over: Iterable[Path] = ()
) -> InputFiles:
    """Find the files that a configuration names.

    All but those of a list on standard input are looked through before any of them is read, so that
    nothing is written where a source would be replaced. They are listed a second time when they are
    read: a million names would not fit into the memory of a small device.

    Args:
        config: sources and outputs.
        notice: called with a line for each folder of which files were skipped.
        passed_over: files that are not read where they are found in a folder.

    Raises:
        ConfigError: an output would replace a source, or a video or an image on standard input is
            to be continued.
        InputNotFoundError: a folder that is to be watched does not exist.
    """
    if config.watch is not None:
        from digitkit.sources.watch import FolderWatch

        watch = FolderWatch(config.watch)
        return InputFiles(guarded(config, _without_written(config, watch)), watch=watch)

    others = frozenset(map(_real, passed_over))
    files = expand_sources(config.sources, nul=config.null, notice=notice, passed_over=others)
    if "-" in config.sources:
        listed = guarded(config, files)
        if config.resume:  # an image is refused before anything is written
            listed = chain(list(islice(listed, 1)), listed)
        return InputFiles(listed)
    found = expand_sources(config.sources, nul=config.null, passed_over=others)
    if config.resume:  # the run wrote them before it was stopped
        found = _without_written(config, found)
    total = sum(1 for _ in guarded(config, found))
    return InputFiles(_without_written(config, files), total)


def _without_written(
    config: InferConfig, files: Iterable[Item | Failure]
) -> Iterator[Item | Failure]:
    """The files without those that this run has written into a folder that it searches."""
    folders = {_real(path) for path in config.output_folders.values()}
    if not folders:
        yield from files
        return
    for item in files:
        if not (isinstance(item, Path) and _real(item).parent in folders):
            yield item


def guarded(config: InferConfig, files: Iterable[_T]) -> Iterator[_T]:
    """Pass on the files, and what is none; refuse one that an output of this run would replace.

    Raises:
        ConfigError: a source is an output file, or is in a folder that images are written to; or a
            video or an image on standard input cannot be read into this output.
    """
    outputs = {_real(path): field for field, path in config.output_files.items()}
    folders = {_real(path): field for field, path in config.output_folders.items()}
    for output, name in outputs.items() if "-" in config.sources else ():
        with suppress(OSError):
            if os.path.samestat(os.fstat(0), output.stat()):
                raise ConfigError(f"must not be the list of sources, got {output}", field=name)
    for item in files:
        if config.resume and isinstance(item, ImageBytes):
            raise ConfigError(
                "cannot be used with an image on standard input, which another run cannot tell "
                "from the next one",
                hint="name a file, or pipe a list of files",
                field="resume",
            )
        file = item.path if isinstance(item, PageOfFile) else item
        if isinstance(file, Path) and (outputs or folders):
            _check_video(config, file)
            target = _real(file)
            if target in outputs:
                raise ConfigError(f"must not be a source, got {file}", field=outputs[target])
            field = folders.get(target.parent)
            if field is not None:
                raise ConfigError(f"must not be the folder of a source, got {file}", field=field)
        yield item


def _check_video(config: InferConfig, file: Path) -> None:
    needs_pictures = config.continues or config.resolved_format == "parquet"
    if needs_pictures and is_video(file):
        raise ConfigError(
            f"must be pictures or documents for Parquet and --resume, got the video {file}: its "
            "numbers are followed from its beginning to its end",
            field="sources",
        )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # pathlib's own raises at a loop of links up to Python 3.12
