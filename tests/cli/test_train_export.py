"""``digitkit train``, ``export``, ``eval`` and ``inspect``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.cli import one_error_line, run
from support.paths import SHARED

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
    # With labels that are moved by one, every 3 is labelled 4.
    data = shutil.copytree(few_digits, here / "wrong")
    path = data / "t10k-labels-idx1-ubyte"
    header, labels = path.read_bytes()[:8], path.read_bytes()[8:]
    path.write_bytes(header + bytes((label + 1) % 10 for label in labels))
    result = run("eval", "digits", "--data", data, "--no-pictures")
    for part in ("calibration error", f"{labels.count(3)}× as 3", "0.00%"):
        assert part in result.stdout


def test_eval_draws(here, few_digits):
    pytest.importorskip("matplotlib")
    assert run("eval", "--data", few_digits).exit_code == 0
    assert run("eval", "--data", few_digits, "--out", "report").exit_code == 0
    for folder in (here / "eval/digits-int8", here / "report"):
        assert {p.name for p in folder.iterdir()} == {"confusion.png", "mistakes.png"}


def test_eval_problems(here):
    (here / "empty").mkdir()
    for arguments in (("--data", "nowhere"), ("--data", "empty"), ("x.onnx",)):
        assert arguments[-1] in one_error_line(run("eval", *arguments), 2)


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
    try:
        import onnx  # noqa: F401
    except ImportError:
        assert (values["parameters"], values["opset"]) == (None, None)
        assert "onnx" in values["not_counted"]
    else:
        assert (values["parameters"], values["multiply_adds"]) == (5994, 786_560)
        assert values["opset"] == 7
    result = run("eval", ZOO, "--input-scale", 1, "--no-pictures", "--format", "json")
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(0.9891, abs=0.0003)


def test_without_torch_the_extra_is_named():
    try:
        import torch  # noqa: F401
    except ImportError:
        for command in (("train",), ("export", "x")):
            assert "digitkit[train]" in one_error_line(run(*command), 2)
    else:
        pytest.skip("torch is installed here; make test-oldest runs this")


FAST = ("--epochs", 2, "--batch-size", 64, "--set", "net=article-minimal", "--threads", 1)


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
    assert (folder / "exported/MODEL_CARD.md").is_file()
    run("export", folder, "--out", "other", "--name", "mine", "--no-int8")
    assert {p.name for p in Path("other").iterdir()} == {
        "mine-fp32.onnx", "mine-mistakes.png", "MODEL_CARD.md", "SHA256SUMS",
    }  # fmt: skip


def test_ctrl_c_and_resume(here, few_digits, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.cli.training_progress import TrainingProgress

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "epoch", interrupt)
        result = run("train", "--data", few_digits, "--out", "run", *FAST)
    assert result.exit_code == 130
    assert "digitkit train --resume run" in result.stderr
    result = run("train", "--resume", "run")
    assert result.exit_code == 0
    assert "after epoch 1" in result.stderr


@pytest.mark.parametrize(
    ("name", "field"), [("quick", "augmentation.rotate=8"), ("finder", "steps=4000")]
)
def test_train_list(name, field):
    pytest.importorskip("torch")
    result = run("train", "--list", "--recipe", name)
    assert result.exit_code == 0
    for part in ("1,199,882", "finder", f"  {field}\n"):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("--recipe articel", "article"),
        ("--set epochs", "FIELD=VALUE"),
        ("--set epochs=2 --epochs 3", "epochs"),
        ("--set depth=2", "'depth'"),
        ("--epochs 0", "epochs"),
        ("--data nowhere", "nowhere"),
        ("--init nowhere", "nowhere"),
        ("--resume nowhere", "nowhere"),
        ("--resume run --epochs 3", "--epochs"),
        ("--resume run --overwrite", "--overwrite"),
        ("--recipe finder --epochs 3", "--epochs"),
        ("--recipe finder --set steps=0", "steps"),
        ("--recipe finder --set net=x", "'net'"),
        ("--recipe finder --init nowhere", "nowhere"),
    ],
)
def test_train_mistakes(here, arguments, word):
    pytest.importorskip("torch")
    assert word in one_error_line(run("train", *arguments.split()), 2)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "train --threads -1",
        "train --recipe finder --threads -1",
        "export x --name a/b",
        "export x --target z80",
    ],
)
def test_values_that_options_do_not_allow(here, command):
    pytest.importorskip("torch")
    result = run(*command.split())
    assert result.exit_code == 2
    assert command.split()[-2] in result.stderr
    assert list(here.iterdir()) == []


def test_export_mistakes(here, fast_run, few_digits, monkeypatch):
    from digitkit.export import verify

    assert "nowhere" in one_error_line(run("export", "nowhere"), 2)
    copy = shutil.copytree(fast_run.folder, here / "copy")
    record = json.loads((copy / "run.json").read_text())
    record["data"]["source"] = str(here / "gone")
    (copy / "run.json").write_text(json.dumps(record))
    result = run("export", copy, "--no-int8")
    assert result.exit_code == 2
    assert "gone" in result.stderr.splitlines()[-1]
    assert run("export", copy, "--no-int8", "--data", few_digits).exit_code == 0
    monkeypatch.setattr(verify, "PARITY", 0.0)
    result = run("export", fast_run.folder, "--out", "out")
    assert result.exit_code == 3
    assert "parity" in result.stderr.splitlines()[-1]
    assert not Path("out").exists()
