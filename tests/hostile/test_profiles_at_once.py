"""Several `digitkit bench --save` at once."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import pytest

from digitkit.errors import OutputError
from digitkit.models import profiles
from digitkit.models.profiles import Profile, save_profiles
from digitkit.system import atomic

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs file locks")

MODELS = [f"model-{number}" for number in range(12)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    path = tmp_path / "device/profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", str(path))
    monkeypatch.setattr(profiles, "shipped_hashes", lambda model: {"fp32": "0"})
    return path


def profile(model: str) -> Profile:
    return Profile(model, "fp32", 2, 8, 30.0, 1e5, 0.99, "why", {"fp32": "0"}, "1", "cpu", "now")


def test_no_profile_is_lost(place, monkeypatch):
    read = profiles._read

    def read_slowly(path):
        values = read(path)
        time.sleep(0.01)  # for the others to read the same
        return values

    monkeypatch.setattr(profiles, "_read", read_slowly)
    threads = [threading.Thread(target=save_profiles, args=([profile(name)],)) for name in MODELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = json.loads(place.read_text())["models"]
    assert saved == {name: asdict(profile(name)) for name in MODELS}


def test_a_killed_process_holds_no_lock(place):
    code = (
        "import os, signal, sys; from pathlib import Path; from digitkit.system import atomic\n"
        "with atomic.hold_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(place)], check=False).returncode < 0
    save_profiles([profile("a")])
    assert list(json.loads(place.read_text())["models"]) == ["a"]


def test_a_lock_that_stays_held_is_not_waited_for_without_end(place, monkeypatch):
    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.1)
    with atomic.hold_lock(place):  # stands for a stopped process
        saving = threading.Thread(target=save_and_keep, args=(errors := [],), daemon=True)
        saving.start()
        saving.join(10)
        assert not saving.is_alive()
    (error,) = errors
    (lock,) = place.parent.iterdir()
    assert (error.subject, bool(error.hint)) == (str(lock), True)
    save_profiles([profile("a")])


def save_and_keep(errors):
    try:
        save_profiles([profile("a")])
    except OutputError as error:
        errors.append(error)


def test_what_lies_in_place_of_the_lock(place):
    save_profiles([profile("a")])
    (lock,) = set(place.parent.iterdir()) - {place}
    lock.unlink()
    lock.symlink_to(place.parent / "elsewhere")
    with pytest.raises(OutputError) as caught:
        save_profiles([profile("b")])
    assert caught.value.subject == str(place)
    assert not (place.parent / "elsewhere").exists()


def test_no_lock_is_left_where_nothing_can_be_written(tmp_path, place, monkeypatch):
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path / "pipe"))
    with pytest.raises(OutputError):
        save_profiles([profile("a")])
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
