"""The nets that can be trained. Each takes float32 ``[N, 1, 28, 28]`` in 0–1 and gives logits.

Zero means paper, so the zero padding of a convolution is more paper: inputs are scaled to 0–1 and
not centred, and the scale is folded into the first layer when the net is exported.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import RecipeError


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Convolution, batch normalisation, ReLU: one block, one convolution once exported."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def digits() -> nn.Sequential:
    """The default net: 95,754 parameters, 1.5 million multiply-adds.

    Made for small CPUs: channel counts that fill vector registers, stride instead of pooling
    (fewer nodes, and a pooling layer costs as much as a convolution here), valid padding where
    there is only paper to see, and few, full layers, since each node has a fixed cost.
    """
    return nn.Sequential(
        _conv(1, 32, 5, stride=2),  # 28 -> 12
        _conv(32, 64, 3, stride=2, padding=1),  # 12 -> 6
        _conv(64, 64, 3),  # 6 -> 4
        _conv(64, 64, 3),  # 4 -> 2
        nn.Flatten(),
        nn.Linear(64 * 2 * 2, 10),
    )


def article() -> nn.Sequential:
    """The classic Keras article's net (its ``mnist_cnn`` example): 1,199,882 parameters.

    Glorot-uniform weights and zero biases, as Keras initialises them.
    """
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )
    return _glorot(net)


def article_minimal() -> nn.Sequential:
    """The article's worked example: one convolution, one 2×2 max-pooling, one dense layer."""
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 13 * 13, 10),
    )
    return _glorot(net)


def _glorot(net: nn.Sequential) -> nn.Sequential:
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return net


NETS: dict[str, Callable[[], nn.Sequential]] = {
    "digits": digits,
    "article": article,
    "article-minimal": article_minimal,
}


def build_net(name: str) -> nn.Sequential:
    """A freshly initialised net; torch's global generator decides its weights.

    Args:
        name: a key of `NETS`.

    Raises:
        RecipeError: there is no net of this name.
    """
    if name not in NETS:
        near = difflib.get_close_matches(name, NETS, n=3, cutoff=0.4) or list(NETS)
        raise RecipeError(f"net {name!r} does not exist; there is {', '.join(near)}")
    return NETS[name]()


def parameter_count(net: nn.Module) -> int:
    """Number of trained values, batch normalisation's scale and shift among them."""
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def logits(net: nn.Module, images: Tensor, batch_size: int = 500) -> Tensor:
    """The net's raw scores in evaluation mode.

    Args:
        net: as `build_net` makes it.
        images: uint8 ``[N, 28, 28]``.
        batch_size: how many images go through at once.

    Returns:
        float32 ``[N, 10]``.
    """
    was_training = net.training
    net.eval()
    try:
        parts = [net(scaled(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
    finally:
        net.train(was_training)
    return torch.cat(parts)


def scaled(images: Tensor) -> Tensor:
    """uint8 ``[N, 28, 28]`` to float32 ``[N, 1, 28, 28]`` in 0–1: all nets' input."""
    return images.unsqueeze(1).to(torch.float32).div_(255)
