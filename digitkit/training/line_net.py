"""The line reader's net."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from digitkit.reading.networks.line_reader import HEIGHT, NONE
from digitkit.training.blocks import conv

STROKE_LAYERS = 4
"""After so many layers, at 1/8 of the line's height, strokes are still told apart."""


class LineNet(nn.Module):
    """Convolutions that reduce a line to one vector for every second column, and some along it."""

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (16, 24, 40, 56, 64),
        columns: int = 96,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 16),
        doubts: int = 32,
    ) -> None:
        """Build the net.

        Args:
            widths: channels of the layers at 1/2, 1/4, 1/4, 1/8 and 1/16 of the line's height.
            columns: channels of a column.
            dilations: of the layers along the line.
            doubts: channels of the layers that tell spoiled digits, and of those that tell letters.
        """
        super().__init__()
        a, b, c, d, e = widths
        self.body = nn.Sequential(
            conv(1, a, stride=2),
            conv(a, b, stride=(2, 1)),
            conv(b, c),
            conv(c, d, stride=(2, 1)),
            conv(d, e, stride=(2, 1)),
            conv(e, columns, kernel=(3, 1), padding=0),
        )
        # Along the line: each sees `dilation` columns to either side.
        self.along = nn.ModuleList(
            conv(columns, columns, (1, 3), padding=(0, dilation), dilation=(1, dilation))
            for dilation in dilations
        )
        self.head = nn.Conv2d(columns, NONE + 1, 1)
        seen = d * HEIGHT // 8 + columns
        self.spoiled, self.letters = _tell(seen, doubts), _tell(seen, doubts)

    def forward(self, line: Tensor) -> Tensor:
        """Predict what every second column is the middle of.

        Args:
            line: ``[N, 1, 48, W]``, ink of 0 to 255; W even.

        Returns:
            float32 ``[N, 15, W/2]``: logits of the digits, of a sign, of a point, and of none; of a
            digit that is struck out or written over; and of a letter.
        """
        strokes = self.body[:STROKE_LAYERS](line.float() / 255)
        x = self.body[STROKE_LAYERS:](strokes)
        for layer in self.along:
            x = x + layer(x)
        # What is learnt of spoiled digits and of letters changes nothing else.
        seen = torch.cat([strokes.detach().flatten(1, 2).unsqueeze(2), x.detach()], 1)
        return torch.cat([self.head(x), self.spoiled(seen), self.letters(seen)], 1)[:, :, 0]


def _tell(seen: int, channels: int) -> nn.Sequential:
    """Layers that tell one kind of column, from what the others see of it."""
    return nn.Sequential(
        nn.Conv2d(seen, channels, (1, 3), padding=(0, 1)),
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 5), padding=(0, 2)),
        nn.ReLU(),
        nn.Conv2d(channels, 1, 1),
    )
