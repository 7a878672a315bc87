"""The line reader's net."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from digitkit.reading.line_reader import NONE
from digitkit.training.blocks import conv


class LineNet(nn.Module):
    """Convolutions that reduce a line to one vector for every second column, and some along it."""

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (16, 24, 40, 56, 64),
        columns: int = 96,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 16),
    ) -> None:
        """Build the net.

        Args:
            widths: channels of the layers at 1/2, 1/4, 1/4, 1/8 and 1/16 of the line's height.
            columns: channels of a column.
            dilations: of the layers along the line.
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

    def forward(self, line: Tensor) -> Tensor:
        """Predict what every second column is the middle of.

        Args:
            line: ``[N, 1, 48, W]``, ink of 0 to 255; W even.

        Returns:
            float32 ``[N, 13, W/2]``: logits of the digits, of a sign, of a point, and of none.
        """
        x = self.body(line.float() / 255)
        for layer in self.along:
            x = x + layer(x)
        return cast("Tensor", self.head(x)[:, :, 0])
