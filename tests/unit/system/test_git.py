import re
import subprocess

from digitkit.system import git


def test_revisions(tmp_path, monkeypatch):
    def run(*arguments: str) -> None:
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)

    monkeypatch.setattr(git, "__file__", str(tmp_path / "digitkit/system/git.py"))
    assert git.git_revision() is None
    run("init", "-q")
    assert git.git_revision() is None  # without a commit
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    run(*who, "commit", "-qm", "x", "--allow-empty")
    run("tag", "v1")  # no name for a revision
    clean = git.git_revision()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "a").touch()
    run("add", "a")
    assert git.git_revision() == f"{clean}-dirty"
    monkeypatch.setenv("PATH", "")
    assert git.git_revision() is None  # git is not installed
