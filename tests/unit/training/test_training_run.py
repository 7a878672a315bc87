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


def rewrite(folder, change) -> None:
    """Change the values of a ``run.json``."""
    values = json.loads((folder / "run.json").read_text())
    change(values)
    (folder / "run.json").write_text(json.dumps(values))


@pytest.fixture
def copy(fast_run, tmp_path):
    """A finished run folder to damage."""
    return shutil.copytree(fast_run.folder, tmp_path / "copy")


def test_the_run_folder(fast_run):
    names = {p.name for p in fast_run.folder.iterdir()}
    assert names == {"model.safetensors", "run.json", "curves.png", "confusion.png"}
    values = json.loads((fast_run.folder / "run.json").read_text())
    assert list(values) == [
        "format", "status", "recipe", "overrides", "seed", "parameters", "threads", "versions",
        "machine", "git_revision", "started", "data", "init", "epochs", "best_epoch", "validation",
        "test", "wall_seconds",
    ]  # fmt: skip
    assert (values["format"], values["status"], values["overrides"]) == (1, "complete", FAST)
    assert values["recipe"]["epochs"] == len(values["epochs"]) == 3
    assert (values["data"]["train"]["count"], values["test"]["count"]) == (300, 100)
    assert values["versions"]["torch"]
    assert values["wall_seconds"] >= values["epochs"][-1]["elapsed"] > 0
    best = max(values["epochs"], key=lambda e: (e["val_accuracy"], -e["val_loss"]))
    assert values["best_epoch"] == best["epoch"]
    assert 0.05 < values["validation"]["temperature"] < 20
    assert 0.5 <= values["validation"]["min_confidence"] <= 1
    assert values["test"]["loss_uncalibrated"] > 0
    assert load_run(fast_run.folder).record == fast_run.record


def test_same_seed_same_weights_and_another_seed_others(tmp_path, few_digits):
    weights = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        train(train_config(tmp_path / name, few_digits, FAST | {"seed": seed}), Silent())
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


@pytest.mark.parametrize(
    "stop", [Silent(stop_after=1), Silent(stop_in_batch=(2, 3)), Silent(stop_in_batch=(1, 1))]
)
@pytest.mark.parametrize("net", ["article-minimal", "digits-tiny"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path, few_digits, stop, net):
    changes = FAST | {
        "net": net, "augmentation.rotate": "5", "ema": "0.9", "hands": "0.1", "negatives": "0.2",
    }  # fmt: skip
    whole = train(train_config(tmp_path / "whole", few_digits, changes), Silent())
    with pytest.raises(KeyboardInterrupt):
        train(train_config(tmp_path / "cut", few_digits, changes), stop)
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


def test_resuming_a_finished_run_changes_nothing(fast_run):
    before = (fast_run.folder / "run.json").read_bytes()
    assert resume(fast_run.folder, Silent()).record == fast_run.record
    assert (fast_run.folder / "run.json").read_bytes() == before


def test_init_starts_from_another_run(tmp_path, few_digits, fast_run):
    changes = FAST | {"epochs": "1", "learning_rate": "0.00001"}
    config = train_config(tmp_path / "tuned", few_digits, changes, init=fast_run.folder)
    tuned = train(config, Silent()).record
    assert tuned.epochs[0].train_accuracy > 0.6  # far from fresh weights
    assert tuned.init.run == str(fast_run.folder)
    other = train_config(tmp_path / "x", few_digits, {"epochs": "1"}, init=fast_run.folder)
    with pytest.raises(RunError, match="article-minimal"):
        train(other, Silent())


def test_without_validation_the_last_epoch_is_kept(tmp_path, few_digits):
    config = train_config(tmp_path / "a", few_digits, FAST | {"validation": "0"})
    record = train(config, Silent()).record
    assert (record.best_epoch, record.validation, record.epochs[0].val_loss) == (3, None, None)
    assert (record.temperature, record.min_confidence) == (1.0, 0.5)


def test_which_epoch_is_kept(tmp_path, few_digits):
    # At such a rate no epoch is better than another, and the first of the best is kept.
    flat = FAST | {"learning_rate": "1e-12", "schedule": "constant"}
    # At this one they go up and down.
    wild = FAST | {"learning_rate": "0.5", "schedule": "constant", "epochs": "6"}
    records = [
        train(train_config(tmp_path / name, few_digits, changes), Silent()).record
        for name, changes in (("a", flat | {"keep": "last"}), ("b", flat), ("c", wild))
    ]
    assert [record.best_epoch for record in records[:2]] == [3, 1]
    accuracies = [epoch.val_accuracy for epoch in records[2].epochs]
    assert accuracies[records[2].best_epoch - 1] == max(accuracies)


def test_patience(tmp_path, few_digits):
    changes = FAST | {"epochs": "30", "patience": "1", "learning_rate": "1e-12"}
    record = train(train_config(tmp_path / "a", few_digits, changes), Silent()).record
    assert len(record.epochs) == record.best_epoch + 1 < 30


def test_folders_that_are_taken(tmp_path, few_digits, copy):
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(RunError) as error:
        train(train_config(copy, few_digits), Silent())
    assert "--resume" in error.value.hint
    assert not (copy / ".lock").exists()
    train(train_config(copy, few_digits, overwrite=True), Silent())
    assert (copy / "notes.txt").read_text() == "mine"
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"x")
    for out in (photos, photos / "a.png"):
        for overwrite in (False, True):
            with pytest.raises(RunError) as error:
                train(train_config(out, few_digits, overwrite=overwrite), Silent())
            assert error.value.subject == str(out)
    assert {p.name for p in photos.iterdir()} == {"a.png"}


