"""Targets with the faults that fuzzing must find, for the tests of the fuzzer itself."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

from fuzz import mutate
from fuzz.targets import Target

MEMORY_MB = 50


def take_memory() -> None:
    bytearray(2 * MEMORY_MB << 20)


def write_a_file() -> None:
    Path("elsewhere").write_text("x")


def divide_by_zero() -> None:
    _ = 1 // 0


def crash() -> None:
    ctypes.string_at(0)


def hang() -> None:
    time.sleep(60)


def _make(fault: Callable[[], object]) -> Target:
    def read(path: Path) -> None:
        if path.read_bytes() != b"fine":
            fault()

    return Target(lambda: [b"fine"], mutate.mutate_bytes, read, memory_mb=MEMORY_MB)


FAULTY = {
    fault.__name__: _make(fault)
    for fault in (take_memory, write_a_file, divide_by_zero, crash, hang, os.abort)
}
