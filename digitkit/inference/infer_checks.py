"""Whether the values of a configuration of ``digitkit infer`` are valid, and go together."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from pathlib import Path
from typing import get_args

from digitkit.choices import (
    MAX_THREADS,
    Engine,
    Mode,
    Orientation,
    OutputFormat,
    PrecisionChoice,
    Rows,
)
from digitkit.errors import ConfigError, at_least, check_choice, check_positive, check_range
from digitkit.inference.infer_values import InferValues
from digitkit.sources.suffixes import IMAGE_SUFFIXES, VIDEO_CODES, is_video
from digitkit.sources.urls import address_of, holds_secret, mask_password

TEXT_SUFFIXES = (".txt", ".text", ".log")
"""Suffixes of outputs that are text, as those without a suffix are."""

TABLE_SUFFIXES = tuple(f".{name}" for name in get_args(OutputFormat) if name != "text")
"""Suffixes of outputs that say which other format they have."""

REQUIRES_FRAMES = "requires a camera, a stream or a video"

MAX_SIDE = 65_536
"""Longest side to request from a camera, pixels."""


def check_infer(config: InferValues) -> None:
    """Check each value, and what goes with what but for the sources; see `check_sources`.

    Raises:
        ConfigError: a value is not valid; `field` names it.
    """
    _check_values(config)
    _check_outputs(config)
    _check_format(config)
    _check_report(config)
    _check_engine(config)


def _check_values(config: InferValues) -> None:
    for name in ("hold", "max_frames", "expect"):
        value = getattr(config, name)
        if value is not None:
            at_least(name, value, 1, whole=True)
    for name in ("workers", "threads"):
        value = getattr(config, name)
        if value not in (None, "auto"):
            check_range(name, value, 1, MAX_THREADS, whole=True)
    for name in ("fps", "duration", "input_scale"):
        value = getattr(config, name)
        if value is not None:
            check_positive(name, value)
    if config.retry is not None:
        at_least("retry", config.retry, 0)
    if config.gap is not None:
        at_least("gap", config.gap, 0)
        if config.mode == "number":
            raise ConfigError("cannot be combined with --mode number", field="gap")
    if config.min_confidence is not None:
        check_range("min_confidence", config.min_confidence, 0, 1)
    if config.size is not None and not 1 <= min(config.size) <= max(config.size) <= MAX_SIDE:
        raise ConfigError(f"must be a width and a height from 1 to {MAX_SIDE:,}", field="size")
    check_choice("mode", config.mode, Mode)
    check_choice("orientation", config.orientation, Orientation)
    check_choice("precision", config.precision, PrecisionChoice)
    if config.format is not None:
        check_choice("format", config.format, OutputFormat)
    if config.pattern is not None:
        _ = config.number_rule  # compiles it


def check_sources(config: InferValues) -> None:
    """Check that something can be read, and in the way that is asked for.

    Raises:
        ConfigError: a value is not valid; `field` names it.
    """
    if config.camera is not None and config.sources:
        raise ConfigError("cannot be combined with a camera", field="sources")
    if config.watch is not None:
        _check_watch(config)
    elif config.camera is None:
        if not config.sources:
            raise ConfigError(
                "must name pictures, folders or PDF files, such as photo.jpg; or use --camera N",
                field="sources",
            )
    elif config.workers != 1:
        raise ConfigError("must be 1 for a camera", field="workers")
    if config.camera is None:
        check_still(config)
        _check_pictures(config)
    if config.mode == "digit":
        _check_digit(config)
    if config.unordered and config.workers == 1:
        raise ConfigError("requires --workers of 2 or more", field="unordered")
    if config.null and "-" not in config.sources:
        raise ConfigError("requires a list on standard input: -", field="null")


def _check_digit(config: InferValues) -> None:
    """Check that nothing is set that an image of one digit has not; a service has other modes."""
    if config.gap is not None:
        raise ConfigError("cannot be combined with --mode digit", field="gap")
    hint = "each image is read as one digit"
    if config.expect is not None and config.expect > 1:
        raise ConfigError("must be 1 with --mode digit", hint=hint, field="expect")
    rule = config.number_rule
    if rule is not None and not any(rule.fits(str(digit)) for digit in range(10)):
        raise ConfigError("must match a digit with --mode digit", hint=hint, field="pattern")


def _check_pictures(config: InferValues) -> None:
    """Check that nothing is set that only a sequence of frames has, unless a source is one."""
    for name in ("max_frames", "duration"):
        if getattr(config, name) is not None and not _has_frames(config.sources):
            raise ConfigError(REQUIRES_FRAMES, field=name)


def check_given(given: Container[str], sources: Sequence[str]) -> None:
    """Check options that a settings file may have for its camera while pictures are read.

    Args:
        given: names of the options that are given beside the settings, such as ``watch``.
        sources: files and folders that are read; none for a camera.

    Raises:
        ConfigError: one of them has no effect.
    """
    if "watch" in given or (sources and not _has_frames(sources)):
        for name in ("hold", "every_frame"):
            if name in given:
                raise ConfigError(REQUIRES_FRAMES, field=name)
    if "hold" in given and "every_frame" in given:
        raise ConfigError("cannot be combined with --every-frame", field="hold")


def _has_frames(sources: Sequence[str]) -> bool:
    """Whether a source is, or may be, a video; a pattern may match one."""
    return any(
        source == "-" or is_video(Path(source)) or not set("*?[").isdisjoint(source)
        for source in sources
    )


def check_still(config: InferValues) -> None:
    """Check that nothing is set that only a camera has; raises `ConfigError`."""
    for name in ("size", "fps", "retry", "show"):
        if getattr(config, name) is not None and getattr(config, name) is not False:
            raise ConfigError("requires a camera or a stream", field=name)


def _check_watch(config: InferValues) -> None:
    if config.sources or config.camera is not None:
        raise ConfigError("cannot be combined with other sources", field="watch")
    if config.engine != "local":
        raise ConfigError("cannot be combined with --engine ray", field="watch")
    if not config.is_resumable():
        raise ConfigError(
            "requires an --output that is jsonl, csv or parquet, which says what was read",
            field="watch",
        )
    if config.workers != 1:
        raise ConfigError("must be 1 where files are read as they arrive", field="workers")


def _check_outputs(config: InferValues) -> None:
    if config.output_address and config.engine == "local":
        raise ConfigError("must be a path without --engine ray, got an address", field="output")
    video = config.annotate if config.annotates_video else None
    if video is not None and video.suffix.lower() not in VIDEO_CODES:
        raise ConfigError(
            f"must be a folder, or a video in .mp4 or .avi, got {video}", field="annotate"
        )
    inputs = {"model": config.model, "config": config.config}
    taken = {
        os.path.realpath(path): field
        for field, path in inputs.items()
        if path is not None and os.path.isfile(path)
    }
    for field, path in (*config.output_files.items(), *config.output_folders.items()):
        if str(path) == "-":
            text = "must be a file or folder, got -, which stands for standard input"
            raise ConfigError(text, hint="without --output standard output is used", field=field)
        if address_of(path):  # which may have a password in it
            raise ConfigError("must be a path, got an address", field=field)
        try:
            real = os.path.realpath(path)
        except ValueError as error:  # a NUL byte
            raise ConfigError(f"is not a valid path: {error}", field=field) from error
        is_parts = field == "output" and config.resolved_format == "parquet"
        if field in config.output_files and os.path.isdir(real) and not is_parts:
            raise ConfigError(f"must be a file, got the folder {path}", field=field)
        if field in config.output_files and not path.name:
            raise ConfigError(f"must be a name, got {path}", field=field)
        if field in config.output_folders and not os.path.isdir(real):
            if os.path.isfile(real):
                raise ConfigError(f"must be a folder, got the file {path}", field=field)
            if path.suffix.lower() in IMAGE_SUFFIXES:
                text = f"must be a folder, for pictures with the inputs' names, got {path}"
                raise ConfigError(text, field=field)
        other = taken.setdefault(real, field)
        if other != field:
            same = f"must not be the same as --{other.replace('_', '-')}, got {path}"
            raise ConfigError(same, field=field)


def _check_format(config: InferValues) -> None:
    suffix = "" if config.output is None else config.state_output.suffix.lower()
    if config.format is None and suffix not in ("", *TEXT_SUFFIXES, *TABLE_SUFFIXES):
        raise ConfigError(
            f"has the unknown suffix {suffix}",
            hint=f"use {', '.join(TABLE_SUFFIXES)} or .txt, or --format",
            field="output",
        )
    how = config.resolved_format
    if how in ("xlsx", "parquet"):
        if config.camera is not None:
            raise ConfigError(
                f"cannot be {how} for a camera; use csv",
                field="format" if config.format is not None else "output",
            )
        if config.output is None:
            raise ConfigError(f"{how} requires --output", field="format")
    if config.rotating is not None and config.output is None and how == "csv":
        raise ConfigError(
            "must be jsonl or text where readings go to rotating files, of which only the "
            "first would have a CSV header",
            field="format",
        )
    if config.rows is not None:
        check_choice("rows", config.rows, Rows)
        if how != "parquet":
            raise ConfigError("requires a Parquet table: --output FOLDER.parquet", field="rows")
    if config.resume and not config.is_resumable():
        raise ConfigError(
            "requires files to read and an --output that is jsonl, csv or, without --form, parquet",
            field="resume",
        )


def _check_report(config: InferValues) -> None:
    if config.report is None:
        return
    if config.report.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"must be an .html file, got {config.report}", field="report")
    for field, given in (
        ("camera", config.camera is not None),
        ("watch", config.watch is not None),
        ("resume", config.resume),
        ("engine", config.engine != "local"),
    ):
        if given:
            raise ConfigError(
                f"is made of files that are read in one run, without --{field}", field="report"
            )


def _check_engine(config: InferValues) -> None:
    check_choice("engine", config.engine, Engine)
    if config.engine == "local":
        if config.ray_address is not None:
            raise ConfigError("requires --engine ray", field="ray_address")
        return
    if not config.is_resumable(["parquet"]):
        raise ConfigError("ray requires files to read and --output FOLDER.parquet", field="engine")
    for name in ("annotate", "explain"):
        if getattr(config, name) is not None:
            raise ConfigError("cannot be combined with --engine ray", field=name)
    addresses = [(source, "sources") for source in config.sources]
    addresses += [(config.output_address, "output")] if config.output_address else []
    for address, field in addresses:
        if holds_secret(address):
            raise ConfigError(
                f"must not hold a password, got {mask_password(address)}",
                hint="set it in the environment of the cluster's nodes",
                field=field,
            )
