"""Temporary files of processes that were killed, and of those that still write."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from digitkit.errors import OutputError
from digitkit.system import atomic

posix = pytest.mark.skipif(os.name != "posix", reason="needs file locks and signals")


def killed_while_writing(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from digitkit.system import atomic\n"
        "with atomic.replace_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL


@posix
def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "a.txt"
    killed_while_writing(path)
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    killed_while_writing(path)
    assert list(tmp_path.iterdir()) == [left]
    atomic.write_text(path, "whole")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "whole"


@posix
@pytest.mark.parametrize("fails", [False, True])
def test_two_writers_do_not_share_a_file(tmp_path, fails):
    path = tmp_path / "a.txt"
    with atomic.replace_file(path) as first:
        first.write_text("first")
        try:
            with atomic.replace_file(path) as second:
                assert second != first
                second.write_text("second")
                if fails:
                    raise OSError("broken")
        except OutputError:
            assert fails
        assert first.read_text() == "first"
        assert path.exists() != fails
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_many_writers_of_one_file(tmp_path):
    """Each result is one writer's, whole, and nothing else stays."""
    path = tmp_path / "a.txt"
    texts = [str(number) * 50_000 for number in range(4)]
    seen, errors = set(), []

    def write(text: str) -> None:
        try:
            for _ in range(50):
                atomic.write_text(path, text)
                seen.add(path.read_text())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen <= set(texts)
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_what_lies_in_place_of_a_temporary_file_is_left_alone(tmp_path, kind):
    path, precious = tmp_path / "a.txt", tmp_path / "precious"
    precious.write_text("precious")
    with atomic.replace_file(path) as temporary:
        trap = Path(temporary)
        trap.write_text("")
    if kind == "link":
        trap.symlink_to(precious)
    elif kind == "hard link":
        trap.hardlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(trap)
    else:
        trap.mkdir()
    atomic.write_text(path, "new")
    assert path.read_text() == "new"
    assert precious.read_text() == "precious"
    assert {p.name for p in tmp_path.iterdir()} == {"a.txt", "precious", trap.name}


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_another_users_temporary_file_is_not_used(tmp_path):
    path = tmp_path / "a.txt"
    with atomic.replace_file(path) as temporary:
        trap = Path(temporary)
        trap.write_text("")
    trap.write_text("trap")
    os.chown(trap, 65534, 65534)
    atomic.write_text(path, "new")
    assert trap.read_text() == "trap"
    assert path.stat().st_uid == 0


def test_without_locks_a_file_is_written_all_the_same(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    atomic.write_text(tmp_path / "a.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_killed_export_does_not_stop_the_next_one(tmp_path, shipped):
    pytest.importorskip("onnx")
    from digitkit.export.card import write_card
    from digitkit.models.registry import CHECKSUMS

    shutil.copy(shipped, tmp_path)
    (tmp_path / ".other-fp32.digitkit-tmp-0.onnx").write_bytes(b"half")
    write_card(tmp_path)
    assert [line.split()[1] for line in (tmp_path / CHECKSUMS).read_text().splitlines()] == [
        shipped.name
    ]


def test_a_training_killed_in_its_first_write_can_begin_again(tmp_path):
    pytest.importorskip("torch")
    from digitkit.errors import RunError
    from digitkit.training.folder import check_free

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").write_text("")
    killed_while_writing(folder / "run.json")
    check_free(folder, overwrite=False)
    (folder / ".notes.txt").write_text("mine")
    with pytest.raises(RunError):
        check_free(folder, overwrite=False)


@pytest.mark.parametrize("stem", ["ä" * 100, "数" * 80, "x" * 240, "a*b"])
def test_any_name_that_a_file_can_have_can_be_written(tmp_path, stem):
    atomic.write_text(tmp_path / f"{stem}.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.txt"]


def test_a_users_own_hidden_file_stays(tmp_path):
    (tmp_path / ".a.tmp.txt").write_text("mine")
    atomic.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / ".a.tmp.txt").read_text() == "mine"
