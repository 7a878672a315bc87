"""The table of limits in the documentation names constants that exist."""

import re
from importlib import import_module

import pytest
from support.paths import ROOT

ROWS = [
    line.strip().strip("|").split("|")
    for line in (ROOT / "docs/limits.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and "`" in line.rsplit("|", 2)[1]
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_each_limit_is_a_constant(row):
    folder, module = "", ""
    for name in re.findall(r"`([\w.]+)`", row[-1]):
        path = f"digitkit.{name}"
        if "." in name:
            folder, _, name = path.rpartition(".")
        if name.islower():  # a module that has several
            assert import_module(path)
        else:
            module = folder
            assert hasattr(import_module(module), name)
