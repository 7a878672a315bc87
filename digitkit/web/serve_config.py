"""The configuration of ``digitkit serve``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from digitkit.errors import ConfigError
from digitkit.inference.infer_checks import check_still
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.serve_options import ServeOptions
from digitkit.system.folders import state_folder

HISTORY_NAME = "history.db"
"""The default file of the history, in `digitkit.system.folders.state_folder`."""


@dataclass(frozen=True)
class ServedConfig(InferConfig):
    """What a service reads by itself, and how it reads everything; there need be no sources.

    A lost camera is waited for, as long as `retry` does not say otherwise.
    """

    def __post_init__(self) -> None:
        """See `InferConfig`."""
        if self.camera is not None and self.retry is None:
            object.__setattr__(self, "retry", math.inf)
        super().__post_init__()

    def _check_sources(self) -> None:
        if self.sources or self.camera is not None:
            super()._check_sources()
        else:
            check_still(self)
        if self.every_frame:
            raise ConfigError(
                "cannot be combined with serve, which reports what changes", field="every_frame"
            )


@dataclass(frozen=True)
class ServeConfig:
    """What ``digitkit serve`` reads, and how it is reached.

    Attributes:
        reading: sources or a camera, the model and how it reads.
        options: where it listens, who may use it, and what it keeps.
    """

    reading: ServedConfig = field(default_factory=ServedConfig)
    options: ServeOptions = field(default_factory=ServeOptions)

    @property
    def history(self) -> Path:
        """The file of the history.

        Raises:
            OutputError: none is given, and this user has no home folder.
        """
        return self.options.history or state_folder() / HISTORY_NAME
