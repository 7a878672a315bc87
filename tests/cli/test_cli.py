"""The command line through Typer's runner; fresh processes are in test_process.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.cli import one_error_line, run
from support.paths import SHARED

# --- eval, inspect ---------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_eval(here, small_data):
    result = run("eval", "digits", "--data", small_data, "--no-pictures")
    assert result.exit_code == 0
    assert "300" in result.stdout
    assert "calibration error" in result.stdout
    result = run("eval", "--data", small_data, "--format", "json", "--no-pictures")
    values = json.loads(result.stdout)
    assert values["count"] == 300
    assert values["accuracy"] > 0.97
    assert list(here.iterdir()) == []


def test_eval_draws(here, small_data):
    pytest.importorskip("matplotlib")
    result = run("eval", "--data", small_data)
    assert result.exit_code == 0
    assert {p.name for p in (here / "eval/digits-int8").iterdir()} == {
        "confusion.png",
        "mistakes.png",
    }


def test_eval_problems(here, tmp_path):
    assert "is no folder" in one_error_line(run("eval", "--data", "nowhere"), 2)
    (here / "empty").mkdir()
    assert "holds neither" in one_error_line(run("eval", "--data", "empty"), 2)
    assert "there is no such model file" in one_error_line(run("eval", "x.onnx"), 2)


def test_inspect():
    text = run("inspect").stdout
    for part in ("109,626", "3,301,920", "Conv", "int8", "MNIST train", "sha256", "temperature"):
        assert part in text
    values = json.loads(run("inspect", "--precision", "fp32", "--format", "json").stdout)
    assert values["precision"] == "fp32"
    assert values["input"] == "image: uint8 [N, 1, 28, 28]"


def test_a_foreign_model():
    zoo = SHARED / "peers/zoo-mnist-7.onnx"
    if not zoo.is_file():
        pytest.skip("the peer's model is not here (../shared/peers)")
    values = json.loads(run("inspect", zoo, "--format", "json").stdout)
    assert values["contract"] is None
    try:
        import onnx  # noqa: F401
    except ImportError:
        assert values["parameters"] is None
        assert "needs onnx" in values["not_counted"]
    else:
        assert values["parameters"] == 5994
        assert values["multiply_adds"] == 786_560
    result = run("eval", zoo, "--input-scale", 1, "--no-pictures", "--format", "json")
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(0.9891, abs=0.0003)


# --- train, export ---------------------------------------------------------------------------


def test_train_without_torch_says_what_brings_it():
    try:
        import torch  # noqa: F401
    except ImportError:
        line = one_error_line(run("train"), 2)
        assert "pip install 'digitkit[train]' brings it" in line
        assert "pip install 'digitkit[train]' brings it" in one_error_line(run("export", "x"), 2)
    else:
        pytest.skip("torch is installed here; make test-oldest runs this")


SMALL = ("--epochs", 2, "--batch-size", 64, "--set", "net=article-minimal", "--threads", 1)


def test_train_and_export(here, small_data, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.export import export

    monkeypatch.setattr(export, "INT8_LOSS", 0.02)
    result = run("train", "--data", small_data, "--out", "run", "--seed", 3, *SMALL)
    assert result.exit_code == 0, result.output
    assert "Test loss: 0." in result.stdout
    assert "Test accuracy: 0." in result.stdout
    assert "next: digitkit export run" in result.stdout
    epochs = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    assert len(epochs) == 2  # one line an epoch where there is no terminal
    assert "img/s" in epochs[0]
    record = json.loads(Path("run/run.json").read_text())
    assert record["overrides"] == {
        "net": "article-minimal", "epochs": "2", "batch_size": "64", "seed": "3",
    }  # fmt: skip
    result = run("export", "run")
    assert result.exit_code == 0, result.output
    assert "run/exported/quick-int8.onnx" in result.stdout
    assert Path("run/exported/MODEL_CARD.md").is_file()
    result = run("export", "run", "--out", "other", "--name", "mine", "--no-int8")
    assert {p.name for p in Path("other").iterdir()} == {
        "mine-fp32.onnx", "mine-mistakes.png", "MODEL_CARD.md", "SHA256SUMS",
    }  # fmt: skip


def test_default_run_folder(here, small_data):
    pytest.importorskip("torch")
    assert run("train", "--data", small_data, *SMALL).exit_code == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("quick-20")


def test_ctrl_c_and_resume(here, small_data, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.cli import training_progress

    right = training_progress.TrainingProgress.epoch
    monkeypatch.setattr(
        training_progress.TrainingProgress,
        "epoch",
        lambda *a: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    result = run("train", "--data", small_data, "--out", "run", *SMALL)
    assert result.exit_code == 130
    assert "digitkit train --resume run goes on" in result.stderr
    monkeypatch.setattr(training_progress.TrainingProgress, "epoch", right)
    result = run("train", "--resume", "run")
    assert result.exit_code == 0
    assert "going on after epoch 1" in result.stderr


def test_train_list():
    pytest.importorskip("torch")
    result = run("train", "--list")
    assert result.exit_code == 0
    assert "1,199,882" in result.stdout
    assert "augmentation.rotate=" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "articel"), "did you mean article"),
        (("--set", "epochs"), "--set epochs: needed is FIELD=VALUE"),
        (("--set", "epochs=2", "--epochs", 3), "epochs is given twice"),
        (("--set", "depth=2"), "'depth' does not exist"),
        (("--data", "nowhere"), "nowhere: is no folder"),
        (("--resume", "nowhere"), "nowhere: holds no run to go on with"),
        (("--resume", "run", "--epochs", 3), "goes on as the training began"),
        (("--resume", "run", "--overwrite"), "goes on as the training began"),
        (("--init", "nowhere"), "nowhere: is no run folder"),
    ],
)
def test_train_mistakes(here, arguments, message):
    pytest.importorskip("torch")
    assert message in one_error_line(run("train", *arguments), 2)
    assert list(here.iterdir()) == []


def test_export_mistakes(here, small_run, monkeypatch):
    from digitkit.export import export

    assert "nowhere: is no run folder" in one_error_line(run("export", "nowhere"), 2)
    assert run("export", small_run.folder, "--name", "a/b").exit_code == 2
    monkeypatch.setattr(export, "PARITY", 0.0)
    result = run("export", small_run.folder, "--out", "out")
    assert result.exit_code == 3
    assert "parity failed" in result.stderr.splitlines()[-1]
    assert not Path("out").exists()
    copy = here / "moved"
    shutil.copytree(small_run.folder, copy)
    record = json.loads((copy / "run.json").read_text())
    record["data"]["source"] = str(here / "gone")
    (copy / "run.json").write_text(json.dumps(record))
    result = run("export", copy)
    assert result.exit_code == 2
    assert "gone: is no folder" in result.stderr
