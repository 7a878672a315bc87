"""``digitkit train``, ``export``, ``eval`` and ``inspect``."""

import io
import json
import re
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.paths import ROOT, SHARED
from support.training import train_config, write_idx

from digitkit.cli import show
from digitkit.errors import install_command
from digitkit.models.calibration import MIN_CALIBRATION_IMAGES

ZOO = SHARED / "peers/zoo-mnist-7.onnx"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_eval(here, few_digits):
    result = run("eval", "--data", few_digits, "--format", "json", "--no-pictures")
    values = json.loads(result.stdout)
    assert values["count"] == 100
    assert values["accuracy"] > 0.97
    assert len(values["recall"]) == len(values["confusion"]) == 10
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_eval_text_and_figures(here, few_digits, mnist_test):
    pytest.importorskip("matplotlib")
    few = mnist_test.take(np.arange(100))
    write_idx(here / "wrong", "test", replace(few, labels=(few.labels + 1) % 10))
    for folder, options in (("eval/digits-int8", ()), ("report", ("--out", "report"))):
        out = run("eval", "--data", "wrong", *options).stdout
        for part in ("calibration error", f"{(few.labels == 3).sum()}× as 3", "0.00%"):
            assert part in out
        assert {p.name for p in Path(folder).iterdir()} == {"confusion.png", "mistakes.png"}


def test_inspect():
    text = run("inspect").stdout
    for part in ("109,626", "3,301,920", "4× Conv", "int8", "MNIST train", "sha256", "opset"):
        assert part in text
    values = json.loads(run("inspect", "--precision", "fp32", "--format", "json").stdout)
    assert (values["precision"], values["opset"]) == ("fp32", 18)
    assert values["input"] == "image: uint8 [N, 1, 28, 28]"


@pytest.mark.skipif(not ZOO.is_file(), reason="the peer's model is not here (../shared/peers)")
def test_a_third_party_model(here):
    values = json.loads(run("inspect", ZOO, "--format", "json").stdout)
    assert values["contract"] is None
    assert "third-party" in run("inspect", ZOO).stdout
    counted = (5994, 786_560, 7) if find_spec("onnx") else (None, None, None)
    assert (values["parameters"], values["multiply_adds"], values["opset"]) == counted
    assert ("not_counted" in values) == (counted[0] is None)
    result = run("eval", ZOO, "--input-scale", 1, "--no-pictures", "--format", "json")
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(0.9891, abs=0.0003)


@pytest.mark.parametrize("command", [("train",), ("export", "x")])
def test_without_torch_the_extra_is_named(command, monkeypatch):
    for module in ("digitkit.training.folder", "digitkit.export.export_job"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert install_command("train") in one_error_line(run(*command), 2)


FAST = ("--epochs", 2, "--batch-size", 64, "--set", "net=article-minimal", "--threads", 1)


@pytest.mark.slow
def test_train_and_export(here, few_digits, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.export import verify

    monkeypatch.setattr(verify, "INT8_LOSS", 1.0)
    result = run("train", "--data", few_digits, "--seed", 3, *FAST)
    assert result.exit_code == 0, result.output
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("quick-20")
    assert "\nTest accuracy: 0." in result.stdout
    assert f"digitkit export {folder}" in result.stdout
    epochs = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    assert len(epochs) == 2  # one line per epoch if there is no terminal
    assert "img/s" in epochs[0]
    assert json.loads((folder / "run.json").read_text())["overrides"] == {
        "net": "article-minimal", "epochs": "2", "batch_size": "64", "seed": "3",
    }  # fmt: skip
    result = run("export", folder)
    assert result.exit_code == 0, result.output
    assert f"{folder}/exported/quick-int8.onnx" in result.stdout
    table = result.stdout.partition("\nwritten")[0].splitlines()
    assert max(map(len, table)) <= 80
    assert any(line.split()[:2] == ["test", "accuracy"] for line in table)
    run("export", folder, "--out", "other", "--name", "mine", "--no-int8")
    files = "MODEL_CARD.md SHA256SUMS mine-fp32.onnx mine-mistakes.png"
    assert sorted(p.name for p in Path("other").iterdir()) == files.split()


@pytest.mark.slow
def test_the_recipes_of_the_article_point_to_the_notebook(here, few_digits):
    from digitkit.cli.train_report import ARTICLE_PAGE

    assert (ROOT / ARTICLE_PAGE).is_file()
    assert ARTICLE_PAGE in run("train", "--help").output
    pytest.importorskip("torch")
    for recipe, points in (("article-minimal", True), ("quick", False)):
        options = ("--data", few_digits, "--epochs", 1, "--out", recipe)
        result = run("train", "--recipe", recipe, *options)
        assert (result.exit_code, ARTICLE_PAGE in result.stdout) == (0, points)


def test_where_temperature_and_threshold_are_from(here, few_digits, fast_run):
    """The summary says it, and of an exported model digitkit inspect."""
    threshold = f"threshold {fast_run.record.calibration.min_confidence:g}"
    options = ("--data", few_digits, *FAST)
    tuned = run("train", *options, "--init", fast_run.folder, "--out", "tuned")
    (line,) = (line for line in tuned.stdout.splitlines() if threshold in line)
    assert str(fast_run.folder) in line
    assert f" {MIN_CALIBRATION_IMAGES:,}" in line
    fresh = run("train", *options, "--out", "fresh").stdout
    (line,) = (line for line in fresh.splitlines() if "threshold 0.5" in line)
    assert "default" in line
    assert run("export", "tuned", "--no-int8").exit_code == 0
    inspected = run("inspect", "tuned/exported/quick-fp32.onnx", "--format", "json").stdout
    assert json.loads(inspected)["confidence_source"] == "init"
    assert "confidence_source" not in run("inspect", "--format", "json").stdout  # as ever


def test_resuming_a_finished_training_says_that_nothing_is_trained(fast_run):
    result = run("train", "--resume", fast_run.folder)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert f"{fast_run.folder} is complete" in line
    assert "\nTest accuracy: 0." in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        "--recipe quick", "--recipe lines", "--list", "--set depth=2", "--set epochs",
        "--epochs 0 --seed 1 --threads 2",
    ],
)  # fmt: skip
def test_resuming_refuses_all_options_that_it_would_not_use(here, options):
    pytest.importorskip("torch")
    line = one_error_line(run("train", "--resume", "run", *options.split()), 2)
    for word in ("--resume", *re.findall("--[a-z]+", options)):
        assert word in line


