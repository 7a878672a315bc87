"""The configuration of ``digitkit infer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from digitkit.errors import ConfigError
from digitkit.inference.infer_checks import TABLE_SUFFIXES, check_given, check_infer, check_sources
from digitkit.inference.infer_values import InferValues
from digitkit.inference.parsing import only_given
from digitkit.sources.urls import is_address, is_stream


@dataclass(frozen=True)
class InferConfig(InferValues):
    """What ``digitkit infer`` reads, how, and where its readings go: values that are checked."""

    def __post_init__(self) -> None:
        """Check each value, and what goes with what.

        Raises:
            ConfigError: a value is not valid; `field` names it.
        """
        check_infer(self)
        self._check_sources()

    def _check_sources(self) -> None:
        check_sources(self)

    @classmethod
    def create(cls, settings: Mapping[str, Any] | None = None, **given: Any) -> Self:
        """Build a configuration from options over settings over the defaults.

        Images that are named, or a folder that is watched, take the place of the settings' camera
        with what belongs to it, and of its rotating files; an output file takes the place of the
        rotating files, and its suffix that of their format; a stream has no size, the modes
        ``number`` and ``digit`` no gap, and ``digit`` no number of digits. A stream's URL among the
        sources is a camera.

        Args:
            settings: fields that a settings file sets; None for none.
            **given: fields; None and False stand for "not given".

        Raises:
            ConfigError: a value is not valid, or two do not go together.
        """
        chosen = only_given(given)
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
        check_given(chosen, sources)
        values = dict(settings or {})
        reads_files = bool(sources) or "watch" in chosen
        dropped = ["camera", "size", "fps", "retry"] if reads_files else []
        if reads_files and "camera" in values:
            dropped.append("rotating")
        if "output" in chosen:
            dropped.append("rotating")
            if Path(chosen["output"]).suffix.lower() in TABLE_SUFFIXES:
                dropped.append("format")
        if is_stream(str(chosen.get("camera", ""))):
            dropped.append("size")
        dropped += {"number": ["gap"], "digit": ["gap", "expect"]}.get(chosen.get("mode", ""), [])
        for name in dropped:
            values.pop(name, None)
        return cls(sources=tuple(sources), **(values | chosen))
