"""Nets as they are shipped, and quantised."""

import numpy as np
import pytest
from support.errors import error_of

torch = pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime as ort

from digitkit.errors import DatasetError, ModelError
from digitkit.export import graph, quantize
from digitkit.export.deploy import deploy_net, to_onnx
from digitkit.training import nets
from digitkit.training.recipes import get_recipe


def run_onnx(model, images):
    """The first output of a graph for uint8 ``[N, 28, 28]``."""
    session = ort.InferenceSession(graph.to_bytes(model, {}))
    return session.run(None, {"image": images[:, None]})[0]


def run_torch(net, images):
    with torch.no_grad():
        return net(torch.from_numpy(images.copy()).unsqueeze(1))[0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "parameters", "multiply_adds"),
    [
        ("best", 109_626, 3_301_920), ("best-tiny", 32_506, 877_536), ("quick", 95_754, 1_518_592),
        ("article", 1_199_882, 11_992_448), ("article-minimal", 54_410, 248_768),
    ],
)  # fmt: skip
def test_every_net_deploys_and_quantises(recipe, parameters, multiply_adds):
    torch.manual_seed(0)
    net = nets.build_net(get_recipe(recipe).net)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # biases of 0 would be left out
    model = to_onnx(deploy_net(net, 1.3))
    facts = graph.count_graph(model)
    assert (facts.parameters, facts.multiply_adds) == (parameters, multiply_adds)
    images = np.random.default_rng(0).integers(0, 255, (20, 28, 28), np.uint8)
    onnx.checker.check_model(quantize.quantize(model, images), full_check=True)


def test_what_cannot_be_folded_or_quantised(fast_run):
    nn = torch.nn
    for layers in (
        [nn.Flatten(), nn.Linear(784, 10)],
        [nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3)],
        [nn.Conv2d(1, 10, 28), nn.Flatten()],
    ):
        error_of(ModelError, deploy_net, nn.Sequential(*layers), 1.0)
    model = to_onnx(deploy_net(fast_run.net, 1.0))
    error_of(DatasetError, quantize.quantize, model, np.zeros((0, 28, 28), np.uint8))


def test_parity_at_any_batch_size_and_inputs_left_unchanged(fast_run, mnist_test):
    before = {k: v.clone() for k, v in fast_run.net.state_dict().items()}
    net = deploy_net(fast_run.net.train(), 0.7)
    assert fast_run.net.training
    fast_run.net.eval()
    model = to_onnx(net)
    assert all(torch.equal(v, before[k]) for k, v in fast_run.net.state_dict().items())
    expected = run_torch(net, mnist_test.images[:50])
    for size in (1, 3, 50):
        given = run_onnx(model, mnist_test.images[:size])
        assert np.abs(given - expected[:size]).max() < 1e-4
    content = model.SerializeToString(deterministic=True)
    quantize.quantize(model, mnist_test.images[:50])
    assert model.SerializeToString(deterministic=True) == content


@pytest.mark.parametrize("target", quantize.PRESETS)
def test_targets(fast_run, mnist_test, mnist_train, target):
    net = deploy_net(fast_run.net, 1.0)
    small = quantize.quantize(to_onnx(net), mnist_train.images[:200], target)
    onnx.checker.check_model(small, full_check=True)
    preset = quantize.PRESETS[target]
    values = {t.name: onnx.numpy_helper.to_array(t) for t in small.graph.initializer}
    largest = max(np.abs(w.astype(int)).max() for w in values.values() if w.ndim == 4)
    # Two products of 255 and 64 still fit into 16 bits.
    assert largest == (64 if preset.weight_bits == 7 else 127)
    between = [n for n in small.graph.node if n.op_type == "QuantizeLinear"]
    assert {str(values[n.input[2]].dtype) for n in between} == {preset.activations}
    assert target in quantize.describe_target(target)
    images = mnist_test.images[:300]
    agreement = (run_onnx(small, images).argmax(1) == run_torch(net, images).argmax(1)).mean()
    assert agreement > 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "folds"),
    [
        ("8x5s2 8x3", True), ("8x5s2p2 8x3", True), ("8x4s2p1 8x3", True), ("8x6s2 8x3", True),
        ("8x3s2p1", True), ("8x3s2", True), ("8x5s3p1 8x3", False),  # another stride
    ],
)  # fmt: skip
def test_folding_pixels_into_channels_changes_no_result(layers, folds, mnist_train, monkeypatch):
    torch.manual_seed(0)
    fp32 = to_onnx(deploy_net(nets.convnet(layers), 1.0))
    images = mnist_train.images[:50]
    folded = quantize.quantize(fp32, images)
    monkeypatch.setattr(quantize, "_fold_pixels", lambda model: None)
    plain = quantize.quantize(fp32, images)
    assert folded.graph.node[0].op_type == ("Reshape" if folds else "DequantizeLinear")
    assert plain.graph.node[0].op_type == "DequantizeLinear"
    assert np.allclose(run_onnx(folded, images), run_onnx(plain, images), atol=1e-6)
