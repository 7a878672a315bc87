"""Files are written completely or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from digitkit.errors import ImageError, OutputError
from digitkit.system import atomic


@pytest.mark.parametrize(("error", "kind"), [
    (RuntimeError("broken"), RuntimeError),
    (ImageError("bad"), ImageError),
    (OSError(errno.ENOSPC, "No space left on device"), OutputError),
])  # fmt: skip
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, error, kind):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")
    with pytest.raises(kind) as caught, atomic.replace_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert caught.value is error or caught.value.subject == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "file/below", "x" * 300, "x" * 5000, "pipe", "link"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_paths_that_cannot_be_written(tmp_path, name):
    """A pipe stands for /dev/null, which root could replace."""
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for write in (atomic.check_writable, lambda path: atomic.write_text(path, "x")):
        with pytest.raises(OutputError):
            write(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "pipe", "link"}
    assert (tmp_path / "link").is_fifo()


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
        assert (tmp_path / "kept/a.txt").read_text() == text


def test_folders_and_modes(tmp_path):
    private, new = tmp_path / "private.txt", tmp_path / "new/deep/a.txt"
    private.write_text("old")
    private.chmod(0o600)
    atomic.check_writable(new)
    assert list(tmp_path.iterdir()) == [private]  # checking leaves no trace
    umask = os.umask(0o027)
    try:
        for path, mode in ((private, 0o600), (new, 0o640)):
            atomic.write_text(path, "ä")
            assert path.read_bytes() == "ä".encode()
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(umask)
