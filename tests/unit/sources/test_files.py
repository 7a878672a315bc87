"""Files, folders, patterns and lists to frames and failures."""

from __future__ import annotations

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
    for name in ("b/2.png", "b/10.JPG", "a/1.tif", "a/notes.txt", ".hidden/x.png", "a/.y.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_folders_are_searched_by_suffix(tree):
    assert paths("a") == ["a/1.tif"]
    assert paths(".") == ["a/1.tif", "b/10.JPG", "b/2.png"]
    assert paths("a/notes.txt") == ["a/notes.txt"]  # what is named is always tried
    (tree / "empty").mkdir()
    assert paths("empty") == ["! empty"]
    assert paths("") == ["! ''"]  # not the current folder


def test_patterns(tree):
    assert paths("b/*.png") == ["b/2.png"]
    assert paths("**/*.[tp][in][fg]") == ["a/1.tif", "b/2.png"]
    assert paths("*.gif") == ["! *.gif"]
    (tree / "odd[1].png").write_bytes(b"x")
    assert paths("odd[1].png") == ["odd[1].png"]  # what exists is taken by its name


def test_files_that_cannot_be_read_are_failures_without_their_name(tree):
    (tree / "text.png").write_text("text")
    failures = list(read_frames(expand_sources(["none.png", "text.png", "a\0b"])))
    assert all(isinstance(failure, Failure) for failure in failures)
    assert [failure.source for failure in failures] == ["none.png", "text.png", "a\0b"]
    assert not [failure for failure in failures if failure.source in failure.error]


def test_a_failure_keeps_the_subject_of_its_error_if_that_is_something_else():
    error = SourceError("cannot be listed", subject="a/b", hint="do this")
    assert to_failure("a/b", error) == Failure("a/b", "cannot be listed; do this")
    assert to_failure("a", error) == Failure("a", "a/b: cannot be listed; do this")


def test_lists_on_standard_input(tree, monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a/1.tif\r\n\nb/2.png\nlast.png"))
    )
    assert paths("-") == ["a/1.tif", "b/2.png", "last.png"]


def test_nul_separated_lists(tree):
    read, write = os.pipe()
    os.write(write, "a b.png\0new\nline.png\0ä.png".encode())
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert list(paths_from(stream, nul=True)) == ["a b.png", "new\nline.png", "ä.png"]


def test_strange_names(tree, digit_file):
    for name in ("two words.png", "zwölf ☃.png", "new\nline.png"):
        (tree / name).write_bytes(digit_file(1).read_bytes())
        (frame,) = read_frames(expand_sources([name]))
        assert isinstance(frame, Frame)
        assert frame.source == name
    raw = os.fsencode(tree) + b"/\xff.png"
    Path(os.fsdecode(raw)).write_bytes(digit_file(1).read_bytes())
    (frame,) = read_frames(expand_sources([os.fsdecode(raw)]))
    assert frame.source.endswith("/\ufffd.png")


def test_a_folder_that_cannot_be_listed(tree, monkeypatch):
    def refuse(*args, **kwargs):
        kwargs["onerror"](PermissionError(13, "Permission denied", "a/below"))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse)  # root may list everything
    (failure,) = expand_sources(["a"])
    assert failure.source == "a/below"
    assert "Permission denied" in failure.error
    assert "Permission denied" in failure.error


def test_memory_stays_flat_since_frames_come_one_by_one(tree, digit_file):
    seen = []

    def names():
        for i in range(3):
            seen.append(i)
            yield str(digit_file(i))

    stream = read_frames(expand_sources(names()))
    next(stream)
    assert seen == [0]
