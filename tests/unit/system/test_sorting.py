"""Names that are sorted on disk where there are many."""

import itertools
import os
import random

import pytest
from support.errors import error_of

from digitkit.errors import OutputError
from digitkit.system import sorting
from digitkit.system.sorting import sort_names

ODD = ["", "a", "a", "two words", "new\nline", "ä", "☃", "𝟙", os.fsdecode(b"\xff"), "\ue000", "Z"]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Three names are many, and the file is read in small pieces."""
    monkeypatch.setattr(sorting, "MAX_NAMES", 3)
    monkeypatch.setattr(sorting, "_BLOCK", 5)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, len(ODD)])
def test_the_order_is_that_of_sorted(count):
    for seed in range(5):
        names = random.Random(seed).sample(ODD, count)
        assert list(sort_names(iter(names))) == sorted(names)


def test_few_names_need_no_file(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert list(sort_names("ba")) == ["a", "b"]
    error = error_of(OutputError, list, sort_names("abcd"))
    assert "TMPDIR" in str(error)


def test_names_are_not_held():
    """As many names as are sorted in memory are the most that are alive."""
    alive = most = 0

    class Name(str):
        __slots__ = ()

        def __new__(cls, text):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return super().__new__(cls, text)

        def __del__(self):
            nonlocal alive
            alive -= 1

    names = sort_names(Name(f"{i:03d}") for i in range(100))
    assert next(names) == "000"
    assert most <= 2 * sorting.MAX_NAMES
    names.close()


def test_the_file_is_gone_when_the_names_are_not_wanted(scratch):
    names = sort_names("dcba")
    before = len(os.listdir("/proc/self/fd"))
    assert next(names) == "a"
    assert len(os.listdir("/proc/self/fd")) == before + 1
    assert not any(scratch.iterdir())  # nor would it be left by a process that is killed
    names.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, PermissionError(13, "no", "folder")])
def test_what_breaks_off_the_names_passes(scratch, error):
    def broken():
        yield from "dcba"
        raise error

    with pytest.raises((KeyboardInterrupt, PermissionError)) as caught:
        list(sort_names(broken()))
    assert not isinstance(caught.value, OutputError)
    assert not any(scratch.iterdir())


def test_only_the_first_names_are_taken_before_the_file_is_begun(monkeypatch):
    names = itertools.count()
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    error_of(OutputError, next, sort_names(str(number) for number in names))
    assert next(names) == sorting.MAX_NAMES
