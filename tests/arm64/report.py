"""Runs checks and prints a line for each."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from emulation import EmulationError, Result


class CheckError(Exception):
    """A check failed; the message says what was seen."""


def require(condition: object, message: str, result: Result | None = None) -> None:
    """Fail with a message, and the output of a command, unless a condition holds."""
    if not condition:
        output = f"\n{result.output.strip()[-1500:]}\n(exit code {result.code})" if result else ""
        raise CheckError(message + output)


@dataclass
class Report:
    """Runs checks.

    Attributes:
        failed: how many have failed.
    """

    failed: int = 0

    def check(self, name: str, test: Callable[..., str], *arguments: object) -> bool:
        """Run ``test(*arguments)`` and print the note that it returns.

        Returns:
            Whether it passed.
        """
        begun = time.monotonic()
        try:
            note, passed = test(*arguments), True
        except (CheckError, EmulationError) as error:
            note, passed = str(error), False
        except Exception:
            note, passed = traceback.format_exc(), False
        self.failed += not passed
        seconds = f"{time.monotonic() - begun:.0f} s here"
        mark = "ok  " if passed else "FAIL"
        print(f"{mark} {name} ({seconds}){f': {note}' if note else ''}", flush=True)
        return passed
