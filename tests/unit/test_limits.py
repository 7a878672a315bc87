"""The table of limits in the documentation names constants that exist, with their values."""

import re
from importlib import import_module

import pytest
from support.paths import ROOT

ROWS = [
    line.strip().strip("|").split("|")
    for line in (ROOT / "docs/limits.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and "`" in line.rsplit("|", 2)[1]
]

UNITS = {"million": 10**6, "GB": 10**9, "MB": 10**6, "kB": 1000, "KiB": 1 << 10, "MiB": 1 << 20}

SEVERAL_VALUES = {"MAXIMA", "VideoSink", "_RANGES", "RotatingOutput", "ServeOptions"}
"""Names in the table that are no single number."""

IN_WORDS = {"MAX_VIDEO_BYTES", "MAX_PAUSE", "CAMERA_TIMEOUT"}
"""Numbers that the table states, but not at the beginning of a part of their own."""


def constants_of(row):
    """Names and values of the constants of a row; modules that have several are left out."""
    folder, constants = "", {}
    for name in re.findall(r"`([\w.]+)`", row[-1]):
        path = f"digitkit.{name}"
        if "." in name:
            folder, _, name = path.rpartition(".")
        if name.islower():
            assert import_module(path)
        else:
            constants[name] = getattr(import_module(folder), name)
    return constants


def numbers_in(limit):
    """What a limit says: the number, in units of one, that each of its parts begins with."""
    numbers = []
    for part in re.split(r"; |, | to ", limit):
        if found := re.match(r"(?:from )?([\d,]*\d(?:\.\d+)?)(?: (\w+))?", part.strip()):
            number, unit = found.groups()
            numbers.append(float(number.replace(",", "")) * UNITS.get(unit, 1))
    return numbers


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_each_limit_is_that_of_its_constant(row):
    if "`training." in row[-1]:
        pytest.importorskip("torch", reason="needs the train extra")
    if "`web." in row[-1]:
        pytest.importorskip("uvicorn", reason="needs the web extra")
    constants = constants_of(row)
    if not SEVERAL_VALUES & constants.keys():
        values = [value for name, value in constants.items() if name not in IN_WORDS]
        assert numbers_in(row[1])[: len(values)] == values
