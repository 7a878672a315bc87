"""The networks that ship next to the classifier."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from digitkit.errors import ModelError, ModelRunError, one_line
from digitkit.models.registry import models_folder
from digitkit.models.session import make_session


class Network:
    """A network with a file among the shipped models.

    Attributes:
        file: its file's name there.
        noun: what it is, in words.
        kind: key of its version in the metadata, without ``digitkit.``.
        version: of its input and output, the one that is known.
        path: its file.
        session: the ONNX Runtime session that runs it.
        metadata: how it was trained, keys ``digitkit.*``.
    """

    file: ClassVar[str]
    noun: ClassVar[str]
    kind: ClassVar[str]
    version: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load it.

        Args:
            path: its file; the shipped one by default.
            threads: threads that one call may use.

        Raises:
            ModelError: the file does not exist, or is not such a network of this version.
            ConfigError: `threads` is not within 1 to 1,024.
        """
        self.path = Path(path) if path is not None else self.shipped_path()
        subject = str(self.path)
        if not self.path.is_file():
            problem = f"the {self.noun} does not exist"
            raise ModelError(problem, subject=subject, hint="reinstall digitkit")
        self.session = make_session(self.path, threads)
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        if self.metadata.get(f"digitkit.{self.kind}") != self.version:
            raise ModelError(f"is not a {self.noun} of version {self.version}", subject=subject)

    @classmethod
    def shipped_path(cls) -> Path:
        """The file that ships."""
        return models_folder() / cls.file

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[np.generic]]
    ) -> list[Any]:
        """Arrays of the named outputs.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        try:
            return self.session.run(outputs, feeds)
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelRunError(one_line(error), subject=str(self.path)) from error
