from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from digitkit.sources.files import expand_sources, paths_from, read_frames
from digitkit.sources.frames import Failure, Frame


def paths(*named: str) -> list[str]:
    return [str(p) if isinstance(p, Path) else f"! {p.error}" for p in expand_sources(named)]


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
    assert paths("empty") == ["! the folder holds no image files"]
    assert paths("") == ["! is an empty name; name a file or a folder"]  # not the current folder


def test_patterns(tree):
    assert paths("b/*.png") == ["b/2.png"]
    assert paths("**/*.[tp][in][fg]") == ["a/1.tif", "b/2.png"]
    assert paths("*.gif") == ["! no file matches this pattern"]
    (tree / "odd[1].png").write_bytes(b"x")
    assert paths("odd[1].png") == ["odd[1].png"]  # what exists is taken by its name


def test_a_missing_file_fails_when_it_is_read(tree):
    assert list(read_frames(expand_sources(["none.png"]))) == [
        Failure("none.png", "does not exist")
    ]


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_lists_on_standard_input(tree, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(b"a/1.tif\r\n\nb/2.png\nlast.png"))
    assert paths("-") == ["a/1.tif", "b/2.png", "last.png"]


def test_nul_parted_lists(tree):
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
    assert list(read_frames(expand_sources(["a\0b"]))) == [
        Failure("a\0b", "is no path: embedded null byte")
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder(tree):
    (tree / "b").chmod(0)
    try:
        assert paths("b")[0].startswith("! cannot be listed: Permission denied")
    finally:
        (tree / "b").chmod(0o755)


def test_a_folder_that_cannot_be_listed(tree, monkeypatch):
    def refuse(*args, **kwargs):
        kwargs["onerror"](PermissionError(13, "Permission denied", "a"))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse)
    assert paths("a") == ["! cannot be listed: Permission denied"]


def test_memory_stays_flat_since_frames_come_one_by_one(tree, digit_file):
    seen = []

    def names():
        for i in range(3):
            seen.append(i)
            yield str(digit_file(i))

    stream = read_frames(expand_sources(names()))
    next(stream)
    assert seen == [0]
