from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from digitkit.system import git


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that digitkit seems to run from."""
    monkeypatch.setattr(git, "__file__", str(tmp_path / "digitkit/system/git.py"))
    return tmp_path


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout(checkout):
    def run(*arguments: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", "-C", str(checkout), *who, *arguments], check=True)

    assert git.git_revision() is None
    (checkout / "a").write_text("1")
    run("init", "-q")
    assert git.git_revision() is None  # without a commit
    run("add", "a")
    run("commit", "-qm", "x")
    run("tag", "v1")  # no name for a revision
    clean = git.git_revision()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (checkout / "a").write_text("2")
    assert git.git_revision() == f"{clean}-dirty"


def test_without_git(checkout, monkeypatch):
    (checkout / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert git.git_revision() is None