def test_the_bar_of_a_training_is_that_of_its_epoch(monkeypatch, few_digits, tmp_path):
    pytest.importorskip("torch")
    from rich.console import Console

    from digitkit.cli.training_progress import TrainingProgress

    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=80)
    monkeypatch.setattr(show, "err", lambda: console)
    with TrainingProgress() as progress:
        progress.started(train_config(tmp_path / "run", few_digits, {"epochs": "2"}), 1000, 0, 1)
        progress.batch(2, 1, 4, 0.5, 0.9)
        progress._bar.refresh()
    *_, shown = (line for line in drawn.getvalue().split("\r") if "epoch 2/2" in line)
    assert " 25% " in shown
    assert "to the end" in shown
    assert "…" not in shown


def test_ctrl_c_and_resume(here, few_digits, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.cli.training_progress import TrainingProgress

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "epoch", Mock(side_effect=KeyboardInterrupt))
        result = run("train", "--data", few_digits, "--out", "run", *FAST)
    assert result.exit_code == 130
    assert "digitkit train --resume run" in result.stderr
    result = run("train", "--resume", "run")
    assert result.exit_code == 0
    assert "after epoch 1" in result.stderr


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("quick", "augmentation.rotate=8"),
        ("finder", "steps=14000"),
        ("lines", "scenes=22000"),
        ("grey", "images=240000"),
    ],
)
def test_train_list(name, field):
    pytest.importorskip("torch")
    result = run("train", "--list", "--recipe", name)
    assert result.exit_code == 0
    for part in ("1,199,882", "finder", f"  {field}\n"):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("eval --data nowhere", "nowhere"), ("eval --data empty", "empty"),
        ("eval x.onnx", "x.onnx"), ("export nowhere", "nowhere"),
        ("export x --name a/b", "--name"), ("export x --target z80", "--target"),
        ("train --recipe articel", "article"), ("train --set epochs", "FIELD=VALUE"),
        ("train --set epochs=2 --epochs 3", "--epochs"), ("train --set depth=2", "'depth'"),
        ("train --epochs 0", "--epochs must"), ("train --threads -1", "--threads"),
        ("train --learning-rate nan", "--learning-rate must"),
        ("train --set epochs=0", "--set epochs must"), ("train --seed -1", "--seed must"),
        ("train --recipe finder --batch-size 0", "--batch-size must"),
        ("train --data nowhere", "nowhere"), ("train --init nowhere", "nowhere"),
        ("train --resume nowhere", "nowhere"), ("train --resume run --epochs 3", "--epochs"),
        ("train --resume run --overwrite", "--overwrite"),
        ("train --recipe finder --epochs 3", "--epochs"),
        ("train --recipe finder --set steps=0", "steps"),
        ("train --recipe finder --set net=x", "'net'"),
        ("train --recipe finder --init nowhere", "nowhere"),
        ("train --recipe finder --threads -1", "--threads"),
        ("train --recipe lines --set scenes=0", "scenes"),
        ("train --recipe lines --data x", "--data"),
        ("train --recipe grey --set images=0", "images"),
        ("train --recipe grey --data x", "--data"),
    ],
)  # fmt: skip
def test_mistakes(here, command, word):
    if not command.startswith("eval"):
        pytest.importorskip("torch")
    (here / "empty").mkdir()
    result = run(*command.split())
    assert result.exit_code == 2
    assert word in result.stderr
    assert list(here.rglob("*")) == [here / "empty"]


def test_export_mistakes(here, fast_run, few_digits, monkeypatch):
    from digitkit.export import verify

    copy = shutil.copytree(fast_run.folder, here / "copy")
    record = json.loads((copy / "run.json").read_text())
    record["data"]["source"] = str(here / "gone")
    (copy / "run.json").write_text(json.dumps(record))
    result = run("export", copy, "--no-int8")
    assert result.exit_code == 2
    assert "gone" in result.stderr.splitlines()[-1]
    assert run("export", copy, "--no-int8", "--data", few_digits).exit_code == 0
    monkeypatch.setattr(verify, "MAX_PROBABILITY_DIFFERENCE", 0.0)
    (here / "file").write_text("x")
    line = one_error_line(run("export", fast_run.folder, "--out", here / "file" / "new"), 2)
    assert "file/new: cannot be written" in line
    result = run("export", fast_run.folder, "--out", "out")
    assert result.exit_code == 3
    assert "parity" in result.stderr.splitlines()[-1]
    assert not Path("out").exists()