def test_two_trainings_into_one_folder(tmp_path, few_digits):
    out = tmp_path / "a"

    class Second(Silent):
        def epoch(self, record, checkpoint):
            for attempt in (
                lambda: train(train_config(out, few_digits, overwrite=True), Silent()),
                lambda: resume(out, Silent()),
            ):
                with pytest.raises(RunError, match="another training"):
                    attempt()
            super().epoch(record, checkpoint)

    watcher = Second()
    train(train_config(out, few_digits), watcher)
    assert len(watcher.epochs) == 3


def test_a_config_checks_itself(tmp_path, few_digits):
    with pytest.raises(ConfigError) as error:
        replace(train_config(tmp_path, few_digits), threads=-1)
    assert error.value.field == "threads"


def test_folders_without_a_run(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputNotFoundError):
            load_run(folder)
        with pytest.raises(RunError, match=r"run\.json"):
            resume(folder, Silent())


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(format=99),
        lambda values: values.update(status="done"),
        lambda values: values.update(test=None),
        lambda values: values["test"].pop("accuracy"),
        lambda values: values["data"].pop("train"),
        lambda values: values["epochs"][0].update(epoch="one"),
        lambda values: values.pop("threads"),
        lambda values: values.pop("recipe"),
        lambda values: values["recipe"].pop("epochs"),
        lambda values: values["recipe"].update(epochs=0),
        lambda values: values["recipe"].update(invented_later=1),
        lambda values: values["recipe"]["augmentation"].update(invented_later=1),
        lambda values: values["recipe"].update(net="nothing"),
        lambda values: values["recipe"].update(net="quick"),  # other weights
    ],
)
def test_damaged_records(copy, change):
    rewrite(copy, change)
    with pytest.raises(RunError, match=r"run\.json"):
        load_run(copy)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b""])
def test_records_that_are_not_json(copy, content):
    (copy / "run.json").write_bytes(content)
    for load in (read_record, load_run, lambda folder: resume(folder, Silent())):
        with pytest.raises(RunError) as error:
            load(copy)
        assert error.value.subject == str(copy / "run.json")


def test_records_of_older_versions(copy, fast_run):
    """Fields that were added later have defaults; a record survives being written again."""

    def remove(values):
        del values["validation"]["min_confidence"], values["recipe"]["hands"]
        values["recipe"]["augmentation"] = {"rotate": 8}

    rewrite(copy, remove)
    record = read_record(copy)
    assert (record.min_confidence, record.recipe.augmentation.rotate) == (0.5, 8.0)
    write_record(copy, record)
    assert read_record(copy) == record


def test_damaged_weights(copy):
    path = copy / "model.safetensors"
    for content in (path.read_bytes()[:1000], None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(RunError) as error:
            load_run(copy)
        assert error.value.subject == str(path)


def test_resume_refuses_what_does_not_fit(tmp_path, few_digits, mnist_test):
    out, data = tmp_path / "a", tmp_path / "data"
    shutil.copytree(few_digits, data)
    with pytest.raises(KeyboardInterrupt):
        train(train_config(out, data), Silent(stop_after=1))
    before = (out / "run.json").read_bytes()
    rewrite(out, lambda values: values["recipe"].update(net="digits"))
    with pytest.raises(RunError, match="'digits'"):
        resume(out, Silent())
    (out / "run.json").write_bytes(before)
    write_idx(data, "train", mnist_test.take(np.arange(300)))
    with pytest.raises(DatasetError):
        resume(out, Silent())
    shutil.rmtree(data)
    shutil.copytree(few_digits, data)
    (out / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        resume(out, Silent())


def test_a_training_that_diverges(tmp_path, few_digits):
    changes = FAST | {"learning_rate": "1e30", "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(RunError) as error:
        train(train_config(tmp_path / "a", few_digits, changes), Silent())
    assert "learning_rate" in error.value.hint
