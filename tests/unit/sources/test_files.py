"""Files, folders, patterns and lists to frames and failures."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from digitkit.errors import SourceError
from digitkit.sources.files import expand_sources, paths_from, read_frames
from digitkit.sources.frames import Failure, Frame, to_failure


def paths(*named: str) -> list[str]:
    """The paths of sources; ``! SOURCE`` for a failure."""
    return [str(p) if isinstance(p, Path) else f"! {p.source}" for p in expand_sources(named)]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b", ".hidden", "empty"):
        Path(folder).mkdir()
    for name in ("b/2.png", "b/10.JPG", "a/1.tif", "a/notes.txt", ".hidden/x.png", "a/.y.png"):
        Path(name).write_bytes(b"x")
    Path("a/odd[1].txt").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a", ["a/1.tif"]),  # folders are searched by suffix
        (".", ["a/1.tif", "b/10.JPG", "b/2.png"]),
        ("a/notes.txt", ["a/notes.txt"]),  # what is named is always tried
        ("a/odd[1].txt", ["a/odd[1].txt"]),  # and what exists is not a pattern
        ("empty", ["! empty"]),
        ("", ["! ''"]),  # not the current folder
        ("b/*.png", ["b/2.png"]),
        ("**/*.[tp][in][fg]", ["a/1.tif", "b/2.png"]),
        ("*.gif", ["! *.gif"]),
    ],
)
def test_folders_and_patterns(tree, source, expected):
    assert paths(source) == expected


def test_lists(tree, monkeypatch):
    stdin = io.BytesIO(b"a/1.tif\r\n\nb/2.png\nlast.png")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert paths("-") == ["a/1.tif", "b/2.png", "last.png"]
    read, write = os.pipe()
    os.write(write, "a b.png\0new\nline.png\0ä.png".encode())
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert list(paths_from(stream, nul=True)) == ["a b.png", "new\nline.png", "ä.png"]


def test_files_that_cannot_be_read_are_failures_without_their_name(tree):
    names = ["none.png", "a/notes.txt", "a\0b"]
    failures = list(read_frames(expand_sources(names)))
    assert [(type(failure), failure.source) for failure in failures] == [
        (Failure, name) for name in names
    ]
    assert not [failure for failure in failures if failure.source in failure.error]


def test_a_failure_keeps_the_subject_of_its_error_if_that_is_something_else():
    error = SourceError("cannot be listed", subject="a/b", hint="do this")
    assert to_failure("a/b", error) == Failure("a/b", "cannot be listed; do this")
    assert to_failure("a", error) == Failure("a", "a/b: cannot be listed; do this")


def test_strange_names(tree, digit_file):
    image = digit_file(1).read_bytes()
    for name in ("two words.png", "zwölf ☃.png", "new\nline.png", os.fsdecode(b"\xff.png")):
        Path(name).write_bytes(image)
        (frame,) = read_frames(expand_sources([name]))
        assert isinstance(frame, Frame)
        assert frame.source == name.replace("\udcff", "\ufffd")


def test_a_folder_that_cannot_be_listed(tree, monkeypatch):
    def refuse(*args, **kwargs):
        kwargs["onerror"](PermissionError(13, "Permission denied", "a/below"))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse)  # root may list everything
    (failure,) = expand_sources(["a"])
    assert failure.source == "a/below"
    assert "Permission denied" in failure.error


def test_frames_come_one_by_one(digit_file):
    names = iter([str(digit_file(digit, f"{digit}.png")) for digit in range(3)])
    next(read_frames(expand_sources(names)))
    assert len(list(names)) == 2
