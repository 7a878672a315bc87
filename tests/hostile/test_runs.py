"""Run folders that are used twice, or whose records lead elsewhere."""

import json
import os
import shutil
import threading

import pytest
from support.cli import one_error_line, run

from digitkit.system import atomic

pytest.importorskip("torch")

from digitkit.errors import RunError
from digitkit.training.folder import lock_run


def test_a_lock_is_never_held_twice(tmp_path):
    holders = most = taken = 0
    guard = threading.Lock()

    def contend() -> None:
        nonlocal holders, most, taken
        for _ in range(200):
            try:
                with lock_run(tmp_path):
                    with guard:
                        holders, taken = holders + 1, taken + 1
                        most = max(most, holders)
                    with guard:
                        holders -= 1
            except RunError:
                pass

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken > 0
    assert most == 1


def test_a_recipes_name_does_not_lead_out_of_the_folder(fast_run, tmp_path):
    folder = tmp_path / "runs/copy"
    shutil.copytree(fast_run.folder, folder)
    record = json.loads((folder / "run.json").read_text())
    record["recipe"]["name"] = "../../escaped"
    (folder / "run.json").write_text(json.dumps(record))
    before = sorted(tmp_path.rglob("*"))
    assert "--name" in one_error_line(run("export", folder), 2)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_moment_without_a_umask(tmp_path, monkeypatch):
    masks = []
    umask = os.umask
    monkeypatch.setattr(os, "umask", lambda mask: masks.append(mask) or umask(mask))
    atomic.write_text(tmp_path / "a.txt", "a")
    assert masks
    assert all(mask & 0o022 == 0o022 for mask in masks)
