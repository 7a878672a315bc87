"""Trainings of a fraction of a second, and what they leave in their folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from support.training import FAST, Silent, train_config, write_idx

from digitkit.errors import ConfigError, DatasetError, InputNotFoundError, RunError
from digitkit.training.folder import load_run
from digitkit.training.record import read_record, write_record
from digitkit.training.run import resume, train

REMOVED = object()


def damage(folder, path: str, value: object) -> None:
    """Change or remove one value of a ``run.json``, named like ``data.train.digest``."""
    record = json.loads((folder / "run.json").read_text())
    *parents, key = path.split(".")
    values = record
    for parent in parents:
        values = values[int(parent) if parent.isdigit() else parent]
    if value is REMOVED:
        del values[key]
    else:
        values[key] = value
    (folder / "run.json").write_text(json.dumps(record))


@pytest.fixture
def fast(few_digits, tmp_path):
    """Trains into a folder of this name, with these changes."""

    def run(name: str = "a", watcher: Silent | None = None, **changes: str):
        config = train_config(tmp_path / name, few_digits, FAST | changes)
        return train(config, watcher or Silent())

    return run


@pytest.fixture
def copy(fast_run, tmp_path):
    """A finished run folder to damage."""
    return shutil.copytree(fast_run.folder, tmp_path / "copy")


def test_the_run_folder(fast_run):
    names = {p.name for p in fast_run.folder.iterdir()}
    assert names == {"model.safetensors", "run.json", "curves.png", "confusion.png", ".lock"}
    values = json.loads((fast_run.folder / "run.json").read_text())
    keys = (
        "format status recipe overrides seed parameters threads versions machine git_revision "
        "started data init epochs best_epoch validation test wall_seconds"
    )
    assert list(values) == keys.split()
    assert (values["format"], values["status"], values["overrides"]) == (1, "complete", FAST)
    assert values["recipe"]["epochs"] == len(values["epochs"]) == 3
    assert (values["data"]["train"]["count"], values["test"]["count"]) == (300, 100)
    assert values["versions"]["torch"]
    assert values["wall_seconds"] >= values["epochs"][-1]["elapsed"] > 0
    assert 0.05 < values["validation"]["temperature"] < 20
    assert 0.5 <= values["validation"]["min_confidence"] <= 1
    assert values["test"]["loss_uncalibrated"] > 0
    accuracies = [epoch["val_accuracy"] for epoch in values["epochs"]]
    assert accuracies[values["best_epoch"] - 1] == max(accuracies)
    before = (fast_run.folder / "run.json").read_bytes()
    assert load_run(fast_run.folder).record == fast_run.record
    assert resume(fast_run.folder, Silent()).record == fast_run.record
    assert (fast_run.folder / "run.json").read_bytes() == before


def test_same_seed_same_weights_and_another_seed_others(fast):
    runs = fast("a"), fast("b"), fast("c", seed="1")
    first, same, other = ((run.folder / "model.safetensors").read_bytes() for run in runs)
    assert first == same != other


@pytest.mark.parametrize(
    "stop", [Silent(stop_after=1), Silent(stop_in_batch=(2, 3)), Silent(stop_in_batch=(1, 1))]
)
@pytest.mark.parametrize("net", ["article-minimal", "digits-tiny"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(fast, tmp_path, stop, net):
    changes = {
        "net": net, "augmentation.rotate": "5", "ema": "0.9", "hands": "0.1", "negatives": "0.2",
    }  # fmt: skip
    whole = fast("whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fast("cut", stop, **changes)
    with pytest.raises(RunError) as error:
        load_run(tmp_path / "cut")
    assert f"--resume {tmp_path / 'cut'}" in error.value.hint
    watcher = Silent()
    resumed = resume(tmp_path / "cut", watcher)
    assert watcher.counts[2] == (1 if stop.stop_in_batch != (1, 1) else 0)
    weights = [(run.folder / "model.safetensors").read_bytes() for run in (whole, resumed)]
    assert weights[0] == weights[1]
    for ours, theirs in zip(resumed.record.epochs, whole.record.epochs, strict=True):
        assert (ours.val_loss, ours.train_loss) == (theirs.val_loss, theirs.train_loss)
    assert resumed.record.test == whole.record.test


def test_init_starts_from_another_run(tmp_path, few_digits, fast_run):
    changes = FAST | {"epochs": "1", "learning_rate": "0.00001"}
    config = train_config(tmp_path / "tuned", few_digits, changes, init=fast_run.folder)
    tuned = train(config, Silent()).record
    assert tuned.epochs[0].train_accuracy > 0.6  # far from fresh weights
    assert tuned.init.run == str(fast_run.folder)
    other = train_config(tmp_path / "x", few_digits, {"epochs": "1"}, init=fast_run.folder)
    with pytest.raises(RunError, match="article-minimal"):
        train(other, Silent())


FLAT = {"learning_rate": "1e-12", "schedule": "constant"}
"""No epoch is better than another, and the first of the best is kept."""


@pytest.mark.parametrize(
    ("changes", "best_epoch", "epochs"),
    [
        ({"validation": "0"}, 3, 3),
        (FLAT, 1, 3),
        (FLAT | {"keep": "last"}, 3, 3),
        (FLAT | {"patience": "1", "epochs": "30"}, 1, 2),
    ],
)
def test_which_epoch_is_kept(fast, changes, best_epoch, epochs):
    record = fast(**changes).record
    assert (record.best_epoch, len(record.epochs)) == (best_epoch, epochs)
    if "validation" in changes:
        assert (record.validation, record.epochs[0].val_loss) == (None, None)
        assert (record.temperature, record.min_confidence) == (1.0, 0.5)


def test_folders_that_are_taken(tmp_path, few_digits, copy):
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(RunError) as error:
        train(train_config(copy, few_digits), Silent())
    assert "--resume" in error.value.hint
    train(train_config(copy, few_digits, overwrite=True), Silent())
    assert (copy / "notes.txt").read_text() == "mine"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(b"x")
    for out in (tmp_path / "photos", tmp_path / "photos/a.png"):
        with pytest.raises(RunError) as error:
            train(train_config(out, few_digits, overwrite=True), Silent())
        assert error.value.subject == str(out)
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a.png"]


def test_two_trainings_into_one_folder(tmp_path, few_digits):
    out = tmp_path / "a"

    class Second(Silent):
        def epoch(self, record, checkpoint):
            with pytest.raises(RunError, match="another training"):
                train(train_config(out, few_digits, overwrite=True), Silent())
            with pytest.raises(RunError, match="another training"):
                resume(out, Silent())
            super().epoch(record, checkpoint)

    watcher = Second()
    train(train_config(out, few_digits), watcher)
    assert len(watcher.epochs) == 3


def test_what_cannot_begin(tmp_path, few_digits):
    with pytest.raises(ConfigError) as error:
        replace(train_config(tmp_path, few_digits), threads=-1)
    assert error.value.field == "threads"
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputNotFoundError):
            load_run(folder)
        with pytest.raises(RunError, match=r"run\.json"):
            resume(folder, Silent())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 99),
        ("status", "done"),
        ("status", "running"),
        ("test", None),
        ("test.accuracy", REMOVED),
        ("data.train", REMOVED),
        ("epochs.0.epoch", "one"),
        ("validation.min_confidence", REMOVED),
        ("wall_seconds", REMOVED),
        ("threads", REMOVED),
        ("recipe", []),
        ("recipe.epochs", REMOVED),
        ("recipe.epochs", 0),
        ("recipe.invented_later", 1),
        ("recipe.augmentation.invented_later", 1),
        ("recipe.net", "nothing"),
        ("recipe.net", "quick"),  # does not fit the weights
    ],
)
def test_damaged_records(copy, path, value):
    damage(copy, path, value)
    with pytest.raises(RunError):
        load_run(copy)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b""])
def test_records_that_are_not_json(copy, content):
    (copy / "run.json").write_bytes(content)
    for load in (load_run, lambda folder: resume(folder, Silent())):
        with pytest.raises(RunError) as error:
            load(copy)
        assert error.value.subject == str(copy / "run.json")


def test_records_of_older_versions(copy):
    """Recipe fields that were added later have defaults; a record survives being rewritten."""
    for path in ("recipe.keep", "recipe.hands", "recipe.negatives", "recipe.augmentation.erase"):
        damage(copy, path, REMOVED)
    record = read_record(copy)
    assert (record.recipe.keep, record.recipe.hands) == ("best", 0.0)
    write_record(copy, record)
    assert read_record(copy) == record


def test_damaged_weights(copy):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    for _ in range(2):
        with pytest.raises(RunError) as error:
            load_run(copy)
        assert error.value.subject == str(path)
        path.unlink(missing_ok=True)


def test_resume_refuses_what_does_not_fit(tmp_path, few_digits, mnist_test):
    out, data = tmp_path / "a", shutil.copytree(few_digits, tmp_path / "data")
    with pytest.raises(KeyboardInterrupt):
        train(train_config(out, data), Silent(stop_after=1))
    before = (out / "run.json").read_bytes()
    damage(out, "recipe.net", "digits")
    with pytest.raises(RunError, match="'digits'"):
        resume(out, Silent())
    (out / "run.json").write_bytes(before)
    (out / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        resume(out, Silent())
    write_idx(data, "train", mnist_test.take(np.arange(300)))
    with pytest.raises(DatasetError):
        resume(out, Silent())


def test_a_training_that_diverges(fast):
    with pytest.raises(RunError) as error:
        fast(learning_rate="1e30", optimizer="sgd", schedule="constant")
    assert "learning_rate" in error.value.hint
