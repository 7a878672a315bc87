"""The export of a run: files, contract and gates; of accurate nets in tests/slow."""

import hashlib
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
from support.errors import error_of
from support.training import FAST, Silent, train_config, write_idx

from digitkit import Classifier
from digitkit.datasets.digits import SPLIT_SEED, stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import ConfigError, DatasetError, GateError
from digitkit.export import export_job, quantize, verify
from digitkit.export.card import UNFITTED, write_card
from digitkit.export.export_job import ExportConfig, export_run
from digitkit.training.run import train


def test_files_and_contract(fast_run, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "INT8_LOSS", 1.0)  # 100 test images are too few for this gate
    folder = tmp_path / "out"
    exported = fp32, int8 = export_run(ExportConfig(fast_run.folder, folder, "fast"))
    names = {"fast-fp32.onnx", "fast-int8.onnx", "fast-mistakes.png", "MODEL_CARD.md", "SHA256SUMS"}
    assert {p.name for p in folder.iterdir()} == names
    card = (folder / "MODEL_CARD.md").read_text()
    assert "(fast-mistakes.png)" in card
    front = card.split("---\n")[1]
    facts = {k: json.loads(v) for k, v in (line.split(": ", 1) for line in front.splitlines())}
    assert facts["license"] == "mit"
    models = {model["name"]: model["results"][0] for model in facts["model-index"]}
    assert sorted(models) == ["fast-fp32", "fast-int8"]
    assert 0 <= models["fast-int8"]["metrics"][0]["value"] <= 1
    assert "datasets" not in facts  # it was trained on other digits
    sums = (folder / "SHA256SUMS").read_text()
    for model in exported:
        digest = hashlib.sha256(model.path.read_bytes()).hexdigest()
        assert f"{digest}  {model.path.name}\n" in sums
        assert model.path.stat().st_size == model.size
        contract = Classifier(model.path).contract
        assert contract == model.contract
        assert contract.opset == onnx.load(model.path).opset_import[0].version == 18
        assert (contract.recipe, json.loads(contract.overrides)) == ("quick", FAST)
        assert contract.data_digest == fast_run.record.data.train.digest
        assert contract.temperature == fast_run.record.calibration.temperature
        assert contract.min_confidence == fast_run.record.calibration.min_confidence
        assert contract.confidence_source is None  # fitted on validation images
        assert (contract.test_count, contract.parameters) == (100, 54_410)
        assert contract.test_accuracy == model.evaluation.accuracy
        assert contract.calibration_error == model.evaluation.calibration_error
    assert (fp32.agreement, fp32.difference < verify.MAX_PROBABILITY_DIFFERENCE) == (1.0, True)
    assert fp32.contract.test_accuracy == fast_run.record.test.accuracy
    assert (fp32.contract.precision, int8.contract.precision) == ("fp32", "int8")
    assert int8.contract.parent_sha256 == hashlib.sha256(fp32.path.read_bytes()).hexdigest()
    assert int8.size < fp32.size / 2.5
    again = export_run(ExportConfig(fast_run.folder, tmp_path / "again", "fast"))
    for first, second in zip(exported, again, strict=True):
        assert first.path.read_bytes() == second.path.read_bytes()
    (folder / "fast-int8.onnx").write_bytes(b"of another training")
    (only,) = export_run(ExportConfig(fast_run.folder, folder, "fast", int8=False))
    assert only.path.read_bytes() == fp32.path.read_bytes()
    assert not int8.path.exists()


@pytest.mark.parametrize("source", ["init", "default"])
def test_where_an_unfitted_calibration_is_from(fast_run, few_digits, tmp_path, source):
    init = fast_run.folder if source == "init" else None
    run = train(train_config(tmp_path / "run", few_digits, init=init), Silent())
    (only,) = export_run(ExportConfig(run.folder, int8=False))
    contract = Classifier(only.path).contract
    assert (contract.confidence_source, contract.temperature, contract.min_confidence) == (
        source, run.record.calibration.temperature, run.record.calibration.min_confidence,
    )  # fmt: skip
    card = (only.path.parent / "MODEL_CARD.md").read_text()
    shutil.copy(export_run(ExportConfig(fast_run.folder, tmp_path, "a"))[0].path, only.path.parent)
    write_card(only.path.parent)
    both = (only.path.parent / "MODEL_CARD.md").read_text()
    for text in (card, both):
        (line,) = (line for line in text.splitlines() if UNFITTED[source] in line)
        assert "`quick-fp32.onnx`" in line
        assert "a-fp32" not in line


