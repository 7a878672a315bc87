"""Fine-tuning on corrections: the record, the gate, resuming, and what is exported."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.cli import one_error_line, run
from support.errors import error_of
from support.odd_hand import draw_odd_digit
from support.training import Silent

from digitkit import Classifier
from digitkit.datasets.corrections import Correction, add_corrections
from digitkit.errors import DatasetError, GateError, RunError
from digitkit.export.export_job import ExportConfig, export_run
from digitkit.images.normal_form import digit_image
from digitkit.models.registry import models_folder
from digitkit.training import forgetting, nets, recipes, scoring, start
from digitkit.training import run as training
from digitkit.training.record import read_record
from digitkit.training.run import TrainConfig
from digitkit.training.start import load_start


@pytest.fixture
def corrections(tmp_path, mnist_test):
    """20 corrections, of two digits only, and an image without a digit."""
    lines = [
        Correction(f"a{i}", "digit", "35"[i % 2], (mnist_test.images[200 + i],)) for i in range(20)
    ]
    lines.append(Correction("n", "digit", "", (mnist_test.images[300],)))
    add_corrections(tmp_path / "corrections", lines)
    return tmp_path / "corrections"


@pytest.fixture
def config(small_mnist, corrections, tmp_path):
    """Fine-tunes digits-tiny for a moment."""

    def make(name: str = "run", init: Path = Path("digits-tiny"), **changes: str) -> TrainConfig:
        recipe = recipes.override(recipes.get_recipe("fine-tune"), changes)
        return TrainConfig(recipe, changes, tmp_path / name, corrections, init, threads=1)

    return make


@pytest.mark.parametrize(
    ("changes", "seed", "negatives"),
    [
        ({}, 0, 0.25), ({"own": "0"}, 0, 0.25), ({"seed": "5"}, 5, 0.25),
        ({"negatives": "0"}, 0, 0.0),
    ],
)  # fmt: skip
def test_the_net_is_that_of_the_start_and_the_rest_the_recipes(config, changes, seed, negatives):
    fitted, _ = training.fit_to_start(config(**changes))
    assert (fitted.recipe.net, fitted.recipe.seed) == ("digits-tiny", seed)  # the start has seed 2
    assert fitted.recipe.negatives == negatives


def test_the_record_says_where_it_started_and_what_was_mixed(config, small_mnist):
    record = training.train(config(), Silent()).record
    assert record == read_record(config().out)
    assert (record.init.kind, record.init.run) == ("model", "digits-tiny")
    assert record.init.weights_sha256 == load_start(Path("digits-tiny")).record.weights_sha256
    mix = record.mix
    assert (mix.own.count, mix.without_digit) == (20, 1)
    assert mix.own_validation == 2
    assert mix.start.mnist == mix.result.mnist == 1.0
    assert record.data.train.count == 520
    assert record.data.train.name == "MNIST train and corrections"
    assert record.data.test.digest == small_mnist.test.digest
    assert record.recipe.seed == 0


def test_temperature_and_threshold_stay(config, monkeypatch):
    monkeypatch.setattr(scoring, "MIN_CALIBRATION_IMAGES", 1)
    calibration = training.train(config(), Silent()).record.calibration
    contract = Classifier("digits-tiny").contract
    assert calibration.source == "init"
    assert calibration.temperature == contract.temperature
    assert calibration.min_confidence == contract.min_confidence


def test_the_result_is_exported_and_can_be_started_from(config, tmp_path, mnist_test):
    done = training.train(config(), Silent())
    exported = export_run(ExportConfig(done.folder, tmp_path / "out", "mine"))
    classifier = Classifier(exported[-1].path)
    assert classifier.contract.recipe == "fine-tune"
    assert classifier.contract.confidence_source == "init"
    found = classifier.classify(list(mnist_test.images[:20]))
    assert [int(one.probabilities.argmax()) for one in found] == mnist_test.labels[:20].tolist()
    again = training.train(config("again", exported[0].path), Silent())
    assert again.record.init.recipe == "fine-tune"
    further = training.train(config("further", done.folder), Silent())
    assert further.record.init.kind == "run"


def test_a_resumed_fine_tuning_ends_like_an_uninterrupted_one(config, tmp_path):
    whole = training.train(config("whole"), Silent())
    for name, watcher in (("a", Silent(stop_after=1)), ("b", Silent(stop_in_batch=(1, 1)))):
        with pytest.raises(KeyboardInterrupt):
            training.train(config(name), watcher)
        resumed = training.resume(tmp_path / name, Silent())
        for file in (whole, resumed):
            assert (file.folder / "model.safetensors").is_file()
        assert (whole.folder / "model.safetensors").read_bytes() == (
            resumed.folder / "model.safetensors"
        ).read_bytes()
        assert resumed.record.mix == whole.record.mix


@pytest.mark.parametrize("text", ["4", ""])
def test_corrections_that_changed_meanwhile_are_not_resumed(config, corrections, mnist_test, text):
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), Silent(stop_after=1))
    add_corrections(corrections, [Correction("z", "digit", text, (mnist_test.images[400],))])
    error_of(DatasetError, training.resume, config().out, Silent())


def test_a_net_that_forgets_does_not_pass_the_gate(config, corrections):
    changes = {"learning_rate": "0.5", "ema": "0", "schedule": "constant"}
    done = training.train(config(**changes), Silent())
    assert done.record.mix.forgotten > forgetting.MAX_FORGOTTEN
    error = error_of(GateError, forgetting.check_forgotten, done.record, done.folder)
    assert str(done.folder) == error.subject
    error_of(GateError, export_run, ExportConfig(done.folder))
    assert not (done.folder / "exported").exists()
    # Nor is it what the next training is measured against.
    error_of(GateError, training.train, replace(config("next"), init=done.folder), Silent())
    # The same by the command line: the run stays, and the exit code says so.
    out = done.folder.with_name("shell")
    options = [f"--set={name}={value}" for name, value in changes.items()]
    result = run("train", "--init", "digits-tiny", "--data", corrections, "--out", out, *options)
    assert result.exit_code == 3
    assert "MNIST's test set" in result.stderr.splitlines()[-1]
    assert f"written to {out}" in result.stdout
    assert "next:" not in result.stdout
    assert "MNIST's test set" in one_error_line(run("export", out), 3)


def test_the_command_chooses_recipe_and_net(
    small_mnist, corrections, tmp_path, fast_run, monkeypatch
):
    load_model = Mock(wraps=start._load_model)
    monkeypatch.setattr(start, "_load_model", load_model)
    for init, net in (("digits-tiny", "digits-tiny"), (fast_run.folder, "article-minimal")):
        out = tmp_path / net
        done = run("train", "--init", init, "--data", corrections, "--out", out, "--epochs", 1)
        values = json.loads((out / "run.json").read_text())
        assert (values["recipe"]["name"], values["recipe"]["net"]) == ("fine-tune", net)
        assert done.exit_code in (0, 3)  # the second, hardly trained, gets better or worse
        assert "held out of 20" in done.stdout
        assert f"kept from {init}" in done.stdout
    assert "1 images without a digit are not used" in done.stdout
    load_model.assert_called_once()


def test_the_command_lists_the_recipe_for_what_it_starts_from():
    done = run("train", "--list", "--init", "digits-tiny", "--set", "seed=7")
    for field in ("net=digits-tiny", "seed=7"):
        assert f"  {field}\n" in done.stdout


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--init", "digits"), "--data"),
        (("--recipe", "fine-tune", "--data", "corrections"), "--init"),
        (("--data", "corrections"), "--init"),
        (("--recipe", "quick", "--data", "corrections"), "--init digits"),
        (("--init", "digits", "--data", "corrections", "--recipe", "quick"), "quick"),
        (("--init", "digits-int8", "--data", "corrections"), "only fp32"),
        (("--init", "nothing", "--data", "corrections"), "nothing"),
        (("--init", "nothing.onnx", "--data", "corrections"), "does not exist"),
        (("--init", "digits", "--data", "missing"), "missing"),
    ],
)
def test_what_cannot_begin(options, part, corrections, small_mnist, monkeypatch):
    monkeypatch.chdir(corrections.parent)
    assert part in one_error_line(run("train", *options), 2)
    assert not Path("runs").exists()


def test_a_recipe_that_mixes_requires_a_start(corrections, small_mnist, tmp_path):
    recipe = recipes.get_recipe("fine-tune")
    error_of(
        RunError, training.train, TrainConfig(recipe, {}, tmp_path / "x", corrections), Silent()
    )


def test_corrections_can_be_evaluated_on(corrections):
    done = run("eval", "--data", corrections, "--format", "json", "--no-pictures")
    assert json.loads(done.stdout)["count"] == 20


def test_own_images_of_all_digits_can_be_mixed_too(config, few_digits, tmp_path, small_mnist):
    plain = config()
    done = training.train(
        TrainConfig(plain.recipe, {}, tmp_path / "own", few_digits, plain.init, 1), Silent()
    )
    assert done.record.mix.own.count == 300
    assert done.record.data.test.name == f"{few_digits.name} test"
    assert done.record.mix.result.mnist > 0.98


def test_distilling_keeps_what_was_said_before(config, mnist_test):
    def change(distill: str) -> float:
        """How far probabilities of known images move, at a high learning rate."""
        changes = {"learning_rate": "0.01", "epochs": "1", "distill": distill, "ema": "0"}
        done = training.train(config(distill, **changes), Silent())
        shipped = load_start(Path("digits-tiny"))
        before = nets.build_net(shipped.net)
        before.load_state_dict(shipped.state)
        images = torch.from_numpy(mnist_test.images[500:900].copy())
        said = [torch.softmax(nets.logits(net, images), 1) for net in (before, done.net)]
        return float((said[0] - said[1]).abs().sum(1).mean())

    assert change("100") < 0.8 * change("0")


def test_what_is_no_digit_is_learned(small_mnist, tmp_path, mnist_test):
    rng = np.random.default_rng(0)
    slashed = [digit_image(draw_odd_digit(0, rng), "0") for _ in range(60)]
    lines = [Correction(f"n{i}", "digit", "", (image,)) for i, image in enumerate(slashed[:40])]
    lines.append(Correction("d", "digit", "3", (mnist_test.images[200],)))
    add_corrections(tmp_path / "corrections", lines)
    recipe = recipes.get_recipe("fine-tune")
    recipe = recipes.override(recipe, {"learning_rate": "0.003", "epochs": "6"})
    done = training.train(
        TrainConfig(recipe, {}, tmp_path / "run", tmp_path / "corrections", Path("digits-tiny"), 1),
        Silent(),
    )
    shipped = load_start(Path("digits-tiny"))
    before = nets.build_net(shipped.net)
    before.load_state_dict(shipped.state)
    fresh = torch.from_numpy(np.stack(slashed[40:]))
    evidence = [nets.logits(net, fresh).logsumexp(1).mean() for net in (before, done.net)]
    assert evidence[1] < evidence[0] - 1  # log-odds of a digit


def test_a_start_that_changed_is_not_resumed_from(config, tmp_path):
    done = training.train(config(), Silent())
    (model, *_) = export_run(ExportConfig(done.folder, tmp_path / "out", "a", int8=False))
    with pytest.raises(KeyboardInterrupt):
        training.train(config("b", model.path), Silent(stop_in_batch=(1, 1)))
    model.path.write_bytes((models_folder() / "digits-tiny-fp32.onnx").read_bytes())
    error = error_of(RunError, training.resume, tmp_path / "b", Silent())
    assert error.subject == str(model.path)


def test_a_training_is_resumed_from_another_folder(config, fast_run, tmp_path, monkeypatch):
    monkeypatch.chdir(fast_run.folder.parent)
    with pytest.raises(KeyboardInterrupt):
        training.train(config(init=Path(fast_run.folder.name)), Silent(stop_after=1))
    monkeypatch.chdir(tmp_path)
    assert training.resume(config().out, Silent()).record.status == "complete"
