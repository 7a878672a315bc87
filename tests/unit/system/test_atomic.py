from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from digitkit.errors import DigitkitError, ImageError, OutputError
from digitkit.system import atomic


def write_with(path: Path, writer) -> None:
    with atomic.replace_file(path) as temporary:
        writer(temporary)


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def broken(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_with(path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made_and_modes_are_those_of_plain_files(tmp_path):
    path = tmp_path / "new" / "deep" / "a.txt"
    atomic.write_text(path, "ä")
    plain = tmp_path / "plain"
    plain.write_text("")
    assert path.read_bytes() == "ä".encode()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written: No space"):
        write_with(tmp_path / "a.txt", lambda _: Path("/dev/full").write_bytes(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        atomic.write_text(tmp_path / "file" / "below", "x")


def test_a_name_that_no_system_takes(tmp_path):
    for name in ("x" * 300, "x" * 5000):
        with pytest.raises(OutputError, match="cannot be written: File name too long"):
            atomic.write_text(tmp_path / name, "x")
        with pytest.raises(OutputError, match="cannot be written: File name too long"):
            atomic.check_writable(tmp_path / name)


def test_other_errors_of_ours_pass_through(tmp_path):
    with pytest.raises(ImageError, match=r"^bad$"), atomic.replace_file(tmp_path / "a"):
        raise ImageError("bad")
    assert issubclass(OutputError, DigitkitError)
    assert issubclass(OutputError, OSError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_ordinary_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null, which root could replace
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(OutputError, match="is no ordinary file"):
            atomic.check_writable(path)
        with pytest.raises(OutputError, match="is no ordinary file"):
            atomic.write_text(path, "x")
        assert path.is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_what_a_shell_has_opened_is_not_replaced(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("earlier\n")
    with path.open("a") as stream, pytest.raises(OutputError, match="is no ordinary file"):
        atomic.write_text(Path(f"/dev/fd/{stream.fileno()}"), "x")
    assert path.read_text() == "earlier\n"


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "kept").mkdir()
    link = tmp_path / "latest.txt"
    link.symlink_to(Path("kept", "a.txt"))
    for text in ("new", "newer"):
        atomic.write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "kept" / "a.txt").read_text() == text


def test_a_file_keeps_who_may_read_it(tmp_path):
    kept = tmp_path / "a.txt"
    kept.write_text("old")
    kept.chmod(0o600)
    atomic.write_text(kept, "new")
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("new", 0o600)
    umask = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "b.txt", "new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "b.txt").stat().st_mode) == 0o640