def test_other_networks_and_notes_in_the_folder_do_not_matter(shipped, tmp_path):
    shutil.copy(shipped, tmp_path)
    shutil.copy(shipped.parent / "lines.onnx", tmp_path / "another.onnx")
    shutil.copy(shipped.parent / "lines.onnx", tmp_path / "grey.onnx")
    (tmp_path / "finder.onnx").write_bytes(b"damaged")
    (tmp_path / "NOTES.md").write_bytes("Größe".encode("latin-1"))
    write_card(tmp_path)
    sums = (tmp_path / "SHA256SUMS").read_text()
    files = sorted([shipped.name, "finder.onnx", "grey.onnx"])
    assert [line.split()[1] for line in sums.splitlines()] == files
    assert "## The detector" not in (tmp_path / "MODEL_CARD.md").read_text()
    assert "Gr" in (tmp_path / "MODEL_CARD.md").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "."), ("name", ".."), ("name", "a/b"), ("target", "z80")],
)
def test_a_config_checks_itself(tmp_path, field, value):
    assert error_of(ConfigError, ExportConfig, tmp_path, **{field: value}).field == field


def shift_a_bias(model):
    bias = next(t for t in model.graph.initializer if len(t.dims) == 1)
    values = onnx.numpy_helper.to_array(bias) + 0.05
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))


@pytest.mark.parametrize(
    ("damage", "gate"),
    [
        (shift_a_bias, "parity"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Nothing"), "checker"),
        (lambda model: model.opset_import.add(domain="ai.onnx.ml", version=3), "operators"),
    ],
)
def test_fp32_gates(fast_run, tmp_path, monkeypatch, damage, gate):
    right = export_job.to_onnx

    def wrong(net):
        model = right(net)
        damage(model)
        return model

    monkeypatch.setattr(export_job, "to_onnx", wrong)
    error = error_of(GateError, export_run, ExportConfig(fast_run.folder, tmp_path / "out", "a"))
    assert error.subject == "a-fp32"
    assert gate in str(error)
    assert not (tmp_path / "out").exists()


def test_int8_gate_and_calibration(fast_run, few_digits, tmp_path, monkeypatch):
    """Calibration sees neither test nor validation images; bad ranges fail."""
    seen, right = [], quantize.quantize

    def wrong(model, images, target):
        seen.append(images)
        return right(model, np.minimum(images, 3), target)  # ranges far too small

    monkeypatch.setattr(quantize, "quantize", wrong)
    monkeypatch.setattr(quantize, "CALIBRATION_IMAGES", 200)
    error = error_of(GateError, export_run, ExportConfig(fast_run.folder, tmp_path / "out", "a"))
    assert error.subject == "a-int8"
    assert "--no-int8" in error.hint
    assert not (tmp_path / "out").exists()
    train = load_train_and_test(few_digits).train
    kept, off = stratified_split(train.labels, fast_run.recipe.validation, SPLIT_SEED)
    used = {image.tobytes() for image in seen[0]}
    assert used <= {image.tobytes() for image in train.images[kept]}
    assert not used & {image.tobytes() for image in train.images[off]}
    assert 190 <= len(seen[0]) <= 210


@pytest.mark.parametrize("part", ["train", "test"])
def test_other_data_than_the_run_recorded(fast_run, few_digits, tmp_path, mnist_test, part):
    data = shutil.copytree(few_digits, tmp_path / "data")
    write_idx(data, part, mnist_test.take(np.arange(200, 300)))
    config = ExportConfig(fast_run.folder, tmp_path / "out", data=data)
    error = error_of(DatasetError, export_run, config)
    assert error.subject == str(data)
    assert part in str(error)
    assert not (tmp_path / "out").exists()
