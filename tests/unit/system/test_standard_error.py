"""Standard error without the lines of libraries."""

import os
import sys

from digitkit.system.streams import silence_native_errors


def test_what_libraries_write_is_dropped_until_it_is_undone(capfd):
    undo = silence_native_errors()
    os.write(2, b"native\n")
    undo()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_it_costs_nothing_that_there_is_no_null_device(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "devnull", str(tmp_path / "missing"))
    before = sys.stderr
    silence_native_errors()()
    os.write(2, b"after\n")
    assert (capfd.readouterr().err, sys.stderr) == ("after\n", before)


def test_nor_that_there_is_no_standard_error(monkeypatch):
    def fail(number):
        raise OSError

    monkeypatch.setattr(os, "dup", fail)
    before = sys.stderr
    silence_native_errors()()
    assert sys.stderr is before
