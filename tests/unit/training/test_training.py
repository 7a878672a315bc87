from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from support.training import Silent, write_idx

from digitkit.errors import DatasetError, InputNotFoundError, RunError
from digitkit.training import nets, recipes
from digitkit.training.folder import calibration_of, load_run, read_record
from digitkit.training.run import TrainConfig, resume, train

torch = pytest.importorskip("torch")


CHANGES = {"epochs": "3", "batch_size": "64", "net": "article-minimal", "optimizer": "adamw"}


@pytest.fixture(scope="module")
def few(tmp_path_factory, mnist_train, mnist_test):
    """300 training and 100 test digits."""
    folder = tmp_path_factory.mktemp("few")
    write_idx(folder, "train", mnist_train.take(np.arange(300)))
    write_idx(folder, "test", mnist_test.take(np.arange(100)))
    return folder


def config(out, data, changes=CHANGES, **more) -> TrainConfig:
    recipe = recipes.override(recipes.get_recipe("quick"), changes)
    return TrainConfig(recipe, changes, out, data, threads=1, **more)


def test_a_real_training_learns(small_run):
    record = small_run.record
    assert record["test"]["accuracy"] > 0.85
    losses = [epoch["train_loss"] for epoch in record["epochs"]]
    assert losses[-1] < 0.6 * losses[0]


