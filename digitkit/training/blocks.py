"""The block that all nets are built of."""

from __future__ import annotations

from torch import nn

Pair = int | tuple[int, int]
"""One value for both directions, or one for the height and one for the width."""


def conv(
    inputs: int,
    outputs: int,
    kernel: Pair = 3,
    stride: Pair = 1,
    padding: Pair | None = None,
    dilation: Pair = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU: one convolution once exported.

    Args:
        inputs: channels of its input.
        outputs: channels of its output.
        kernel: its size.
        stride: its step.
        padding: zeros around the input, on each side; None for as many as keep its size at a stride
            and a dilation of 1.
        dilation: distance between its points.
        groups: groups of channels that are convolved apart.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
