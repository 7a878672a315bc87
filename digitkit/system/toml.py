"""TOML files, read with limits and with errors that say what to change."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from digitkit.errors import DigitkitError, InputNotFoundError, one_line, os_reason
from digitkit.system.bounded import read_bounded


def read_toml(
    path: Path, max_bytes: int, error_class: type[DigitkitError], *, create: str | None = None
) -> dict[str, Any]:
    """Read a TOML file, which may begin with a byte order mark.

    Args:
        path: of the file.
        max_bytes: the largest file that is read; TOML of adversarial keys takes quadratic time.
        error_class: raised where it cannot be read.
        create: what makes such a file, for hints.

    Raises:
        InputNotFoundError: it does not exist.
        DigitkitError: of `error_class`: it cannot be read, or is not TOML.
    """
    name = str(path)
    try:
        return tomllib.loads(read_bounded(path, max_bytes).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise InputNotFoundError("does not exist", subject=name, hint=create) from error
    except IsADirectoryError as error:
        raise error_class("is a folder", subject=name, hint="name the .toml file in it") from error
    except OSError as error:
        raise error_class(f"cannot be read: {os_reason(error)}", subject=name) from error
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8" + (f", or {create}" if create else "")
        raise error_class("is not UTF-8 text", subject=name, hint=hint) from error
    except (ValueError, RecursionError) as error:  # not TOML, nested too deep, a NUL in the name
        raise error_class(f"is not valid TOML: {one_line(error)}", subject=name) from error
