"""What people wrote in a report about fields of forms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from digitkit.datasets.corrections import read_corrections
from digitkit.errors import DatasetError

File = str | os.PathLike[str]

FieldTexts = Mapping[str, Mapping[str, str]]
"""What is written in fields: by the name of a picture, then by that of a field."""


def load_field_texts(files: File | Iterable[File]) -> FieldTexts:
    """Load the corrections of form fields; of two of the same field the later counts.

    Args:
        files: one or several of JSON lines, as the report of ``digitkit infer --form --report``
            gives them.

    Raises:
        InputNotFoundError: a file does not exist.
        DatasetError: a file cannot be read, a line is not a correction, none is of a field, or one
            does not name it.
    """
    texts: dict[str, dict[str, str]] = {}
    for file in [files] if isinstance(files, str | os.PathLike) else files:
        some = False
        for one in read_corrections(Path(file)):
            if isinstance(one, DatasetError):
                raise one
            if one.kind != "field":
                continue
            if not one.name:
                raise DatasetError(
                    "contains a correction that does not name its field",
                    subject=str(file),
                    hint="its report is of an earlier version of digitkit; write it again",
                )
            texts.setdefault(one.source, {})[one.name] = one.text
            some = True
        if not some:
            raise DatasetError(
                "contains no correction of a form's field",
                subject=str(file),
                hint="download one from a report of digitkit infer --form",
            )
    return texts
