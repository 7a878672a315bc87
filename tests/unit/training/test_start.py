"""What a training starts from: runs and exported models."""

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from onnx import TensorProto, helper
from support.errors import error_of

from digitkit import Classifier
from digitkit.errors import InputNotFoundError, ModelError, RunError
from digitkit.export.export_job import ExportConfig, export_run
from digitkit.models.calibration import softmax
from digitkit.models.registry import models_folder
from digitkit.training import nets, recipes
from digitkit.training.folder import load_run
from digitkit.training.start import adapt, load_start


def probabilities(start, images) -> tuple[np.ndarray, np.ndarray]:
    """What a net says of images: probabilities [N, 10], and that of a digit [N]."""
    net = nets.build_net(start.net)
    net.load_state_dict(start.state)
    logits = nets.logits(net, torch.from_numpy(images.copy())).numpy()
    temperature = start.calibration.temperature
    evidence = np.log(np.exp(logits.astype(np.float64) / temperature).sum(1))
    return softmax(logits, temperature), 1 / (1 + np.exp(-evidence))


@pytest.mark.parametrize("name", ["digits", "digits-tiny"])
def test_the_net_of_a_shipped_model_says_what_the_model_says(name, mnist_test):
    images = np.concatenate([mnist_test.images[:500], 255 - mnist_test.images[:100]])
    start = load_start(models_folder() / f"{name}-fp32.onnx")
    ours, are_digits = probabilities(start, images)
    theirs = Classifier(name, precision="fp32").classify(list(images))
    np.testing.assert_allclose(ours, [one.probabilities for one in theirs], atol=1e-5)
    np.testing.assert_allclose(are_digits, [one.is_digit for one in theirs], atol=1e-5)
    contract = Classifier(name, precision="fp32").contract
    assert start.calibration.temperature == contract.temperature
    assert start.calibration.min_confidence == contract.min_confidence
    assert start.calibration.source == "init"
    assert (start.net, start.knows_digits) == (name, True)


def test_a_shipped_name_is_its_fp32_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    named = load_start(Path("digits"))
    file = load_start(models_folder() / "digits-fp32.onnx")
    assert named.record.weights_sha256 == file.record.weights_sha256
    assert (named.record.run, named.record.kind, named.record.recipe) == ("digits", "model", "best")
    Path("digits").mkdir()
    assert load_start(Path("digits")).record == named.record
    Path("digits/run.json").touch()  # a run folder
    error_of(RunError, load_start, Path("digits"))


@pytest.mark.parametrize("run", ["fast_run", "tiny_run"])
def test_an_exported_run_is_the_run(run, request, tmp_path, mnist_test):
    run = request.getfixturevalue(run)
    (exported,) = export_run(ExportConfig(run.folder, tmp_path, "a", int8=False))
    of_model, of_run = load_start(exported.path), load_start(run.folder)
    ours, theirs = (probabilities(one, mnist_test.images[:300]) for one in (of_model, of_run))
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    assert of_model.knows_digits == of_run.knows_digits == (run.recipe.negatives > 0)
    assert of_model.calibration == of_run.calibration
    assert of_run.record.kind == "run"


def test_statistics_that_are_fixed_leave_the_net_as_it_is_while_it_is_trained(mnist_test):
    start = load_start(models_folder() / "digits-tiny-fp32.onnx")
    net = nets.build_net(start.net)
    net.load_state_dict(start.state)
    before = nets.logits(net, torch.from_numpy(mnist_test.images[:50].copy()))
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    pixels = nets.to_input(torch.from_numpy(mnist_test.images[:50].copy()))
    torch.testing.assert_close(net(pixels), before)


def test_a_recipe_is_adapted_to_its_start(fast_run):
    shipped = load_start(models_folder() / "digits-tiny-fp32.onnx")
    recipe = recipes.get_recipe("fine-tune")
    assert adapt(recipe, shipped).net == "digits-tiny"
    assert adapt(recipe, shipped).negatives == 0.25
    adapted = adapt(recipe, load_start(fast_run.folder))
    assert (adapted.net, adapted.negatives) == ("article-minimal", 0.0)


def third_party(path):
    shape = ["N", 1, 28, 28]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [result])
    onnx.save(helper.make_model(graph), path)


def changed(path, change):
    model = onnx.load(models_folder() / "digits-tiny-fp32.onnx")
    change(model)
    path.write_bytes(model.SerializeToString())


def rename_net(model):
    next(m for m in model.metadata_props if m.key == "digitkit.architecture").value = "other"


def swap_net(model):
    next(m for m in model.metadata_props if m.key == "digitkit.architecture").value = "quick"


def remove_weights(model):
    del model.graph.initializer[2:4]


def make_external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.ClearField("raw_data")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: None, InputNotFoundError),
        (lambda path: path.write_bytes(b""), ModelError),
        (lambda path: path.write_bytes(b"nonsense" * 99), ModelError),
        (third_party, ModelError),
        (lambda path: changed(path, rename_net), RunError),
        (lambda path: changed(path, swap_net), ModelError),
        (lambda path: changed(path, remove_weights), ModelError),
        (lambda path: changed(path, make_external), ModelError),
    ],
)
def test_models_that_cannot_be_trained_on(make, kind, tmp_path):
    path = tmp_path / "model.onnx"
    make(path)
    assert error_of(kind, load_start, path).subject == str(path)


def test_int8_models_are_refused():
    error = error_of(ModelError, load_start, models_folder() / "digits-int8.onnx")
    assert "only fp32" in error.problem


def test_the_run_of_a_folder_is_loaded(fast_run):
    start = load_start(fast_run.folder)
    for name, value in load_run(fast_run.folder).net.state_dict().items():
        assert torch.equal(start.state[name], value)
