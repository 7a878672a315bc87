"""The detector's net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitkit.training.blocks import conv


def _separable(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(inputs, inputs, kernel, stride, groups=inputs), conv(inputs, outputs, 1)
    )


class DetectorNet(nn.Module):
    """A U-Net (Ronneberger, Fischer and Brox, 2015) of separable convolutions, down to 1/16."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 128)) -> None:
        """Build the net.

        Args:
            widths: channels at 1/2, 1/4, 1/8 and 1/16 of the image's size.
        """
        super().__init__()
        a, b, c, d = widths
        self.down2 = nn.Sequential(nn.PixelUnshuffle(2), conv(4, a))
        self.down4 = nn.Sequential(conv(a, b, stride=2), _separable(b, b))
        self.down8 = nn.Sequential(_separable(b, c, stride=2), _separable(c, c), _separable(c, c))
        # Whether a glyph belongs to a number or to a word is decided by its line: here, a layer
        # sees 80 pixels and costs little.
        self.down16 = nn.Sequential(
            _separable(c, d, stride=2), *(_separable(d, d, kernel=5) for _ in range(4))
        )
        self.up8, self.at8 = conv(d, c, 1), _separable(c, c)
        self.up4, self.at4 = conv(c, b, 1), _separable(b, b)
        self.place = nn.Sequential(_separable(b, b), nn.Conv2d(b, 5, 1))
        # Four values per cell, rearranged as two by two: a layer at half size would take a third of
        # the net's time.
        self.stroke = nn.Sequential(_separable(b, b), nn.Conv2d(b, 8, 1), nn.PixelShuffle(2))
        with torch.no_grad():
            self.stroke[1].bias.fill_(-3.0)  # type: ignore[operator]
            self.place[1].bias[0] = -4.0  # type: ignore[operator]
            self.place[1].bias[1:] = 1.0  # type: ignore[operator]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict logits of ink and centres, and the log distances to the sides of the boxes.

        Args:
            image: ``[N, 1, H, W]``, grey levels from 0 to 255; H and W multiples of 16.

        Returns:
            float32 ``[N, 2, H/2, W/2]``: digits, other ink; ``[N, 1, H/4, W/4]``; and
            ``[N, 4, H/4, W/4]``: left, top, right, bottom, in cells of four pixels.
        """
        quarter = self.down4(self.down2((image.float() - 128) / 48))
        eighth = self.down8(quarter)
        deep = self.down16(eighth)
        eighth = self.at8(eighth + _upsample(self.up8(deep)))
        quarter = self.at4(quarter + _upsample(self.up4(eighth)))
        place = self.place(quarter)
        return self.stroke(quarter), place[:, :1], place[:, 1:]


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
