"""Files of a folder that is watched."""

import sys
import threading
import time

import pytest
from support.errors import error_of

from digitkit.errors import InputNotFoundError
from digitkit.sources import watch
from digitkit.sources.frames import Failure
from digitkit.sources.watch import FolderWatch


@pytest.fixture(params=["notified", "looking"])
def how(request, monkeypatch):
    """With watchdog's notifications, and without."""
    if request.param == "notified":
        pytest.importorskip("watchdog")
    else:
        monkeypatch.setitem(sys.modules, "watchdog.events", None)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    return request.param


def collect(folder, count: int) -> tuple[list, threading.Thread]:
    """The first files that a watch gives, in a thread."""
    found: list = []
    files = FolderWatch(folder)

    def run() -> None:
        for file in files:
            found.append(file)
            if len(found) == count:
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return found, thread


def test_files_that_are_there_and_that_arrive(tmp_path, how):
    folder, other = tmp_path / "in", tmp_path / "elsewhere.png"
    (folder / "sub").mkdir(parents=True)
    (folder / "old.png").write_bytes(b"1")
    (folder / ".hidden.png").write_bytes(b"1")
    (folder / "notes.txt").write_bytes(b"1")
    other.write_bytes(b"1")
    found, thread = collect(folder, 4)
    while not found:
        time.sleep(0.02)
    (folder / "new.png").write_bytes(b"2")
    other.rename(folder / "moved.png")
    (folder / "sub/.part").write_bytes(b"3")
    (folder / "sub/.part").rename(folder / "sub/whole.png")
    (folder / "old.png").write_bytes(b"changed")
    thread.join(60)
    names = ["moved.png", "new.png", "old.png", "whole.png"]
    assert sorted(file.name for file in found) == names


def test_a_file_that_is_being_written_is_waited_for(tmp_path, how, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 1.0)  # however slow the machine
    found, thread = collect(tmp_path, 1)
    with (tmp_path / "slow.png").open("wb", buffering=0) as file:
        for _ in range(15):
            file.write(b"x")
            time.sleep(0.04)
            assert found == []
    thread.join(60)
    assert [path.read_bytes() for path in found] == [b"x" * 15]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_writer_that_pauses_is_waited_for(tmp_path, how, monkeypatch, is_known):
    if not is_known:  # as on network mounts, and of another user's files
        monkeypatch.setattr(watch, "_is_open_for_writing", lambda file: None)
        monkeypatch.setattr(watch, "QUIET_SECONDS", 1.0)
    found, thread = collect(tmp_path, 1)
    with (tmp_path / "slow.png").open("wb", buffering=0) as file:
        for _ in range(3):
            file.write(b"x")
            time.sleep(3 * watch.LOOK_SECONDS)
            assert found == []
    thread.join(60)
    assert [path.read_bytes() for path in found] == [b"xxx"]


def test_few_files_are_held_where_there_are_many(tmp_path, how, monkeypatch):
    monkeypatch.setattr(watch, "MAX_WAITING", 4)
    names = [f"{i:02d}.png" for i in range(30)]
    for name in names:
        (tmp_path / name).write_bytes(b"1")
    files, held = FolderWatch(tmp_path), []
    found = []
    for file in files:
        found.append(file.name)
        held.append(len(files._changing))
        if len(found) == len(names):
            break
    assert found == names
    assert max(held) < 4
    assert all(tmp_path / name in files._given for name in names)
    assert tmp_path / "30.png" not in files._given
    assert len(files._given._new) < 4


def test_files_that_stay_incomplete_do_not_keep_others_waiting(tmp_path, how, monkeypatch):
    monkeypatch.setattr(watch, "MAX_WAITING", 2)
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.2)
    names = [f"{i}.png" for i in range(6)]
    for name in names:
        (tmp_path / name).write_bytes(b"1")
    monkeypatch.setattr(watch, "_is_at_rest", lambda file, quiet: file.name >= "4")
    found, thread = collect(tmp_path, 2)
    thread.join(60)
    assert [file.name for file in found] == names[4:]


def test_idle_is_called(tmp_path, how):
    files, calls = FolderWatch(tmp_path), []

    def idle() -> None:
        calls.append(1)
        if len(calls) == 2:
            (tmp_path / "a.png").write_bytes(b"1")

    files.idle = idle
    assert next(iter(files)).name == "a.png"
    assert len(calls) >= 2


@pytest.fixture
def watched(tmp_path, how):
    """A folder of which one file was found, what is found, and the thread that finds three."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "old.png").write_bytes(b"1")
    found, thread = collect(folder, 3)
    while not found:
        time.sleep(0.02)
    return folder, found, thread


def test_a_folder_that_vanishes_is_waited_for(tmp_path, watched):
    folder, found, thread = watched
    folder.rename(tmp_path / "away")
    end = time.monotonic() + 60
    while len(found) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    (tmp_path / "away").rename(folder)
    (folder / "new.png").write_bytes(b"2")
    thread.join(60)
    old, gone, new = found
    assert gone == Failure(
        str(folder), "the folder was removed or replaced; waiting until there is one"
    )
    assert (old.name, gone.kind, new.name) == ("old.png", "missing", "new.png")


def test_a_folder_that_is_replaced_is_watched_anew(tmp_path, watched):
    folder, found, thread = watched
    (tmp_path / "other").mkdir()
    folder.rename(tmp_path / "away")
    (tmp_path / "other").rename(folder)
    (folder / "new.png").write_bytes(b"2")
    thread.join(60)
    assert [getattr(each, "name", None) for each in found] == ["old.png", str(folder), "new.png"]


def test_no_folder(tmp_path):
    assert "none" in str(error_of(InputNotFoundError, FolderWatch, tmp_path / "none"))
