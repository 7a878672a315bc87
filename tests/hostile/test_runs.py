"""Run folders that are used twice, or whose records lead elsewhere."""

import json
import os
import shutil
import threading

import pytest
from support.cli import one_error_line, run
from support.errors import error_of
from support.training import FAST, Silent, train_config

from digitkit.system import atomic

torch = pytest.importorskip("torch")

from digitkit.errors import RecipeError, RunError
from digitkit.export.detector_export import DETECTOR_EXPORT
from digitkit.system.progress import no_progress
from digitkit.training import folder as run_folder
from digitkit.training.detector_training import DETECTOR, DetectorConfig
from digitkit.training.folder import lock_run
from digitkit.training.run import resume, train
from digitkit.training.steps import train_steps


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


def test_a_net_that_does_not_exist_does_not_cost_the_old_run(fast_run, few_digits, tmp_path):
    folder = shutil.copytree(fast_run.folder, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    config = train_config(folder, few_digits, FAST | {"net": "nothing"}, overwrite=True)
    error_of(RecipeError, train, config, Silent())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


WEIGHTS = {
    "nothing": b"", "text": b"not weights", "no net": {"training": "x"}, "a number": 5,
    "other layers": {"net": {"a": torch.zeros(1)}, "training": "x"},
    "no layers": {"net": {}, "training": "x"}, "no dictionary": {"net": 5, "training": "x"},
    "no tensors": {"net": {"a": "b"}, "training": "x"},
}  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
def test_damaged_weights_of_a_detector(tmp_path, kind):
    path, content = tmp_path / "finder.pt", WEIGHTS[kind]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    config = DetectorConfig(tmp_path / "new", init=tmp_path, workers=0)

    def start_training():
        train_steps(DETECTOR, config, lambda _: None, no_progress)

    for start in (start_training, lambda: DETECTOR_EXPORT.run(tmp_path)):
        assert error_of(RunError, start).subject == str(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def interrupted(few_digits, tmp_path_factory):
    """A training with averaged weights that was interrupted after its first epoch."""
    changes = FAST | {"ema": "0.9", "epochs": "2"}
    config = train_config(tmp_path_factory.mktemp("runs") / "cut", few_digits, changes)
    error_of(KeyboardInterrupt, train, config, Silent(stop_after=1))
    return config.out


OTHERS = (5, "x", [], [5], {"a": 5}, {"a": torch.zeros(1)})


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("history", (5, [], [{}])), ("best_epoch", (None, "x", -1, 0, 5)), ("best", OTHERS),
        ("net", OTHERS), ("average", OTHERS),
        ("optimizer", (*OTHERS, {"param_groups": 5, "state": {}})),
    ],
)  # fmt: skip
def test_damaged_checkpoints(interrupted, tmp_path, key, values):
    folder = shutil.copytree(interrupted, tmp_path / "cut")
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    for value in values:
        torch.save(checkpoint | {key: value}, folder / "checkpoint.pt")
        error_of(RunError, resume, folder, Silent())
    assert (folder / "run.json").read_bytes() == (interrupted / "run.json").read_bytes()


@pytest.mark.parametrize("name", [run_folder.WEIGHTS, run_folder.CHECKPOINT])
def test_weights_have_a_size_limit(fast_run, tmp_path, monkeypatch, name):
    folder = tmp_path / "copy"
    shutil.copytree(fast_run.folder, folder)
    (folder / name).write_bytes(bytes(2000))
    monkeypatch.setattr(run_folder, "MAX_WEIGHTS_BYTES", 1000)
    read = run_folder.load_run if name == run_folder.WEIGHTS else run_folder.load_checkpoint
    error = error_of(RunError, read, folder)
    assert error.subject == str(folder / name)
    assert "larger" in error.problem
