"""What a net said before it is trained further, as something to keep.

Li and Hoiem, Learning without Forgetting, ECCV 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitkit.training.nets import State, build_net
from digitkit.training.recipes import Recipe


@dataclass(frozen=True)
class Teacher:
    """A net before it is trained further.

    Attributes:
        net: the net, in evaluation mode.
        weight: of the difference from what it says.
        knows_digits: whether it was trained with images without a digit.
    """

    net: nn.Module
    weight: float
    knows_digits: bool

    def loss(self, batch: Tensor, scores: Tensor, known: Tensor) -> Tensor:
        """How much a net's scores of a batch differ from what was said before.

        Args:
            batch: float32 ``[N, 1, 28, 28]``.
            scores: float32 ``[N, 10]``, of the net.
            known: bool ``[N]``, the images that count.
        """
        if not known.any():
            return scores.new_zeros(())
        with torch.no_grad():
            before = self.net(batch[known])
        now = scores[known]
        if self.knows_digits:  # "no digit" is an eleventh class whose score is 0
            before, now = F.pad(before, (0, 1)), F.pad(now, (0, 1))
        ours, theirs = F.log_softmax(now, 1), F.log_softmax(before, 1)
        return self.weight * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def make_teacher(recipe: Recipe, start: State | None) -> Teacher | None:
    """What a recipe distils from; None for a recipe that does not."""
    if not recipe.distill or start is None:
        return None
    net = build_net(recipe.net)
    net.load_state_dict(start)
    net.eval().requires_grad_(False)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Teacher(net, recipe.distill, recipe.negatives > 0)
