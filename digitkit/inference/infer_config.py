"""The configuration of ``digitkit infer``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from digitkit.choices import (
    MAX_THREADS,
    Engine,
    Mode,
    Orientation,
    OutputFormat,
    PrecisionChoice,
    Rows,
)
from digitkit.errors import ConfigError, at_least, check_choice, check_range
from digitkit.sources.suffixes import is_video
from digitkit.sources.urls import (
    address_of,
    holds_secret,
    is_address,
    is_stream,
    mask_password,
)

if TYPE_CHECKING:
    from digitkit.reading.fields import Field

DEFAULT_RETRY = 30.0
"""Seconds to keep reconnecting to a camera or stream that is lost."""

DEFAULT_HOLD = 5
"""Frames that a number must be stable for before it is reported."""


MAX_SIDE = 65_536
"""Longest side to request from a camera, pixels."""

MAX_LOG_MB, MAX_LOG_FILES = 1e6, 1000
"""Largest rotating file, megabytes, and most of them."""


@dataclass(frozen=True)
class RotatingOutput:
    """Files that readings are written to next to standard output: ``NAME``, ``NAME.1``, ….

    Attributes:
        file: the newest one.
        max_mb: it is rotated before it grows beyond this many megabytes, above 0, up to a million.
        keep: rotated files that are kept, 1 to 1,000.
    """

    file: Path
    max_mb: float = 10.0
    keep: int = 5

    def __post_init__(self) -> None:
        """Check the values; raises `ConfigError`."""
        _check_positive("max_mb", self.max_mb)
        check_range("max_mb", self.max_mb, 0, MAX_LOG_MB)
        check_range("keep", self.keep, 1, MAX_LOG_FILES)


@dataclass(frozen=True)
class InferConfig:
    """What ``digitkit infer`` reads, how, and where its readings go.

    Attributes:
        sources: image, PDF and video files, pages of files (``scan.tiff#2``), folders, patterns,
            and ``-`` for a list of paths or an image on standard input; or one URL of a stream.
            Empty with a `camera`.
        watch: folder whose files are read as they arrive, until the run is stopped; the output is
            continued.
        null: whether the list on standard input is NUL-separated instead of one path a line.
        camera: a camera's number, device, URL or ``picamera2``; None to read `sources`.
        size: width and height to request from a camera, pixels; None for its default.
        fps: frames a second to read at most; None for all.
        retry: seconds to keep reconnecting to a lost camera; 0 never, infinity for ever.
        max_frames: stop after this many frames, of video files after so many of each; None for no
            limit.
        duration: stop this many seconds after the first frame, of each video file; None for no
            limit.
        show: whether a camera's annotated frames are shown in a window.
        hold: frames that a number must be stable for before it is reported, at least 1.
        every_frame: report each frame as it is, without tracking.
        model: a shipped model's name or an ``.onnx`` file.
        precision: which file of a shipped model.
        input_scale: factor for the pixels (0–255) of a third-party model; None for 1/255.
        threads: CPU threads, 1 to 1,024; None for 1, and for the classifier what
            ``digitkit bench --save`` found best.
        mode: what an image holds.
        orientation: which side of it is up.
        min_confidence: threshold for a digit to be accepted, 0–1; None for the model's own.
        gap: least gap between two numbers of a row, in heights of the digits; None for one that
            depends on the page.
        expect: number of digits that each number must have; None for any.
        pattern: regular expression that each number must match; None for any.
        format: how readings are written; None for what the suffix of the output file says, else
            text.
        output: file for the readings instead of standard output, for ``parquet`` a folder, with
            the engine ray also an address; ``xlsx`` and ``parquet`` require one.
        rows: what a row of a Parquet table is; None for pictures.
        resume: continue the output of a run that was broken off, if there is one.
        quiet: whether text is the numbers alone, and no summary is wanted.
        rotating: files for the readings next to standard output.
        annotate: folder for annotated images, or a video file (.mp4, .avi).
        explain: folder for what the classifier saw of each digit.
        report: HTML file with everything that was read and a review of what is doubtful; for files
            that are read in one run on this machine.
        workers: processes that read image files, 1 to 1,024; ``auto``: one per core where there is
            enough to read.
        unordered: whether what several processes read is written as soon as it is there.
        engine: where files are read; ``ray`` requires a Parquet table.
        ray_address: of the Ray cluster; None for the one of the environment, else one that is begun
            on this machine.
        config: the settings file that some of this is from, which no output may replace.
    """

    sources: tuple[str, ...] = ()
    watch: Path | None = None
    null: bool = False
    camera: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    retry: float | None = None
    max_frames: int | None = None
    duration: float | None = None
    show: bool = False
    hold: int = DEFAULT_HOLD
    every_frame: bool = False
    model: str = "digits"
    precision: PrecisionChoice = "auto"
    input_scale: float | None = None
    threads: int | None = None
    mode: Mode = "auto"
    orientation: Orientation = "exif"
    min_confidence: float | None = None
    gap: float | None = None
    expect: int | None = None
    pattern: str | None = None
    format: OutputFormat | None = None
    output: Path | None = None
    rows: Rows | None = None
    resume: bool = False
    quiet: bool = False
    rotating: RotatingOutput | None = None
    annotate: Path | None = None
    explain: Path | None = None
    report: Path | None = None
    workers: int | Literal["auto"] = 1
    unordered: bool = False
    engine: Engine = "local"
    ray_address: str | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        """Check each value, and what goes with what.

        Raises:
            ConfigError: a value is not valid; `field` names it.
        """
        self._check_values()
        self._check_sources()
        self._check_outputs()
        self._check_format()
        self._check_report()
        self._check_engine()

    def _check_format(self) -> None:
        how = self.resolved_format
        if how in ("xlsx", "parquet"):
            if self.camera is not None:
                raise ConfigError(
                    f"cannot be {how} for a camera; use csv",
                    field="format" if self.format is not None else "output",
                )
            if self.output is None:
                raise ConfigError(f"{how} requires --output", field="format")
        if self.rotating is not None and self.output is None and how == "csv":
            raise ConfigError(
                "must be jsonl or text where readings go to rotating files, of which only the "
                "first would have a CSV header",
                field="format",
            )
        if self.rows is not None:
            check_choice("rows", self.rows, Rows)
            if how != "parquet":
                raise ConfigError("requires a Parquet table: --output FOLDER.parquet", field="rows")
        if self.resume and not self.is_resumable:
            raise ConfigError(
                "requires files to read and an --output that is jsonl, csv or parquet",
                field="resume",
            )

    def _check_report(self) -> None:
        if self.report is None:
            return
        for field, given in (
            ("camera", self.camera is not None),
            ("watch", self.watch is not None),
            ("resume", self.resume),
            ("engine", self.engine != "local"),
        ):
            if given:
                raise ConfigError(
                    f"is made of files that are read in one run, without --{field}", field="report"
                )

    def _check_values(self) -> None:
        for name in ("hold", "max_frames", "expect"):
            value = getattr(self, name)
            if value is not None:
                at_least(name, value, 1)
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value not in (None, "auto"):
                check_range(name, value, 1, MAX_THREADS)
        for name in ("fps", "duration", "input_scale"):
            value = getattr(self, name)
            if value is not None:
                _check_positive(name, value)
        if self.retry is not None:
            at_least("retry", self.retry, 0)
        if self.gap is not None:
            at_least("gap", self.gap, 0)
        if self.min_confidence is not None:
            check_range("min_confidence", self.min_confidence, 0, 1)
        if self.size is not None and not 1 <= min(self.size) <= max(self.size) <= MAX_SIDE:
            raise ConfigError(f"must be a width and a height from 1 to {MAX_SIDE:,}", field="size")
        check_choice("mode", self.mode, Mode)
        check_choice("orientation", self.orientation, Orientation)
        check_choice("precision", self.precision, PrecisionChoice)
        if self.format is not None:
            check_choice("format", self.format, OutputFormat)
        if self.pattern is not None:
            _ = self.number_rule  # compiles it

    def _check_engine(self) -> None:
        check_choice("engine", self.engine, Engine)
        if self.engine == "local":
            if self.ray_address is not None:
                raise ConfigError("requires --engine ray", field="ray_address")
            return
        if not (self.resolved_format == "parquet" and self.is_resumable):
            raise ConfigError(
                "ray requires files to read and --output FOLDER.parquet", field="engine"
            )
        for name in ("annotate", "explain"):
            if getattr(self, name) is not None:
                raise ConfigError("cannot be combined with --engine ray", field=name)
        addresses = [(source, "sources") for source in self.sources]
        addresses += [(self.output_address, "output")] if self.output_address else []
        for address, field in addresses:
            if holds_secret(address):
                raise ConfigError(
                    f"must not hold a password, got {mask_password(address)}",
                    hint="set it in the environment of the cluster's nodes",
                    field=field,
                )

    def _check_outputs(self) -> None:
        if self.output_address and self.engine == "local":
            raise ConfigError("must be a path without --engine ray, got an address", field="output")
        inputs = {"model": self.model, "config": self.config}
        taken = {
            os.path.realpath(path): field
            for field, path in inputs.items()
            if path is not None and os.path.isfile(path)
        }
        for field, path in (*self.output_files.items(), *self.output_folders.items()):
            if address_of(path):  # which may have a password in it
                raise ConfigError("must be a path, got an address", field=field)
            try:
                real = os.path.realpath(path)
            except ValueError as error:  # a NUL byte
                raise ConfigError(f"is not a valid path: {error}", field=field) from error
            other = taken.setdefault(real, field)
            if other != field:
                raise ConfigError(f"must not be the same as {other}, got {path}", field=field)

    def _check_sources(self) -> None:
        if self.camera is not None and self.sources:
            raise ConfigError("cannot be combined with a camera", field="sources")
        if self.watch is not None:
            self._check_watch()
        elif self.camera is None:
            if not self.sources:
                raise ConfigError("must name images, or use --camera N", field="sources")
            self._check_still()
            moving = any(source == "-" or is_video(Path(source)) for source in self.sources)
            for name in ("max_frames", "duration"):
                if getattr(self, name) is not None and not moving:
                    raise ConfigError("requires a camera, a stream or a video", field=name)
        elif self.workers != 1:
            raise ConfigError("must be 1 for a camera", field="workers")
        if self.null and "-" not in self.sources:
            raise ConfigError("requires a list on standard input: -", field="null")

    def _check_still(self) -> None:
        """Check that nothing is set that only a camera has."""
        for name in ("size", "fps", "retry", "show"):
            if getattr(self, name) is not None and getattr(self, name) is not False:
                raise ConfigError("requires a camera or a stream", field=name)

    def _check_watch(self) -> None:
        if self.sources or self.camera is not None:
            raise ConfigError("cannot be combined with other sources", field="watch")
        if self.engine != "local":
            raise ConfigError("cannot be combined with --engine ray", field="watch")
        if not self.is_resumable:
            raise ConfigError(
                "requires an --output that is jsonl, csv or parquet, which says what was read",
                field="watch",
            )
        if self.workers != 1:
            raise ConfigError("must be 1 where files are read as they arrive", field="workers")

    @property
    def output_files(self) -> dict[str, Path]:
        """The files that are written, by the fields that name them."""
        files = {} if self.output is None or self.output_address else {"output": self.output}
        if self.rotating is not None and self.output is None:
            files["rotating"] = self.rotating.file
        if self.annotate is not None and self.annotates_video:
            files["annotate"] = self.annotate
        if self.report is not None:
            files["report"] = self.report
        return files

    @property
    def output_folders(self) -> dict[str, Path]:
        """The folders that images are written to, by the fields that name them."""
        folders = {} if self.explain is None else {"explain": self.explain}
        if self.annotate is not None and not self.annotates_video:
            folders["annotate"] = self.annotate
        return folders

    @property
    def annotates_video(self) -> bool:
        """Whether `annotate` is a video file, by its suffix, instead of a folder."""
        return self.annotate is not None and is_video(self.annotate)

    @property
    def needs_images(self) -> bool:
        """Whether images are wanted once they are read: to be drawn, or for parts of them."""
        wanted = self.annotate or self.explain or self.show or self.report
        return bool(wanted or self.resolved_format == "xlsx")

    @property
    def output_address(self) -> str | None:
        """The address of the table, where `output` is one."""
        return None if self.output is None else address_of(self.output)

    @property
    def state_output(self) -> Path:
        """The output beside which a run's state is: of an address its name, in this folder."""
        assert self.output is not None
        address = self.output_address
        return self.output if address is None else Path(Path(address.partition("?")[0]).name)

    @property
    def continues(self) -> bool:
        """Whether an output that is there is continued."""
        return self.resume or self.watch is not None

    @property
    def is_resumable(self) -> bool:
        """Whether what is read stays in the output where the run is broken off, and continues."""
        resumable = self.resolved_format in ("jsonl", "csv", "parquet")
        return resumable and self.output is not None and self.camera is None

    @property
    def number_rule(self) -> Field | None:
        """What each number must look like; None for anything."""
        if self.expect is None and self.pattern is None:
            return None
        from digitkit.reading.fields import Field  # not at the top: loads NumPy

        return Field(self.expect, self.pattern)

    @property
    def resolved_format(self) -> OutputFormat:
        """How readings are written: as asked for, else by the output file's suffix."""
        if self.format is not None:
            return self.format
        target = (self.output and self.state_output) or (self.rotating and self.rotating.file)
        suffix = target.suffix.removeprefix(".") if target else ""
        return suffix if suffix in get_args(OutputFormat) else "text"  # type: ignore[return-value]

    @classmethod
    def create(cls, settings: Mapping[str, Any] | None = None, **given: Any) -> Self:
        """Build a configuration from options over settings over the defaults.

        Images that are named take the place of the settings' camera and of its rotating files;
        an output file takes the place of the rotating files. A stream's URL among the sources is
        a camera.

        Args:
            settings: fields that a settings file sets; None for none.
            **given: fields; None and False stand for "not given".

        Raises:
            ConfigError: a value is not valid, or two do not go together.
        """
        chosen = {
            name: value for name, value in given.items() if value is not None and value is not False
        }
        sources: Sequence[str] = tuple(chosen.pop("sources", ()))
        if chosen.get("engine") == "ray":
            chosen.setdefault("workers", "auto")
        elif any(map(is_address, sources)):
            if len(sources) > 1 or "camera" in chosen or not is_stream(sources[0]):
                raise ConfigError(
                    "must be one URL of a stream, or files",
                    hint="files at addresses are read with --engine ray",
                    field="sources",
                )
            chosen["camera"], sources = sources[0], ()
        values = dict(settings or {})
        if sources and "camera" in values:
            for name in ("camera", "size", "fps", "retry", "rotating"):
                values.pop(name, None)
        if "output" in chosen:
            values.pop("rotating", None)
        return cls(sources=tuple(sources), **(values | chosen))


def _check_positive(field: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(f"must be greater than 0, got {value:g}", field=field)
