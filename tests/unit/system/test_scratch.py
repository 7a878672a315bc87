"""What is blamed on the folder for temporary files."""

import errno
import os
import subprocess

import pytest
from support.errors import error_of

from digitkit.errors import OutputError
from digitkit.system.scratch import scratch_folder


def within(act):
    with scratch_folder() as folder:
        act(folder)


def raising(error):
    def act(folder):
        raise error

    return act


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is(code):
    assert error_of(OutputError, within, raising(OSError(code, "full"))).hint


@pytest.mark.parametrize("as_name", [str, os.fsencode, lambda path: path])
def test_what_lies_in_it_is(as_name):
    error_of(OutputError, within, lambda folder: os.truncate(as_name(folder / "missing"), 0))


def test_that_there_is_none_is(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    error_of(OutputError, within, lambda folder: None)


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: subprocess.Popen([folder.with_name("no-such-command")]),
        lambda folder: folder.with_name(f"{folder.name}-elsewhere.whl").read_bytes(),
        raising(PermissionError(errno.EACCES, "no", "/elsewhere/wheel.whl")),
        raising(OSError(errno.ENOSPC, "full", "/elsewhere/file")),
        raising(OSError(errno.EMFILE, "too many open files")),
        raising(BrokenPipeError(errno.EPIPE, "gone")),
    ],
)
def test_other_errors_are_not(act):
    with pytest.raises(OSError) as caught:  # noqa: PT011
        within(act)
    assert not isinstance(caught.value, OutputError)
