"""A trained net as it is shipped, and its ONNX graph. Needs torch and onnx."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from typing import Any, TypeVar

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitkit.errors import ModelError
from digitkit.export import graph
from digitkit.models.contract import INPUT, IS_DIGIT, OUTPUT

Net = TypeVar("Net", bound=nn.Module)


class DeployedNet(nn.Module):
    """A net as it is shipped: uint8 pixels in, probabilities out.

    Attributes:
        knows_digits: whether it also gives the probability that the image shows a digit.
    """

    def __init__(self, layers: list[nn.Module], knows_digits: bool) -> None:
        """Chain `layers`, which map pixels of 0–255 to logits ``[N, 10]``."""
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.knows_digits = knows_digits

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Probabilities, float32 ``[N, 10]``, of uint8 ``[N, 1, 28, 28]``; `IS_DIGIT` if known."""
        scores = self.layers(image.to(torch.float32))
        probabilities = torch.softmax(scores, dim=1)
        if not self.knows_digits:
            return (probabilities,)
        # As in training, "no digit" is an eleventh class with the score 0. The temperature, which
        # is fitted on digits, sharpens this, too.
        return probabilities, torch.sigmoid(torch.logsumexp(scores, dim=1))


class SoftmaxNet(nn.Module):
    """A net of classes as it is shipped: uint8 pixels in, probabilities out."""

    def __init__(self, net: nn.Module) -> None:
        """Prepare a net whose logits have the classes in the second dimension."""
        super().__init__()
        self.net = prepare(net)

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities, float32, of uint8 pixels."""
        return torch.softmax(self.net(pixels.to(torch.float32)), dim=1)


def prepare(net: Net) -> Net:
    """A copy of a net in evaluation mode, without gradients.

    Batch normalisation is folded into the convolutions before it, in all sequences of the net.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    for block in net.modules():
        if not isinstance(block, nn.Sequential) or len(block) < 2:
            continue
        first, second = block[0], block[1]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            block[0], block[1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return net


def deploy_net(net: nn.Module, temperature: float, knows_digits: bool = False) -> DeployedNet:
    """Prepare a net for shipping: fold everything linear into the weights of its layers.

    Batch normalisation goes into the convolution before it, the division of pixels by 255 into
    the first layer, the temperature into the last.

    Args:
        net: a sequence of layers, as in `digitkit.training.nets`; left unchanged.
        temperature: what the logits are divided by.
        knows_digits: whether the net was trained with images without a digit.

    Returns:
        A module in evaluation mode.

    Raises:
        ModelError: the net does not begin with a convolution and end with a linear layer, or batch
            normalisation does not follow a convolution.
    """
    layers: list[nn.Module] = []
    for layer in _flatten(copy.deepcopy(net).eval()):
        if isinstance(layer, nn.BatchNorm2d):
            if not layers or not isinstance(layers[-1], nn.Conv2d):
                raise ModelError("batch normalisation must follow a convolution to be folded")
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    first, last = layers[0], layers[-1]
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Linear):
        raise ModelError("a net must begin with a convolution and end with a linear layer")
    with torch.no_grad():
        first.weight.div_(255)
        last.weight.div_(temperature)
        last.bias.div_(temperature)
    deployed = DeployedNet(layers, knows_digits)
    deployed.eval().requires_grad_(False)
    return deployed


def _flatten(net: nn.Module) -> Iterator[nn.Module]:
    for layer in net.children():
        if isinstance(layer, nn.Sequential):
            yield from _flatten(layer)
        else:
            yield layer


def to_onnx(net: DeployedNet) -> onnx.ModelProto:
    """Convert a deployed net to a clean ONNX graph with a dynamic batch size."""
    outputs = [OUTPUT, IS_DIGIT] if net.knows_digits else [OUTPUT]
    # A batch of 1 would be taken for a constant, so the example is two images.
    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    return trace_onnx(net, example, INPUT, outputs, {0: torch.export.Dim("N")})


def trace_onnx(
    net: nn.Module, example: Tensor, input_name: str, outputs: list[str], dynamic: dict[int, Any]
) -> onnx.ModelProto:
    """Convert any net with one input to a clean ONNX graph.

    Args:
        net: in evaluation mode.
        example: an input.
        input_name: name of the input.
        outputs: names of the outputs.
        dynamic: the dimensions of the input that vary, by index, with their names.
    """
    with _quiet_exporter():
        program = torch.onnx.export(
            net,
            (example,),
            input_names=[input_name],
            output_names=outputs,
            dynamic_shapes=(dynamic,),
            opset_version=graph.OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # it is None only if a path is given
    model = program.model_proto
    graph.clean_graph(model)
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter, which warns about packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
