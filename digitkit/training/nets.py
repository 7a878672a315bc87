"""The nets that can be trained. Each maps float32 ``[N, 1, 28, 28]`` in 0–1 to logits.

Inputs are scaled to 0–1 and not centred: 0 is paper, so zero padding adds more paper. The scale is
folded into the first layer when the net is exported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from digitkit.errors import RecipeError
from digitkit.training.blocks import conv

State = dict[str, Tensor]
"""A net's weights and statistics by name, as ``state_dict`` gives them."""


def convnet(layers: str) -> nn.Sequential:
    """A plain net: convolutions, each with batch normalisation and ReLU, then one dense layer.

    Args:
        layers: one word per convolution: its channels, ``x``, its kernel size, then the stride
            (``s2``) and the zero padding (``p1``) if they are not 1 and 0:
            ``32x5s2 64x3s2p1 64x3``.

    Raises:
        RecipeError: a word is not a layer, or a layer's input is smaller than its kernel.
    """
    blocks: list[nn.Module] = []
    channels, side = 1, 28
    for word in layers.split():
        match = _WORD.fullmatch(word)
        if match is None:
            raise RecipeError(f"layer {word!r} must be written CHANNELSxKERNEL[sSTRIDE][pPADDING]")
        outputs, kernel = int(match[1]), int(match[2])
        stride, padding = int(match[3] or 1), int(match[4] or 0)
        blocks.append(conv(channels, outputs, kernel, stride, padding))
        channels, side = outputs, (side + 2 * padding - kernel) // stride + 1
        if side < 1:
            raise RecipeError(f"layer {word!r} has an input that is smaller than its kernel")
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(channels * side * side, 10))


_WORD = re.compile(r"(\d+)x(\d+)(?:s(\d))?(?:p(\d))?")


def digits() -> nn.Sequential:
    """The default net: 109,626 parameters, 3.3 million multiply-adds.

    Designed for small CPUs: channel counts that fill vector registers, strides instead of pooling
    (fewer nodes, and a pooling layer costs as much as a convolution here), no padding where there
    is only paper, and few, wide layers, since each node has a fixed cost.
    """
    return convnet("32x5s2 64x3 64x3s2p1 80x3")  # 28 -> 12 -> 10 -> 5 -> 3


def digits_tiny() -> nn.Sequential:
    """The fast net: 32,506 parameters, 0.9 million multiply-adds."""
    return convnet("16x5s2 32x3 32x3s2p1 48x3")  # 28 -> 12 -> 10 -> 5 -> 3


def quick() -> nn.Sequential:
    """The net of the recipe quick: 95,754 parameters, 1.5 million multiply-adds."""
    return convnet("32x5s2 64x3s2p1 64x3 64x3")  # 28 -> 12 -> 6 -> 4 -> 2


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
    "digits-tiny": digits_tiny,
    "quick": quick,
    "article": article,
    "article-minimal": article_minimal,
}


def build_net(name: str) -> nn.Sequential:
    """Make a freshly initialised net; its weights come from torch's global generator.

    Args:
        name: a key of `NETS`.

    Raises:
        RecipeError: there is no net of this name; similar names are listed.
    """
    if name not in NETS:
        near = difflib.get_close_matches(name, NETS, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(NETS)}"
        raise RecipeError(f"net {name!r} does not exist", hint=hint)
    return NETS[name]()


def parameter_count(net: nn.Module) -> int:
    """Number of trained values, including the scale and shift of batch normalisation."""
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def logits(net: nn.Module, images: Tensor) -> Tensor:
    """The net's raw scores in evaluation mode.

    Args:
        net: as `build_net` makes it.
        images: uint8 ``[N, 28, 28]``.

    Returns:
        float32 ``[N, 10]``.
    """
    was_training = net.training
    net.eval()
    try:
        scores = [net(to_input(batch)) for batch in torch.split(images, 500)]
    finally:
        net.train(was_training)
    return torch.cat(scores)


def to_input(images: Tensor) -> Tensor:
    """Convert uint8 ``[N, 28, 28]`` to the input of all nets: float32 ``[N, 1, 28, 28]`` in 0–1."""
    return images.unsqueeze(1).to(torch.float32).div_(255)
