"""Links that another user laid in a folder such as ``/tmp``."""

import os

import pytest
from support.cli import one_error_line, run

from digitkit.errors import OutputError
from digitkit.sinks.rotating import RotatingFile
from digitkit.system import atomic

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a link away"
)

OTHER = 65534


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim.txt"
    path.write_text("precious")
    return path


def lay(link, target, owner=OTHER):
    link.symlink_to(target)
    os.lchown(link, owner, owner)
    return link


WRITERS = {
    "atomic": lambda path: atomic.write_text(path, "x"),
    "check": atomic.check_writable,
    "live": lambda path: atomic.open_in_place(path).__enter__().close(),
    "rotating": lambda path: RotatingFile(path, 1000, 1).__exit__(None, None, None),
}


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_another_users_link_is_not_followed(tmp_path, shared, victim, writer, chain):
    path = lay(shared / "out.txt", victim)
    if chain:
        (tmp_path / "mine.txt").symlink_to(path)
        path = tmp_path / "mine.txt"
    with pytest.raises(OutputError) as caught:
        WRITERS[writer](path)
    assert caught.value.subject == str(path)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("inside", ["out.txt", "new/out.txt", "../victim/out.txt"])
@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_nor_is_a_folder_that_is_one(tmp_path, shared, writer, chain, inside):
    victim = tmp_path / "victim"
    victim.mkdir()
    folder = lay(shared / "seen", victim)
    if chain:
        (tmp_path / "mine").symlink_to("shared/seen")
        folder = tmp_path / "mine"
    with pytest.raises(OutputError) as caught:
        WRITERS[writer](folder / inside)
    assert caught.value.subject == str(folder / inside)
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("owner", "mode"), [(0, 0o1777), (OTHER, 0o755)])
def test_other_folders_are(tmp_path, monkeypatch, shared, writer, owner, mode):
    (tmp_path / "real").mkdir()
    shared.chmod(mode)
    lay(shared / "tmp", "../real", owner)
    monkeypatch.chdir(tmp_path)
    WRITERS[writer](shared.relative_to(tmp_path) / "tmp/out.txt")
    assert (tmp_path / "real/out.txt").exists() or writer == "check"


def test_a_run_folder_is_not_made_through_one(tmp_path, shared):
    pytest.importorskip("torch")
    from digitkit.training.folder import lock_run

    (tmp_path / "victim").mkdir()
    with pytest.raises(OutputError), lock_run(lay(shared / "seen", tmp_path / "victim") / "run"):
        pass
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("option", ["--annotate", "--explain"])
def test_infer_draws_into_no_such_folder(tmp_path, shared, digit_file, option):
    (tmp_path / "victim").mkdir()
    image = digit_file(7)
    one_error_line(run("infer", image, option, lay(shared / "seen", tmp_path / "victim")), 1)
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("owner", "mode"), [(0, 0o1777), (OTHER, 0o755), (OTHER, 0o777), (OTHER, 0o1775)]
)
def test_other_links_are(shared, victim, writer, owner, mode):
    shared.chmod(mode)
    WRITERS[writer](lay(shared / "out.txt", victim, owner))
    assert (shared / "out.txt").is_symlink()
    assert victim.exists()


def test_the_owner_of_the_folder_may_lay_links(shared, victim):
    os.chown(shared, OTHER, OTHER)
    atomic.write_text(lay(shared / "out.txt", victim), "x")
    assert victim.read_text() == "x"


def test_infer_refuses_it(shared, victim, digit_file):
    result = run("infer", digit_file(7), "--output", lay(shared / "out.txt", victim))
    one_error_line(result, 1)
    assert victim.read_text() == "precious"


def test_a_rotated_file_is_not_followed_either(shared, victim):
    with RotatingFile(shared / "log.txt", 100, 1) as file:
        file.write("x" * 90)
        (shared / "log.txt").unlink()
        lay(shared / "log.txt", victim)
        file._handler.close()
        with pytest.raises(OutputError):
            file.write("x" * 90)
    assert victim.read_text() == "precious"
