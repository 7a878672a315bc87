"""The grey classifier's net."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from digitkit.reading.networks.grey_classifier import SIDE
from digitkit.training.blocks import conv

CLASSES = 11
"""The digits, and no digit."""

MIN_CONTRAST = 2.0
"""Images of less contrast are not stretched further: standard deviation, grey levels."""


class _Residual(nn.Module):
    """Two convolutions and a shortcut (He et al., Deep Residual Learning, CVPR 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width),
            nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class GreyNet(nn.Module):
    """Convolutions on an image of even contrast."""

    def __init__(self) -> None:
        """Build the net."""
        super().__init__()
        a, b, c, d = 24, 40, 64, 96  # channels at the full size, 1/2, 1/4 and 1/8
        self.body = nn.Sequential(
            conv(1, a), conv(a, b, stride=2), conv(b, b),
            conv(b, c, stride=2), _Residual(c),
            conv(c, d, stride=2), _Residual(d),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(d * (SIDE // 8) ** 2, CLASSES)

    def forward(self, grey: Tensor) -> Tensor:
        """Predict what images show.

        Args:
            grey: ``[N, 1, SIDE, SIDE]``, 0 to 255.

        Returns:
            float32 ``[N, 11]``: logits of the digits and of no digit.
        """
        x = grey.float()
        x = x - x.mean((2, 3), keepdim=True)
        contrast = (x * x).mean((2, 3), keepdim=True).sqrt().clamp(min=MIN_CONTRAST)
        x = self.body(x / contrast)
        return cast("Tensor", self.head(self.dropout(x.flatten(1))))
