"""Trainings of a fraction of a second, and what they leave in their folders."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from support.errors import error_of
from support.training import FAST, Silent, train_config, write_idx

from digitkit.errors import ConfigError, DatasetError, InputNotFoundError, RunError
from digitkit.models.calibration import MIN_CALIBRATION_IMAGES
from digitkit.training import scoring
from digitkit.training.folder import load_run
from digitkit.training.record import UNCALIBRATED, read_record, write_record
from digitkit.training.run import resume, train

REMOVED = object()


def damage(folder, path: str, value: object) -> None:
    """Change or remove one value of a ``run.json``, named like ``data.train.digest``."""
    record = json.loads((folder / "run.json").read_text())
    *parents, key = path.split(".")
    values = record
    for parent in parents:
        values = values[int(parent) if parent.isdigit() else parent]
    values[key] = value
    if value is REMOVED:
        del values[key]
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
    assert names == {".lock", "model.safetensors", "run.json", "curves.png", "confusion.png"}
    before = (fast_run.folder / "run.json").read_bytes()
    values = json.loads(before)
    keys = (
        "format status recipe overrides seed parameters threads versions machine git_revision "
        "started data init epochs best_epoch calibration mix validation test wall_seconds"
    )
    assert list(values) == keys.split()
    assert (values["format"], values["status"], values["overrides"]) == (1, "complete", FAST)
    assert values["recipe"]["epochs"] == len(values["epochs"]) == 3
    assert (values["data"]["train"]["count"], values["test"]["count"]) == (300, 100)
    assert values["versions"]["torch"]
    assert values["wall_seconds"] >= values["epochs"][-1]["elapsed"] > 0
    calibration = values["calibration"]
    assert calibration.pop("source") == "validation"
    assert 0.05 < calibration["temperature"] < 20
    assert 0.5 <= calibration["min_confidence"] <= 1
    assert calibration.items() <= values["validation"].items()
    assert values["test"]["loss_uncalibrated"] > 0
    accuracies = [epoch["val_accuracy"] for epoch in values["epochs"]]
    assert accuracies[values["best_epoch"] - 1] == max(accuracies)
    assert load_run(fast_run.folder).record == fast_run.record
    assert resume(fast_run.folder, Silent()).record == fast_run.record
    assert (fast_run.folder / "run.json").read_bytes() == before


def read_weights(run):
    return (run.folder / "model.safetensors").read_bytes()


def test_same_seed_same_weights_and_another_seed_others(fast, fast_run):
    assert read_weights(fast("same")) == read_weights(fast_run)
    assert read_weights(fast("other", seed="1")) != read_weights(fast_run)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["article-minimal", "digits-tiny"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(fast, tmp_path, net):
    changes = {
        "net": net, "augmentation.rotate": "5", "ema": "0.9", "hands": "0.1", "negatives": "0.2",
    }  # fmt: skip
    whole, cut = fast("whole", **changes), tmp_path / "cut"
    for options, epochs in (
        ({"stop_after": 1}, 1), ({"stop_in_batch": (2, 3)}, 1), ({"stop_in_batch": (1, 1)}, 0),
    ):  # fmt: skip
        error_of(KeyboardInterrupt, fast, "cut", Silent(**options), **changes)
        assert f"--resume {cut}" in error_of(RunError, load_run, cut).hint
        watcher = Silent()
        resumed = resume(cut, watcher)
        assert watcher.done == epochs
        assert read_weights(resumed) == read_weights(whole)
        for ours, theirs in zip(resumed.record.epochs, whole.record.epochs, strict=True):
            assert (ours.val_loss, ours.train_loss) == (theirs.val_loss, theirs.train_loss)
        assert resumed.record.test == whole.record.test
        shutil.rmtree(cut)


def test_init_starts_from_another_run(tmp_path, few_digits, fast_run):
    changes = FAST | {"epochs": "1", "learning_rate": "0.00001"}
    config = train_config(tmp_path / "tuned", few_digits, changes, init=fast_run.folder)
    tuned = train(config, Silent()).record
    assert tuned.epochs[0].train_accuracy > 0.6  # far from fresh weights
    assert tuned.init.run == str(fast_run.folder)
    other = train_config(tmp_path / "x", few_digits, {"epochs": "1"}, init=fast_run.folder)
    assert error_of(RunError, train, other, Silent()).subject == str(fast_run.folder)


@pytest.fixture
def tune(few_digits, tmp_path):
    """Starts a training of one epoch from a run, into a folder of this name."""

    def start(name: str, init, watcher: Silent | None = None, **changes: str):
        changes = FAST | {"epochs": "1"} | changes
        config = train_config(tmp_path / name, few_digits, changes, init=init)
        return train(config, watcher or Silent())

    return start


def test_few_validation_images_keep_the_calibration_of_the_start(tune, fast_run):
    fitted = fast_run.record.calibration
    assert fitted.temperature != 1
    tuned = tune("tuned", fast_run.folder)
    for run in (tuned, tune("all", fast_run.folder, validation="0"), tune("b", tuned.folder)):
        assert run.record.calibration == replace(fitted, source="init")
        assert load_run(run.folder).record == run.record
    assert tuned.record.validation.temperature == fitted.temperature
    assert tuned.record.validation.min_confidence == fitted.min_confidence


def test_without_a_start_few_validation_images_leave_the_defaults(fast, tune):
    record = fast().record
    assert record.validation.count < MIN_CALIBRATION_IMAGES
    assert (record.validation.temperature, record.validation.min_confidence) == (1.0, 0.5)
    assert record.calibration == UNCALIBRATED
    assert record.test.loss == record.test.loss_uncalibrated
    # Nor is there anything to keep for a training that starts from this one.
    assert tune("tuned", fast("parent").folder).record.calibration == UNCALIBRATED


@pytest.mark.parametrize(("missing", "source"), [(0, "validation"), (1, "init")])
def test_the_number_of_validation_images_decides(tune, fast_run, monkeypatch, missing, source):
    count = fast_run.record.validation.count
    monkeypatch.setattr(scoring, "MIN_CALIBRATION_IMAGES", count + missing)
    assert tune("tuned", fast_run.folder).record.calibration.source == source


def test_a_resumed_training_keeps_the_calibration_of_a_start_that_is_gone(tune, copy, tmp_path):
    parent = load_run(copy).record.calibration
    error_of(KeyboardInterrupt, tune, "cut", copy, Silent(stop_after=1), epochs="2")
    shutil.rmtree(copy)
    assert resume(tmp_path / "cut", Silent()).record.calibration == replace(parent, source="init")


FLAT = {"learning_rate": "1e-12", "schedule": "constant"}
"""No epoch is better than another, and the first of the best is kept."""


@pytest.mark.parametrize(
    ("changes", "best_epoch", "epochs"),
    [
        ({"validation": "0"}, 3, 3), (FLAT, 1, 3), (FLAT | {"keep": "last"}, 3, 3),
        (FLAT | {"patience": "1", "epochs": "30"}, 1, 2),
    ],
)  # fmt: skip
def test_which_epoch_is_kept(fast, changes, best_epoch, epochs):
    record = fast(**changes).record
    assert (record.best_epoch, len(record.epochs)) == (best_epoch, epochs)
    if "validation" in changes:
        assert (record.validation, record.epochs[0].val_loss) == (None, None)
        assert record.calibration == UNCALIBRATED


def test_folders_that_are_taken(tmp_path, few_digits, copy):
    (copy / "notes.txt").write_text("mine")
    error = error_of(RunError, train, train_config(copy, few_digits), Silent())
    assert "--resume" in error.hint

    class Rival(Silent):
        def epoch(self, record, checkpoint):
            for start in (lambda: train(replacing, Silent()), lambda: resume(copy, Silent())):
                assert "another training" in str(error_of(RunError, start))
            self.done = record.epoch

    replacing, rival = train_config(copy, few_digits, overwrite=True), Rival()
    train(replacing, rival)
    assert rival.done == 3
    assert (copy / "notes.txt").read_text() == "mine"
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"x")
    for out in (photos, photos / "a.png"):
        config = train_config(out, few_digits, overwrite=True)
        assert error_of(RunError, train, config, Silent()).subject == str(out)
    assert [p.name for p in photos.iterdir()] == ["a.png"]


def test_what_cannot_begin(tmp_path, few_digits, fast):
    config = train_config(tmp_path, few_digits)
    assert error_of(ConfigError, replace, config, threads=-1).field == "threads"
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert error_of(InputNotFoundError, load_run, folder).subject == str(folder)
        assert error_of(RunError, resume, folder, Silent()).subject == str(folder)
    diverging = {"learning_rate": "1000", "optimizer": "sgd", "schedule": "constant"}
    assert "learning_rate" in error_of(RunError, fast, **diverging).hint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 99), ("status", "done"), ("status", "running"), ("threads", REMOVED),
        ("test", None), ("test.accuracy", REMOVED), ("data.train", REMOVED),
        ("epochs.0.epoch", "one"), ("validation.min_confidence", REMOVED),
        ("validation", None), ("calibration.source", "init"), ("calibration.source", "x"),
        ("calibration.temperature", 0), ("calibration.min_confidence", REMOVED),
        ("wall_seconds", REMOVED), ("recipe", []),
        ("recipe.epochs", REMOVED), ("recipe.epochs", 0), ("recipe.invented_later", 1),
        ("recipe.augmentation.invented_later", 1), ("recipe.net", "nothing"),
        ("recipe.net", "quick"),  # does not fit the weights
    ],
)  # fmt: skip
def test_damaged_records(copy, path, value):
    damage(copy, path, value)
    with pytest.raises(RunError):
        load_run(copy)


def test_records_of_older_versions(copy):
    """Recipe fields that were added later have defaults; a record survives being rewritten."""
    for path in ("recipe.keep", "recipe.hands", "recipe.negatives", "recipe.augmentation.erase"):
        damage(copy, path, REMOVED)
    record = read_record(copy)
    assert (record.recipe.keep, record.recipe.hands) == ("best", 0.0)
    write_record(copy, record)
    assert read_record(copy) == record


def test_the_calibration_of_older_records(copy):
    """They fitted on however few validation images, and said so only there."""
    fitted = read_record(copy).calibration
    damage(copy, "calibration", REMOVED)
    assert read_record(copy).calibration == fitted
    damage(copy, "validation", None)
    assert load_run(copy).record.calibration == UNCALIBRATED


def test_damaged_files(copy):
    weights, record = copy / "model.safetensors", copy / "run.json"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert error_of(RunError, load_run, copy).subject == str(weights)
    weights.unlink()
    assert error_of(RunError, load_run, copy).subject == str(weights)
    for content in (b"{", b"[]", b"\xff", b""):
        record.write_bytes(content)
        assert error_of(RunError, load_run, copy).subject == str(record)
        assert error_of(RunError, resume, copy, Silent()).subject == str(record)


def test_resume_refuses_what_does_not_fit(tmp_path, few_digits, mnist_test):
    out, data = tmp_path / "a", shutil.copytree(few_digits, tmp_path / "data")
    error_of(KeyboardInterrupt, train, train_config(out, data), Silent(stop_after=1))
    before = (out / "run.json").read_bytes()
    damage(out, "recipe.net", "digits")
    assert "'digits'" in str(error_of(RunError, resume, out, Silent()))
    (out / "run.json").write_bytes(before)
    damage(out, "recipe.version", 1)
    assert "version 1 of the recipe" in str(error_of(RunError, resume, out, Silent()))
    (out / "run.json").write_bytes(before)
    (out / "checkpoint.pt").write_bytes(b"nothing")
    assert error_of(RunError, resume, out, Silent()).subject == str(out / "checkpoint.pt")
    for split in ("test", "train"):
        write_idx(data, split, mnist_test.take(np.arange(300)))
        assert error_of(DatasetError, resume, out, Silent()).subject == str(data)
        shutil.copytree(few_digits, data, dirs_exist_ok=True)