def test_the_run_folder(small_run):
    names = {p.name for p in small_run.folder.iterdir()}
    assert names == {"model.safetensors", "run.json", "curves.png", "confusion.png"}
    record = json.loads((small_run.folder / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["recipe"]["epochs"] == 6
    assert record["overrides"] == {"epochs": "6", "batch_size": "64"}
    assert record["data"]["train"]["count"] == 1500
    assert record["test"]["count"] == 300
    assert len(record["epochs"]) == 6
    assert record["versions"]["torch"]
    assert record["wall_seconds"] >= record["epochs"][-1]["elapsed"] > 0
    best = max(record["epochs"], key=lambda e: (e["val_accuracy"], -e["val_loss"]))
    assert record["best_epoch"] == best["epoch"]
    assert 0.05 < record["validation"]["temperature"] < 20
    assert 0.5 <= record["validation"]["min_confidence"] <= 1


def test_same_seed_same_weights_and_another_seed_others(tmp_path, few):
    weights = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        train(config(tmp_path / name, few, CHANGES | {"seed": seed}), Silent())
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


@pytest.mark.parametrize(
    "stop", [Silent(stop_after=1), Silent(stop_in_batch=(2, 3)), Silent(stop_in_batch=(1, 1))]
)
@pytest.mark.parametrize("net", ["article-minimal", "digits-tiny"])
def test_resume_ends_where_an_uninterrupted_run_would(tmp_path, few, stop, net):
    changes = CHANGES | {
        "net": net, "augmentation.rotate": "5", "ema": "0.9", "hands": "0.1", "negatives": "0.2",
    }  # fmt: skip
    train(config(tmp_path / "whole", few, changes), Silent())
    with pytest.raises(KeyboardInterrupt):
        train(config(tmp_path / "cut", few, changes), stop)
    with pytest.raises(RunError, match="not finished; go on with digitkit train --resume"):
        load_run(tmp_path / "cut")
    watcher = Silent()
    done = resume(tmp_path / "cut", watcher)
    assert watcher.counts[2] == (1 if stop.stop_in_batch != (1, 1) else 0)
    whole, cut = (tmp_path / n / "model.safetensors" for n in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    kept = read_record(tmp_path / "whole")
    for ours, theirs in zip(done.record["epochs"], kept["epochs"], strict=True):
        assert ours["val_loss"] == theirs["val_loss"]
        assert ours["train_loss"] == theirs["train_loss"]
    assert done.record["test"] == kept["test"]


def test_resume_of_a_finished_run_changes_nothing(small_run):
    before = (small_run.folder / "run.json").read_bytes()
    assert resume(small_run.folder, Silent()).record == small_run.record
    assert (small_run.folder / "run.json").read_bytes() == before


def test_init_starts_from_another_run(tmp_path, few, small_run):
    changes = {"epochs": "1", "learning_rate": "0.00001"}
    done = train(config(tmp_path / "tuned", few, changes, init=small_run.folder), Silent())
    assert done.record["epochs"][0]["train_accuracy"] > 0.7  # far from fresh weights
    assert done.record["init"]["run"] == str(small_run.folder)
    with pytest.raises(RunError, match="is a run of the net 'quick', but the recipe"):
        train(config(tmp_path / "other", few, init=small_run.folder), Silent())


def test_without_validation_the_last_epoch_is_kept(tmp_path, few):
    done = train(config(tmp_path / "a", few, CHANGES | {"validation": "0"}), Silent())
    assert done.record["best_epoch"] == 3
    assert done.record["validation"] is None
    assert done.record["epochs"][0]["val_loss"] is None
    assert calibration_of(done.record) == (1.0, 0.5)


def test_the_last_epoch_is_kept_if_the_recipe_says_so(tmp_path, few):
    # At such a rate no epoch is better than another, and the first of the best is kept.
    changes = CHANGES | {"learning_rate": "1e-12", "keep": "last", "schedule": "constant"}
    done = train(config(tmp_path / "a", few, changes), Silent())
    assert done.record["best_epoch"] == 3
    changes["keep"] = "best"
    other = train(config(tmp_path / "b", few, changes), Silent())
    assert other.record["best_epoch"] == 1
    # At this one they go up and down, on each processor in another way.
    changes |= {"epochs": "6", "learning_rate": "0.5"}
    wild = train(config(tmp_path / "c", few, changes), Silent())
    accuracies = [epoch["val_accuracy"] for epoch in wild.record["epochs"]]
    assert accuracies[wild.record["best_epoch"] - 1] == max(accuracies)


def test_patience(tmp_path, few):
    changes = CHANGES | {"epochs": "30", "patience": "1", "learning_rate": "1e-12"}
    done = train(config(tmp_path / "a", few, changes), Silent())
    assert len(done.record["epochs"]) == done.record["best_epoch"] + 1 < 30


def test_folders_that_are_taken(tmp_path, few, small_run):
    copy = tmp_path / "copy"
    shutil.copytree(small_run.folder, copy)
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="already holds a run; go on with it"):
        train(config(copy, few), Silent())
    assert not (copy / ".lock").exists()
    train(config(copy, few, overwrite=True), Silent())
    assert (copy / "notes.txt").read_text() == "mine"
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.png").write_bytes(b"x")
    with pytest.raises(RunError, match="not empty and no run folder"):
        train(config(other, few), Silent())
    with pytest.raises(RunError, match="not empty and no run folder"):
        train(config(other, few, overwrite=True), Silent())
    with pytest.raises(RunError, match="is a file"):
        train(config(other / "a.png", few), Silent())
    assert {p.name for p in other.iterdir()} == {"a.png"}


def test_two_trainings_into_one_folder(tmp_path, few):
    out = tmp_path / "a"

    class Second(Silent):
        def epoch(self, record, checkpoint):
            for attempt in (
                lambda: train(config(out, few, overwrite=True), Silent()),
                lambda: resume(out, Silent()),
            ):
                with pytest.raises(RunError, match="another training is writing into it"):
                    attempt()
            super().epoch(record, checkpoint)

    watcher = Second()
    train(config(out, few), watcher)
    assert len(watcher.epochs) == 3


def test_damaged_runs(tmp_path, few, small_run):
    with pytest.raises(InputNotFoundError, match="is no run folder"):
        load_run(tmp_path)
    with pytest.raises(RunError, match="holds no run to go on with"):
        resume(tmp_path, Silent())
    copy = tmp_path / "copy"
    shutil.copytree(small_run.folder, copy)
    record = json.loads((copy / "run.json").read_text())

    def rewrite(**changes):
        (copy / "run.json").write_text(json.dumps(record | changes))

    rewrite(recipe=record["recipe"] | {"net": "article-minimal"})
    with pytest.raises(RunError, match="weights don't fit the net 'article-minimal'"):
        load_run(copy)
    rewrite(recipe=record["recipe"] | {"net": "nothing"})
    with pytest.raises(RunError, match="does not exist"):
        load_run(copy)
    rewrite(format=99)
    with pytest.raises(RunError, match="no run record of this digitkit version"):
        load_run(copy)
    (copy / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: cannot be read"):
        load_run(copy)
    rewrite()
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(RunError, match="is damaged"):
        load_run(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        load_run(copy)


def test_resume_refuses_what_does_not_fit(tmp_path, few, mnist_test):
    out = tmp_path / "a"
    data = tmp_path / "data"
    shutil.copytree(few, data)
    with pytest.raises(KeyboardInterrupt):
        train(config(out, data), Silent(stop_after=1))
    record = json.loads((out / "run.json").read_text())
    changed = record | {"recipe": record["recipe"] | {"net": "digits"}}
    (out / "run.json").write_text(json.dumps(changed))
    with pytest.raises(RunError, match="don't fit the net 'digits'"):
        resume(out, Silent())
    (out / "run.json").write_text(json.dumps(record))
    write_idx(data, "train", mnist_test.take(np.arange(300)))
    with pytest.raises(DatasetError, match="is not the data that"):
        resume(out, Silent())
    shutil.rmtree(data)
    shutil.copytree(few, data)
    (out / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"checkpoint\.pt: is damaged"):
        resume(out, Silent())


def test_divergence_is_said(tmp_path, few):
    changes = CHANGES | {"learning_rate": "1e30", "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(RunError, match="the training diverged; lower learning_rate"):
        train(config(tmp_path / "a", few, changes), Silent())


def test_glorot_and_zero_biases():
    torch.manual_seed(0)
    net = nets.build_net("article")
    dense = net[7].requires_grad_(False)
    limit = (6 / (9216 + 128)) ** 0.5
    assert float(dense.weight.abs().max()) <= limit
    assert float(dense.weight.std()) == pytest.approx(limit / 3**0.5, rel=0.01)
    assert float(dense.bias.abs().max()) == 0
