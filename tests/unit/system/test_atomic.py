"""Files are written completely or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from digitkit.errors import ImageError, OutputError
from digitkit.system import atomic


@pytest.mark.parametrize("error", [RuntimeError("broken"), ImageError("bad")])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")
    with pytest.raises(type(error)) as caught, atomic.replace_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert caught.value is error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(tmp_path):
    with pytest.raises(OutputError) as caught, atomic.replace_file(tmp_path / "a.txt"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.subject == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_created_with_the_modes_of_plain_files(tmp_path):
    path, plain = tmp_path / "new" / "deep" / "a.txt", tmp_path / "plain"
    atomic.write_text(path, "ä")
    plain.write_text("")
    assert path.read_bytes() == "ä".encode()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("name", ["file/below", "x" * 300, "x" * 5000])
def test_paths_that_cannot_exist(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        atomic.write_text(tmp_path / name, "x")
    with pytest.raises(OutputError):
        atomic.check_writable(tmp_path / name)


def test_checking_leaves_no_trace(tmp_path):
    atomic.check_writable(tmp_path / "new" / "a.txt")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError):
        atomic.check_writable(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null, which root could replace
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(OutputError):
            atomic.check_writable(path)
        with pytest.raises(OutputError):
            atomic.write_text(path, "x")
        assert path.is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_a_file_that_a_shell_has_opened_is_not_replaced(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("earlier\n")
    with path.open("a") as stream, pytest.raises(OutputError):
        atomic.write_text(Path(f"/dev/fd/{stream.fileno()}"), "x")
    assert path.read_text() == "earlier\n"


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "kept").mkdir()
    link = tmp_path / "latest.txt"
    link.symlink_to(Path("kept", "a.txt"))
    for text in ("new", "newer"):
        atomic.write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "kept" / "a.txt").read_text() == text


def test_modes(tmp_path):
    private = tmp_path / "a.txt"
    private.write_text("old")
    private.chmod(0o600)
    atomic.write_text(private, "new")
    assert (private.read_text(), stat.S_IMODE(private.stat().st_mode)) == ("new", 0o600)
    umask = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "b.txt", "new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "b.txt").stat().st_mode) == 0o640
